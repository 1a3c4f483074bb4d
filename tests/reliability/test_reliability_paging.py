"""Links and pages that lead nowhere, in circles or back: an end, and no event lost."""

from __future__ import annotations

import itertools
import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from simulated_klaviyo import URL, Arrival, World, ids, patience

from sandbox import Response
from sandbox.http_messages import Request
from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.failures import MAX_RESTARTS


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


@pytest.fixture
def world() -> World:
    """An account with an event a minute and many in one second; a tap that reads two streams."""
    world = World("open", "lists")
    world.arrive(Arrival(0, 86_400, "Opened Email", 60))
    for minute in range(200):
        world.arrive(Arrival(0, 60 * (minute + 2), "Opened Email"))
    return world


def complete(world: World, *streams: str) -> dict[str, set[str]]:
    """What the account holds of these streams."""
    truth = {"open": set(world.events), "lists": set(world.account.list_ids())}
    return {stream: truth[stream] for stream in streams}


@pytest.mark.parametrize("path", ["/api/events", "/api/lists"])
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("times", range(1, MAX_RESTARTS + 1))
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_refused_cursor(world: World, path: str, at: int, times: int, concurrency: int) -> None:
    """A window whose cursor Klaviyo does not take any more starts again, and nothing is missing."""
    world.api.faults.add("invalid_cursor", path=path, query="page[cursor]", at=at, times=times)
    written = world.sync({}, page_size=5, concurrency=concurrency)
    assert world.struck == times
    assert written.fault is None
    assert ids(written.messages) == complete(world, "open", "lists")


@pytest.mark.parametrize(("path", "other"), [("/api/events", "lists"), ("/api/lists", "open")])
def test_a_cursor_that_stays_refused(world: World, path: str, other: str) -> None:
    """A window starts again twice; then its stream ends, and the next run reads the rest."""
    world.api.faults.add("invalid_cursor", path=path, query="page[cursor]", times=None)
    written = world.sync({}, page_size=5, concurrency=1)
    assert world.struck == 1 + MAX_RESTARTS
    assert isinstance(written.fault, TapError)
    assert "Invalid cursor" in str(written.fault)
    assert ids(written.messages)[other] == complete(world, other)[other]
    world.api.faults.clear()
    again = world.sync(written.messages[-1]["value"], page_size=5)
    assert again.fault is None
    assert ids(written.messages + again.messages) == complete(world, "open", "lists")


def empty_at_first(path: str, count: float) -> Callable[[Request, Response], Response]:
    """Puts ``count`` empty pages before a list, each with a link that was never seen before."""
    numbers = itertools.count()

    def spoil(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != path or (number := next(numbers)) >= count:
            return answer
        # What stands behind the # is not sent: the link is new, and leads to the same page.
        link = f"{URL}{request.path}?{request.query}#{number}"
        body = json.dumps({"data": [], "links": {"next": link}}).encode()
        return replace(answer, body=body, headers={})

    return spoil


@pytest.mark.parametrize("path", ["/api/metrics", "/api/events", "/api/lists"])
@pytest.mark.parametrize(
    ("count", "good"), [(30, True), (31, False), (math.inf, False)], ids=["few", "many", "endless"]
)
def test_empty_pages_without_end(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str, count: float, good: bool
) -> None:
    """A list may begin with empty pages; one that never comes to anything ends its stream."""
    monkeypatch.setattr("tap_klaviyo.klaviyo.pagination.MAX_EMPTY_PAGES", 30)
    world.on_answer = empty_at_first(path, count)
    written = world.sync({}, concurrency=1)
    if good:
        assert written.fault is None
        assert ids(written.messages) == complete(world, "open", "lists")
    else:
        assert f"pages of {path} do not end" in str(written.fault)
        other = "open" if path == "/api/lists" else "lists"
        assert ids(written.messages) == complete(world, other)


def test_a_refused_first_page(world: World) -> None:
    """A 400 for the first page of a window is no matter of a cursor: it does not start again."""
    world.api.faults.add("status", path="/api/lists", status=400, times=None)
    assert isinstance(world.sync({}).fault, TapError)
    assert world.struck == 1
