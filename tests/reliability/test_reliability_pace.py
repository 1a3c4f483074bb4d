"""What a backfill costs: pages, requests at once, and time, on a clock that nobody waits for."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Generator
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from simulated_klaviyo import Arrival, World, ids

PAGE = 20
WORKERS = pytest.mark.parametrize("concurrency", [1, 2, 32])
SEED = pytest.mark.parametrize("seed", range(3))


class Clockwork:
    """The engine without threads: each task takes a random time of its own, on a world's clock."""

    def __init__(self, world: World, seed: int, workers: int, work: Callable[[Any], Any]) -> None:
        self.world = world
        self.most = 0
        self._workers = workers
        self._work = work
        self._random = random.Random(seed)
        self._numbers = count()
        self._under_way: list[tuple[float, int, Any, Any]] = []

    @property
    def idle(self) -> int:
        """How many workers have nothing to do."""
        return self._workers - len(self._under_way)

    def run(self, next_task: Callable[[], Any]) -> Generator[tuple[Any, Any], None, None]:
        """As the engine's own."""
        while True:
            while self.idle and (task := next_task()) is not None:
                done = self.world.now + self._random.uniform(0.5, 1.5)
                entry = (done, next(self._numbers), task, self._work(task))
                heapq.heappush(self._under_way, entry)
            if not self._under_way:
                return
            self.most = max(self.most, len(self._under_way))
            done, _, task, result = heapq.heappop(self._under_way)
            self.world.now = max(self.world.now, done)
            yield task, result

    def stop(self) -> None:
        """Nothing is left to do."""


class Backfill:
    """One sync of a stream, each request of which takes a second on average."""

    def __init__(self, arrivals: list[Arrival], seed: int, concurrency: int) -> None:
        self.world = World("open", page_size=PAGE, start_date="2020-01-01")
        for arrival in arrivals:
            self.world.arrive(arrival)
        engines: list[Clockwork] = []

        def workers(size: int, work: Callable[[Any], Any], order: int) -> Clockwork:
            engines.append(Clockwork(self.world, seed, size, work))
            return engines[-1]

        with (
            patch.object(simulated_klaviyo, "REQUEST", 0.0),
            patch.object(simulated_klaviyo, "Workers", workers),
        ):
            self.written = self.world.sync({}, concurrency=concurrency)
        self.pages = self.world.requests - 1  # One request is for the metrics.
        self.seconds = self.world.now - self.written.started
        self.at_once = engines[0].most


def steady(events: int, days: int = 90) -> list[Arrival]:
    """Events spread evenly, one a second at most."""
    return [Arrival(0, days * 86_400 * n // events + 1, "Opened Email") for n in range(events)]


def mailings(seconds: int, events: int) -> list[Arrival]:
    """Seconds with many events each, days apart."""
    return [Arrival(0, 3 * 86_400 * n + 60, "Opened Email", events) for n in range(seconds)]


def lost(backfill: Backfill) -> set[str]:
    """The events that were not written."""
    return set(backfill.world.events) - ids(backfill.written.messages)["open"]


@SEED
@WORKERS
@pytest.mark.parametrize(
    "arrivals", [steady(60 * PAGE), mailings(20, 3 * PAGE)], ids=["steady", "mailings"]
)
def test_few_pages_are_not_full(arrivals: list[Arrival], concurrency: int, seed: int) -> None:
    """What is not full: the page of each cut, of which there is one in eight, and two a worker."""
    backfill = Backfill(arrivals, seed, concurrency)
    assert not lost(backfill)
    assert backfill.pages <= 60 * 9 / 8 + 2 * concurrency


@SEED
@WORKERS
def test_all_workers_are_used_and_no_more(concurrency: int, seed: int) -> None:
    """There are as many requests at once as the setting allows, and never more."""
    assert Backfill(steady(120 * PAGE), seed, concurrency).at_once == concurrency


@SEED
def test_workers_share_the_time(seed: int) -> None:
    """32 workers need a tenth of the time of one, or less."""
    alone, together = (Backfill(steady(120 * PAGE), seed, workers).seconds for workers in (1, 32))
    assert together <= alone / 10


@SEED
def test_a_walk_through_one_second_holds_nobody_up(seed: int) -> None:
    """Pages of one second follow each other, and all the rest is read meanwhile."""
    burst = Arrival(0, 45 * 86_400, "Opened Email", 30 * PAGE)
    backfill = Backfill([*steady(120 * PAGE), burst], seed, concurrency=32)
    assert not lost(backfill)
    assert backfill.seconds <= 30 + 15


@SEED
@WORKERS
def test_bookmarks_follow_their_records(concurrency: int, seed: int) -> None:
    """Whatever comes first, a STATE speaks of records only that stand before it."""
    backfill = Backfill([*steady(30 * PAGE), *mailings(5, 3 * PAGE)], seed, concurrency)
    written: set[str] = set()
    for message in backfill.written.messages:
        if message["type"] == "RECORD":
            written.add(message["record"]["id"])
        if message["type"] == "STATE":
            mark = message["value"]["bookmarks"]["open"].get("timestamp", 0)
            before = {e.id for e in backfill.world.events.values() if e.timestamp < mark}
            assert before <= written
