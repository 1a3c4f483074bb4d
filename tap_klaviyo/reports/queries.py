"""Report queries, divided into periods, and the bodies that request them. Pure.

A report is requested one period after the other. Periods start and end with a day, a week (on
Monday) or a month of the account's time zone and are as long as Klaviyo answers at once, so each
row covers one interval and is the same row whenever it is requested. The last period is requested
up to the end of the run; its numbers are those of the part of the interval that has passed.

Klaviyo corrects its numbers afterwards: an order of today is attributed to a message of last week.
So once a sweep a ``window`` before the last sweep is requested again. Between sweeps a run requests
the interval that contains the bookmark and those after it, because Klaviyo allows few requests a
day.

Sources: Klaviyo's Reporting API overview, and its guide to querying metric aggregates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import msgspec

from tap_klaviyo.reports.periods import CALENDARS
from tap_klaviyo.streams.model import Interval, Report, Stream

LOCAL_DATE = "local_date"
"""The property of a row that holds the first day of its interval in the account's time zone."""

_CURSOR = "page_cursor"
_CLOCK = "%Y-%m-%dT%H:%M:%S"
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class ReportQuery:
    """A report that can be requested for any period.

    ``extra_groups`` are groupings beyond those that all rows of the stream have. ``metric_id`` is
    the metric that is counted, or whose conversions are; empty for none.
    """

    name: str
    stream: Stream
    interval: Interval
    statistics: tuple[str, ...]
    extra_groups: tuple[str, ...]
    filter: str
    metric_id: str
    window: timedelta
    time_zone: ZoneInfo

    @property
    def report(self) -> Report:
        """The registry's description of the report."""
        assert self.stream.report is not None
        return self.stream.report

    @property
    def part(self) -> str:
        """The name that the state knows it by. Each metric of an aggregate has its own history."""
        return f"{self.name}/{self.metric_id}" if self.report.aggregates else self.name

    def periods(self, start: int, end: int) -> Iterator[ReportPeriod]:
        """The period that contains ``start`` and all up to ``end``, both in Unix seconds."""
        calendar = CALENDARS[self.interval]
        begin = calendar.floor(datetime.fromtimestamp(start, self.time_zone).replace(tzinfo=None))
        if self.report.since:
            begin = max(begin, datetime.fromisoformat(self.report.since))
        while self.seconds(begin) < end:
            intervals = calendar.most if self.report.series else 1
            following = calendar.later(calendar.floor(begin), intervals)
            yield ReportPeriod(self, begin, following, min(self.seconds(following), end))
            begin = following

    def seconds(self, clock: datetime) -> int:
        """Unix seconds of a time that the account's clock shows."""
        return int(clock.replace(tzinfo=self.time_zone).timestamp())


@dataclass(frozen=True)
class ReportPeriod:
    """A period of a report. ``start`` and ``end`` are times that the account's clock shows.

    It is requested up to ``until``, in Unix seconds, which may be before its end.
    """

    query: ReportQuery
    start: datetime
    end: datetime
    until: int

    def json_body(self, link: str) -> bytes:
        """The body that requests the page that ``link`` leads to; the first page if it is empty.

        Metric aggregates take the cursor of the link in the body, other reports in the URL.
        """
        query = self.query
        start, until = self.start, self._until()
        if query.report.aggregates:
            attributes = _aggregate_attributes(query, start, until)
            cursor = parse_qs(urlsplit(link).query).get(_CURSOR, [""])[0]
            attributes |= {_CURSOR: cursor} if cursor else {}
        else:
            attributes = _report_attributes(query, start, _last_second(until))
        return msgspec.json.encode({"data": {"type": query.stream.type, "attributes": attributes}})

    def url(self, link: str) -> str:
        """Where that body is sent."""
        return self.query.stream.path if not link or self.query.report.aggregates else link

    def _until(self) -> datetime:
        """What the account's clock shows at ``until``; at the end of a day, midnight.

        Where clocks are put forward at midnight, they never show it.
        """
        if self.until == self.query.seconds(self.end):
            return self.end
        return datetime.fromtimestamp(self.until, self.query.time_zone).replace(tzinfo=None)

    def span(self) -> dict[str, str]:
        """Properties of its rows: ``start`` and ``end`` of the period in UTC, and its first day."""
        zone = self.query.time_zone
        bounds = {
            name: clock.replace(tzinfo=zone).astimezone(timezone.utc).strftime(f"{_CLOCK}Z")
            for name, clock in (("start", self.start), ("end", self.end))
        }
        return {**bounds, LOCAL_DATE: self.start.date().isoformat()}


def _last_second(until: datetime) -> datetime:
    """The end of a timeframe: ``until``, or the second before if that is midnight.

    Klaviyo includes the whole day of a timeframe's end, so an end at midnight would count the day
    that begins then, which the next request counts too.
    """
    return until - _SECOND if until.time() == time.min else until


def _report_attributes(query: ReportQuery, start: datetime, until: datetime) -> dict[str, Any]:
    report = query.report
    groups = [*report.groups, *query.extra_groups] if query.extra_groups else None
    attributes = {
        "statistics": query.statistics,
        # Klaviyo requires an offset and ignores it: times are those of the account's time zone.
        "timeframe": {
            "start": f"{start.strftime(_CLOCK)}+00:00",
            "end": f"{until.strftime(_CLOCK)}+00:00",
        },
        "interval": query.interval if report.series else None,
        "conversion_metric_id": query.metric_id,
        "group_by": groups,
        "filter": query.filter,
    }
    return {name: value for name, value in attributes.items() if value}


def _aggregate_attributes(query: ReportQuery, start: datetime, until: datetime) -> dict[str, Any]:
    bounds = [
        f"greater-or-equal(datetime,{start.strftime(_CLOCK)})",
        f"less-than(datetime,{until.strftime(_CLOCK)})",
    ]
    attributes = {
        "metric_id": query.metric_id,
        "measurements": query.statistics,
        "filter": [*bounds, *filter(None, [query.filter])],
        "interval": CALENDARS[query.interval].aggregates,
        "by": query.extra_groups,
        "timezone": query.time_zone.key,
    }
    return {name: value for name, value in attributes.items() if value}
