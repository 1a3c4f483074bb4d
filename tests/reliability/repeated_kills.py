"""Ends a backfill repeatedly and compares the received events with the account.

A run is killed, stopped by a signal, or loses its target, which may stall before. Its network has
faults that pass.
"""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tap_processes import (
    DENSITY,
    METRIC,
    Command,
    Lines,
    Process,
    account_with_events,
    running_command,
)

from tap_klaviyo.sync.planner import READ_AHEAD_WINDOWS
from tap_klaviyo.sync.windows import SPLIT_AFTER_PAGES

EVENTS, PAGE_SIZE, CONCURRENCY = 20_000, 100, 2
MAX_READ_AHEAD = (READ_AHEAD_WINDOWS * CONCURRENCY + 1) * SPLIT_AFTER_PAGES * PAGE_SIZE
MAX_READ_AHEAD += (CONCURRENCY + 1) * (PAGE_SIZE + DENSITY)
"""Maximum number of events that are read again after a kill."""

ENDINGS: tuple[signal.Signals | None, ...] = (
    *[signal.SIGKILL] * 4,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    None,
)
"""How a run ends: by a signal, or because its target closes the pipe."""

FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("drip", {"pieces": 10, "seconds": 0.02}),
    ("html", {}),
    ("repeated", {}),
    ("reset", {}),
    ("reset_in_body", {}),
    ("silence", {"seconds": 3.0}),
    ("status", {"status": 403, "html": True}),
    ("status", {"status": 503}),
    ("truncated", {}),
)
"""Faults of the network that pass."""

FAULT_SHARE, STALL_SHARE = 0.03, 0.3
"""The share of answers with a fault, and of runs whose target stalls."""

MAX_BYTES = 9_000_000
"""A process is killed after at most this many bytes were read from it."""


@dataclass
class KillStatistics:
    """Statistics of kills: events that were read again, incomplete lines and lost events."""

    reread: list[int] = field(default_factory=list)
    runs: int = 0
    kills: int = 0
    incomplete_lines: int = 0
    stops: int = 0
    stalls: int = 0
    backfills: int = 0
    events: int = 0
    lost: int = 0

    def __iadd__(self, other: KillStatistics) -> KillStatistics:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def kill_repeatedly(folder: Path, kills: int, seed: int) -> KillStatistics:
    """Ends backfills of one account until ``kills`` were killed, at random moments from ``seed``.

    A completed backfill is compared with the account, and another one begins.
    """
    rng, statistics = random.Random(seed), KillStatistics()
    settings = {
        "page_size": PAGE_SIZE,
        "concurrency": CONCURRENCY,
        "lookback_window": 0,
        "sweep_window": 0,
        "request_timeout": 1,
    }
    with running_command(folder, account_with_events(EVENTS), settings, latency=0.01) as command:
        while statistics.kills < kills:
            _backfill(command, rng, statistics, kills)
    return statistics


def _backfill(command: Command, rng: random.Random, statistics: KillStatistics, kills: int) -> None:
    seen: set[str] = set()
    state: dict[str, Any] | None = None
    complete = False
    while not complete:
        _add_fault(command, rng)
        process = command.start(state)
        complete = _end(process, rng, statistics, statistics.kills < kills)
        lines = Lines.of(process.seen)
        again = len(seen.intersection(lines.ids))
        seen.update(lines.ids)
        if state is not None:
            statistics.reread.append(again)
        if _complete_pages(lines) > 1:
            assert lines.state != state, "pages were written and no bookmark moved"
        state = lines.state or state
        statistics.incomplete_lines += lines.partial_line != b""
        assert "Traceback" not in process.errors, process.errors
    truth = set(command.box.account.event_ids([METRIC]))
    statistics.backfills += 1
    statistics.events += len(truth)
    statistics.lost += len(truth ^ seen)


def _end(
    process: Process, rng: random.Random, statistics: KillStatistics, is_interrupted: bool
) -> bool:
    """Ends a run at a random moment; returns whether it was complete before."""
    ending = rng.choice(ENDINGS) if is_interrupted else signal.SIGKILL
    process.read(rng.randrange(MAX_BYTES) if is_interrupted else float("inf"))
    if rng.random() < STALL_SHARE:
        time.sleep(rng.random())
        statistics.stalls += 1
    if ending is None:
        process.close_pipe()
    else:
        process.send(ending)
        process.read()
    code = process.wait()
    statistics.runs += 1
    statistics.kills += code == -signal.SIGKILL
    statistics.stops += code not in (0, -signal.SIGKILL)
    expected = {None: 1, signal.SIGKILL: -signal.SIGKILL}.get(ending, 128 + int(ending or 0))
    assert code in (0, expected), process.errors
    return code == 0


def _add_fault(command: Command, rng: random.Random) -> None:
    """Replaces the faults of the network by another one."""
    name, options = rng.choice(FAULTS)
    command.box.faults.clear()
    command.box.faults.add(
        name, times=None, probability=FAULT_SHARE, seed=rng.randrange(100), **options
    )


def _complete_pages(lines: Lines) -> int:
    """How many pages of records were written before the last STATE."""
    types = [message["type"] for message in lines.messages]
    last = len(types) - types[::-1].index("STATE") if "STATE" in types else 0
    return types[:last].count("RECORD") // PAGE_SIZE
