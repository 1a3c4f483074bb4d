"""Runs the command with a given number of mutations: of config, catalog, state and answers.

All are drawn from a seed that is printed first. Repeat them with ``--seed`` and that number.
"""

from __future__ import annotations

import argparse
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable

import hypothesis
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning
from mutated_files import ROLES, mutated_files
from mutated_runs import RIGHT_FILES, check_answers, check_files

SETTINGS = hypothesis.settings(
    deadline=None,
    database=None,
    derandomize=False,
    print_blob=True,
    phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
    suppress_health_check=list(hypothesis.HealthCheck),
)
ANSWERS = "answers"
SHARES = dict.fromkeys(ROLES, 1 / 6) | {ANSWERS: 1 / 3}
"""The share of the mutations by what is mutated; an empty text is any of the three files."""


def main() -> None:
    """Runs the mutations and prints statistics; fails with the first error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=10_000, help="number of mutations")
    parser.add_argument("--seed", type=int, help="random by default")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    warnings.simplefilter("ignore", HypothesisWarning)
    print(f"{options.examples} mutations with seed {seed} ...", flush=True)
    for mutated, share in SHARES.items():
        started, counts = time.monotonic(), Counter[str]()
        _examples(mutated, round(options.examples * share), seed, counts)
        print(summary(mutated, counts, time.monotonic() - started), flush=True)


def _examples(mutated: str, examples: int, seed: int, counts: Counter[str]) -> None:
    """Adds the counts of ``examples`` mutations of a file, or of answers, to ``counts``."""

    @hypothesis.seed(seed)
    @hypothesis.settings(SETTINGS, max_examples=examples)
    @hypothesis.given(st.data())
    def check(data: st.DataObject) -> None:
        counts.update(_check(mutated, data.draw))

    check()


def _check(mutated: str, draw: Callable[..., object]) -> Counter[str]:
    if mutated == ANSWERS:
        return check_answers(draw(RIGHT_FILES), draw)
    return check_files(draw(mutated_files(mutated)))


def summary(mutated: str, counts: Counter[str], seconds: float) -> str:
    """The statistics in one line."""
    shown = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
    return f"{mutated or 'any file'}: {shown}, 0 failed checks, in {seconds:.0f} s."


if __name__ == "__main__":
    main()
