"""Random histories of an account whose events arrive at any depth, and whose counts may be wrong.

A history is a sequence of runs, an hour to days apart. Between them events arrive and are deleted.
Each metric is counted and listed by its own rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from random_histories import DAY, HOUR, LOOKBACK, Kill, Stop
from simulated_klaviyo import METRICS, Arrival

DEPTH = 500 * DAY
"""How far back the account's events go."""

Rules = Mapping[str, Any]

RULES: st.SearchStrategy[Rules] = st.one_of(
    st.just({}),
    st.just({}),
    st.fixed_dictionaries({"count_lag": st.integers(1, LOOKBACK)}),
    st.fixed_dictionaries({"list_lag": st.integers(1, LOOKBACK)}),
    st.fixed_dictionaries({"factor": st.sampled_from([2, 3])}),
    st.fixed_dictionaries({"leaves_out": st.integers(2, 5)}),
    st.fixed_dictionaries({"unstable": st.sampled_from([0.01, 0.3, 1.0]), "seed": st.integers(0)}),
    st.just({"unsupported": True}),
)


@dataclass(frozen=True)
class CountedSync:
    """What happens before a run, in how many seconds from the last one, and the run.

    ``deletions`` choose events by their share of all.
    """

    pause: int
    arrivals: tuple[Arrival, ...]
    deletions: tuple[float, ...]
    page_size: int
    budget: int
    concurrency: int
    order: int
    ending: Kill | Stop | None
    unconfirmed: int


@dataclass(frozen=True)
class CountedHistory:
    """The rules of each metric, the events before the first run, and the runs."""

    rules: Mapping[str, Rules]
    initial: tuple[Arrival, ...]
    syncs: tuple[CountedSync, ...]


LASTING = CountedSync(DAY + HOUR, (), (), 1000, 500, 8, 0, None, 0)
"""A run without failures, a day after the last one."""


def _arrivals(ages: st.SearchStrategy[int]) -> st.SearchStrategy[Arrival]:
    counts = st.just(1) | st.integers(1, 12)
    after = st.just(0.0) | st.floats(0, 10)
    return st.builds(Arrival, after, ages, st.sampled_from(sorted(METRICS)), counts)


DEEP = st.integers(1, DEPTH) | st.integers(1, 40 * DAY) | st.integers(90 * DAY, 130 * DAY)
ANY_AGE = DEEP | st.integers(1, LOOKBACK) | st.integers(LOOKBACK, 3 * DAY)

ENDINGS: st.SearchStrategy[Kill | Stop | None] = st.one_of(
    st.none(),
    st.none(),
    st.builds(Kill, st.integers(2, 40), st.floats(0, 1)),
    st.builds(Stop, st.floats(0, 20)),
)
SYNCS = st.builds(
    CountedSync,
    st.sampled_from([HOUR, DAY + HOUR, DAY + HOUR, 2 * DAY, 9 * DAY, 40 * DAY]),
    st.lists(_arrivals(ANY_AGE), max_size=4).map(tuple),
    st.lists(st.floats(0, 1), max_size=1).map(tuple),
    st.sampled_from([1, 2, 5, 10, 1000]),
    st.sampled_from([1, 3, 10, 500, 500]),
    st.sampled_from([1, 2, 8, 32]),
    st.integers(0, 2**16),
    ENDINGS,
    st.integers(0, 2),
)
COUNTED_HISTORIES = st.builds(
    CountedHistory,
    st.fixed_dictionaries(dict.fromkeys(sorted(METRICS), RULES)),
    st.lists(_arrivals(DEEP), min_size=3, max_size=25).map(tuple),
    st.lists(SYNCS, min_size=1, max_size=8).map(tuple),
)
