"""Kills a backfill repeatedly and compares the received events with the account."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tap_processes import DENSITY, METRIC, Command, Lines, account_with_events, running_command

from tap_klaviyo.sync.planner import READ_AHEAD_WINDOWS
from tap_klaviyo.sync.windows import SPLIT_AFTER_PAGES

EVENTS, PAGE_SIZE, CONCURRENCY = 20_000, 100, 2
MAX_READ_AHEAD = (READ_AHEAD_WINDOWS * CONCURRENCY + 1) * SPLIT_AFTER_PAGES * PAGE_SIZE
MAX_READ_AHEAD += (CONCURRENCY + 1) * (PAGE_SIZE + DENSITY)
"""Maximum number of events that are read again after a kill."""

MAX_BYTES = 9_000_000
"""A process is killed after at most this many bytes were read from it."""


@dataclass
class KillStatistics:
    """Statistics of kills: events that were read again, incomplete lines and lost events."""

    reread: list[int] = field(default_factory=list)
    runs: int = 0
    kills: int = 0
    incomplete_lines: int = 0
    backfills: int = 0
    events: int = 0
    lost: int = 0

    def __iadd__(self, other: KillStatistics) -> KillStatistics:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def kill_repeatedly(folder: Path, kills: int, seed: int) -> KillStatistics:
    """Kills backfills of one account ``kills`` times, at random moments from ``seed``.

    A completed backfill is compared with the account, and another one begins.
    """
    rng, statistics = random.Random(seed), KillStatistics()
    settings = {
        "page_size": PAGE_SIZE,
        "concurrency": CONCURRENCY,
        "lookback_window": 0,
        "sweep_window": 0,
    }
    with running_command(folder, account_with_events(EVENTS), settings, latency=0.01) as command:
        while statistics.kills < kills:
            _backfill(command, rng, statistics, kills)
    return statistics


def _backfill(command: Command, rng: random.Random, statistics: KillStatistics, kills: int) -> None:
    seen: set[str] = set()
    state: dict[str, Any] | None = None
    while True:
        process = command.start(state)
        will_kill = statistics.kills < kills
        process.read(rng.randrange(MAX_BYTES) if will_kill else float("inf"))
        process.send(signal.SIGKILL)
        process.read()
        code = process.wait()
        statistics.runs += 1
        lines = Lines.of(process.seen)
        again = len(seen.intersection(lines.ids))
        seen.update(lines.ids)
        if state is not None:
            statistics.reread.append(again)
        state = lines.state or state
        statistics.incomplete_lines += lines.partial_line != b""
        if code == -signal.SIGKILL:
            statistics.kills += 1
            continue
        assert code == 0, process.errors
        break
    truth = set(command.box.account.event_ids([METRIC]))
    statistics.backfills += 1
    statistics.events += len(truth)
    statistics.lost += len(truth ^ seen)
