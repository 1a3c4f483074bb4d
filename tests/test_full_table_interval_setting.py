"""The setting full_table_interval: one duration, or durations by stream or pattern."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.errors import ConfigError
from tap_klaviyo.streams import BY_NAME
from tap_klaviyo.sync.full_tables import interval_of

REQUIRED = {"api_key": "pk_test_key", "start_date": "2026-01-01"}
NAME = "full_table_interval"
ZERO, HOUR, DAY = timedelta(0), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("written", "lists", "flow_messages"),
    [
        ({}, ZERO, 7 * DAY),
        ({NAME: None}, ZERO, 7 * DAY),
        ({NAME: {}}, ZERO, 7 * DAY),
        ({NAME: "P1D"}, DAY, DAY),
        ({NAME: 3600}, HOUR, HOUR),
        ({NAME: "3600"}, HOUR, HOUR),
        ({NAME: "P0D"}, ZERO, ZERO),
        ({NAME: 0}, ZERO, ZERO),
        ({NAME: {"lists": "P1D"}}, DAY, 7 * DAY),
        ({NAME: {"lists": None, "*s": "PT1H"}}, HOUR, HOUR),
        ({NAME: '{"list*": "P1D", "flow_*": "0"}'}, DAY, ZERO),
        ({NAME: {"*": "P1D", "flow_*": "PT1H"}}, DAY, HOUR),
        ({NAME: {"flow_*": "PT1H", "*": "P1D"}}, DAY, HOUR),
        ({NAME: {"list[s]": "P1D", "lists": "PT1H"}}, HOUR, 7 * DAY),
        ({f"{NAME}.lists": "P1D"}, DAY, 7 * DAY),
        ({f"{NAME}.lists": 3600, NAME: {"flow_messages": "P1D"}}, HOUR, DAY),
        ({f"{NAME}.lists": "PT1H", NAME: "P1D"}, HOUR, DAY),
        ({f"{NAME}.lists": "PT1H", NAME: 86_400}, HOUR, DAY),
    ],
    ids=str,
)
def test_the_interval_of_a_stream(
    written: dict[str, Any], lists: timedelta, flow_messages: timedelta
) -> None:
    """The own name of a stream counts first, then the longest pattern, then the default."""
    config = parse_config({**REQUIRED, **written})
    assert interval_of(BY_NAME["lists"], config) == lists
    assert interval_of(BY_NAME["flow_messages"], config) == flow_messages


def test_the_longer_key_wins(caplog: pytest.LogCaptureFixture) -> None:
    """Of two values for one name the one at the longer key is used, with a warning."""
    with caplog.at_level(logging.WARNING):
        config = parse_config({**REQUIRED, NAME: {"lists": "P1D"}, f"{NAME}.lists": "PT1H"})
    assert interval_of(BY_NAME["lists"], config) == HOUR
    assert caplog.messages == [
        "config: full_table_interval has two values of lists; the one at the longest dotted key "
        "is used."
    ]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("weekly", ""),
        ("-P1D", " (it is negative)"),
        ([], ""),
        (True, ""),
        ('{"lists"', " (it is not JSON: "),
        ({"lists": "weekly"}, "lists: expected an ISO 8601 duration such as P1D, or seconds, not"),
        ({"lists": "P11Y"}, '"P11Y" (it is more than ten years)'),
        ({"lists": ["P1D"]}, 'not ["P1D"]'),
        ({"lists.tags": "P1D"}, "lists: expected an ISO 8601 duration such as P1D, or seconds, no"),
        ({"templats": "P1D"}, "no stream of this name is a full table (did you mean 'templates'?)"),
        ({"open": "P1D"}, "open: no stream of this name is a full table"),
        ({"*_report": "P1D"}, "*_report: no stream of this name is a full table"),
        ({"": "P1D"}, "(: no stream of this name is a full table"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(written: Any, reason: str) -> None:
    """The error names the setting, the pattern and what is expected."""
    with pytest.raises(ConfigError) as caught:
        parse_config({**REQUIRED, NAME: written})
    message = str(caught.value)
    assert message.startswith("config: full_table_interval: expected an ISO 8601 duration such as ")
    assert reason in message
    assert "\n" not in message
