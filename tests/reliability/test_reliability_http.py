"""What Klaviyo may answer other than 200, in the middle of a run, and what then happens."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from simulated_klaviyo import Arrival, World, ids, patience

from tap_klaviyo.errors import TapError
from tap_klaviyo.sync.run import Run

LONG_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"
FAR_AHEAD = "Sun, 21 Oct 2990 07:28:00 GMT"
FAILURES = (500, 502, 503, 504, 520, 521, 522, 523, 524)
SMALL: dict[str, Any] = {"page_size": 5, "concurrency": 2}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Faults are logged, and many are asked for here."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Nothing here may go on for ever."""
    with patience():
        yield


def shop() -> World:
    """An account with an event a minute, and a tap that reads two streams."""
    world = World("open", "lists")
    for minute in range(100):
        world.arrive(Arrival(0, 60 * (minute + 2), "Opened Email"))
    return world


PASSES: dict[str, tuple[int, dict[str, Any]]] = {
    "429 with seconds": (3, {"status": 429, "retry_after": 3}),
    "429 with a date": (3, {"status": 429, "retry_after": LONG_AGO}),
    "429 without a time": (3, {"status": 429}),
    "429 with nonsense": (3, {"status": 429, "retry_after": "soon"}),
    "429 with less than nothing": (3, {"status": 429, "retry_after": -5}),
    "429 as HTML": (3, {"status": 429, "html": True}),
    "a storm of 429": (200, {"status": 429, "retry_after": 1}),
    **{f"{status} as JSON": (3, {"status": status, "html": False}) for status in FAILURES},
    **{f"{status} as HTML": (3, {"status": status, "html": True}) for status in FAILURES},
}


@pytest.mark.parametrize(("times", "options"), PASSES.values(), ids=PASSES.keys())
def test_an_answer_that_passes(times: int, options: dict[str, Any]) -> None:
    """What is said to pass is waited for, and costs no record."""
    world = shop()
    world.api.faults.add("status", path="/api/events", at=3, times=times, **options)
    written = world.sync({}, **SMALL)
    assert world.struck == times
    assert written.fault is None
    assert ids(written.messages)["open"] == set(world.events)


ALONE, ALL = True, False
STAYS: dict[str, tuple[dict[str, Any], bool, str]] = {
    "400": ({"status": 400}, ALONE, "Klaviyo refuses the request to /api/events (400)"),
    "401": ({"status": 401}, ALL, "Set api_key to a valid private API key"),
    "403": ({"status": 403}, ALONE, "create a key with these scopes"),
    "403 as HTML": ({"status": 403, "html": True}, ALONE, "create a key with these scopes"),
    "404": ({"status": 404}, ALONE, "Check base_url and revision"),
    "410": ({"status": 410}, ALL, "Remove the setting 'revision', or update"),
    "422": ({"status": 422}, ALONE, "Klaviyo refuses the request to /api/events (422)"),
    "429 for a day": ({"status": 429, "retry_after": 67_608}, ALL, "longer than max_retry_wait"),
    "429 to a far date": ({"status": 429, "retry_after": FAR_AHEAD}, ALL, "than max_retry_wait"),
    "429 for ever": ({"status": 429, "retry_after": 1}, ALL, "Run again later"),
    **{f"{status}": ({"status": status}, ALL, "Run again later") for status in FAILURES},
}


@pytest.mark.parametrize(("options", "alone", "says"), STAYS.values(), ids=STAYS.keys())
def test_an_answer_that_stays(options: dict[str, Any], alone: bool, says: str) -> None:
    """A refusal in the middle of a run ends it, or its stream alone; the next run reads the rest.

    One line says what to do, and a STATE keeps what was done.
    """
    world = shop()
    world.api.faults.add("status", path="/api/events", at=3, times=None, **options)
    first = world.sync({}, **SMALL)
    assert isinstance(first.fault, TapError)
    assert says in str(first.fault)
    assert first.rest == b""
    assert first.messages[-1]["type"] == "STATE"
    if alone:
        assert ids(first.messages)["lists"] == set(world.account.list_ids())
    world.api.faults.clear()
    second = world.sync(first.messages[-1]["value"], **SMALL)
    assert second.fault is None
    assert ids(first.messages + second.messages)["open"] == set(world.events)


def test_a_long_wait_is_not_begun() -> None:
    """A Retry-After of hours ends the run at once, not after these hours."""
    world = shop()
    world.api.faults.add("status", path="/api/events", status=429, retry_after=67_608)
    before = world.now
    assert "67608 s" in str(world.sync({}, **SMALL).fault)
    assert world.now - before < 60


@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_an_exception_in_any_request(error: type[Exception]) -> None:
    """Whatever breaks in a request, the run ends with a STATE, and the next one reads the rest."""
    whole = shop()
    whole.sync({}, **SMALL)
    for fatal in range(2, whole.requests + 1):
        world = shop()

        def fail(_: Run, number: int, fatal: int = fatal) -> None:
            if number == fatal:
                raise error

        first = world.sync({}, on_request=fail, **SMALL)
        assert isinstance(first.fault, error)
        assert first.rest == b""
        assert first.messages[-1]["type"] == "STATE"
        second = world.sync(first.messages[-1]["value"], **SMALL)
        assert ids(first.messages + second.messages)["open"] == set(world.events)
