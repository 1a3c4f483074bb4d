"""Runs random histories, and kills and stops backfills, for a given time.

Each round runs new histories and kills new backfills, all drawn from a seed that is printed first.
Repeat a failed round with ``--seed`` and that number.
"""

from __future__ import annotations

import argparse
import logging
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import hypothesis
from count_checks import run_counted_history
from count_histories import COUNTED_HISTORIES, CountedHistory
from history_checks import HistoryStatistics, run_history
from random_histories import HISTORIES, History
from repeated_kills import MAX_READ_AHEAD, KillStatistics, kill_repeatedly
from simulated_klaviyo import time_limit

HISTORIES_PER_ROUND, COUNTED_PER_ROUND, KILLS_PER_ROUND = 300, 150, 50

SETTINGS = hypothesis.settings(
    max_examples=HISTORIES_PER_ROUND,
    deadline=None,
    database=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def main() -> None:
    """Runs rounds for the given minutes and prints statistics; fails with the first error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60, help="no round starts after this time")
    parser.add_argument("--seed", type=int, help="seed of the first round; random by default")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    logging.disable()
    end = time.monotonic() + 60 * options.minutes
    history_statistics, kill_statistics = HistoryStatistics(), KillStatistics()
    counted = Counter[str]()
    while True:
        print(f"Round with seed {seed} ...", flush=True)
        history_statistics += _run_histories(seed)
        counted += _run_counted_histories(seed)
        kill_statistics += _kills(seed)
        print(summary(history_statistics, kill_statistics), flush=True)
        print(counted_summary(counted), flush=True)
        if time.monotonic() > end:
            return
        seed += 1


def _run_histories(seed: int) -> HistoryStatistics:
    history_statistics = HistoryStatistics()

    @hypothesis.seed(seed)
    @SETTINGS
    @hypothesis.given(HISTORIES)
    def check(history: History) -> None:
        nonlocal history_statistics
        with time_limit():
            history_statistics += run_history(history)

    check()
    return history_statistics


def _run_counted_histories(seed: int) -> Counter[str]:
    counted = Counter[str]()

    @hypothesis.seed(seed)
    @hypothesis.settings(SETTINGS, max_examples=COUNTED_PER_ROUND)
    @hypothesis.given(COUNTED_HISTORIES)
    def check(history: CountedHistory) -> None:
        with time_limit():
            counted.update(run_counted_history(history))

    check()
    return counted


def _kills(seed: int) -> KillStatistics:
    with tempfile.TemporaryDirectory() as folder:
        kill_statistics = kill_repeatedly(Path(folder), KILLS_PER_ROUND, seed)
    assert kill_statistics.lost == 0, f"{kill_statistics.lost} events lost"
    assert max(kill_statistics.reread) <= MAX_READ_AHEAD, (
        f"{max(kill_statistics.reread)} events read again after a kill"
    )
    return kill_statistics


def counted_summary(counted: Counter[str]) -> str:
    """The statistics of histories of late events in one line."""
    return (
        f"Late events: {counted['runs']} runs, {counted['interruptions']} interrupted, "
        f"{counted['events']} events, {counted['late']} late, 0 lost, {counted['reread']} days of "
        "metrics read again."
    )


def summary(histories: HistoryStatistics, kills: KillStatistics) -> str:
    """The statistics in one line."""
    counts = histories.counts
    return (
        f"{counts['runs'] + kills.runs} runs, {counts['kills'] + kills.kills} kills "
        f"({kills.kills} of real processes, {kills.incomplete_lines} in the middle of a line), "
        f"{kills.stops} stopped processes, {kills.stalls} stalled targets, {counts['pages']} pages "
        "checked to move a bookmark, "
        f"{counts['faults']} faults injected, {counts['events'] + kills.events} events, "
        f"{kills.lost} lost, {counts['reread'] + sum(kills.reread)} read again "
        f"(after a real kill at most {max(kills.reread)}, {MAX_READ_AHEAD} allowed)."
    )


if __name__ == "__main__":
    main()
