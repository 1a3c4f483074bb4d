"""Stories and kills for as long as somebody likes.

Each round tells new stories and kills new backfills, all drawn from a seed that is printed first.
A round that fails is told again with ``--seed`` and that number.
"""

from __future__ import annotations

import argparse
import logging
import random
import tempfile
import time
from pathlib import Path

import hypothesis
from random_histories import STORIES, Figures, Story, tell
from repeated_kills import RUN_AHEAD, Toll, kill_repeatedly

STORIES_A_ROUND, KILLS_A_ROUND = 300, 50

SETTINGS = hypothesis.settings(
    max_examples=STORIES_A_ROUND,
    deadline=None,
    database=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def main() -> None:
    """Soaks for the minutes asked for and prints a line of figures; fails with the first fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60, help="no round begins after these")
    parser.add_argument("--seed", type=int, help="number of the first round; any if not given")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    logging.disable()
    end = time.monotonic() + 60 * options.minutes
    figures, toll = Figures(), Toll()
    while True:
        print(f"Round with seed {seed} ...", flush=True)
        figures += _stories(seed)
        toll += _kills(seed)
        print(summary(figures, toll), flush=True)
        if time.monotonic() > end:
            return
        seed += 1


def _stories(seed: int) -> Figures:
    figures = Figures()

    @hypothesis.seed(seed)
    @SETTINGS
    @hypothesis.given(STORIES)
    def told(story: Story) -> None:
        nonlocal figures
        figures += tell(story)

    told()
    return figures


def _kills(seed: int) -> Toll:
    with tempfile.TemporaryDirectory() as folder:
        toll = kill_repeatedly(Path(folder), KILLS_A_ROUND, seed)
    assert toll.lost == 0, f"{toll.lost} events lost"
    assert max(toll.reread) <= RUN_AHEAD, f"{max(toll.reread)} events read again after a kill"
    return toll


def summary(figures: Figures, toll: Toll) -> str:
    """All figures in one line."""
    counts = figures.counts
    return (
        f"{counts['runs'] + toll.runs} runs, {counts['kills'] + toll.kills} kills "
        f"({toll.kills} of real processes, {toll.torn} in the middle of a line), "
        f"{counts['faults']} faults injected, {counts['events'] + toll.events} events, "
        f"{toll.lost} lost, {counts['reread'] + sum(toll.reread)} read again "
        f"(after a real kill {max(toll.reread)} at most, {RUN_AHEAD} allowed)."
    )


if __name__ == "__main__":
    main()
