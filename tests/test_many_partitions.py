"""Thousands of partitions: windows in the right order, at a cost that follows what changes."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.klaviyo.account import Metric, Metrics
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.records.page_parser import PageParser
from tap_klaviyo.state import State
from tap_klaviyo.sync.low_water_marks import LowWaterMarks
from tap_klaviyo.sync.page_sizes import PageSizes
from tap_klaviyo.sync.planner import Planner
from tap_klaviyo.sync.scheduler import Scheduler
from tap_klaviyo.sync.stream_sync import Partition, StreamSync
from tap_klaviyo.sync.window_reader import WindowReader
from tap_klaviyo.sync.windows import Window, WindowTracker

NOW = 1_775_865_600  # 2026-04-11T00:00:00Z
WORKERS = 32
FEWER_THAN_ANY_LIMIT = 10
"""Open windows that the rate limit of no endpoint keeps from being opened."""
NAMES = {"A": "Opened Email", "B": "Clicked SMS", "C": "Clicked Text Message"}
METRICS = Metrics([Metric(id, name, "Klaviyo") for id, name in NAMES.items()])

LOOKED_AT: Counter[str] = Counter()
"""How often each property of the trackers was read."""


class CountingTracker(WindowTracker):
    """A tracker that counts how often it is looked at."""

    def __getattribute__(self, name: str) -> Any:
        LOOKED_AT[name] += 1
        return super().__getattribute__(name)


Plan = Callable[..., tuple[Planner, list[StreamSync]]]


@pytest.fixture
def plan(configure: Callable[..., Config], select: Callable[..., SelectedStream]) -> Plan:
    """Plans incremental streams; those of lists have ``parents`` parents."""

    def make(*names: str, parents: int = 0) -> tuple[Planner, list[StreamSync]]:
        planner, syncs = Planner(configure(), State({}), NOW), []
        for name in names:
            selected = replace(select(name), replication_method="INCREMENTAL")
            query = query_for(selected.stream, selected.schema)
            syncs.append(StreamSync(selected, query, PageParser(selected)))
            planner.plan(syncs[-1], METRICS)
            if selected.stream.parent:
                planner.add_parents(syncs[-1], map(str, range(parents)))
        return planner, syncs

    return make


def read_all(planner: Planner, syncs: list[StreamSync], scheduler: Scheduler) -> int:
    """Reads each window in one page, as a run does; returns how many there were."""
    open_readers: list[WindowReader] = []
    windows = 0
    while True:
        while len(open_readers) < WORKERS and (reader := scheduler.next(1)):
            open_readers.append(reader)
        if not open_readers:
            return windows
        reader = open_readers.pop(0)
        scheduler.release(reader)
        reader.finish()
        windows += 1
        planner.advance(reader.partition.sync)
        assert all(sync.finished for sync in syncs) == (windows == len(all_of(syncs)))


def all_of(syncs: list[StreamSync]) -> list[Partition]:
    """The partitions of several streams."""
    return [partition for sync in syncs for partition in sync.partitions]


def test_a_run_looks_at_partitions_only_when_they_change(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each partition is looked at a few times, however many there are."""
    monkeypatch.setattr("tap_klaviyo.sync.planner.WindowTracker", CountingTracker)
    for parents in (100, 800):
        planner, syncs = plan("list_members", parents=parents)
        scheduler = Scheduler(syncs, WORKERS, 1.0, PageSizes(1000))
        LOOKED_AT.clear()
        assert read_all(planner, syncs, scheduler) == parents
        for name in ("pending_records", "low_water_mark", "finished", "take"):
            assert LOOKED_AT[name] <= 12 * parents, (name, LOOKED_AT[name] / parents)
    assert planner.advance(syncs[0])


def rank(partition: Partition) -> tuple[bool, float]:
    """The order in which windows are opened: none open first, then most records pending."""
    return partition.open > 0, -partition.tracker.pending_records


@pytest.mark.parametrize("seed", range(20))
def test_windows_are_opened_in_order(plan: Plan, seed: int) -> None:
    """The partition that is opened is the first of all that have a window, after any history."""
    chance = random.Random(seed)
    _, syncs = plan("list_members", "open", "clicked_sms", "profiles", parents=8)
    scheduler = Scheduler(syncs, WORKERS, 1.0, PageSizes(1000))
    readers: list[WindowReader] = []
    for _ in range(300):
        takeable = [one for one in all_of(syncs) if copy.deepcopy(one.tracker).take()]
        expected = min(takeable, key=rank, default=None)
        if chance.random() < 0.6 and len(readers) < FEWER_THAN_ANY_LIMIT:
            reader = scheduler.next(1)
            assert (reader and reader.partition) is expected
            readers += [reader] if reader else []
        elif readers:
            reader = readers.pop(chance.randrange(len(readers)))
            window, tracker = reader.window, reader.partition.tracker
            records = chance.choice([0, 5, 100])
            tracker.observe(window, records, window.start)
            middle = (window.start + window.end) // 2
            if window.start < middle and chance.random() < 0.6:
                tracker.split(window, middle, 60.0, chance.randrange(4), is_long=True)
                reader.window = Window(window.start, middle)
            scheduler.release(reader)
            reader.finish()


def test_the_lowest_mark_of_many() -> None:
    """The lowest mark follows trackers that move in any order, and new ones."""
    chance = random.Random(1)
    marks, trackers = LowWaterMarks(), list[WindowTracker]()
    assert marks.lowest == 0
    for _ in range(300):
        if chance.random() < 0.2 or not trackers:
            trackers.append(WindowTracker(chance.randrange(50), 100, boundaries=range(50, 100)))
            marks.add(trackers[-1])
        else:
            tracker = chance.choice(trackers)
            if window := tracker.take():
                tracker.finish(window, 0)
        assert marks.lowest == min(tracker.low_water_mark for tracker in trackers)
