"""Report queries: periods, request bodies, and the rows of responses."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tap_klaviyo.reports.queries import ReportPeriod, ReportQuery
from tap_klaviyo.reports.rows import LONGEST_KEY, as_resources, key_of_values
from tap_klaviyo.streams import BY_NAME, STREAMS
from tap_klaviyo.streams.model import Interval

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
NEW_YORK = ZoneInfo("America/New_York")
REPORTS = [stream.name for stream in STREAMS if stream.report]
SERIES = [name for name in REPORTS if BY_NAME[name].keys[1] == "date"]


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


def only_period(report_query: ReportQuery, start: str, end: str) -> ReportPeriod:
    """The only period between two local times."""
    (period,) = report_query.periods(
        seconds(start, report_query.time_zone), seconds(end, report_query.time_zone)
    )
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
    assert period.span() == {"start": "2026-02-28T23:00:00Z", "end": "2026-03-31T22:00:00Z"}


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


def test_rows_of_values() -> None:
    """Each result of a values report is a row with its period."""
    report_query = query("flow_values_report", extra_groups=("flow_name",))
    period = only_period(report_query, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
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
    """Each result of a series is a row for each date with the statistics of that date."""
    report_query = query("form_series_report", statistics=("submits", "viewed_form"))
    period = only_period(report_query, "2026-03-01T00:00:00", "2026-03-03T00:00:00")
    dates = ["2026-03-01T00:00:00+01:00", "2026-03-02T00:00:00+01:00"]
    result = {
        "groupings": {"form_id": "F"},
        "statistics": {"submits": [1, 2], "viewed_form": [3, 4]},
    }
    answer = {"data": {"attributes": {"results": [result], "date_times": dates}}}
    rows = [one["attributes"] for one in as_resources(period, answer)["data"]]
    found = [(row["date"], row["submits"], row["viewed_form"]) for row in rows]
    assert found == [(dates[0], 1, 3), (dates[1], 2, 4)]
    assert {(row["report"], row["interval"], row["form_id"]) for row in rows} == {
        ("mine", "daily", "F")
    }


def test_rows_of_aggregates() -> None:
    """The dimensions of an aggregate have their names, in one object and in the key."""
    report_query = query("metric_aggregates", extra_groups=("$message", "List"))
    period = only_period(report_query, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
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


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({}, "{}"),
        ({"flow_name": "A", "tag_id": None}, '{"flow_name":"A","tag_id":null}'),
        ({"n": "x" * 192}, f'{{"n":"{"x" * 192}"}}'),
        (
            {"n": "x" * 193},
            f'{{"n":"{"x" * 129}#e7dc35e887e35ee539cc108132f43dbcaa7e413932d9138c6a62995ceafa7962',
        ),
    ],
    ids=["no values", "short", "just short enough", "too long"],
)
def test_a_key_of_values_has_at_most_200_characters(values: dict[str, Any], key: str) -> None:
    """A key is JSON, or its beginning and a hash that stays the same in later versions."""
    assert key_of_values(values) == key
    assert len(key) <= LONGEST_KEY == 200


@pytest.mark.parametrize("length", [150, 635, 40_000])
@pytest.mark.parametrize("character", ["x", "ü", "💐", '"'])
def test_long_values_with_a_common_beginning_have_different_keys(
    character: str, length: int
) -> None:
    """Values that differ only at their end, or in their name, have keys of their own."""
    names = [{"name": f"{character * length}{ending}"} for ending in ("a", "b", "")]
    keys = {key_of_values(values) for values in (*names, {"Name": character * length})}
    assert len(keys) == 4
    assert all(len(key) <= LONGEST_KEY for key in keys)


@pytest.mark.parametrize(
    "stream", [name for name in REPORTS if BY_NAME[name].keys[-1][-4:] == "_key"]
)
def test_the_keys_of_rows_are_bounded(stream: str) -> None:
    """Each key that is made of values has at most 200 characters; the values stay whole."""
    names = tuple(f"group_{number}" for number in range(5))
    report_query = query(stream, extra_groups=names, interval="daily")
    period = only_period(report_query, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    dates, groupings = (
        ["2026-03-01T00:00:00+01:00"],
        {name: f"{name} {'ä' * 120}" for name in names},
    )
    result = {"groupings": groupings, "statistics": {"opens": [1]}}
    count = {"dimensions": [*groupings.values()], "measurements": {"count": [7.0]}}
    found = {"results": [result], "date_times": dates, "dates": dates, "data": [count]}
    (resource,) = as_resources(period, {"data": {"attributes": found}})["data"]
    row = resource["attributes"]
    assert len(row[BY_NAME[stream].keys[-1]]) == LONGEST_KEY
    assert {name: row.get("dimensions", row)[name] for name in names} == groupings


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
def test_invalid_responses(stream: str, answer: Any) -> None:
    """An invalid response raises ValueError."""
    report_query = query(stream)
    (period, *_) = report_query.periods(seconds("2026-03-01"), seconds("2026-03-02"))
    with pytest.raises(ValueError, match=r".+"):
        as_resources(period, answer)


def test_parts() -> None:
    """A report is stored in the state by name, metric aggregates by name and metric."""
    assert query("flow_values_report").part == "mine"
    assert query("metric_aggregates").part == "mine/Mt0001"
