"""Rows of the answers of reports: values, keys and dates."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sample_reports import REPORTS, only_period, query, seconds

from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.page_converter import convert_page
from tap_klaviyo.records.page_parser import PageParser
from tap_klaviyo.reports.rows import LONGEST_KEY, as_resources, key_of_values
from tap_klaviyo.streams import BY_NAME
from tap_klaviyo.streams.model import Interval

Select = Callable[..., SelectedStream]


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
                "id": "mine (flow_id F, flow_message_id M, send_channel email)",
                "attributes": {
                    "opens": 3,
                    **groupings,
                    "report": "mine",
                    "groupings_key": '{"flow_name":"A"}',
                    "start": "2026-02-28T23:00:00Z",
                    "end": "2026-03-31T22:00:00Z",
                    "local_date": "2026-03-01",
                },
            }
        ],
        "links": links,
    }


@pytest.mark.parametrize("channel", ["email", "sms", "push-notification", "whatsapp", "fax"])
def test_rows_of_every_channel(select: Select, channel: str) -> None:
    """A row is kept whatever its channel is, also one that is new."""
    period = only_period(query("campaign_values_report"), "2026-03-01", "2026-03-02")
    groupings = {"campaign_id": "C", "campaign_message_id": "M", "send_channel": channel}
    results = [{"groupings": groupings, "statistics": {"opens": 3}}]
    answer = json.dumps({"data": {"attributes": {"results": results}}}).encode()
    parser = PageParser(select("campaign_values_report"))
    page = parser.parse(answer, to_resources=partial(as_resources, period))
    (line,) = parser.encode(page.records, "2026-03-02T00:00:00Z").splitlines()
    assert json.loads(line)["record"]["send_channel"] == channel


@pytest.mark.parametrize(
    ("groupings", "shown"),
    [
        ({"flow_id": "F", "flow_message_id": "M"}, "mine (flow_id F, flow_message_id M)"),
        ({"flow_id": "F", "send_channel": None}, "mine (flow_id F)"),
        ({"flow_id": "F", "flow_name": "To jo@example.com"}, "mine (flow_id F)"),
        ({}, "mine"),
    ],
)
@pytest.mark.parametrize("stream", ["flow_values_report", "flow_series_report"])
def test_a_row_without_a_grouping_of_its_key(
    select: Select, stream: str, groupings: dict[str, Any], shown: str
) -> None:
    """It is no record, and is named by its report and the groupings that it has."""
    period = only_period(query(stream), "2026-03-01T00:00:00", "2026-03-03T00:00:00")
    dates = ["2026-03-01T00:00:00+01:00", "2026-03-02T00:00:00+01:00"]
    opens = [1, 2] if stream == "flow_series_report" else 3
    result = {"groupings": groupings, "statistics": {"opens": opens}}
    answer = {"data": {"attributes": {"results": [result], "date_times": dates}}}
    body = json.dumps(as_resources(period, answer)).encode()
    page = convert_page(body, select(stream))
    assert json.loads(page.body)["data"] == []
    assert {*page.without_key} == {shown}


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
        "local_date": "2026-03-01",
        "interval": "daily",
    }


@pytest.mark.parametrize(
    ("zone", "date", "local_date"),
    [
        ("Europe/Amsterdam", "2026-03-01T00:00:00+01:00", "2026-03-01"),
        ("Europe/Amsterdam", "2026-02-28T23:00:00Z", "2026-03-01"),
        ("America/New_York", "2026-10-01T04:00:00+00:00", "2026-10-01"),
        ("America/New_York", "2026-10-01T23:00:00-04:00", "2026-10-01"),
        ("Pacific/Kiritimati", "2026-09-30T10:00:00", "2026-10-01"),
        ("America/Santiago", "2026-09-06T04:00:00Z", "2026-09-06"),
        ("America/New_York", "0001-01-01T00:00:00Z", None),
        ("America/New_York", "yesterday", None),
        ("America/New_York", None, None),
    ],
)
def test_the_local_date_of_a_series(zone: str, date: Any, local_date: str | None) -> None:
    """It is the day of the account's time zone, whatever offset Klaviyo writes."""
    report_query = query("form_series_report", time_zone=ZoneInfo(zone))
    (period, *_) = report_query.periods(seconds("2026-03-01"), seconds("2026-03-02"))
    result = {"groupings": {"form_id": "F"}, "statistics": {"submits": [1]}}
    answer = {"data": {"attributes": {"results": [result], "date_times": [date]}}}
    (row,) = as_resources(period, answer)["data"]
    assert (row["attributes"]["date"], row["attributes"]["local_date"]) == (date, local_date)


@pytest.mark.parametrize("interval", ["daily", "weekly", "monthly"])
@pytest.mark.parametrize("zone", ["America/Santiago", "Asia/Beirut", "America/New_York", "UTC"])
def test_the_local_dates_of_values(zone: str, interval: Interval) -> None:
    """Each row has the first day of its interval, also where clocks change at midnight."""
    report_query = query("form_values_report", interval=interval, time_zone=ZoneInfo(zone))
    bounds = (seconds(day, report_query.time_zone) for day in ("2026-03-01", "2026-11-15T12:30:00"))
    for period in report_query.periods(*bounds):
        span = period.span()
        local = datetime.fromisoformat(span["start"].replace("Z", "+00:00")).astimezone(
            report_query.time_zone
        )
        assert span["local_date"] == period.start.date().isoformat() == local.date().isoformat()


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


def test_a_key_is_hashed_with_what_it_is_composed_of(select: Select) -> None:
    """No plain value is left in the key; keys that differ in case alone still differ."""
    report_query = query("metric_aggregates", extra_groups=("URL",))
    period = only_period(report_query, "2026-03-01T00:00:00", "2026-03-02T00:00:00")
    urls = ["https://shop.example/?email=jo@x.example", "https://shop.example/?email=Jo@x.example"]
    data = [{"dimensions": [url], "measurements": {"count": [1.0]}} for url in urls]
    attributes = {"dates": ["2026-03-01T00:00:00+00:00"], "data": data}
    body = json.dumps({"data": {"attributes": attributes}}).encode()
    settings = {"api_key": "pk_1", "start_date": "2026-01-01", "hash_salt": "a salt of tests"}
    hashing = parse_config({**settings, "hash_fields": ["*.dimensions.URL"]}).hashing
    parser = PageParser(select("metric_aggregates"), hashing)
    page = parser.parse(body, to_resources=partial(as_resources, period))
    lines = parser.encode(page.records, "")
    records = [json.loads(line)["record"] for line in lines.splitlines()]
    assert b"x.example" not in lines
    assert len({record["dimensions_key"] for record in records}) == len(urls)
    assert len({record["dimensions"]["URL"] for record in records}) == 1
