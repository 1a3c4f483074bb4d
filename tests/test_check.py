"""The check of an API key: can it read what is selected?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import responses

from tap_klaviyo.check import Pace, StreamCheck, check, check_error, pace_lines
from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.errors import ConfigError

BASE = "https://a.klaviyo.com/api/"
EMPTY = {"data": [], "links": {"next": None}}
REFUSED = {"errors": [{"id": "1", "code": "permission_denied", "title": "No", "detail": "No way."}]}

Check = Callable[..., list[StreamCheck]]
Select = Callable[..., SelectedStream]


@pytest.fixture
def answers() -> Any:
    """An empty account whose key may read everything."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for path in ("metrics", "events", "campaigns", "lists", "profiles"):
            mock.get(BASE + path, json=EMPTY)
        yield mock


@pytest.fixture
def checked(configure: Callable[..., Config]) -> Check:
    """Checks the selected streams that it is given."""

    def run(*selection: SelectedStream) -> list[StreamCheck]:
        config = configure()
        return list(check(config, client_for(config), selection))

    return run


def test_all_streams_can_be_read(answers: Any, checked: Check, select: Select) -> None:
    """Each stream comes with the scopes that it needs."""
    checks = checked(select("open"), select("click"), select("lists"))
    events = ("events:read", "profiles:read", "metrics:read")
    assert checks == [
        StreamCheck("open", events, None),
        StreamCheck("click", events, None),
        StreamCheck("lists", ("lists:read", "tags:read"), None),
    ]
    assert check_error(checks) is None


def test_each_page_is_requested_once(answers: Any, checked: Check, select: Select) -> None:
    """What several streams need is requested once, and for one record only."""
    checked(select("open"), select("click"), select("bounce"))
    urls = [call.request.url for call in answers.calls]
    assert [url.split("?")[0] for url in urls] == [BASE + "metrics", BASE + "events"]
    assert "page%5Bsize%5D=1" in urls[1]


def test_missing_scope(answers: Any, checked: Check, select: Select) -> None:
    """A missing scope is an error of its stream; the others are checked all the same."""
    answers.replace("GET", BASE + "lists", json=REFUSED, status=403)
    checks = checked(select("lists"), select("campaigns"), select("open"))
    assert [(one.stream, one.ok) for one in checks] == [
        ("lists", False),
        ("campaigns", True),
        ("open", True),
    ]
    error = str(check_error(checks))
    assert error.startswith("1 of 3 streams cannot be read. ")
    assert "lists:read" in error


def test_metrics_are_needed(answers: Any, checked: Check, select: Select) -> None:
    """An event stream cannot be read without the scope that finds its metric."""
    answers.replace("GET", BASE + "metrics", json=REFUSED, status=403)
    assert "metrics:read" in str(check_error(checked(select("open", "metric", "metric_id"))))


def test_wrong_key(answers: Any, checked: Check, select: Select) -> None:
    """A key that Klaviyo does not know ends the check at once."""
    answers.replace("GET", BASE + "lists", json={}, status=401)
    with pytest.raises(ConfigError, match="api_key"):
        checked(select("lists"), select("open"))
    assert len(answers.calls) == 1


def test_nothing_selected(answers: Any, checked: Check) -> None:
    """Without a selected stream nothing is requested."""
    assert checked() == []
    assert not answers.calls


def metrics(number: int) -> dict[str, Any]:
    """A page of metrics."""
    listed = [{"type": "metric", "id": f"M{i}", "attributes": {}} for i in range(number)]
    return {"data": listed, "links": {"next": None}}


@pytest.mark.parametrize(
    ("number", "share", "line"),
    [
        (230, 1, "metric_properties 15 min 20 s (230 metrics, at most 15 requests a minute)"),
        (1, 1, "metric_properties 4 s (1 metrics, at most 15 requests a minute)"),
        (1_500, 1, "metric_properties 1 h 40 min (1,500 metrics, at most 15 requests a minute)"),
        (230, 0.5, "metric_properties 32 min 52 s (230 metrics, at most 7 requests a minute)"),
    ],
)
def test_the_least_time_of_a_run(
    answers: Any,
    configure: Callable[..., Config],
    select: Select,
    number: int,
    share: float,
    line: str,
) -> None:
    """Of a slow stream whose number of requests is known, one line says how long all takes."""
    answers.replace("GET", BASE + "metrics", json=metrics(number))
    answers.get(BASE + "metrics/M0/metric-properties", json=EMPTY)
    config = configure(quota_share=share)
    selection = [select("lists"), select("metric_properties"), select("open")]
    checks = list(check(config, client_for(config), selection))
    assert pace_lines(checks) == [f"To read all takes at least, by Klaviyo's rate limits: {line}."]
    paths = [call.request.url.split("?")[0].removeprefix(BASE) for call in answers.calls]
    assert paths == ["lists", "metrics", "metrics/M0/metric-properties", "metrics", "events"]


def test_the_number_of_requests_is_not_known() -> None:
    """Slow streams whose parents are not counted are one line, with their limits."""
    paces = {"flow_actions": Pace("flows", None, 60), "web": None, "b": Pace("periods", 24, 2)}
    checks = [StreamCheck(name, (), None, pace=pace) for name, pace in paces.items()]
    assert pace_lines(checks) == [
        "To read all takes at least, by Klaviyo's rate limits: b 12 min (24 periods, at most 2 "
        "requests a minute).",
        "Not known how many requests these take: flow_actions (a request for each of flows, at "
        "most 60 a minute).",
    ]


def test_a_list_of_metrics_that_fails_leaves_the_time_unknown(
    answers: Any, checked: Check, select: Select
) -> None:
    """The stream can be read all the same."""
    answers.remove("GET", BASE + "metrics")
    answers.get(BASE + "metrics", json=metrics(3))
    answers.get(BASE + "metrics", json=REFUSED, status=403)
    answers.get(BASE + "metrics/M0/metric-properties", json=EMPTY)
    (one,) = checked(select("metric_properties"))
    assert (one.ok, one.pace) == (True, Pace("metrics", None, 15))


def test_without_a_slow_stream_there_is_no_time(
    answers: Any, checked: Check, select: Select
) -> None:
    """Streams that take few requests, and those without parents, have no line."""
    assert not pace_lines(checked(select("lists"), select("open"), select("metric_properties")))
