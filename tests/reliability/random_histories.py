"""Random histories of an account and its runs, and the properties that every history must have.

A history is a sequence of runs. Each run has its own settings, faults, new events and ending. The
target confirms one of the STATEs it received, not always the last; records after that STATE are
discarded. The last two runs have no faults: after the first of them no event may be missing that
arrived at most the look-back late, after the second, a day later, none that arrived at most the
sweep window late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    RunOutput,
    SimulatedKlaviyo,
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
    "late": st.fixed_dictionaries({"back": st.integers(2, 25), "by": st.integers(0, 25)}),
    "drip": st.fixed_dictionaries({"seconds": st.sampled_from([0.05, 20.0])}),
}
"""The options of each fault."""

BACKFILLING = "Clicked Text Message"
"""The metric that is added to a stream with another metric and then backfilled."""

MIN_PAGE_OF_LATE_ROWS = 100
"""The smallest page size for which the model has rows that are late."""

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
class Kill:
    """The process is killed: ``writes`` complete writes and ``fraction`` of the next one arrive."""

    writes: int
    fraction: float


@dataclass(frozen=True)
class Stop:
    """A signal arrives during this request."""

    request: int


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
    arrivals: tuple[Arrival, ...] = ()
    ending: Kill | Stop | Crash | None = None
    unconfirmed: int = 0
    pause: int = 60


@dataclass(frozen=True)
class History:
    """The events before the first run, and the runs.

    A second metric of one stream exists in the account from run number ``backfill_from`` on.
    """

    initial_events: tuple[Arrival, ...]
    syncs: tuple[Sync, ...]
    backfill_from: int = 0


@dataclass
class HistoryStatistics:
    """Statistics of one history or of many."""

    counts: Counter[str] = field(default_factory=Counter)
    max_reread: int = 0

    def __iadd__(self, other: HistoryStatistics) -> HistoryStatistics:
        self.counts += other.counts
        self.max_reread = max(self.max_reread, other.max_reread)
        return self


def arrivals(after: st.SearchStrategy[float], ages: st.SearchStrategy[int]) -> Any:
    """Events, also many in one second."""
    counts = st.one_of(st.just(1), st.integers(1, 4), st.integers(1, 25))
    return st.builds(Arrival, after, ages, st.sampled_from(sorted(METRICS)), counts)


def _faults() -> st.SearchStrategy[InjectedFault]:
    def named(name: str) -> st.SearchStrategy[InjectedFault]:
        few: st.SearchStrategy[int | None] = st.integers(1, 3)
        return st.builds(
            InjectedFault,
            st.just(name),
            st.sampled_from(["/api/*", "/api/events"]),
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
    st.builds(Stop, st.integers(1, 30)),
    st.builds(Crash, st.integers(1, 30)),
)
SYNCS = st.builds(
    Sync,
    st.integers(1, 8),
    st.sampled_from([1, 2, 2, 3, 3, 5, 10, 100, 1000]),
    st.integers(0, 2**16),
    st.lists(_faults(), max_size=2).map(tuple),
    st.lists(NEW_EVENTS, max_size=4).map(tuple),
    ENDINGS,
    st.integers(0, 2),
    st.sampled_from([0, 1, 9, 60, HOUR, DAY]),
)
SYNCS = SYNCS.map(_without_late_rows_on_small_pages)
HISTORIES = st.builds(
    History,
    st.lists(INITIAL_EVENTS, min_size=5, max_size=40).map(tuple),
    st.lists(SYNCS, min_size=1, max_size=5).map(tuple),
    st.integers(0, 4),
)


class Target:
    """The simulated target: its committed rows and its confirmed state."""

    def __init__(self, klaviyo: SimulatedKlaviyo) -> None:
        self._klaviyo = klaviyo
        self.state: dict[str, Any] = {}
        self.rows: dict[str, set[str]] = {stream: set() for stream in STREAMS}

    def take(self, output: RunOutput, unconfirmed: int) -> None:
        """Checks every STATE of a run, and commits the records before the confirmed STATE."""
        self._check_states(output)
        confirmed = output.states[: -unconfirmed or None]
        if confirmed:
            self.state = output.messages[confirmed[-1]]["value"]
            for stream, found in ids(output.messages[: confirmed[-1]]).items():
                self.rows[stream] |= found

    def missing(self, metric: str, before: float, started: float, lateness: int) -> set[str]:
        """The missing events of a metric before a time, for a run that began at ``started``.

        Events that arrived more than ``lateness`` seconds late are not expected.
        """
        expected = {
            event.id
            for event in self._klaviyo.events.values()
            if event.metric == metric
            and START <= event.timestamp < before
            and event.arrived <= started
            and (event.arrived <= NOW or int(event.arrived) - event.timestamp <= lateness)
        }
        return expected - self.rows[METRICS[metric]]

    def _check_states(self, output: RunOutput) -> None:
        bookmarks = _bookmarks(self._klaviyo, self.state)
        before = {stream: set(found) for stream, found in self.rows.items()}
        try:
            for message in output.messages:
                if message["type"] == "RECORD":
                    self.rows[message["stream"]].add(message["record"]["id"])
                elif message["type"] == "STATE":
                    updated = _bookmarks(self._klaviyo, message["value"])
                    self._check_bookmarks(bookmarks, updated, output.started)
                    bookmarks = updated
        finally:
            self.rows = before

    def _check_bookmarks(
        self, bookmarks: Mapping[str, int], updated: Mapping[str, int], started: float
    ) -> None:
        for metric, bookmark_time in updated.items():
            assert bookmark_time <= started, f"the bookmark of {metric} is in the future"
            assert bookmark_time >= bookmarks.get(metric, 0), f"the bookmark of {metric} went back"
            if bookmark_time != bookmarks.get(metric):
                missing = self.missing(metric, bookmark_time, started, LOOKBACK)
                assert not missing, f"a STATE covers {missing} of {metric}, not yet written"
        assert bookmarks.keys() <= updated.keys(), "a bookmark was forgotten"


def run_history(history: History) -> HistoryStatistics:
    """Runs a history and checks every run."""
    klaviyo = SimulatedKlaviyo(lookback_window=LOOKBACK, sweep_window=SWEEP, sweep_interval=DAY)
    for arrival in history.initial_events:
        klaviyo.arrive(arrival)
    target, statistics = Target(klaviyo), HistoryStatistics()
    before: tuple[RunOutput, dict[str, Any]] | None = None
    klaviyo.hide(BACKFILLING)
    for number, sync in enumerate(history.syncs):
        if number >= history.backfill_from:
            klaviyo.show(BACKFILLING)
        state = target.state
        output = _run(klaviyo, sync, state)
        _check_form(output)
        target.take(output, sync.unconfirmed)
        statistics.counts["runs"] += 1
        statistics.counts["kills"] += isinstance(output.fault, Killed)
        if before is not None and before[1] == state:
            _check_reread(klaviyo, before[0], output, state, statistics)
        again = not sync.unconfirmed and not any(t.name == "unsorted" for t in sync.faults)
        before = (output, target.state) if again else None
        klaviyo.pass_time(sync.pause)
    klaviyo.show(BACKFILLING)
    for pause, lateness in ((0, LOOKBACK), (DAY + HOUR, SWEEP)):
        klaviyo.api.faults.clear()
        klaviyo.pass_time(pause)
        output = klaviyo.sync(target.state)
        assert output.fault is None, output.fault
        target.take(output, 0)
        statistics.counts["runs"] += 1
        for metric in METRICS:
            missing = target.missing(metric, int(output.started), output.started, lateness)
            assert not missing, f"lost: {missing} of {metric}"
    statistics.counts["events"] += len(klaviyo.events)
    statistics.counts["faults"] += klaviyo.injected_faults
    return statistics


def _run(klaviyo: SimulatedKlaviyo, sync: Sync, state: dict[str, Any]) -> RunOutput:
    klaviyo.api.faults.clear()
    for t in sync.faults:
        klaviyo.api.faults.add(
            t.name,
            path=t.path,
            at=t.at,
            times=t.times,
            probability=t.probability,
            seed=t.seed,
            **t.options,
        )
    klaviyo.expect(list(sync.arrivals))
    ending = sync.ending

    def on_request(run: Run, number: int) -> None:
        if isinstance(ending, Stop) and number == ending.request:
            run.stop()
        if isinstance(ending, Crash) and number == ending.request:
            raise MemoryError

    pipe = Pipe(ending.writes, ending.fraction) if isinstance(ending, Kill) else None
    return klaviyo.sync(
        state,
        pipe,
        sync.order,
        on_request,
        concurrency=sync.concurrency,
        page_size=sync.page_size,
    )


def _check_form(output: RunOutput) -> None:
    """Checks complete lines, SCHEMA before RECORD, and a final STATE unless killed."""
    killed = isinstance(output.fault, Killed)
    assert killed or output.partial_line == b"", "the last line is incomplete"
    assert output.fault is None or killed or isinstance(output.fault, TapError | MemoryError)
    known: set[str] = set()
    for message in output.messages:
        if message["type"] == "SCHEMA":
            known.add(message["stream"])
        elif message["type"] == "RECORD":
            assert message["stream"] in known, "a RECORD before its SCHEMA"
    if known and not killed:
        assert output.messages[-1]["type"] == "STATE", "no STATE at the end"


def _check_reread(
    klaviyo: SimulatedKlaviyo,
    before: RunOutput,
    after: RunOutput,
    state: dict[str, Any],
    statistics: HistoryStatistics,
) -> None:
    """Checks that a resumed run repeats at most the read-ahead after the bookmark."""
    bookmarks = _bookmarks(klaviyo, state)
    for metric, stream in METRICS.items():
        bookmark_time = bookmarks.get(metric, START)
        both = ids(before.messages)[stream] & ids(after.messages)[stream]
        read = [klaviyo.events[id] for id in both if klaviyo.events[id].metric == metric]
        after_bookmark = [event for event in read if event.timestamp >= bookmark_time]
        assert len(after_bookmark) <= max_read_ahead(klaviyo, stream, **before.settings)
        statistics.counts["reread"] += len(read)
        statistics.max_reread = max(statistics.max_reread, len(after_bookmark))


def max_read_ahead(klaviyo: SimulatedKlaviyo, stream: str, concurrency: int, page_size: int) -> int:
    """The maximum number of events of one metric that may be written after the bookmark.

    This is the read-ahead and one window, plus for each open window the events that exceed its
    size: a window is split after the first page that does not lie in a single second.
    """
    seconds = Counter(e.timestamp for e in klaviyo.events.values() if e.stream == stream)
    densest = max(seconds.values(), default=0)
    taken = (READ_AHEAD_WINDOWS * concurrency + 1) * SPLIT_AFTER_PAGES * page_size
    return taken + (concurrency + 1) * (page_size + densest)


def _bookmarks(klaviyo: SimulatedKlaviyo, state: Mapping[str, Any]) -> dict[str, int]:
    """The bookmark of each metric that a state covers."""
    found = {}
    for metric, stream in METRICS.items():
        bookmark: Message = state.get("bookmarks", {}).get(stream, {})
        bookmarks = dict.fromkeys(bookmark.get("metrics", ()), bookmark.get("timestamp"))
        bookmark_time = {**bookmark.get("joining", {}), **bookmarks}.get(klaviyo.metric_id(metric))
        if bookmark_time is not None:
            found[metric] = bookmark_time
    return found
