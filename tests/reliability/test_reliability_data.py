"""Edge cases of account data and of changes during a run: no event is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from history_checks import max_read_ahead
from random_histories import DAY, HOUR
from run_output import Pipe, RunOutput, ids
from simulated_klaviyo import METRICS, NOW, Arrival, SimulatedKlaviyo

from sandbox.resources import Resource
from tap_klaviyo.sync.run import Run

pytestmark = pytest.mark.usefixtures("disable_logging")

OPENED, OLD, NEW = "Opened Email", "Clicked SMS", "Clicked Text Message"


@dataclass
class Case:
    """The initial events of an account, the new events before the second run, and the pause.

    ``on_request`` changes the account during each request of the first run; ``before`` and
    ``between`` change it before the first and the second run.
    """

    initial_events: list[Arrival] = field(default_factory=list)
    new_events: list[Arrival] = field(default_factory=list)
    pause: int = HOUR
    settings: dict[str, Any] = field(default_factory=lambda: {"page_size": 5})
    on_request: Callable[[SimulatedKlaviyo, int], None] = lambda klaviyo, number: None
    before: Callable[[SimulatedKlaviyo], None] = lambda klaviyo: None
    between: Callable[[SimulatedKlaviyo], None] = lambda klaviyo: None


def spread(count: int, metric: str = OPENED) -> list[Arrival]:
    """Events in different minutes."""
    return [Arrival(0, 60 * number + 120, metric) for number in range(count)]


def insert_around_cursor(klaviyo: SimulatedKlaviyo, number: int) -> None:
    """Adds an event before and one after the cursor during each of the first requests."""
    if number < 9:
        klaviyo.arrive(Arrival(0, 60 * 40 - number, OPENED))
        klaviyo.arrive(Arrival(0, 60 + number, OPENED))


def delete_oldest(klaviyo: SimulatedKlaviyo, number: int) -> None:
    """Deletes the oldest event during each of the first requests."""
    if number < 6:
        oldest = min(klaviyo.events.values(), key=lambda event: event.timestamp)
        klaviyo.delete(oldest.id)


CASES: dict[str, Case] = {
    "nothing at all": Case(),
    "one event": Case(initial_events=[Arrival(0, DAY, OPENED)]),
    "50,000 events in one second": Case(
        initial_events=[Arrival(0, 5 * DAY, OPENED, 50_000), *spread(20)],
        settings={"page_size": 1000},
    ),
    "a burst at the bookmark's second": Case(
        initial_events=[Arrival(0, 0, OPENED, 30)], new_events=[Arrival(0, HOUR, OPENED, 30)]
    ),
    "an hour late": Case(initial_events=spread(20), new_events=[Arrival(0, 2 * HOUR, OPENED, 7)]),
    "six days late, found by the next day's sweep": Case(
        initial_events=spread(20), new_events=[Arrival(0, 6 * DAY, OPENED)], pause=DAY
    ),
    "in the future until due": Case(initial_events=[Arrival(0, -30 * 60, OPENED, 3), *spread(20)]),
    "a metric that appears between runs": Case(
        initial_events=[*spread(20, OLD), *spread(20, NEW)],
        before=lambda klaviyo: klaviyo.hide(NEW),
        between=lambda klaviyo: klaviyo.show(NEW),
    ),
    "a metric that disappears between runs": Case(
        initial_events=[*spread(20, OLD), *spread(20, NEW)],
        between=lambda klaviyo: klaviyo.hide(OLD),
    ),
    "a stream whose first metric appears between runs": Case(
        initial_events=spread(20, OLD),
        before=lambda klaviyo: klaviyo.hide(OLD, NEW),
        between=lambda klaviyo: klaviyo.show(OLD),
    ),
    "events inserted around the cursor": Case(
        initial_events=spread(60), on_request=insert_around_cursor
    ),
    "events deleted between pages": Case(initial_events=spread(60), on_request=delete_oldest),
    "events deleted between pages, one worker": Case(
        initial_events=spread(60),
        on_request=delete_oldest,
        settings={"page_size": 5, "concurrency": 1},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_nothing_is_missing(case: Case) -> None:
    """Two runs read every event before the start of the second."""
    klaviyo = SimulatedKlaviyo()
    for arrival in case.initial_events:
        klaviyo.arrive(arrival)
    case.before(klaviyo)
    first = klaviyo.sync(
        {}, on_request=lambda run, number: case.on_request(klaviyo, number), **case.settings
    )
    case.between(klaviyo)
    klaviyo.pass_time(case.pause)
    for arrival in case.new_events:
        klaviyo.arrive(arrival)
    second = klaviyo.sync(first.messages[-1]["value"], **case.settings)
    assert first.fault is None
    assert second.fault is None
    read = ids(first.messages + second.messages)
    for stream in set(METRICS.values()):
        due = {
            e.id
            for e in klaviyo.events.values()
            if e.stream == stream and e.timestamp < second.started
        }
        assert due <= read[stream]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_metric_that_joins_is_not_started_over(concurrency: int) -> None:
    """A backfill of a new metric continues from its own bookmark after a kill."""
    options: dict[str, Any] = {"page_size": 2, "concurrency": concurrency}
    kept = []
    for last in range(20, 520, 100):
        klaviyo = SimulatedKlaviyo("clicked_sms", lookback_window=0, sweep_window=0)
        for arrival in [*spread(900, NEW), *spread(20, OLD)]:
            klaviyo.arrive(arrival)
        klaviyo.hide(NEW)
        first = klaviyo.sync({}, **options)
        klaviyo.show(NEW)
        klaviyo.pass_time(HOUR)
        klaviyo.arrive(Arrival(0, 60, OLD))
        state = first.messages[-1]["value"]
        killed = klaviyo.sync(state, Pipe(last, 0.5), **options)
        state = killed.messages[killed.states[-1]]["value"] if killed.states else state
        resumed = klaviyo.sync(state, **options)
        output = first.messages + killed.messages + resumed.messages
        assert ids(output)["clicked_sms"] == set(klaviyo.events)
        twice = ids(killed.messages)["clicked_sms"] & ids(resumed.messages)["clicked_sms"]
        assert len(twice) <= 2 * max_read_ahead(klaviyo, "clicked_sms", **options)
        bookmark = resumed.messages[-1]["value"]["bookmarks"]["clicked_sms"]
        assert len(bookmark["metrics"]) == 2
        assert "joining" not in bookmark
        kept.append(len(ids(killed.messages)["clicked_sms"]) - len(twice))
    assert max(kept) > 50, "the backfill was started over"


def test_two_metrics_of_one_name() -> None:
    """A stream has the events of both metrics."""
    klaviyo = SimulatedKlaviyo("open")
    original = next(
        m for m in klaviyo.account.collections["metric"] if m.attributes["name"] == OPENED
    )
    twin = Resource("metric", "Twin01", dict(original.attributes))
    klaviyo.account.log.metrics.append(twin)
    klaviyo.account.collections["metric"].add(twin)
    for metric in (original.id, twin.id):
        klaviyo.account.arrive(metric, timestamps=[NOW - DAY] * 3)
    assert len(ids(klaviyo.sync({}).messages)["open"]) == 6


def test_the_same_event_on_two_pages() -> None:
    """An event that is repeated on the next page is written and hides no other event."""
    klaviyo = SimulatedKlaviyo("open")
    for arrival in spread(40):
        klaviyo.arrive(arrival)
    klaviyo.api.faults.add("repeated", path="/api/events", times=None)
    output = klaviyo.sync({}, page_size=5, concurrency=1)
    assert klaviyo.injected_faults
    assert ids(output.messages)["open"] == set(klaviyo.events)


@pytest.mark.parametrize("order", [0, 1], ids=["oldest last", "shuffled"])
@pytest.mark.parametrize(("concurrency", "page_size"), [(1, 1), (1, 5), (2, 2), (4, 2)])
def test_a_kill_costs_the_run_ahead_at_most(concurrency: int, page_size: int, order: int) -> None:
    """The events written after the bookmark are bounded, even if the oldest window is last."""
    options: dict[str, Any] = {"concurrency": concurrency, "page_size": page_size}
    complete = _klaviyo_with_events().sync({}, order=order, **options)
    writes = len(complete.messages) - 3
    for last in range(0, writes, max(1, writes // 4)):
        klaviyo = _klaviyo_with_events()
        killed = klaviyo.sync({}, Pipe(last, 0.5), order=order, **options)
        assert _after_the_bookmark(klaviyo, killed) <= max_read_ahead(
            klaviyo, "open", concurrency, page_size
        )


def _klaviyo_with_events() -> SimulatedKlaviyo:
    klaviyo = SimulatedKlaviyo("open", lookback_window=0, sweep_window=0)
    for arrival in spread(500):
        klaviyo.arrive(arrival)
    return klaviyo


def _after_the_bookmark(klaviyo: SimulatedKlaviyo, output: RunOutput) -> int:
    states = [
        output.messages[place]["value"]["bookmarks"].get("open", {}) for place in output.states
    ]
    bookmark_time = states[-1].get("timestamp", 0) if states else 0
    read = ids(output.messages)["open"]
    return sum(klaviyo.events[id].timestamp >= bookmark_time for id in read)


def test_an_error_in_the_middle_of_a_run_is_resumed() -> None:
    """A run that ends with an error writes a STATE, and the next run reads the rest."""
    klaviyo = SimulatedKlaviyo("open")
    for arrival in spread(100):
        klaviyo.arrive(arrival)

    def fail(run: Run, number: int) -> None:
        if number > 10:
            raise OSError("Network is unreachable")

    first = klaviyo.sync({}, on_request=fail, page_size=5)
    second = klaviyo.sync(first.messages[-1]["value"], page_size=5)
    assert "Network is unreachable" in str(first.fault)
    assert ids(first.messages + second.messages)["open"] == set(klaviyo.events)
