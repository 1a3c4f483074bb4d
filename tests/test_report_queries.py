"""Reports: how time is cut for them, what is posted, and what rows an answer comes to."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tap_klaviyo.reports.queries import ReportPeriod, ReportQuery
from tap_klaviyo.reports.rows import as_resources
from tap_klaviyo.streams import BY_NAME, STREAMS
from tap_klaviyo.streams.model import Interval

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NEW_YORK = ZoneInfo("America/New_York")
REPORTS = [stream.name for stream in STREAMS if stream.report]
SERIES = [name for name in REPORTS if BY_NAME[name].keys[1] == "date"]


def query(stream: str, **changes: Any) -> ReportQuery:
    """A question about a stream of reports, in Amsterdam's time."""
    report = BY_NAME[stream].report
    assert report is not None
    asked: dict[str, Any] = {
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
    return ReportQuery(**asked)


def seconds(text: str, zone: ZoneInfo = AMSTERDAM) -> int:
    """Unix seconds of a moment of a clock."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


def cut(asked: ReportQuery, start: str, end: str) -> list[tuple[str, str]]:
    """The first and last moments of all timeframes between two moments of the account's clock."""
    bounds = seconds(start, asked.time_zone), seconds(end, asked.time_zone)
    return [(period.start.isoformat(), period.end.isoformat()) for period in asked.periods(*bounds)]


def attributes(period: ReportPeriod, link: str = "") -> dict[str, Any]:
    """What is asked for in a body."""
    document = json.loads(period.json_body(link))
    assert document["data"]["type"] == period.query.stream.type
    found: dict[str, Any] = document["data"]["attributes"]
    return found


def only(asked: ReportQuery, start: str, end: str) -> ReportPeriod:
    """The one timeframe between two moments."""
    (period,) = asked.periods(seconds(start, asked.time_zone), seconds(end, asked.time_zone))
    return period


@pytest.mark.parametrize(
    ("interval", "first", "second"),
    [
        ("daily", "2026-01-14T00:00:00", "2026-01-15T00:00:00"),
        ("weekly", "2026-01-12T00:00:00", "2026-01-19T00:00:00"),
        ("monthly", "2026-01-01T00:00:00", "2026-02-01T00:00:00"),
    ],
)
def test_values(interval: Interval, first: str, second: str) -> None:
    """A report without a series has a timeframe for each day, week or month of the account."""
    asked = query("campaign_values_report", interval=interval)
    found = cut(asked, "2026-01-14T15:00:00", "2026-03-01T00:00:01")
    assert found[0] == (first, second)
    assert found[1][0] == second
    assert all(left[1] == right[0] for left, right in pairwise(found))
    assert found[-1][0] <= "2026-03-01T00:00:00" < found[-1][1]


@pytest.mark.parametrize("stream", SERIES)
@pytest.mark.parametrize(
    ("interval", "longest"), [("hourly", 7), ("daily", 60), ("weekly", 364), ("monthly", 364)]
)
def test_series(stream: str, interval: Interval, longest: int) -> None:
    """A series is cut into timeframes as long as Klaviyo allows, and without a gap."""
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


def test_the_last_timeframe_is_asked_for_up_to_now() -> None:
    """What Klaviyo cannot know yet is not asked for, but a row is about the whole interval."""
    period = only(query("flow_values_report"), "2026-03-01T00:00:00", "2026-03-09T12:30:00")
    assert attributes(period)["timeframe"] == {
        "start": "2026-03-01T00:00:00+00:00",
        "end": "2026-03-09T12:30:00+00:00",
    }
    assert period.span() == {"start": "2026-02-28T23:00:00Z", "end": "2026-03-31T22:00:00Z"}


def test_a_day_of_another_length() -> None:
    """Where clocks change a day is as long as it is there."""
    asked = query("segment_values_report", interval="daily", time_zone=NEW_YORK)
    (spring, after) = asked.periods(
        seconds("2026-03-08T00:00:00", NEW_YORK), seconds("2026-03-09T00:00:01", NEW_YORK)
    )
    assert asked.seconds(after.start) - asked.seconds(spring.start) == 23 * 3600


def test_nothing_is_known_of_segments_before() -> None:
    """What lies before Klaviyo's first day of segments is not asked for."""
    found = cut(query("segment_series_report"), "2023-01-15T00:00:00", "2023-07-01T00:00:00")
    assert found == [("2023-06-01T00:00:00", "2023-07-31T00:00:00")]
    weeks = query("segment_values_report", interval="weekly")
    assert cut(weeks, "2023-01-15T00:00:00", "2023-06-12T00:00:00") == [
        ("2023-06-01T00:00:00", "2023-06-05T00:00:00"),
        ("2023-06-05T00:00:00", "2023-06-12T00:00:00"),
    ]


def test_a_body() -> None:
    """All that a report may be asked stands in its body; what nobody wants does not."""
    asked = query(
        "flow_series_report",
        extra_groups=("flow_name",),
        filter='equals(flow_id,"F")',
        interval="daily",
    )
    period = only(asked, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    assert attributes(period) == {
        "statistics": ["opens"],
        "timeframe": {"start": "2026-03-01T00:00:00+00:00", "end": "2026-03-02T00:00:00+00:00"},
        "interval": "daily",
        "conversion_metric_id": "Mt0001",
        "group_by": ["flow_id", "flow_message_id", "send_channel", "flow_name"],
        "filter": 'equals(flow_id,"F")',
    }
    plain = query("form_values_report", metric_id="")
    period = only(plain, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    assert attributes(period).keys() == {"statistics", "timeframe"}


def test_a_body_of_aggregates() -> None:
    """Metric aggregates have words of their own for the same things."""
    asked = query(
        "metric_aggregates",
        statistics=("count", "unique"),
        extra_groups=("$message",),
        filter='equals($flow,"F")',
    )
    period = only(asked, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
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


def test_where_a_next_page_is_asked_for() -> None:
    """The cursor of a link goes where the endpoint wants it."""
    link = "https://a.klaviyo.com/api/any/?page_cursor=a%3D%3D"
    values = only(query("flow_values_report"), "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    assert values.url("") == "/api/flow-values-reports"
    assert values.url(link) == link
    assert values.json_body(link) == values.json_body("")
    counts = only(query("metric_aggregates"), "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    assert counts.url(link) == counts.url("") == "/api/metric-aggregates"
    assert attributes(counts, link)["page_cursor"] == "a=="


def test_rows_of_values() -> None:
    """A result is a row, with the timeframe that it is about."""
    asked = query("flow_values_report", extra_groups=("flow_name",))
    period = only(asked, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    groupings = {"flow_id": "F", "flow_message_id": "M", "send_channel": "email", "flow_name": "A"}
    result = {"groupings": groupings, "statistics": {"opens": 3}}
    links = {"next": None}
    answer = {"data": {"attributes": {"results": [result]}}, "links": links}
    assert as_resources(period, answer) == {
        "data": [
            {
                "id": "mine",
                "attributes": {
                    "opens": 3,
                    **groupings,
                    "report": "mine",
                    "groupings_key": '{"flow_name":"A"}',
                    "start": "2026-02-28T23:00:00Z",
                    "end": "2026-03-31T22:00:00Z",
                },
            }
        ],
        "links": links,
    }


def test_rows_of_a_series() -> None:
    """A result is a row for each date, and each row has the numbers of its date."""
    asked = query("form_series_report", statistics=("submits", "viewed_form"))
    period = only(asked, "2026-03-01T00:00:00", "2026-03-03T00:00:00")
    dates = ["2026-03-01T00:00:00+01:00", "2026-03-02T00:00:00+01:00"]
    result = {
        "groupings": {"form_id": "F"},
        "statistics": {"submits": [1, 2], "viewed_form": [3, 4]},
    }
    answer = {"data": {"attributes": {"results": [result], "date_times": dates}}}
    rows = [one["attributes"] for one in as_resources(period, answer)["data"]]
    told = [(row["date"], row["submits"], row["viewed_form"]) for row in rows]
    assert told == [(dates[0], 1, 3), (dates[1], 2, 4)]
    assert {(row["report"], row["interval"], row["form_id"]) for row in rows} == {
        ("mine", "daily", "F")
    }


def test_rows_of_aggregates() -> None:
    """Dimensions get the names that they were asked for by, in one object and in the key."""
    asked = query("metric_aggregates", extra_groups=("$message", "List"))
    period = only(asked, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    row = {"dimensions": ["M", ""], "measurements": {"count": [7.0]}}
    answer = {"data": {"attributes": {"dates": ["2026-03-01T00:00:00+01:00"], "data": [row]}}}
    (resource,) = as_resources(period, answer)["data"]
    assert resource["attributes"] == {
        "count": 7.0,
        "metric_id": "Mt0001",
        "dimensions": {"$message": "M", "List": ""},
        "dimensions_key": '{"$message":"M","List":""}',
        "report": "mine",
        "date": "2026-03-01T00:00:00+01:00",
        "interval": "daily",
    }


@pytest.mark.parametrize("stream", REPORTS)
@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {"data": []},
        {"data": {"attributes": {}}},
        {"data": {"attributes": {"results": [1], "data": [1], "date_times": [], "dates": []}}},
        {
            "data": {
                "attributes": {
                    "results": [{"groupings": {}, "statistics": []}],
                    "data": [{"dimensions": ["too", "many"], "measurements": {}}],
                    "dates": ["x"],
                    "date_times": ["x"],
                }
            }
        },
    ],
)
def test_no_report(stream: str, answer: Any) -> None:
    """An answer that is none is refused, whatever it is."""
    asked = query(stream)
    (period, *_) = asked.periods(seconds("2026-03-01"), seconds("2026-03-02"))
    with pytest.raises(ValueError, match=r".+"):
        as_resources(period, answer)


def test_parts() -> None:
    """The state knows a report by its name, and metric aggregates by their metric too."""
    assert query("flow_values_report").part == "mine"
    assert query("metric_aggregates").part == "mine/Mt0001"
