"""Whose turn it is: what an idle worker gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import Selected
from tap_klaviyo.klaviyo.account import Metric, Metrics
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.records.page_parser import Shaper
from tap_klaviyo.state import State
from tap_klaviyo.sync.planner import Planner
from tap_klaviyo.sync.scheduler import Turns
from tap_klaviyo.sync.stream_sync import Table
from tap_klaviyo.sync.window_reader import Reading

NOW = 1_775_865_600  # 2026-04-11T00:00:00Z
METRICS = Metrics([Metric("A", "Opened Email", "Klaviyo"), Metric("B", "Clicked Email", "Klaviyo")])
SLOW = ("accounts", "webhooks", "web_feeds")

Tables = Callable[..., list[Table]]


@pytest.fixture
def tables(configure: Callable[..., Config], select: Callable[..., Selected]) -> Tables:
    """Streams with their lanes; children have so many parents."""

    def make(*names: str, parents: int = 0) -> list[Table]:
        planner = Planner(configure(), State({}), NOW)
        made = []
        for name in names:
            selected = select(name)
            query = query_for(selected.stream, selected.schema)
            made.append(Table(selected, query, Shaper(selected)))
            planner.plan(made[-1], METRICS)
            if selected.stream.parent:
                planner.adopt(made[-1], [str(number) for number in range(parents)])
        return made

    return make


def given(turns: Turns, workers: int) -> list[Reading]:
    """What so many idle workers get."""
    found = []
    for idle in range(workers, 0, -1):
        reading = turns.next(idle)
        if reading is None:
            break
        found.append(reading)
    return found


def streams(readings: list[Reading]) -> Counter[str]:
    """How many windows of each stream there are."""
    return Counter(reading.lane.table.name for reading in readings)


def test_every_stream_starts_at_once(tables: Tables) -> None:
    """Before a stream has two windows in hand, each has one; what time does not cut comes first."""
    turns = Turns(tables("open", "click", "lists"), 3, 1.0, 1000)
    assert [reading.lane.table.name for reading in given(turns, 3)] == ["lists", "open", "click"]


@pytest.mark.parametrize(("workers", "most"), [(1, 1), (2, 1), (4, 2), (6, 3), (32, 3)])
def test_slow_streams_never_have_all_workers(tables: Tables, workers: int, most: int) -> None:
    """What Klaviyo answers a few times a minute holds half of the workers at the most."""
    turns = Turns(tables(*SLOW), workers, 1.0, 1000)
    assert sum(streams(given(turns, workers)).values()) == most


def test_a_slow_stream_goes_on_when_its_turn_comes(tables: Tables) -> None:
    """A worker that is done with one slow stream may have the next."""
    turns = Turns(tables(*SLOW), 2, 1.0, 1000)
    found = []
    while readings := given(turns, 2):
        (reading,) = readings
        found.append(reading.lane.table.name)
        turns.let_go(reading)
    assert sorted(found) == sorted(SLOW)


def test_no_more_than_the_gate_lets_pass(tables: Tables) -> None:
    """Of one endpoint no more is begun than may be asked for in a second."""
    turns = Turns(tables("flow_actions", parents=100), 32, 1.0, 1000)
    assert len(given(turns, 32)) == 3
    turns = Turns(tables("flow_actions", parents=100), 32, 0.4, 1000)
    assert len(given(turns, 32)) == 1


def test_thousands_of_parents_leave_room(tables: Tables) -> None:
    """A stream with a lane for each parent gets a part of the workers while others need them."""
    several = tables("campaign_messages", "open", "click", parents=1000)
    turns = Turns(several, 8, 1.0, 1000)
    found = streams(given(turns, 8))
    assert found["open"] == found["click"] == 1
    alone = Turns(tables("campaign_messages", parents=1000), 8, 1.0, 1000)
    assert streams(given(alone, 8))["campaign_messages"] == 8


def test_what_is_being_read_goes_on_first(tables: Tables) -> None:
    """The next page of a window comes before any new window, unless its stream has ended."""
    several = tables("open", "click", "lists")
    turns = Turns(several, 2, 1.0, 1000)
    first, second = given(turns, 2)
    turns.go_on(second)
    turns.go_on(first)
    assert given(turns, 1) == [second]
    first.lane.table.fault = RuntimeError("refused")  # type: ignore[assignment]
    (other,) = given(turns, 1)
    assert other.lane.table is not first.lane.table
    assert first.lane.open == 0
