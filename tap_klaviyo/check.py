"""``--test``: does the key work, and may it read what is selected?"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import Selected, unseen
from tap_klaviyo.errors import StreamError, TapError
from tap_klaviyo.klaviyo.account import QUERY, Account
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import Query, query_for
from tap_klaviyo.records.page_parser import Shaper
from tap_klaviyo.reports.builder import questions
from tap_klaviyo.streams import BY_NAME
from tap_klaviyo.streams.model import Stream


def check(config: Config, client: Client, selection: Sequence[Selected]) -> None:
    """Asks for one record of each kind of request that ``selection`` needs.

    Writes a table to stderr. Raises :class:`TapError` if the key or a scope is refused.
    """
    check = _Check(config, client)
    faults: dict[str, StreamError] = {}
    for selected in selection:
        query = query_for(selected.stream, selected.schema)
        needed = (*query.scopes, *(QUERY.scopes if selected.stream.metrics else ()))
        fault = check.fault(selected, query)
        scopes = ", ".join(dict.fromkeys(needed))
        print(f"{'no' if fault else 'ok':4}{selected.name:45}{scopes}", file=sys.stderr)
        if fault:
            faults[selected.name] = fault
    if faults:
        reasons = " ".join(dict.fromkeys(map(str, faults.values())))
        raise TapError(f"{len(faults)} of {len(selection)} streams cannot be read. {reasons}")


class _Check:
    """Asks as a run would, each request once."""

    def __init__(self, config: Config, client: Client) -> None:
        self._config = config
        self._client = client
        self._account = Account(client)
        self._answers: dict[tuple[object, ...], StreamError | list[str]] = {}

    def fault(self, selected: Selected, query: Query) -> StreamError | None:
        """Why a stream cannot be read, if it cannot."""
        try:
            self._try(selected, query)
        except StreamError as error:
            return error
        return None

    def _try(self, selected: Selected, query: Query) -> None:
        stream = selected.stream
        if stream.report:
            now = int(time.time())
            for question in questions(selected, self._config.reports, self._account)[:1]:
                for timeframe in question.timeframes(now - 1, now):
                    self._ids(timeframe.address(""), query, timeframe.body(""))
            return
        if stream.metrics:
            # What is made of metrics has to find them first.
            _ = self._account.metrics
        parent = self._first(BY_NAME[stream.parent.stream]) if stream.parent else ""
        if parent is not None:
            self._ids(_first_url(stream, query, stream.variants[0], parent), query)

    def _first(self, stream: Stream) -> str | None:
        """The id of some record of a parent stream; None if there is none, so nothing below it."""
        selected = unseen(stream)
        query = query_for(stream, selected.schema)
        above = self._first(BY_NAME[stream.parent.stream]) if stream.parent else ""
        if above is None:
            return None
        for variant in stream.variants:
            url = _first_url(stream, query, variant, above)
            for identifier in self._ids(url, query, shaper=Shaper(selected)):
                return identifier
        return None

    def _ids(
        self, url: str, query: Query, question: bytes | None = None, shaper: Shaper | None = None
    ) -> list[str]:
        """The ids on a page, if anybody wants them; raises the refusal that was the answer."""
        key = url, question, shaper is None
        if key not in self._answers:
            try:
                self._answers[key] = self._client.ask(
                    url,
                    query,
                    question,
                    lambda body: shaper.page(body.unpacked()).ids if shaper else [],
                )
            except StreamError as error:
                self._answers[key] = error
        answer = self._answers[key]
        if isinstance(answer, StreamError):
            raise answer
        return answer


def _first_url(stream: Stream, query: Query, variant: str, parent: str) -> str:
    return query.url((variant,), 1 if stream.page_size else None, parent)
