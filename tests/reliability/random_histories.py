"""Random lives of an account and of the runs that read it, and what must be true of each.

A story is told in runs. Each has its own settings, faults, arrivals and way to end. The target
confirms a STATE that it has seen, not always the last; whatever came after that STATE is forgotten,
as if it had never been written. The last two runs are left in peace: after the first of them
nothing may be missing that was late by up to the look-back, after the second, a day later, nothing
that was late by up to the sweep window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from simulated_klaviyo import (
    METRICS,
    NOW,
    START,
    STREAMS,
    Arrival,
    Killed,
    Message,
    Pipe,
    World,
    Written,
    ids,
)

from sandbox import FAULTS
from tap_klaviyo.errors import TapError
from tap_klaviyo.sync.planner import READ_AHEAD_WINDOWS
from tap_klaviyo.sync.run import Run
from tap_klaviyo.sync.windows import SPLIT_AFTER_PAGES

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
        optional={"retry_after": st.sampled_from([0, 3, 70, 67_608, "soon"])},
    ),
    "body": st.fixed_dictionaries({"body": st.sampled_from(GARBAGE)}),
    "drip": st.fixed_dictionaries({"seconds": st.sampled_from([0.05, 20.0])}),
}
"""What a fault may be asked with beside its name."""

BACKFILLING = "Clicked Text Message"
"""The metric that joins a stream of another one."""

ENDLESS = frozenset({"next_self", "next_loop", "empty_page"})
"""Faults that must not strike for ever: a server that never ends a list cannot be read."""


@dataclass(frozen=True)
class Trouble:
    """A fault of the sandbox, with its options."""

    name: str
    path: str
    at: int
    times: int | None
    probability: float
    seed: int
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Kill:
    """The reader gets ``writes`` whole writes and ``fraction`` of one more."""

    writes: int
    fraction: float


@dataclass(frozen=True)
class Stop:
    """A signal comes with the request of this number."""

    request: int


@dataclass(frozen=True)
class Crash:
    """Memory is exhausted in the request of this number."""

    request: int


@dataclass(frozen=True)
class Sync:
    """One run; ``forgets`` is how many of its STATEs the target never confirms."""

    concurrency: int
    page_size: int
    order: int
    troubles: tuple[Trouble, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    ending: Kill | Stop | Crash | None = None
    forgets: int = 0
    pause: int = 60


@dataclass(frozen=True)
class Story:
    """What was there before the first run, and the runs.

    A second metric of one stream is in the account only from the run of the number ``joins`` on.
    """

    history: tuple[Arrival, ...]
    syncs: tuple[Sync, ...]
    joins: int = 0


@dataclass
class Figures:
    """What happened in a story, or in many."""

    counts: Counter[str] = field(default_factory=Counter)
    most_reread: int = 0

    def __iadd__(self, other: Figures) -> Figures:
        self.counts += other.counts
        self.most_reread = max(self.most_reread, other.most_reread)
        return self


def arrivals(after: st.SearchStrategy[float], ages: st.SearchStrategy[int]) -> Any:
    """Events, many of one second among them."""
    counts = st.one_of(st.just(1), st.integers(1, 4), st.integers(1, 25))
    return st.builds(Arrival, after, ages, st.sampled_from(sorted(METRICS)), counts)


def _troubles() -> st.SearchStrategy[Trouble]:
    def named(name: str) -> st.SearchStrategy[Trouble]:
        few: st.SearchStrategy[int | None] = st.integers(1, 3)
        return st.builds(
            Trouble,
            st.just(name),
            st.sampled_from(["/api/*", "/api/events"]),
            st.integers(1, 8),
            few if name in ENDLESS else few | st.integers(1, 20) | st.none(),
            st.sampled_from([0.1, 0.5, 1.0]),
            st.integers(0, 99),
            OPTIONS.get(name, st.just({})),
        )

    return st.sampled_from(sorted(FAULTS)).flatmap(named)


HISTORY = arrivals(st.just(0.0), st.integers(1, 85 * DAY) | st.integers(1, 2 * HOUR))
NEWS = arrivals(
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
    st.builds(Stop, st.integers(1, 30)),
    st.builds(Crash, st.integers(1, 30)),
)
SYNCS = st.builds(
    Sync,
    st.integers(1, 8),
    st.sampled_from([1, 2, 2, 3, 3, 5, 10, 1000]),
    st.integers(0, 2**16),
    st.lists(_troubles(), max_size=2).map(tuple),
    st.lists(NEWS, max_size=4).map(tuple),
    ENDINGS,
    st.integers(0, 2),
    st.sampled_from([0, 1, 9, 60, HOUR, DAY]),
)
STORIES = st.builds(
    Story,
    st.lists(HISTORY, min_size=5, max_size=40).map(tuple),
    st.lists(SYNCS, min_size=1, max_size=5).map(tuple),
    st.integers(0, 4),
)


class Reader:
    """The target and the ledger: what it holds for good, and which bookmarks it was promised."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.state: dict[str, Any] = {}
        self.rows: dict[str, set[str]] = {stream: set() for stream in STREAMS}

    def take(self, written: Written, forgets: int) -> None:
        """Checks every STATE of a run, and commits what came before the one that is confirmed."""
        self._check_states(written)
        confirmed = written.states[: -forgets or None]
        if confirmed:
            self.state = written.messages[confirmed[-1]]["value"]
            for stream, found in ids(written.messages[: confirmed[-1]]).items():
                self.rows[stream] |= found

    def missing(self, metric: str, before: float, started: float, lateness: int) -> set[str]:
        """What a run begun at ``started`` owed of a metric before a moment, and is not here.

        An event that came later than ``lateness`` after it happened is not owed.
        """
        owed = {
            event.id
            for event in self._world.events.values()
            if event.metric == metric
            and START <= event.timestamp < before
            and event.arrived <= started
            and (event.arrived <= NOW or int(event.arrived) - event.timestamp <= lateness)
        }
        return owed - self.rows[METRICS[metric]]

    def _check_states(self, written: Written) -> None:
        marks = _marks(self._world, self.state)
        before = {stream: set(found) for stream, found in self.rows.items()}
        try:
            for message in written.messages:
                if message["type"] == "RECORD":
                    self.rows[message["stream"]].add(message["record"]["id"])
                elif message["type"] == "STATE":
                    moved = _marks(self._world, message["value"])
                    self._check_marks(marks, moved, written.started)
                    marks = moved
        finally:
            self.rows = before

    def _check_marks(
        self, marks: Mapping[str, int], moved: Mapping[str, int], started: float
    ) -> None:
        for metric, mark in moved.items():
            assert mark <= started, f"the bookmark of {metric} is in the future"
            assert mark >= marks.get(metric, 0), f"the bookmark of {metric} went back"
            if mark != marks.get(metric):
                missing = self.missing(metric, mark, started, LOOKBACK)
                assert not missing, f"a STATE speaks of {missing} of {metric}, not yet written"
        assert marks.keys() <= moved.keys(), "a bookmark was forgotten"


def tell(story: Story) -> Figures:
    """Lives through a story, and holds each run to its promises."""
    world = World(lookback_window=LOOKBACK, sweep_window=SWEEP, sweep_interval=DAY)
    for arrival in story.history:
        world.arrive(arrival)
    reader, figures = Reader(world), Figures()
    before: tuple[Written, dict[str, Any]] | None = None
    world.hide(BACKFILLING)
    for number, sync in enumerate(story.syncs):
        if number >= story.joins:
            world.show(BACKFILLING)
        state = reader.state
        written = _run(world, sync, state)
        _check_form(written)
        reader.take(written, sync.forgets)
        figures.counts["runs"] += 1
        figures.counts["kills"] += isinstance(written.fault, Killed)
        if before is not None and before[1] == state:
            _check_reread(world, before[0], written, state, figures)
        again = not sync.forgets and not any(t.name == "unsorted" for t in sync.troubles)
        before = (written, reader.state) if again else None
        world.pass_time(sync.pause)
    world.show(BACKFILLING)
    for pause, lateness in ((0, LOOKBACK), (DAY + HOUR, SWEEP)):
        world.api.faults.clear()
        world.pass_time(pause)
        written = world.sync(reader.state)
        assert written.fault is None, written.fault
        reader.take(written, 0)
        figures.counts["runs"] += 1
        for metric in METRICS:
            missing = reader.missing(metric, int(written.started), written.started, lateness)
            assert not missing, f"lost: {missing} of {metric}"
    figures.counts["events"] += len(world.events)
    figures.counts["faults"] += world.struck
    return figures


def _run(world: World, sync: Sync, state: dict[str, Any]) -> Written:
    world.api.faults.clear()
    for t in sync.troubles:
        world.api.faults.add(
            t.name,
            path=t.path,
            at=t.at,
            times=t.times,
            probability=t.probability,
            seed=t.seed,
            **t.options,
        )
    world.expect(list(sync.arrivals))
    ending = sync.ending

    def on_request(run: Run, number: int) -> None:
        if isinstance(ending, Stop) and number == ending.request:
            run.stop()
        if isinstance(ending, Crash) and number == ending.request:
            raise MemoryError

    pipe = Pipe(ending.writes, ending.fraction) if isinstance(ending, Kill) else None
    return world.sync(
        state,
        pipe,
        sync.order,
        on_request,
        concurrency=sync.concurrency,
        page_size=sync.page_size,
    )


def _check_form(written: Written) -> None:
    """Whole lines, schemas first, a STATE at the end unless the process was killed."""
    killed = isinstance(written.fault, Killed)
    assert killed or written.rest == b"", "half a line"
    assert written.fault is None or killed or isinstance(written.fault, TapError | MemoryError)
    known: set[str] = set()
    for message in written.messages:
        if message["type"] == "SCHEMA":
            known.add(message["stream"])
        elif message["type"] == "RECORD":
            assert message["stream"] in known, "a RECORD before its SCHEMA"
    if known and not killed:
        assert written.messages[-1]["type"] == "STATE", "no STATE at the end"


def _check_reread(
    world: World, before: Written, after: Written, state: dict[str, Any], figures: Figures
) -> None:
    """A resumed run repeats no more than what may be open or done beyond the mark."""
    marks = _marks(world, state)
    for metric, stream in METRICS.items():
        mark = marks.get(metric, START)
        both = ids(before.messages)[stream] & ids(after.messages)[stream]
        read = [world.events[id] for id in both if world.events[id].metric == metric]
        beyond = [event for event in read if event.timestamp >= mark]
        assert len(beyond) <= run_ahead(world, stream, **before.settings)
        figures.counts["reread"] += len(read)
        figures.most_reread = max(figures.most_reread, len(beyond))


def run_ahead(world: World, stream: str, concurrency: int, page_size: int) -> int:
    """The most events of one metric that may have been written beyond the bookmark.

    What may be taken ahead, and a window more; and of each open window what it holds beyond its
    goal, since it ends with the first page after that which is not all of one second.
    """
    seconds = Counter(e.timestamp for e in world.events.values() if e.stream == stream)
    densest = max(seconds.values(), default=0)
    taken = (READ_AHEAD_WINDOWS * concurrency + 1) * SPLIT_AFTER_PAGES * page_size
    return taken + (concurrency + 1) * (page_size + densest)


def _marks(world: World, state: Mapping[str, Any]) -> dict[str, int]:
    """The second up to which a state speaks of each metric of which it speaks."""
    found = {}
    for metric, stream in METRICS.items():
        bookmark: Message = state.get("bookmarks", {}).get(stream, {})
        marks = dict.fromkeys(bookmark.get("metrics", ()), bookmark.get("timestamp"))
        mark = {**bookmark.get("joining", {}), **marks}.get(world.metric_id(metric))
        if mark is not None:
            found[metric] = mark
    return found
