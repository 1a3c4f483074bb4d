"""Whose turn it is: what an idle worker gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.errors import StreamError
from tap_klaviyo.klaviyo.account import Metric, Metrics
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.records.page_parser import PageParser
from tap_klaviyo.state import State
from tap_klaviyo.sync.planner import Planner
from tap_klaviyo.sync.scheduler import Scheduler
from tap_klaviyo.sync.stream_sync import StreamSync
from tap_klaviyo.sync.window_reader import WindowReader

NOW = 1_775_865_600  # 2026-04-11T00:00:00Z
METRICS = Metrics([Metric("A", "Opened Email", "Klaviyo"), Metric("B", "Clicked Email", "Klaviyo")])
SLOW = ("accounts", "webhooks", "web_feeds")

Tables = Callable[..., list[StreamSync]]


@pytest.fixture
def syncs(configure: Callable[..., Config], select: Callable[..., SelectedStream]) -> Tables:
    """Streams with their lanes; children have so many parents."""

    def make(*names: str, parents: int = 0) -> list[StreamSync]:
        planner = Planner(configure(), State({}), NOW)
        made = []
        for name in names:
            selected = select(name)
            query = query_for(selected.stream, selected.schema)
            made.append(StreamSync(selected, query, PageParser(selected)))
            planner.plan(made[-1], METRICS)
            if selected.stream.parent:
                planner.add_parents(made[-1], [str(number) for number in range(parents)])
        return made

    return make


def given(scheduler: Scheduler, workers: int) -> list[WindowReader]:
    """What so many idle workers get."""
    found = []
    for idle in range(workers, 0, -1):
        reader = scheduler.next(idle)
        if reader is None:
            break
        found.append(reader)
    return found


def streams(readings: list[WindowReader]) -> Counter[str]:
    """How many windows of each stream there are."""
    return Counter(reader.partition.sync.name for reader in readings)


def test_every_stream_starts_at_once(syncs: Tables) -> None:
    """Before a stream has two windows in hand, each has one; what time does not cut comes first."""
    scheduler = Scheduler(syncs("open", "click", "lists"), 3, 1.0, 1000)
    assert [reader.partition.sync.name for reader in given(scheduler, 3)] == [
        "lists",
        "open",
        "click",
    ]


@pytest.mark.parametrize(("workers", "most"), [(1, 1), (2, 1), (4, 2), (6, 3), (32, 3)])
def test_slow_streams_never_have_all_workers(syncs: Tables, workers: int, most: int) -> None:
    """What Klaviyo answers a few times a minute holds half of the workers at the most."""
    scheduler = Scheduler(syncs(*SLOW), workers, 1.0, 1000)
    assert sum(streams(given(scheduler, workers)).values()) == most


def test_a_slow_stream_goes_on_when_its_turn_comes(syncs: Tables) -> None:
    """A worker that is done with one slow stream may have the next."""
    scheduler = Scheduler(syncs(*SLOW), 2, 1.0, 1000)
    found = []
    while readings := given(scheduler, 2):
        (reader,) = readings
        found.append(reader.partition.sync.name)
        scheduler.release(reader)
    assert sorted(found) == sorted(SLOW)


def test_no_more_than_the_gate_lets_pass(syncs: Tables) -> None:
    """Of one endpoint no more is begun than may be asked for in a second."""
    scheduler = Scheduler(syncs("flow_actions", parents=100), 32, 1.0, 1000)
    assert len(given(scheduler, 32)) == 3
    scheduler = Scheduler(syncs("flow_actions", parents=100), 32, 0.4, 1000)
    assert len(given(scheduler, 32)) == 1


def test_thousands_of_parents_leave_room(syncs: Tables) -> None:
    """A stream with a lane for each parent gets a part of the workers while others need them."""
    several = syncs("campaign_messages", "open", "click", parents=1000)
    scheduler = Scheduler(several, 8, 1.0, 1000)
    found = streams(given(scheduler, 8))
    assert found["open"] == found["click"] == 1
    alone = Scheduler(syncs("campaign_messages", parents=1000), 8, 1.0, 1000)
    assert streams(given(alone, 8))["campaign_messages"] == 8


def test_what_is_being_read_goes_on_first(syncs: Tables) -> None:
    """The next page of a window comes before any new window, unless its stream has ended."""
    several = syncs("open", "click", "lists")
    scheduler = Scheduler(several, 2, 1.0, 1000)
    first, second = given(scheduler, 2)
    scheduler.resume(second)
    scheduler.resume(first)
    assert given(scheduler, 1) == [second]
    first.partition.sync.error = StreamError("refused")
    (other,) = given(scheduler, 1)
    assert other.partition.sync is not first.partition.sync
    assert first.partition.open == 0
