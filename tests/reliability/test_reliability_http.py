"""HTTP errors in the middle of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from run_output import ids
from simulated_klaviyo import Arrival, SimulatedKlaviyo, time_limit

from tap_klaviyo.errors import TapError
from tap_klaviyo.sync.run import Run

pytestmark = pytest.mark.usefixtures("disable_logging")

LONG_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"
FAR_AHEAD = "Sun, 21 Oct 2990 07:28:00 GMT"
FAILURES = (500, 502, 503, 504, 520, 521, 522, 523, 524)
SMALL: dict[str, Any] = {"page_size": 5, "concurrency": 2}


@pytest.fixture(autouse=True)
def limit_time() -> Iterator[None]:
    """Fails a test that hangs."""
    with time_limit():
        yield


def klaviyo_with_events() -> SimulatedKlaviyo:
    """An account with one event per minute, and a tap with two streams."""
    klaviyo = SimulatedKlaviyo("open", "lists")
    for minute in range(100):
        klaviyo.arrive(Arrival(0, 60 * (minute + 2), "Opened Email"))
    return klaviyo


TEMPORARY: dict[str, tuple[int, dict[str, Any]]] = {
    "429 with seconds": (3, {"status": 429, "retry_after": 3}),
    "429 with a date": (3, {"status": 429, "retry_after": LONG_AGO}),
    "429 without a time": (3, {"status": 429}),
    "429 with an invalid time": (3, {"status": 429, "retry_after": "soon"}),
    "429 with a negative time": (3, {"status": 429, "retry_after": -5}),
    "429 as HTML": (3, {"status": 429, "html": True}),
    "a storm of 429": (200, {"status": 429, "retry_after": 1}),
    **{f"{status} as JSON": (3, {"status": status, "html": False}) for status in FAILURES},
    **{f"{status} as HTML": (3, {"status": status, "html": True}) for status in FAILURES},
}


@pytest.mark.parametrize(("times", "options"), TEMPORARY.values(), ids=TEMPORARY.keys())
def test_an_answer_that_passes(times: int, options: dict[str, Any]) -> None:
    """A temporary error is retried and no record is lost."""
    klaviyo = klaviyo_with_events()
    klaviyo.api.faults.add("status", path="/api/events", at=3, times=times, **options)
    output = klaviyo.sync({}, **SMALL)
    assert klaviyo.injected_faults == times
    assert output.fault is None
    assert ids(output.messages)["open"] == set(klaviyo.events)


ALONE, ALL = True, False
PERMANENT: dict[str, tuple[dict[str, Any], bool, str]] = {
    "400": ({"status": 400}, ALONE, "Klaviyo refuses the request to /api/events (400)"),
    "401": ({"status": 401}, ALL, "Set api_key to a valid private API key"),
    "403": ({"status": 403}, ALONE, "Create a key with all scopes that this selection needs"),
    "403 as HTML": ({"status": 403, "html": True}, ALL, "a proxy, a firewall or a login page"),
    "404": ({"status": 404}, ALONE, "Check base_url and revision"),
    "410": ({"status": 410}, ALL, "Remove the setting 'revision', or update"),
    "422": ({"status": 422}, ALONE, "Klaviyo refuses the request to /api/events (422)"),
    "429 for a day": ({"status": 429, "retry_after": 67_608}, ALL, "longer than max_retry_wait"),
    "429 to a far date": ({"status": 429, "retry_after": FAR_AHEAD}, ALL, "than max_retry_wait"),
    "endless 429": ({"status": 429, "retry_after": 1}, ALL, "Run again later"),
    **{f"{status}": ({"status": status}, ALL, "Run again later") for status in FAILURES},
}


@pytest.mark.parametrize(("options", "alone", "expected"), PERMANENT.values(), ids=PERMANENT.keys())
def test_an_answer_that_stays(options: dict[str, Any], alone: bool, expected: str) -> None:
    """A permanent error ends the run or one stream; the next run reads the rest.

    The run logs one line with the remedy and writes a STATE.
    """
    klaviyo = klaviyo_with_events()
    klaviyo.api.faults.add("status", path="/api/events", at=3, times=None, **options)
    first = klaviyo.sync({}, **SMALL)
    assert isinstance(first.fault, TapError)
    assert expected in str(first.fault)
    assert first.partial_line == b""
    assert first.messages[-1]["type"] == "STATE"
    if alone:
        assert ids(first.messages)["lists"] == set(klaviyo.account.list_ids())
    klaviyo.api.faults.clear()
    second = klaviyo.sync(first.messages[-1]["value"], **SMALL)
    assert second.fault is None
    assert ids(first.messages + second.messages)["open"] == set(klaviyo.events)


def test_a_long_wait_is_not_begun() -> None:
    """A Retry-After above max_retry_wait ends the run at once."""
    klaviyo = klaviyo_with_events()
    klaviyo.api.faults.add("status", path="/api/events", status=429, retry_after=67_608)
    before = klaviyo.now
    assert "67608 s" in str(klaviyo.sync({}, **SMALL).fault)
    assert klaviyo.now - before < 60


@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_an_exception_in_any_request(error: type[Exception]) -> None:
    """An exception in any request ends the run with a STATE; the next run reads the rest."""
    complete = klaviyo_with_events()
    complete.sync({}, **SMALL)
    for fatal in range(2, complete.requests + 1):
        klaviyo = klaviyo_with_events()

        def fail(_: Run, number: int, fatal: int = fatal) -> None:
            if number == fatal:
                raise error

        first = klaviyo.sync({}, on_request=fail, **SMALL)
        assert isinstance(first.fault, error)
        assert first.partial_line == b""
        assert first.messages[-1]["type"] == "STATE"
        second = klaviyo.sync(first.messages[-1]["value"], **SMALL)
        assert ids(first.messages + second.messages)["open"] == set(klaviyo.events)
