"""The partitions of reports: a window for each period, in the account's time zone. Pure."""

from __future__ import annotations

from datetime import date, datetime, time

from tap_klaviyo.reports.queries import ReportQuery
from tap_klaviyo.sync.stream_sync import Partition, StreamSync
from tap_klaviyo.sync.windows import WindowTracker


def report_partition(sync: StreamSync, query: ReportQuery, start: int, end: int) -> Partition:
    """A partition with one window for each period of a report from ``start`` up to ``end``.

    Both are in Unix seconds.
    """
    periods = {
        seconds: period
        for period in (query.periods(start, end) if start < end else ())
        if (seconds := query.seconds(period.start)) >= 0
    }
    first, *boundaries = periods or (end,)
    tracker = WindowTracker(first, max(first, end), boundaries=boundaries)
    return Partition(sync, (), tracker, True, query.part, periods=periods)


def local_start_of(day: date | None, query: ReportQuery, otherwise: int) -> int:
    """When ``day`` begins in the account's time zone, in Unix seconds; ``otherwise`` for None.

    A user who writes a date without a time means the days that Klaviyo's reports count.
    """
    return otherwise if day is None else max(0, query.seconds(datetime.combine(day, time.min)))
