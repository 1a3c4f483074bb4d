"""Accounts at the edges: what is in them, what happens meanwhile, and that nothing is missing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from random_histories import DAY, HOUR, run_ahead
from simulated_klaviyo import METRICS, NOW, Arrival, Pipe, World, Written, ids

from sandbox import Response
from sandbox.http_messages import Request
from sandbox.resources import Resource
from tap_klaviyo.sync.run import Run

OPENED, OLD, NEW = "Opened Email", "Clicked SMS", "Clicked Text Message"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Log lines of thousands of runs take longer than the runs."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@dataclass
class Case:
    """What is there at first, what comes before the second run and after how long a pause.

    ``meanwhile`` changes the account with each request of the first run, ``before`` and ``between``
    do so before the two runs.
    """

    history: list[Arrival] = field(default_factory=list)
    news: list[Arrival] = field(default_factory=list)
    pause: int = HOUR
    settings: dict[str, Any] = field(default_factory=lambda: {"page_size": 5})
    meanwhile: Callable[[World, int], None] = lambda world, number: None
    before: Callable[[World], None] = lambda world: None
    between: Callable[[World], None] = lambda world: None


def spread(count: int, metric: str = OPENED) -> list[Arrival]:
    """Events of different minutes."""
    return [Arrival(0, 60 * number + 120, metric) for number in range(count)]


def insert_around_the_cursor(world: World, number: int) -> None:
    """With each of the first pages, an event comes behind the cursor and one ahead of it."""
    if number < 9:
        world.arrive(Arrival(0, 60 * 40 - number, OPENED))
        world.arrive(Arrival(0, 60 + number, OPENED))


def delete_behind_the_cursor(world: World, number: int) -> None:
    """With each of the first pages, the oldest event that is left is deleted."""
    if number < 6:
        oldest = min(world.events.values(), key=lambda event: event.timestamp)
        world.delete(oldest.id)


CASES: dict[str, Case] = {
    "nothing at all": Case(),
    "one event": Case(history=[Arrival(0, DAY, OPENED)]),
    "50,000 events in one second": Case(
        history=[Arrival(0, 5 * DAY, OPENED, 50_000), *spread(20)], settings={"page_size": 1000}
    ),
    "a burst at the bookmark's second": Case(
        history=[Arrival(0, 0, OPENED, 30)], news=[Arrival(0, HOUR, OPENED, 30)]
    ),
    "an hour late": Case(history=spread(20), news=[Arrival(0, 2 * HOUR, OPENED, 7)]),
    "six days late, found by the next day's sweep": Case(
        history=spread(20), news=[Arrival(0, 6 * DAY, OPENED)], pause=DAY
    ),
    "of the future until it comes": Case(history=[Arrival(0, -30 * 60, OPENED, 3), *spread(20)]),
    "a metric that appears between runs": Case(
        history=[*spread(20, OLD), *spread(20, NEW)],
        before=lambda world: world.hide(NEW),
        between=lambda world: world.show(NEW),
    ),
    "a metric that disappears between runs": Case(
        history=[*spread(20, OLD), *spread(20, NEW)], between=lambda world: world.hide(OLD)
    ),
    "a stream whose first metric appears between runs": Case(
        history=spread(20, OLD),
        before=lambda world: world.hide(OLD, NEW),
        between=lambda world: world.show(OLD),
    ),
    "events inserted around the cursor": Case(
        history=spread(60), meanwhile=insert_around_the_cursor
    ),
    "events deleted between pages": Case(history=spread(60), meanwhile=delete_behind_the_cursor),
    "events deleted between pages, one worker": Case(
        history=spread(60),
        meanwhile=delete_behind_the_cursor,
        settings={"page_size": 5, "concurrency": 1},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_nothing_is_missing(case: Case) -> None:
    """Two runs read all that happened before the second."""
    world = World()
    for arrival in case.history:
        world.arrive(arrival)
    case.before(world)
    first = world.sync(
        {}, on_request=lambda run, number: case.meanwhile(world, number), **case.settings
    )
    case.between(world)
    world.pass_time(case.pause)
    for arrival in case.news:
        world.arrive(arrival)
    second = world.sync(first.messages[-1]["value"], **case.settings)
    assert first.fault is None
    assert second.fault is None
    read = ids(first.messages + second.messages)
    for stream in set(METRICS.values()):
        due = {
            e.id
            for e in world.events.values()
            if e.stream == stream and e.timestamp < second.started
        }
        assert due <= read[stream]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_metric_that_joins_is_not_started_over(concurrency: int) -> None:
    """Killed while it reads the history of a new metric, a run is gone on from where it was."""
    options: dict[str, Any] = {"page_size": 2, "concurrency": concurrency}
    kept = []
    for last in range(20, 520, 100):
        world = World("clicked_sms", lookback_window=0, sweep_window=0)
        for arrival in [*spread(900, NEW), *spread(20, OLD)]:
            world.arrive(arrival)
        world.hide(NEW)
        first = world.sync({}, **options)
        world.show(NEW)
        world.pass_time(HOUR)
        world.arrive(Arrival(0, 60, OLD))
        state = first.messages[-1]["value"]
        killed = world.sync(state, Pipe(last, 0.5), **options)
        state = killed.messages[killed.states[-1]]["value"] if killed.states else state
        resumed = world.sync(state, **options)
        written = first.messages + killed.messages + resumed.messages
        assert ids(written)["clicked_sms"] == set(world.events)
        twice = ids(killed.messages)["clicked_sms"] & ids(resumed.messages)["clicked_sms"]
        assert len(twice) <= 2 * run_ahead(world, "clicked_sms", **options)
        bookmark = resumed.messages[-1]["value"]["bookmarks"]["clicked_sms"]
        assert len(bookmark["metrics"]) == 2
        assert "joining" not in bookmark
        kept.append(len(ids(killed.messages)["clicked_sms"]) - len(twice))
    assert max(kept) > 50, "all that was read of the new metric is read again"


def test_two_metrics_of_one_name() -> None:
    """A stream holds the events of both."""
    world = World("open")
    original = next(
        m for m in world.account.collections["metric"] if m.attributes["name"] == OPENED
    )
    twin = Resource("metric", "Twin01", dict(original.attributes))
    world.account.log.metrics.append(twin)
    world.account.collections["metric"].add(twin)
    for metric in (original.id, twin.id):
        world.account.arrive(metric, timestamps=[NOW - DAY] * 3)
    assert len(ids(world.sync({}).messages)["open"]) == 6


def test_the_same_event_on_two_pages() -> None:
    """An event that comes again on the next page is a row like before, and costs no other."""
    world = World("open")
    for arrival in spread(40):
        world.arrive(arrival)
    world.api.faults.add("repeated", path="/api/events", times=None)
    written = world.sync({}, page_size=5, concurrency=1)
    assert world.struck
    assert ids(written.messages)["open"] == set(world.events)


def test_a_page_in_disorder() -> None:
    """Pages whose events are shuffled cost no event."""
    world = World("open")
    for arrival in spread(60):
        world.arrive(arrival)

    def shuffled(_: Request, answer: Response) -> Response:
        if answer.records < 4 or answer.headers.get("Content-Encoding"):
            return answer
        document = json.loads(answer.body)
        data = document["data"]
        document["data"] = [*data[1::2], *data[::2], data[-1]]
        return replace(answer, body=json.dumps(document).encode())

    world.on_answer = shuffled
    assert ids(world.sync({}, page_size=7).messages)["open"] == set(world.events)


@pytest.mark.parametrize("order", [0, 1], ids=["starving", "shuffled"])
@pytest.mark.parametrize(("concurrency", "page_size"), [(1, 1), (1, 5), (2, 2), (4, 2)])
def test_a_kill_costs_the_run_ahead_at_most(concurrency: int, page_size: int, order: int) -> None:
    """Even if the oldest window is the last to come, what lies beyond the mark is bounded."""
    options: dict[str, Any] = {"concurrency": concurrency, "page_size": page_size}
    whole = _spread_world().sync({}, order=order, **options)
    writes = len(whole.messages) - 3
    for last in range(0, writes, max(1, writes // 4)):
        world = _spread_world()
        killed = world.sync({}, Pipe(last, 0.5), order=order, **options)
        assert _beyond_the_mark(world, killed) <= run_ahead(world, "open", concurrency, page_size)


def _spread_world() -> World:
    world = World("open", lookback_window=0, sweep_window=0)
    for arrival in spread(500):
        world.arrive(arrival)
    return world


def _beyond_the_mark(world: World, written: Written) -> int:
    states = [written.messages[place]["value"]["bookmarks"]["open"] for place in written.states]
    mark = states[-1].get("timestamp", 0) if states else 0
    read = ids(written.messages)["open"]
    return sum(world.events[id].timestamp >= mark for id in read)


def test_an_error_in_the_middle_of_a_run_is_resumed() -> None:
    """A run that ends with a fault has a STATE, and the next one reads the rest."""
    world = World("open")
    for arrival in spread(100):
        world.arrive(arrival)

    def fail(run: Run, number: int) -> None:
        if number > 10:
            raise OSError("Network is unreachable")

    first = world.sync({}, on_request=fail, page_size=5)
    second = world.sync(first.messages[-1]["value"], page_size=5)
    assert "Network is unreachable" in str(first.fault)
    assert ids(first.messages + second.messages)["open"] == set(world.events)
