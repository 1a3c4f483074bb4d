"""A backfill that is killed again and again, and what its reader got in the end."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tap_processes import DENSITY, METRIC, Command, Lines, running, shop

from tap_klaviyo.sync.planner import READ_AHEAD_WINDOWS
from tap_klaviyo.sync.windows import SPLIT_AFTER_PAGES

EVENTS, PAGE_SIZE, CONCURRENCY = 20_000, 100, 2
RUN_AHEAD = (READ_AHEAD_WINDOWS * CONCURRENCY + 1) * SPLIT_AFTER_PAGES * PAGE_SIZE
RUN_AHEAD += (CONCURRENCY + 1) * (PAGE_SIZE + DENSITY)
"""The most events that a kill may cost: so many windows may be open or done beyond the mark."""

MOST_BYTES = 9_000_000
"""A process is killed at the latest when so much has been read of it."""


@dataclass
class Toll:
    """What the kills cost, in events read again after each, and in lines cut in two."""

    reread: list[int] = field(default_factory=list)
    runs: int = 0
    kills: int = 0
    torn: int = 0
    backfills: int = 0
    events: int = 0
    lost: int = 0

    def __iadd__(self, other: Toll) -> Toll:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def kill_repeatedly(folder: Path, kills: int, seed: int) -> Toll:
    """Kills backfills of one account ``kills`` times, at moments drawn from ``seed``.

    A backfill that comes to its end is held against the truth, and another one begins.
    """
    chance, toll = random.Random(seed), Toll()
    settings = {
        "page_size": PAGE_SIZE,
        "concurrency": CONCURRENCY,
        "lookback_window": 0,
        "sweep_window": 0,
    }
    with running(folder, shop(EVENTS), settings, latency=0.01) as command:
        while toll.kills < kills:
            _backfill(command, chance, toll, kills)
    return toll


def _backfill(command: Command, chance: random.Random, toll: Toll, kills: int) -> None:
    seen: set[str] = set()
    state: dict[str, Any] | None = None
    while True:
        process = command.start(state)
        mortal = toll.kills < kills
        process.read(chance.randrange(MOST_BYTES) if mortal else float("inf"))
        process.send(signal.SIGKILL)
        process.read()
        code = process.wait()
        toll.runs += 1
        lines = Lines.of(process.seen)
        again = len(seen.intersection(lines.ids))
        seen.update(lines.ids)
        if state is not None:
            toll.reread.append(again)
        state = lines.state or state
        toll.torn += lines.rest != b""
        if code == -signal.SIGKILL:
            toll.kills += 1
            continue
        assert code == 0, process.errors
        break
    truth = set(command.box.account.event_ids([METRIC]))
    toll.backfills += 1
    toll.events += len(truth)
    toll.lost += len(truth ^ seen)
