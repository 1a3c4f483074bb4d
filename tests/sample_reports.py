"""Queries and periods of reports, for the tests of reports."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tap_klaviyo.reports.queries import ReportPeriod, ReportQuery
from tap_klaviyo.streams import BY_NAME, STREAMS

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
REPORTS = [stream.name for stream in STREAMS if stream.report]


def query(stream: str, **changes: Any) -> ReportQuery:
    """A query of a report stream, in Amsterdam's time zone."""
    report = BY_NAME[stream].report
    assert report is not None
    arguments: dict[str, Any] = {
        "name": "mine",
        "stream": BY_NAME[stream],
        "interval": report.interval,
        "statistics": ("opens",),
        "extra_groups": (),
        "filter": "",
        "metric_id": "Mt0001",
        "window": timedelta(days=30),
        "time_zone": AMSTERDAM,
        **changes,
    }
    return ReportQuery(**arguments)


def seconds(text: str, zone: ZoneInfo = AMSTERDAM) -> int:
    """The Unix seconds of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


def only_period(report_query: ReportQuery, start: str, end: str) -> ReportPeriod:
    """The only period between two local times."""
    (period,) = report_query.periods(
        seconds(start, report_query.time_zone), seconds(end, report_query.time_zone)
    )
    return period
