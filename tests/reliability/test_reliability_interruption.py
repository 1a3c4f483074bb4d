"""Runs that are stopped or killed again and again, each continuing from the last STATE."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
import simulated_klaviyo
from run_output import Killed, Pipe, RunOutput, ids
from simulated_klaviyo import Arrival, SimulatedKlaviyo
from timed_workers import TimedWorkers

DAY = 86_400
METRIC = "Opened Email"
FEWEST_RUNS, MOST_RUNS = 3, 100
FACTOR = 1.5
"""How many times the number of events all runs together may write."""


class InterruptedPipe(Pipe):
    """A target that takes ``seconds`` for each write; after ``limit`` seconds the run ends."""

    def __init__(self, klaviyo: SimulatedKlaviyo, seconds: float, limit: float, kill: bool) -> None:
        super().__init__()
        self._klaviyo = klaviyo
        self._seconds = seconds
        self._end = klaviyo.now + limit
        self._kill = kill
        self.stop: Callable[[], None] = lambda: None

    def write(self, data: Any) -> int:
        """Receives bytes, and ends the run when its time is over."""
        if self._klaviyo.now >= self._end:
            self.stop()
            if self._kill:
                self.broken = True
        written = super().write(data)
        if data.startswith(b'{"type":"RECORD"'):
            self._klaviyo.now += self._seconds
        return written


@dataclass(frozen=True)
class Interruptions:
    """An account and how its runs end. ``seconds`` is the time that the target takes for a page."""

    arrivals: list[Arrival]
    concurrency: int = 32
    page_size: int = 100
    seconds: float = 0.0
    limit: float = 8.0
    kill: bool = False


def steady(events: int) -> list[Arrival]:
    """Evenly spread events over 80 days."""
    return [Arrival(0, 80 * DAY * n // events + 60, METRIC) for n in range(events)]


def campaigns(number: int, events: int) -> list[Arrival]:
    """Campaigns that decay over ten hours, days apart."""
    return [
        Arrival(0, 80 * DAY * n // number + 60 + minute * 60, METRIC, max(1, events // 2**minute))
        for n in range(number)
        for minute in range(10)
    ]


CASES = {
    "steady": Interruptions(steady(20_000)),
    "campaigns": Interruptions(campaigns(150, 45), limit=6.0),
    "both": Interruptions([*steady(12_000), *campaigns(80, 45)]),
    "a slow target": Interruptions(steady(4_000), seconds=1.0, limit=14.0),
    "kills": Interruptions(steady(20_000), kill=True),
    "kills and a slow target": Interruptions(steady(4_000), seconds=1.0, limit=14.0, kill=True),
    "few workers": Interruptions(steady(6_000), concurrency=4, limit=12.0),
    "one worker": Interruptions(steady(2_000), concurrency=1, limit=12.0),
    "large pages": Interruptions(campaigns(150, 450), page_size=1000, limit=5.0),
}


def run(klaviyo: SimulatedKlaviyo, case: Interruptions, state: Any, seed: int) -> RunOutput:
    """One run, interrupted if it takes too long; its requests take about 1.5 seconds."""

    def workers(size: int, work: Callable[[Any], Any], order: int) -> TimedWorkers:
        return TimedWorkers(klaviyo, seed, size, work, seconds=(1.0, 2.0))

    limit = case.limit * random.Random(seed).uniform(0.7, 1.3)
    pipe = InterruptedPipe(klaviyo, case.seconds, limit, case.kill)

    def on_request(run: Any, _: int) -> None:
        pipe.stop = (lambda: None) if case.kill else run.stop

    with (
        patch.object(simulated_klaviyo, "REQUEST", 0.0),
        patch.object(simulated_klaviyo, "SimulatedWorkers", workers),
    ):
        return klaviyo.sync(
            state, pipe, 0, on_request, concurrency=case.concurrency, page_size=case.page_size
        )


def bookmark_of(output: RunOutput) -> int:
    """The bookmark of the last STATE."""
    states = [m["value"] for m in output.messages if m["type"] == "STATE"]
    bookmark: int = states[-1]["bookmarks"].get("open", {}).get("timestamp", 0) if states else 0
    return bookmark


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_interrupted_runs_get_on(case: Interruptions, seed: int) -> None:
    """Each run that writes a page moves the bookmark, and little is written twice."""
    klaviyo = SimulatedKlaviyo("open")
    for arrival in case.arrivals:
        klaviyo.arrive(arrival)
    expected = set(klaviyo.events)
    state: dict[str, Any] = {"currently_syncing": "open"}
    bookmark = written = interruptions = 0
    seen: set[str] = set()
    while state["currently_syncing"]:
        assert interruptions < MOST_RUNS
        output = run(klaviyo, case, state, 100 * seed + interruptions)
        assert output.fault is None or isinstance(output.fault, Killed)
        records = [m for m in output.messages if m["type"] == "RECORD"]
        written += len(records)
        seen |= ids(output.messages)["open"]
        interruptions += 1
        if records:
            assert bookmark_of(output) > bookmark
            bookmark = bookmark_of(output)
            state = next(m for m in reversed(output.messages) if m["type"] == "STATE")["value"]
    assert seen == expected
    assert interruptions >= FEWEST_RUNS
    assert written <= FACTOR * len(expected)
