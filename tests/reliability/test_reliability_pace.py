"""The number of pages, concurrent requests and duration of a backfill, in simulated time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import simulated_klaviyo
from run_output import ids
from simulated_klaviyo import Arrival, SimulatedKlaviyo
from timed_workers import TimedWorkers

PAGE = 20
WORKERS = pytest.mark.parametrize("concurrency", [1, 2, 32])
SEED = pytest.mark.parametrize("seed", range(3))


class Backfill:
    """One sync of a stream; a request takes one second on average."""

    def __init__(self, arrivals: list[Arrival], seed: int, concurrency: int) -> None:
        self.klaviyo = SimulatedKlaviyo(
            "open", page_size=PAGE, start_date="2020-01-01", recount_interval=0
        )
        for arrival in arrivals:
            self.klaviyo.arrive(arrival)
        pools: list[TimedWorkers] = []

        def workers(size: int, work: Callable[[Any], Any], order: int) -> TimedWorkers:
            pools.append(TimedWorkers(self.klaviyo, seed, size, work))
            return pools[-1]

        with (
            patch.object(simulated_klaviyo, "REQUEST", 0.0),
            patch.object(simulated_klaviyo, "SimulatedWorkers", workers),
        ):
            self.output = self.klaviyo.sync({}, concurrency=concurrency)
        self.pages = self.klaviyo.requests - 1  # One request is for the metrics.
        self.seconds = self.klaviyo.now - self.output.started
        self.concurrent_requests = pools[0].max_in_flight


def steady(events: int, days: int = 90) -> list[Arrival]:
    """Evenly spread events, at most one per second."""
    return [Arrival(0, days * 86_400 * n // events + 1, "Opened Email") for n in range(events)]


def mailings(seconds: int, events: int) -> list[Arrival]:
    """Seconds with many events, days apart."""
    return [Arrival(0, 3 * 86_400 * n + 60, "Opened Email", events) for n in range(seconds)]


def missing(backfill: Backfill) -> set[str]:
    """The events that were not written."""
    return set(backfill.klaviyo.events) - ids(backfill.output.messages)["open"]


@SEED
@WORKERS
@pytest.mark.parametrize(
    ("arrivals", "requests"),
    [(steady(60 * PAGE), 9 / 8), (mailings(20, 3 * PAGE), 13 / 8)],
    ids=["steady", "mailings"],
)
def test_few_pages_are_not_full(
    arrivals: list[Arrival], requests: float, concurrency: int, seed: int
) -> None:
    """Few pages are not full: one in eight, more where nothing is between mailings."""
    backfill = Backfill(arrivals, seed, concurrency)
    assert not missing(backfill)
    assert backfill.pages <= 60 * requests + 3 * concurrency


@SEED
@WORKERS
def test_all_workers_are_used_and_no_more(concurrency: int, seed: int) -> None:
    """The number of concurrent requests equals the setting."""
    assert Backfill(steady(300 * PAGE), seed, concurrency).concurrent_requests == concurrency


@SEED
def test_workers_share_the_time(seed: int) -> None:
    """32 workers need at most a tenth of the time of one."""
    alone, together = (Backfill(steady(120 * PAGE), seed, workers).seconds for workers in (1, 32))
    assert together <= alone / 10


@SEED
def test_a_walk_through_one_second_holds_nobody_up(seed: int) -> None:
    """Other windows are read while the pages of a dense second are read one by one."""
    burst = Arrival(0, 45 * 86_400, "Opened Email", 30 * PAGE)
    backfill = Backfill([*steady(120 * PAGE), burst], seed, concurrency=32)
    assert not missing(backfill)
    assert backfill.seconds <= 30 + 15


@SEED
@WORKERS
def test_bookmarks_follow_their_records(concurrency: int, seed: int) -> None:
    """A STATE covers only records that were written before it."""
    backfill = Backfill([*steady(30 * PAGE), *mailings(5, 3 * PAGE)], seed, concurrency)
    written_ids: set[str] = set()
    for message in backfill.output.messages:
        if message["type"] == "RECORD":
            written_ids.add(message["record"]["id"])
        if message["type"] == "STATE":
            bookmark = message["value"]["bookmarks"].get("open", {}).get("timestamp", 0)
            before = {e.id for e in backfill.klaviyo.events.values() if e.timestamp < bookmark}
            assert before <= written_ids
