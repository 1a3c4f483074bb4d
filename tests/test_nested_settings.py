"""Settings that are objects, with dotted keys and JSON text in them, as Meltano passes them on."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import pytest

from tap_klaviyo.config.loading import parse_config, parse_metric_streams
from tap_klaviyo.config.nested import nest_settings
from tap_klaviyo.errors import ConfigError

REQUIRED = {"api_key": "pk_test_key", "start_date": "2026-01-01"}
ORDERS = {"orders": {"metric": "Placed Order", "integration": "Shopify"}}
MONTHLY = {"monthly": {"stream": "campaign_values_report", "statistics": ["opens", "clicks"]}}

SAME: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "all keys dotted",
        {"metric_streams": {"orders.metric": "Placed Order", "orders.integration": "Shopify"}},
        {"metric_streams": ORDERS},
    ),
    (
        "dotted keys in JSON text",
        {"metric_streams": '{"orders.metric": "Placed Order", "orders.integration": "Shopify"}'},
        {"metric_streams": ORDERS},
    ),
    (
        "dotted keys beside the other settings",
        {"metric_streams.orders.metric": "Placed Order", "metric_streams.orders": {}},
        {"metric_streams": {"orders": {"metric": "Placed Order"}}},
    ),
    (
        "an object at a dotted key beside the other settings",
        {"metric_streams.orders": ORDERS["orders"], "metric_streams.viewed": "Viewed Product"},
        {"metric_streams": {**ORDERS, "viewed": "Viewed Product"}},
    ),
    (
        "a setting in three forms",
        {
            "metric_streams": {"orders": {"metric": "Placed Order"}, "viewed.metric": "Viewed"},
            "metric_streams.orders.integration": "Shopify",
        },
        {"metric_streams": {**ORDERS, "viewed": {"metric": "Viewed"}}},
    ),
    (
        "a metric as text, and its integration at a dotted key",
        {"metric_streams": {"orders": "Placed Order", "orders.integration": "Shopify"}},
        {"metric_streams": ORDERS},
    ),
    (
        "a stream as JSON text",
        {"metric_streams": {"orders": json.dumps(ORDERS["orders"])}},
        {"metric_streams": ORDERS},
    ),
    (
        "a list at a dotted key",
        {
            "reports": {
                "monthly.stream": "campaign_values_report",
                "monthly.statistics": ["opens", "clicks"],
            }
        },
        {"reports": MONTHLY},
    ),
    (
        "a list as JSON text at a dotted key",
        {
            "reports": {
                "monthly.stream": "campaign_values_report",
                "monthly.statistics": '["opens", "clicks"]',
            }
        },
        {"reports": MONTHLY},
    ),
    (
        "a list as JSON text in an object",
        {"reports": {"monthly": {**MONTHLY["monthly"], "statistics": '["opens", "clicks"]'}}},
        {"reports": MONTHLY},
    ),
    (
        "a report as JSON text",
        {"reports": {"monthly": json.dumps(MONTHLY["monthly"])}},
        {"reports": MONTHLY},
    ),
    (
        "a name with a dot, whose options are in an object",
        {"reports": {"Q1.2026": MONTHLY["monthly"]}},
        {"reports": {"Q1.2026": MONTHLY["monthly"]}},
    ),
    (
        "a name with a dot, whose options are at dotted keys",
        {
            "reports": {"Q1.2026.stream": "campaign_values_report"},
            "reports.Q1.2026.statistics": ["opens", "clicks"],
        },
        {"reports": {"Q1.2026": MONTHLY["monthly"]}},
    ),
    (
        "an option that is given twice with one value",
        {"metric_streams": {**ORDERS, "orders.metric": "Placed Order"}},
        {"metric_streams": ORDERS},
    ),
    (
        "null at a name, and its options at dotted keys",
        {"metric_streams": {"orders": None, "orders.metric": "Placed Order"}},
        {"metric_streams": {"orders": {"metric": "Placed Order"}}},
    ),
    ("null", {"metric_streams": None, "reports": None}, {}),
    ("an empty object", {"metric_streams": {}, "reports": "{}"}, {}),
]


@pytest.mark.parametrize(
    ("written", "meant"), [case[1:] for case in SAME], ids=[case[0] for case in SAME]
)
def test_dotted_keys_and_objects_mean_the_same(
    written: dict[str, Any], meant: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Each form is read as the object that it stands for, and none causes a warning."""
    with caplog.at_level(logging.WARNING):
        read, expected = (parse_config({**REQUIRED, **given}) for given in (written, meant))
        assert read.metric_streams == expected.metric_streams
        assert read.reports == expected.reports
        assert parse_metric_streams(written) == parse_metric_streams(meant)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("written", "metric"),
    [
        ({"metric_streams": {**ORDERS, "orders.metric": "Ordered Product"}}, "Ordered Product"),
        ({"metric_streams": {"orders.metric": "Ordered Product", **ORDERS}}, "Ordered Product"),
        ({"metric_streams": {"orders": "A", "orders.metric": "B"}}, "B"),
        ({"metric_streams": ORDERS, "metric_streams.orders.metric": "B"}, "B"),
        ({"metric_streams": {"orders.metric": "A"}, "metric_streams.orders.metric": "B"}, "B"),
        ({"metric_streams": ORDERS, "metric_streams.orders": "B"}, "B"),
    ],
)
def test_the_longer_key_wins(
    written: dict[str, Any], metric: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two values of one option the one at the longer key is used; one warning names it."""
    with caplog.at_level(logging.WARNING):
        (stream,) = parse_config({**REQUIRED, **written}).metric_streams
    assert stream.metrics == (metric,)
    (warning,) = caplog.messages
    assert warning == (
        "config: metric_streams has two values of orders.metric; the one at the longest dotted "
        "key is used."
    )


def test_numbers_and_booleans_are_text() -> None:
    """Meltano exports numbers and booleans as text; they are read as what the setting takes."""
    text = {"page_size": "500", "activate_version": "true", "quota_share": "0.5"}
    config = parse_config({**REQUIRED, **text, "lookback_window": "7200"})
    assert (config.page_size, config.activate_version, config.quota_share) == (500, True, 0.5)
    assert config.lookback_window == timedelta(hours=2)


@pytest.mark.parametrize(
    "written",
    [
        {"metric_streams": []},
        {"metric_streams": "[" * 100_000},
        {"metric_streams": 1, "metric_streams.orders.metric": "A"},
        {"metric_streams": {"orders.colour": "red"}},
        {"metric_streams": {"orders.metric": "A", "orders.": "B"}},
        {"metric_streams": {".metric": "A"}},
        {"metric_streams": {"orders": [], "orders.metric": "A"}},
        {"metric_streams": {"orders.metric": {"name": "A"}}},
        {"metric_streams.": "A"},
    ],
    ids=lambda written: str(written)[:60],
)
def test_wrong_values_are_still_refused(written: dict[str, Any]) -> None:
    """What cannot be an object is refused with the name of the setting."""
    with pytest.raises(ConfigError, match="config: metric_streams: expected an object such as"):
        parse_config({**REQUIRED, **written})


def test_reports_without_an_object_are_still_refused() -> None:
    """A report that is text stays refused if an option of it is at a dotted key."""
    written = {"monthly": "campaign_values_report", "monthly.interval": "daily"}
    with pytest.raises(ConfigError, match="config: reports: expected an object such as"):
        parse_config({**REQUIRED, "reports": written})


def test_other_settings_have_no_dotted_keys(caplog: pytest.LogCaptureFixture) -> None:
    """A dotted key of a setting that is no object is an unknown setting."""
    with caplog.at_level(logging.WARNING):
        parse_config({**REQUIRED, "page_size.x": 1})
    assert "'page_size.x'" in caplog.text


def test_nothing_changes_the_second_time() -> None:
    """Nested settings are returned as they are, and the argument is not changed."""
    written = {"metric_streams": {"orders.metric": "A"}, "metric_streams.b": "B", "page_size": "5"}
    before = json.dumps(written)
    once = nest_settings(written)
    assert (
        nest_settings(once)
        == once
        == {
            "metric_streams": {"b": "B", "orders": {"metric": "A"}},
            "page_size": "5",
        }
    )
    assert json.dumps(written) == before
