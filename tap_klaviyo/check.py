"""``--test``: can the API key read what is selected, and how long does that take at least?"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import SelectedStream, hidden_parent
from tap_klaviyo.errors import ApiError, StreamError
from tap_klaviyo.klaviyo.account import METRICS_QUERY, Account, scopes_of
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.failures import is_forbidden, scopes_advice
from tap_klaviyo.klaviyo.queries import Query, query_for
from tap_klaviyo.records.page_parser import PageParser
from tap_klaviyo.reports.builder import build_queries
from tap_klaviyo.streams import parent_of
from tap_klaviyo.streams.model import TIERS, Stream

MOST_PER_MINUTE = TIERS["M"].steady
"""Requests a minute up to which the time of a stream with many requests is told."""


@dataclass(frozen=True)
class Pace:
    """How fast a stream can be read that takes at least one request for each of many things.

    ``each`` names these: a parent stream, or periods of a report. ``number`` is how many there are,
    None if that is not known. ``per_minute`` is how many requests Klaviyo answers.
    """

    each: str
    number: int | None
    per_minute: int

    @property
    def seconds(self) -> int | None:
        """The shortest time to read all of the stream; None if it is not known."""
        return None if self.number is None else math.ceil(self.number * 60 / self.per_minute)


@dataclass(frozen=True)
class StreamCheck:
    """Whether a stream can be read: the scopes that it needs, and the error if it cannot.

    ``lacks_scope`` says that the key lacks a scope for it. ``pace`` is None for a stream whose time
    is not that of many slow requests.
    """

    stream: str
    scopes: tuple[str, ...]
    error: str | None
    lacks_scope: bool = False
    pace: Pace | None = None

    @property
    def ok(self) -> bool:
        """Whether the stream can be read."""
        return self.error is None


def check(
    config: Config, client: Client, selection: Sequence[SelectedStream]
) -> Iterator[StreamCheck]:
    """Requests one record of each stream and of all that it depends on, stream by stream.

    Raises what ends a run, such as :class:`ConfigError` for a key that Klaviyo refuses.
    """
    checker = _Checker(config, client)
    return map(checker.check, selection)


def check_error(checks: Sequence[StreamCheck]) -> StreamError | None:
    """The one line that says which streams cannot be read, and why."""
    errors = [check.error for check in checks if check.error is not None]
    if not errors:
        return None
    reasons = list(dict.fromkeys(errors))
    if any(check.lacks_scope for check in checks):
        reasons.append(scopes_advice(scope for check in checks for scope in check.scopes))
    return StreamError(
        f"{len(errors)} of {len(checks)} streams cannot be read. {' '.join(reasons)}"
    )


def pace_lines(checks: Sequence[StreamCheck]) -> list[str]:
    """How long it takes at least to read all of the slow streams, in at most two lines."""
    paces = {check.stream: check.pace for check in checks if check.pace}
    known = [
        f"{stream} {_duration(pace.seconds)} ({pace.number:,} {pace.each}, at most "
        f"{pace.per_minute} requests a minute)"
        for stream, pace in paces.items()
        if pace.seconds is not None
    ]
    unknown = [
        f"{stream} (a request for each of {pace.each}, at most {pace.per_minute} a minute)"
        for stream, pace in paces.items()
        if pace.seconds is None
    ]
    lines = []
    if known:
        lines.append(f"To read all takes at least, by Klaviyo's rate limits: {'; '.join(known)}.")
    if unknown:
        lines.append(f"Not known how many requests these take: {'; '.join(unknown)}.")
    return lines


def _duration(seconds: int) -> str:
    """``1 h 15 min``, ``15 min 20 s`` or ``20 s``: the two largest units."""
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    units = ((hours, "h"), (minutes, "min"), (rest, "s"))
    shown = [f"{number} {unit}" for number, unit in units if number]
    return " ".join(shown[:2]) or "0 s"


class _Checker:
    """Requests what a run would request, each page once."""

    def __init__(self, config: Config, client: Client) -> None:
        self._config = config
        self._client = client
        self._account = Account(client)
        self._answers: dict[tuple[object, ...], StreamError | list[str]] = {}

    def check(self, selected: SelectedStream) -> StreamCheck:
        """Checks one stream."""
        query = query_for(selected.stream, selected.schema)
        scopes = scopes_of(selected.stream, query)
        try:
            self._request_first(selected, query)
        except StreamError as error:
            return StreamCheck(selected.name, scopes, str(error), is_forbidden(error))
        return StreamCheck(selected.name, scopes, None, pace=self._pace(selected, query))

    def _pace(self, selected: SelectedStream, query: Query) -> Pace | None:
        """The pace of a stream that can be read, from what is known of the account anyway.

        Only the list of metrics is requested for it, if it was not before.
        """
        stream = selected.stream
        per_minute = max(1, int(TIERS[query.tier].steady * self._config.quota_share))
        if TIERS[query.tier].steady > MOST_PER_MINUTE:
            return None
        if stream.report:
            return Pace("periods", self._periods(selected), per_minute)
        parent = parent_of(stream)
        if parent is None or self._first_id(parent) is None:
            return None
        return Pace(parent.name, self._parents(parent), per_minute)

    def _periods(self, selected: SelectedStream) -> int:
        """How many periods the reports of a stream have in a run without a state."""
        start, now = int(self._config.start_date.timestamp()), int(time.time())
        queries = build_queries(selected, self._config.reports, self._account)
        return sum(len(list(query.periods(max(0, start), now))) for query in queries)

    def _parents(self, parent: Stream) -> int | None:
        """How many parents there are, if these are the metrics."""
        if parent.path != METRICS_QUERY.path:
            return None
        try:
            return len(self._account.metrics)
        except StreamError:
            return None

    def _request_first(self, selected: SelectedStream, query: Query) -> None:
        """Requests the first page of a stream. Raises what Klaviyo answers."""
        stream = selected.stream
        if stream.report:
            now = int(time.time())
            for report_query in build_queries(selected, self._config.reports, self._account)[:1]:
                for period in report_query.periods(now - 1, now):
                    self._ids(period.url(""), query, period.json_body(""))
            return
        if stream.metrics:
            _ = self._account.metrics  # An event stream has to find its metrics first.
        parent = self._first_parent_id(stream)
        if parent is None:
            return
        try:
            self._ids(_first_url(stream, query, stream.filters[0], parent), query)
        except ApiError as error:
            if not (stream.optional and error.status == 404):
                raise

    def _first_parent_id(self, stream: Stream) -> str | None:
        """The ID of some record of the parent stream; None for no record, empty for no parent."""
        parent = parent_of(stream)
        return self._first_id(parent) if parent else ""

    def _first_id(self, stream: Stream) -> str | None:
        """The ID of some record of a parent stream; None if it has no records."""
        selected = hidden_parent(stream)
        query = query_for(stream, selected.schema)
        grandparent = self._first_parent_id(stream)
        if grandparent is None:
            return None
        for stream_filter in stream.filters:
            url = _first_url(stream, query, stream_filter, grandparent)
            for identifier in self._ids(url, query, parser=PageParser(selected)):
                return identifier
        return None

    def _ids(
        self,
        url: str,
        query: Query,
        json_body: bytes | None = None,
        parser: PageParser | None = None,
    ) -> list[str]:
        """The IDs on a page; none without a ``parser``. Raises what Klaviyo answers."""
        key = url, json_body, parser is None
        if key not in self._answers:
            try:
                self._answers[key] = self._client.request(
                    url,
                    query,
                    lambda body: parser.parse(body.decompressed()).ids if parser else [],
                    json_body=json_body,
                )
            except StreamError as error:
                self._answers[key] = error
        answer = self._answers[key]
        if isinstance(answer, StreamError):
            raise answer
        return answer


def _first_url(stream: Stream, query: Query, stream_filter: str, parent: str) -> str:
    return query.url((stream_filter,), 1 if stream.page_size else None, parent)
