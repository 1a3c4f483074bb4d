"""Report queries: periods and request bodies."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sample_reports import REPORTS, only_period, query, seconds

from tap_klaviyo.reports.queries import ReportPeriod, ReportQuery
from tap_klaviyo.streams import BY_NAME
from tap_klaviyo.streams.model import Interval

NEW_YORK = ZoneInfo("America/New_York")
SERIES = [name for name in REPORTS if BY_NAME[name].keys[1] == "date"]


def period_bounds(report_query: ReportQuery, start: str, end: str) -> list[tuple[str, str]]:
    """The start and end of all periods between two local times of the account."""
    bounds = seconds(start, report_query.time_zone), seconds(end, report_query.time_zone)
    return [
        (period.start.isoformat(), period.end.isoformat())
        for period in report_query.periods(*bounds)
    ]


def attributes(period: ReportPeriod, link: str = "") -> dict[str, Any]:
    """The attributes of a request body."""
    document = json.loads(period.json_body(link))
    assert document["data"]["type"] == period.query.stream.type
    found: dict[str, Any] = document["data"]["attributes"]
    return found


@pytest.mark.parametrize(
    ("interval", "first", "second"),
    [
        ("daily", "2026-01-14T00:00:00", "2026-01-15T00:00:00"),
        ("weekly", "2026-01-12T00:00:00", "2026-01-19T00:00:00"),
        ("monthly", "2026-01-01T00:00:00", "2026-02-01T00:00:00"),
    ],
)
def test_values(interval: Interval, first: str, second: str) -> None:
    """A values report has a period for each day, week or month of the account."""
    report_query = query("campaign_values_report", interval=interval)
    found = period_bounds(report_query, "2026-01-14T15:00:00", "2026-03-01T00:00:01")
    assert found[0] == (first, second)
    assert found[1][0] == second
    assert all(left[1] == right[0] for left, right in pairwise(found))
    assert found[-1][0] <= "2026-03-01T00:00:00" < found[-1][1]


@pytest.mark.parametrize("stream", SERIES)
@pytest.mark.parametrize(
    ("interval", "longest"), [("hourly", 7), ("daily", 60), ("weekly", 364), ("monthly", 364)]
)
def test_series(stream: str, interval: Interval, longest: int) -> None:
    """A series is split into periods of the maximum length, without gaps."""
    found = list(
        query(stream, interval=interval).periods(
            seconds("2024-01-31T10:00:00"), seconds("2026-03-01T10:00:00")
        )
    )
    assert all(one.end - one.start <= timedelta(days=longest) for one in found)
    assert all(left.end == right.start for left, right in pairwise(found))
    assert len(found) <= 2 + 762 / (longest * 0.9)
    assert found[0].start <= datetime(2024, 1, 31, 10)
    assert {one.start.time() for one in found} == {datetime.min.time()}


def test_the_last_period_is_requested_up_to_now() -> None:
    """The request ends at the start of the run; the row has the full interval."""
    period = only_period(query("flow_values_report"), "2026-03-01T00:00:00", "2026-03-09T12:30:00")
    assert attributes(period)["timeframe"] == {
        "start": "2026-03-01T00:00:00+00:00",
        "end": "2026-03-09T12:30:00+00:00",
    }
    assert period.span() == {
        "start": "2026-02-28T23:00:00Z",
        "end": "2026-03-31T22:00:00Z",
        "local_date": "2026-03-01",
    }


@pytest.mark.parametrize(
    ("interval", "days"), [("hourly", 7), ("daily", 60), ("weekly", 364), ("monthly", 366)]
)
@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "America/Santiago", "Asia/Beirut", "UTC"])
@pytest.mark.parametrize("stream", [name for name in REPORTS if name != "metric_aggregates"])
def test_each_day_is_requested_once(stream: str, zone: str, interval: Interval, days: int) -> None:
    """A request ends in the last second of a day, and the next one starts with the next day.

    So no day is counted twice, whether Klaviyo includes the day of the end or ends at its time. The
    clocks of some zones change at midnight.
    """
    report_query = query(stream, interval=interval, time_zone=ZoneInfo(zone))
    bounds = (seconds(day, report_query.time_zone) for day in ("2026-03-01", "2026-11-15T12:30:00"))
    frames = [attributes(period)["timeframe"] for period in report_query.periods(*bounds)]
    starts, ends = (
        [datetime.fromisoformat(frame[name]) for frame in frames] for name in ("start", "end")
    )
    assert [end + timedelta(seconds=1) for end in ends[:-1]] == starts[1:]
    assert {start.time() for start in starts} == {datetime.min.time()}
    assert ends[-1].isoformat() == "2026-11-15T12:30:00+00:00"
    assert all(end - start < timedelta(days=days) for start, end in zip(starts, ends, strict=True))


def test_a_run_at_midnight() -> None:
    """A run that starts at midnight does not request the day that begins then."""
    period = only_period(query("flow_values_report"), "2026-03-01T00:00:00", "2026-03-09T00:00:00")
    assert attributes(period)["timeframe"]["end"] == "2026-03-08T23:59:59+00:00"


def test_a_day_with_a_clock_change() -> None:
    """A day with a clock change has its length in the account's time zone."""
    report_query = query("segment_values_report", interval="daily", time_zone=NEW_YORK)
    (spring, after) = report_query.periods(
        seconds("2026-03-08T00:00:00", NEW_YORK), seconds("2026-03-09T00:00:01", NEW_YORK)
    )
    assert report_query.seconds(after.start) - report_query.seconds(spring.start) == 23 * 3600


def test_segments_before_the_first_day() -> None:
    """Periods before Klaviyo's first day of segment data are not requested."""
    found = period_bounds(
        query("segment_series_report"), "2023-01-15T00:00:00", "2023-07-01T00:00:00"
    )
    assert found == [("2023-06-01T00:00:00", "2023-07-31T00:00:00")]
    weeks = query("segment_values_report", interval="weekly")
    assert period_bounds(weeks, "2023-01-15T00:00:00", "2023-06-12T00:00:00") == [
        ("2023-06-01T00:00:00", "2023-06-05T00:00:00"),
        ("2023-06-05T00:00:00", "2023-06-12T00:00:00"),
    ]


def test_a_body() -> None:
    """A request body has all configured options and omits the others."""
    report_query = query(
        "flow_series_report",
        extra_groups=("flow_name",),
        filter='equals(flow_id,"F")',
        interval="daily",
    )
    period = only_period(report_query, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    assert attributes(period) == {
        "statistics": ["opens"],
        "timeframe": {"start": "2026-03-01T00:00:00+00:00", "end": "2026-03-01T23:59:59+00:00"},
        "interval": "daily",
        "conversion_metric_id": "Mt0001",
        "group_by": ["flow_id", "flow_message_id", "send_channel", "flow_name"],
        "filter": 'equals(flow_id,"F")',
    }
    plain = query("form_values_report", metric_id="")
    period = only_period(plain, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    assert attributes(period).keys() == {"statistics", "timeframe"}


def test_a_body_of_aggregates() -> None:
    """The request body of metric aggregates has its own attribute names."""
    report_query = query(
        "metric_aggregates",
        statistics=("count", "unique"),
        extra_groups=("$message",),
        filter='equals($flow,"F")',
    )
    period = only_period(report_query, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    assert attributes(period) == {
        "metric_id": "Mt0001",
        "measurements": ["count", "unique"],
        "filter": [
            "greater-or-equal(datetime,2026-03-01T00:00:00)",
            "less-than(datetime,2026-03-02T00:00:00)",
            'equals($flow,"F")',
        ],
        "interval": "day",
        "by": ["$message"],
        "timezone": "Europe/Amsterdam",
    }


def test_next_pages() -> None:
    """The cursor of a link is sent in the URL or the body, depending on the endpoint."""
    link = "https://a.klaviyo.com/api/any/?page_cursor=a%3D%3D"
    values = only_period(query("flow_values_report"), "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    assert values.url("") == "/api/flow-values-reports"
    assert values.url(link) == link
    assert values.json_body(link) == values.json_body("")
    counts = only_period(query("metric_aggregates"), "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    assert counts.url(link) == counts.url("") == "/api/metric-aggregates"
    assert attributes(counts, link)["page_cursor"] == "a=="


def test_parts() -> None:
    """A report is stored in the state by name, metric aggregates by name and metric."""
    assert query("flow_values_report").part == "mine"
    assert query("metric_aggregates").part == "mine/Mt0001"
