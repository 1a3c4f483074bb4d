"""The settings that are objects: metric_streams and reports."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tap_klaviyo.config.loading import parse_config, parse_metric_streams
from tap_klaviyo.errors import ConfigError
from tap_klaviyo.streams import BY_NAME

REQUIRED = {"api_key": "pk_test_key", "start_date": "2026-01-01"}

METRIC_STREAMS: dict[str, tuple[Any, str]] = {
    "no object": (["Placed Order"], 'it is ["Placed Order"]'),
    "no JSON": ("placed_order", "it is not JSON: Expecting value: line 1"),
    "a number": ({"orders": 7}, "orders: expected an object, not 7"),
    "null": ({"orders": None}, "orders: expected an object, not null"),
    "a name with blanks": ({"Placed Order": "X"}, "Placed Order: not a name of a stream: lower-"),
    "a name of the tap": ({"open": "X"}, "open: this tap has a stream of that name"),
    "an unknown key": (
        {"orders": {"metrik": "X", "integration": "Y"}},
        "orders: unknown key 'metrik' (did you mean 'metric'?); known are metric, integration",
    ),
    "unknown keys": ({"orders": {"metric": "X", "a": 1, "b": 2}}, "orders: unknown key 'a', 'b';"),
    "no metric": (
        {"orders": {"integration": "X"}},
        "orders: metric: expected the name or ID of a metric, not null",
    ),
    "an empty metric": (
        {"orders": " "},
        'orders: metric: expected the name or ID of a metric, not " "',
    ),
    "an empty integration": (
        {"orders": {"metric": "X", "integration": ""}},
        'orders: integration: expected the name of an integration, not ""',
    ),
    "an integration": (
        {"orders": {"metric": "X", "integration": ["Y"]}},
        'orders: integration: expected the name of an integration, not ["Y"]',
    ),
    "two entries": ({"a": 1, "b": 2}, "a: expected an object, not 1; b: expected an object, not 2"),
}

WINDOW = "mine: window: expected an ISO 8601 duration such as P30D, or seconds, not"

REPORTS: dict[str, tuple[Any, str]] = {
    "no object": ([], "it is []"),
    "a text": ({"mine": "forms"}, 'mine: expected an object, not "forms"'),
    "no stream": ({"mine": {}}, "mine: Object missing required field `stream`"),
    "not a report": ({"mine": {"stream": "open"}}, "mine: there is no report stream 'open')"),
    "a misspelt stream": (
        {"mine": {"stream": "flow_serie_report"}},
        "mine: there is no report stream 'flow_serie_report' (did you mean 'flow_series_report'?)",
    ),
    "an interval": (
        {"mine": {"stream": "flow_series_report", "interval": "yearly"}},
        "mine: interval: Invalid enum value 'yearly'",
    ),
    "an unknown key": (
        {"mine": {"stream": "flow_series_report", "metric": ["X"]}},
        "mine: unknown key 'metric' (did you mean 'metrics'?)",
    ),
    "a text for an array": (
        {"mine": {"stream": "flow_series_report", "statistics": "opens"}},
        "mine: statistics: Expected `array`, got `str`",
    ),
    "a number in an array": (
        {"mine": {"stream": "flow_series_report", "statistics": ["opens", 1]}},
        "mine: statistics[1]: Expected `str`, got `int`",
    ),
    "hourly": (
        {"mine": {"stream": "flow_values_report", "interval": "hourly"}},
        "mine: flow_values_report has no hourly rows",
    ),
    "conversions": (
        {"mine": {"stream": "form_values_report", "conversion_metric": "Placed Order"}},
        "mine: form_values_report does not count conversions",
    ),
    "metrics": (
        {"mine": {"stream": "form_values_report", "metrics": ["Opened Email"]}},
        "mine: form_values_report is not made of metrics",
    ),
    "a window": ({"mine": {"stream": "open", "window": "a month"}}, f'{WINDOW} "a month"'),
    "a negative window": (
        {"mine": {"stream": "open", "window": "-P30D"}},
        f'{WINDOW} "-P30D" (it is negative)',
    ),
    "two reports": ({"a": {}, "b": 2}, "b: expected an object, not 2"),
}

CASES = [
    pytest.param(setting, *case, id=f"{setting}, {name}")
    for setting, cases in (("metric_streams", METRIC_STREAMS), ("reports", REPORTS))
    for name, case in cases.items()
]


@pytest.mark.parametrize(("setting", "written", "expected"), CASES)
def test_an_error_names_the_entry_and_the_key(setting: str, written: Any, expected: str) -> None:
    """One line says which entry of an object is wrong, which key of it, and what is expected."""
    with pytest.raises(ConfigError) as caught:
        parse_config({**REQUIRED, setting: written})
    message = str(caught.value)
    assert message.startswith(f"config: {setting}: expected an object such as ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("written", "window"),
    [
        ("P9D", timedelta(days=9)),
        ("p1m", timedelta(days=30)),
        (" P1Y ", timedelta(days=365)),
        (86_400, timedelta(days=1)),
        ("3600", timedelta(hours=1)),
        (0, timedelta()),
        (None, timedelta(days=30)),
    ],
)
def test_the_window_of_a_report_is_a_duration_like_any_other(
    written: Any, window: timedelta
) -> None:
    """It takes the forms of all durations."""
    report = {"stream": "flow_series_report", "window": written}
    reports = parse_config({**REQUIRED, "reports": {"mine": report}}).reports
    assert reports["mine"].window == window
    if written is not None:
        assert parse_config({**REQUIRED, "sweep_window": written}).sweep_window == window


def test_metric_streams() -> None:
    """User-defined streams take a metric, or a metric and an integration."""
    written = {"viewed": "Viewed Product", "order": {"metric": "Order", "integration": "Shopify"}}
    for value in (written, json.dumps(written)):
        streams = parse_config({**REQUIRED, "metric_streams": value}).metric_streams
        assert [(s.name, s.metrics, s.integration) for s in streams] == [
            ("viewed", ("Viewed Product",), ""),
            ("order", ("Order",), "Shopify"),
        ]


def test_metric_streams_have_the_columns_of_events() -> None:
    """A user-defined stream has the columns of `events`, without attributions by default."""
    (own,) = parse_config({**REQUIRED, "metric_streams": {"viewed": "Viewed"}}).metric_streams
    row = BY_NAME["events"]
    assert (own.schema, own.relationships) == (row.schema, row.relationships)
    assert own.fields_not_by_default == row.fields_not_by_default == ("attributions",)
    assert own.selected_by_default
    assert own.description == "Events of the metric Viewed."


def test_a_catalog_needs_no_key() -> None:
    """User-defined streams are parsed from settings that have no API key."""
    settings = {"metric_streams": {"viewed": "Viewed Product"}}
    assert [stream.name for stream in parse_metric_streams(settings)] == ["viewed"]
    with pytest.raises(ConfigError, match="metric_streams: expected"):
        parse_metric_streams({"metric_streams": []})


def test_reports() -> None:
    """Reports are an object, or JSON text as in an environment variable."""
    written = {"mine": {"stream": "flow_series_report", "group_by": ["flow_name"], "window": "P9D"}}
    for value in (written, json.dumps(written)):
        (mine,) = parse_config({**REQUIRED, "reports": value}).reports.values()
        assert mine.group_by == ("flow_name",)
        assert mine.window == timedelta(days=9)
