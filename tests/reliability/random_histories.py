"""Random histories of an account and its runs.

A history is a sequence of runs. Each run has its own settings, faults, outages, clock, new events
and members, speed of the target and ending. Some histories are one run ten times over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from hypothesis import strategies as st
from outages import OUTAGES, Outage
from simulated_klaviyo import METRICS, Arrival

from sandbox import FAULTS

HOUR, DAY = 3600, 86_400
LOOKBACK, SWEEP = HOUR, 7 * DAY

STATUSES = (429, 500, 502, 503, 504, 520, 524, 400, 401, 403, 404, 410)
GARBAGE = (
    "",
    "null",
    "{}",
    "[1]",
    '{"data": {}}',
    '{"data": [',
    "\x00",
    "<html>",
    "\ud83d".encode("utf-8", "surrogatepass"),
)
OPTIONS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "status": st.fixed_dictionaries(
        {"status": st.sampled_from(STATUSES)},
        optional={
            "retry_after": st.sampled_from([0, 3, 70, 67_608, "soon"]),
            "html": st.booleans(),
        },
    ),
    "body": st.fixed_dictionaries({"body": st.sampled_from(GARBAGE)}),
    "late": st.fixed_dictionaries({"back": st.integers(2, 25), "by": st.integers(0, 25)}),
    "drip": st.fixed_dictionaries({"seconds": st.sampled_from([0.05, 20.0])}),
}
"""The options of each fault."""

LISTS = 3
"""How many lists the account has."""

BACKFILLING = "Clicked Text Message"
"""The metric that is added to a stream with another metric and then backfilled."""

MIN_PAGE_OF_LATE_ROWS = 100
"""The smallest page size for which the model has rows that are late."""

PARENT = "/api/lists/??????"
PATHS = ("/api/*", "/api/events", "/api/events", "/api/lists/*/profiles", PARENT)

ENDLESS = frozenset({"next_self", "next_loop", "empty_page"})
"""Faults that must not last forever: a list that never ends cannot be read."""


@dataclass(frozen=True)
class InjectedFault:
    """A fault that the sandbox injects, with its options."""

    name: str
    path: str
    at: int
    times: int | None
    probability: float
    seed: int
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Join:
    """After ``after`` seconds a profile joins a list; both are numbers."""

    after: float
    group: int
    profile: int


@dataclass(frozen=True)
class Clock:
    """The local wall clock: seconds ahead at the start, and of a jump after some seconds."""

    ahead: float = 0.0
    jump: float = 0.0
    jump_after: float = 0.0


@dataclass(frozen=True)
class SlowTarget:
    """The target takes ``seconds`` for each write from number ``first`` to ``last``."""

    first: int
    last: int
    seconds: float


@dataclass(frozen=True)
class Kill:
    """The process is killed: ``writes`` complete writes and ``fraction`` of the next one arrive."""

    writes: int
    fraction: float


@dataclass(frozen=True)
class Stop:
    """A signal arrives after these seconds, whatever the run is doing."""

    after: float


@dataclass(frozen=True)
class Crash:
    """Memory is exhausted during this request."""

    request: int


@dataclass(frozen=True)
class Sync:
    """One run; the target does not confirm the last ``unconfirmed`` STATEs of it."""

    concurrency: int
    page_size: int
    order: int
    faults: tuple[InjectedFault, ...] = ()
    outages: tuple[Outage, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    joins: tuple[Join, ...] = ()
    clock: Clock = Clock()
    target: SlowTarget | None = None
    ending: Kill | Stop | Crash | None = None
    unconfirmed: int = 0
    pause: int = 60


@dataclass(frozen=True)
class History:
    """The events and members before the first run, and the runs.

    A second metric of one stream exists in the account from run number ``backfill_from`` on.
    """

    initial_events: tuple[Arrival, ...]
    syncs: tuple[Sync, ...]
    initial_members: tuple[Join, ...] = ()
    backfill_from: int = 0


def arrivals(after: st.SearchStrategy[float], ages: st.SearchStrategy[int]) -> Any:
    """Events, also many in one second."""
    counts = st.one_of(st.just(1), st.integers(1, 4), st.integers(1, 25))
    return st.builds(Arrival, after, ages, st.sampled_from(sorted(METRICS)), counts)


def _sale(metric: str, age: int, pause: int, seconds: int, count: int) -> tuple[Arrival, ...]:
    """Many events in each of some seconds, with pauses in between."""
    return tuple(Arrival(0.0, max(1, age - pause * n), metric, count) for n in range(seconds))


def _campaign(metric: str, age: int, pause: int, halvings: int, count: int) -> tuple[Arrival, ...]:
    """Many events in one second, and half as many after each pause."""
    return tuple(
        Arrival(0.0, max(1, age - pause * n), metric, max(1, count >> n)) for n in range(halvings)
    )


def _clusters(shape: Callable[..., tuple[Arrival, ...]]) -> st.SearchStrategy[tuple[Arrival, ...]]:
    return st.builds(
        shape,
        st.sampled_from(sorted(METRICS)),
        st.integers(1, 85 * DAY) | st.integers(1, 2 * HOUR),
        st.sampled_from([1, 10, 25, 600, HOUR]),
        st.integers(2, 8),
        st.integers(2, 25),
    )


def _initial_events(
    single: list[Arrival], clusters: list[tuple[Arrival, ...]]
) -> tuple[Arrival, ...]:
    return (*single, *chain.from_iterable(clusters))


def _faults() -> st.SearchStrategy[InjectedFault]:
    def named(name: str) -> st.SearchStrategy[InjectedFault]:
        few: st.SearchStrategy[int | None] = st.integers(1, 3)
        return st.builds(
            InjectedFault,
            st.just(name),
            st.sampled_from(PATHS),
            st.integers(1, 8),
            few if name in ENDLESS else few | st.integers(1, 20) | st.none(),
            st.sampled_from([0.1, 0.5, 1.0]),
            st.integers(0, 99),
            OPTIONS.get(name, st.just({})),
        )

    return st.sampled_from(sorted(FAULTS)).flatmap(named)


def _without_late_rows_on_small_pages(sync: Sync) -> Sync:
    """The run without disorder beyond what is promised: 50 rows, on pages that hold more."""
    if sync.page_size >= MIN_PAGE_OF_LATE_ROWS:
        return sync
    return replace(sync, faults=tuple(fault for fault in sync.faults if fault.name != "late"))


INITIAL_EVENTS = arrivals(st.just(0.0), st.integers(1, 85 * DAY) | st.integers(1, 2 * HOUR))
NEW_EVENTS = arrivals(
    st.floats(0, 90),
    st.integers(0, 90)
    | st.integers(0, LOOKBACK)
    | st.just(LOOKBACK)
    | st.integers(LOOKBACK, SWEEP)
    | st.integers(-2 * HOUR, 0),
)
ENDINGS = st.one_of(
    st.none(),
    st.builds(Kill, st.integers(0, 40), st.floats(0, 1)),
    st.builds(Kill, st.integers(3, 9), st.floats(0, 1)),
    st.builds(Kill, st.integers(4, 12), st.floats(0, 1)),
    st.builds(Stop, st.floats(0, 60)),
    st.builds(Stop, st.floats(0, 8)),
    st.builds(Crash, st.integers(1, 30)),
)
OUTAGES_OF_ENDPOINTS = st.builds(
    Outage,
    st.floats(0, 20),
    st.sampled_from([5.0, 60.0, 300.0, 1200.0, 4 * 3600.0]),
    st.sampled_from(["/api/*", "/api/*", "/api/events", "/api/metrics", "/api/lists*", PARENT]),
    st.sampled_from(sorted(OUTAGES)),
)
JOINS = st.builds(Join, st.floats(0, 90), st.integers(0, LISTS - 1), st.integers(0, 99))
CLOCKS = st.just(Clock()) | st.builds(
    Clock,
    st.sampled_from([0.0, 1.0, -30.0, 5400.0, -5400.0, 40 * DAY, -40 * DAY]),
    st.sampled_from([0.0, 30.0, -30.0, 5400.0, -5400.0]),
    st.floats(0, 20),
)
SLOW_TARGETS = st.none() | st.builds(
    SlowTarget, st.integers(1, 20), st.integers(1, 60), st.sampled_from([0.5, 20.0, 4000.0])
)
SYNCS = st.builds(
    Sync,
    st.integers(1, 8) | st.just(32),
    st.sampled_from([1, 2, 2, 3, 3, 5, 10, 100, 1000]),
    st.integers(0, 2**16),
    st.lists(_faults(), max_size=2).map(tuple),
    st.lists(OUTAGES_OF_ENDPOINTS, max_size=1).map(tuple),
    st.lists(NEW_EVENTS, max_size=4).map(tuple),
    st.lists(JOINS, max_size=2).map(tuple),
    CLOCKS,
    SLOW_TARGETS,
    ENDINGS,
    st.integers(0, 2),
    st.sampled_from([0, 1, 9, 60, HOUR, DAY]),
)
SYNCS = SYNCS.map(_without_late_rows_on_small_pages)
HISTORIES = st.builds(
    History,
    st.builds(
        _initial_events,
        st.lists(INITIAL_EVENTS, min_size=5, max_size=40),
        st.lists(_clusters(_sale) | _clusters(_campaign), max_size=3),
    ),
    st.lists(SYNCS, min_size=1, max_size=5).map(tuple) | SYNCS.map(lambda sync: (sync,) * 10),
    st.lists(JOINS, max_size=10).map(tuple),
    st.integers(0, 4),
)
