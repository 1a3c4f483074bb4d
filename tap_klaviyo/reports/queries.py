"""Reports: what the user wants to know, cut into timeframes, as bodies out and rows in. Pure.

A report is asked for one timeframe after the other. All timeframes begin and end with a day, a week
(on Monday) or a month of the account's time zone, and are as long as Klaviyo answers in one go, so
that each row is about one interval and is the same row whenever it is asked for. The last one is
asked for up to now: its numbers are of what has passed of the interval.

Klaviyo restates what it has told: an order of today is put down to the message of last week. So
once a sweep a ``window`` before the last one is asked for again. Between sweeps a run asks for what
has begun since the bookmark, and for the interval that the bookmark is in: Klaviyo allows few
requests a day.

Sources: Klaviyo's Reporting API overview, and its guide to querying metric aggregates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import msgspec

from tap_klaviyo.reports.periods import CALENDARS
from tap_klaviyo.streams.model import Interval, Report, Stream

CURSOR = "page_cursor"


_CLOCK = "%Y-%m-%dT%H:%M:%S"


@dataclass(frozen=True)
class Question:
    """A report that is ready to be asked for any timeframe.

    ``further`` is what rows are grouped by beyond what all rows of the stream are. ``metric_id`` is
    the metric that is counted, or whose conversions are; empty if there is none.
    """

    name: str
    stream: Stream
    interval: Interval
    statistics: tuple[str, ...]
    further: tuple[str, ...]
    filter: str
    metric_id: str
    window: timedelta
    zone: ZoneInfo

    @property
    def report(self) -> Report:
        """What the registry says of it."""
        assert self.stream.report is not None
        return self.stream.report

    @property
    def part(self) -> str:
        """By what the state knows it: a metric that aggregates did not tell of has a history."""
        return f"{self.name}/{self.metric_id}" if self.report.aggregates else self.name

    def timeframes(self, start: int, end: int) -> Iterator[Timeframe]:
        """All that begin in ``[start, end)``, Unix seconds, and the one that ``start`` is in."""
        calendar = CALENDARS[self.interval]
        moment = calendar.floor(datetime.fromtimestamp(start, self.zone).replace(tzinfo=None))
        if self.report.since:
            moment = max(moment, datetime.fromisoformat(self.report.since))
        while self.seconds(moment) < end:
            count = calendar.longest if self.report.series else 1
            following = calendar.later(calendar.floor(moment), count)
            yield Timeframe(self, moment, following, min(self.seconds(following), end))
            moment = following

    def seconds(self, moment: datetime) -> int:
        """Unix seconds of a moment of the account's clock."""
        return int(moment.replace(tzinfo=self.zone).timestamp())


@dataclass(frozen=True)
class Timeframe:
    """A question about one timeframe: ``start`` and ``end`` as the account's clock shows them.

    It is asked for up to ``until``, in Unix seconds, which may come sooner than its end.
    """

    question: Question
    start: datetime
    end: datetime
    until: int

    def body(self, link: str) -> bytes:
        """The body that asks for a page: that which ``link`` leads to, the first if it is empty.

        Metric aggregates want the cursor of that link in the body, the others in the address.
        """
        question = self.question
        until = datetime.fromtimestamp(self.until, question.zone).strftime(_CLOCK)
        since = self.start.strftime(_CLOCK)
        if question.report.aggregates:
            attributes = _aggregate(question, since, until)
            cursor = parse_qs(urlsplit(link).query).get(CURSOR, [""])[0]
            attributes |= {CURSOR: cursor} if cursor else {}
        else:
            attributes = _report(question, since, until)
        return msgspec.json.encode(
            {"data": {"type": question.stream.type, "attributes": attributes}}
        )

    def address(self, link: str) -> str:
        """Where to send that body."""
        first = not link or self.question.report.aggregates
        return self.question.stream.path if first else link

    def span(self) -> dict[str, str]:
        """What a row says of the whole timeframe."""
        zone = self.question.zone
        return {
            name: moment.replace(tzinfo=zone).astimezone(timezone.utc).strftime(f"{_CLOCK}Z")
            for name, moment in (("start", self.start), ("end", self.end))
        }


def _report(question: Question, since: str, until: str) -> dict[str, Any]:
    report = question.report
    # Klaviyo wants an offset, and ignores it: clocks are the account's.
    wanted = {
        "statistics": question.statistics,
        "timeframe": {"start": f"{since}+00:00", "end": f"{until}+00:00"},
        "interval": question.interval if report.series else None,
        "conversion_metric_id": question.metric_id,
        "group_by": [*report.groups, *question.further] if question.further else None,
        "filter": question.filter,
    }
    return {name: value for name, value in wanted.items() if value}


def _aggregate(question: Question, since: str, until: str) -> dict[str, Any]:
    bounds = [f"greater-or-equal(datetime,{since})", f"less-than(datetime,{until})"]
    wanted = {
        "metric_id": question.metric_id,
        "measurements": question.statistics,
        "filter": [*bounds, *filter(None, [question.filter])],
        "interval": CALENDARS[question.interval].aggregates,
        "by": question.further,
        "timezone": question.zone.key,
    }
    return {name: value for name, value in wanted.items() if value}
