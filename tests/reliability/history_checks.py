"""Runs a history of an account, and checks the properties that every history must have.

The target confirms one of the STATEs it received, not always the last; records after that STATE are
discarded. The last two runs have no faults: after the first of them no event may be missing that
arrived at most the look-back late, after the second, a day later, none that arrived at most the
sweep window late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from random_histories import (
    BACKFILLING,
    DAY,
    HOUR,
    LISTS,
    LOOKBACK,
    SWEEP,
    Clock,
    Crash,
    History,
    Kill,
    Stop,
    Sync,
)
from run_output import MEMBERS, Killed, Message, Pipe, RunOutput, id_of, ids
from simulated_klaviyo import METRICS, NOW, START, STREAMS, SimulatedKlaviyo

from sandbox.resources import Collection
from tap_klaviyo.errors import InternalError, TapError
from tap_klaviyo.sync.planner import CLOCK_TOLERANCE, READ_AHEAD_WINDOWS
from tap_klaviyo.sync.run import Run
from tap_klaviyo.sync.window_reader import KEPT_BACK, KEPT_BACK_SHARE
from tap_klaviyo.sync.windows import SPLIT_AFTER_PAGES

MINUTE = 60
NEVER = 10**9
"""The number of a write that does not come."""

DISORDER = frozenset(("unsorted", "late", "repeated"))
"""Faults after which a part of the account is read again, without progress."""


@dataclass
class HistoryStatistics:
    """Statistics of one history or of many."""

    counts: Counter[str] = field(default_factory=Counter)
    max_reread: int = 0

    def __iadd__(self, other: HistoryStatistics) -> HistoryStatistics:
        self.counts += other.counts
        self.max_reread = max(self.max_reread, other.max_reread)
        return self


class Target:
    """The simulated target: its committed rows and its confirmed state."""

    def __init__(self, klaviyo: SimulatedKlaviyo) -> None:
        self._klaviyo = klaviyo
        self.state: dict[str, Any] = {}
        self.rows: dict[str, set[str]] = {stream: set() for stream in (*STREAMS, MEMBERS)}

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
                    self.rows[message["stream"]].add(id_of(message))
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
            latest = started + CLOCK_TOLERANCE
            assert bookmark_time <= latest, f"the bookmark of {metric} is in the future"
            assert bookmark_time >= bookmarks.get(metric, 0), f"the bookmark of {metric} went back"
            if bookmark_time != bookmarks.get(metric):
                missing = self.missing(metric, bookmark_time, started, LOOKBACK)
                assert not missing, f"a STATE covers {missing} of {metric}, not yet written"
        assert bookmarks.keys() <= updated.keys(), "a bookmark was forgotten"


def run_history(history: History) -> HistoryStatistics:
    """Runs a history and checks every run."""
    klaviyo = _account(history)
    target, statistics = Target(klaviyo), HistoryStatistics()
    before: tuple[RunOutput, dict[str, Any]] | None = None
    for number, sync in enumerate(history.syncs):
        if number >= history.backfill_from:
            klaviyo.show(BACKFILLING)
        state = target.state
        output = _run(klaviyo, sync, state)
        _check_form(output)
        if not {fault.name for fault in sync.faults} & DISORDER:
            _check_progress(klaviyo, output, state, statistics)
        target.take(output, sync.unconfirmed)
        statistics.counts["runs"] += 1
        statistics.counts["kills"] += isinstance(output.fault, Killed)
        if before is not None and before[1] == state:
            _check_reread(klaviyo, before[0], output, state, statistics)
        again = not sync.unconfirmed and not any(t.name == "unsorted" for t in sync.faults)
        before = (output, target.state) if again else None
        klaviyo.pass_time(sync.pause)
    klaviyo.show(BACKFILLING)
    for pause, lateness in ((MINUTE, LOOKBACK), (DAY + HOUR, SWEEP)):
        klaviyo.pass_time(pause)
        _clear_faults(klaviyo, Clock())
        output = klaviyo.sync(target.state)
        assert output.fault is None, output.fault
        target.take(output, 0)
        statistics.counts["runs"] += 1
        _check_end(klaviyo, target, output, lateness)
    statistics.counts["events"] += len(klaviyo.events)
    statistics.counts["faults"] += klaviyo.injected_faults
    return statistics


def _account(history: History) -> SimulatedKlaviyo:
    klaviyo = SimulatedKlaviyo(
        *STREAMS, MEMBERS, lookback_window=LOOKBACK, sweep_window=SWEEP, sweep_interval=DAY
    )
    account = klaviyo.account
    lists = [account.collections["list"][id] for id in account.ids("list")[:LISTS]]
    account.collections["list"] = Collection(lists)
    for arrival in history.initial_events:
        klaviyo.arrive(arrival)
    for join in history.initial_members:
        klaviyo.join(join.group, join.profile)
    klaviyo.hide(BACKFILLING)
    return klaviyo


def _clear_faults(klaviyo: SimulatedKlaviyo, clock: Clock) -> None:
    klaviyo.api.faults.clear()
    klaviyo.end_outages()
    klaviyo.clock_offset = clock.ahead


def _check_end(klaviyo: SimulatedKlaviyo, target: Target, output: RunOutput, lateness: int) -> None:
    """Checks that a run without faults leaves nothing missing, and nothing that does not exist."""
    for metric in METRICS:
        missing = target.missing(metric, int(output.started), output.started, lateness)
        assert not missing, f"lost: {missing} of {metric}"
    settled = {key for key, joined in klaviyo.members.items() if joined < output.started - MINUTE}
    assert settled <= target.rows[MEMBERS], f"lost: {settled - target.rows[MEMBERS]}"
    assert target.rows[MEMBERS] <= klaviyo.members.keys()
    for stream in STREAMS:
        assert target.rows[stream] <= klaviyo.events.keys(), "rows of no event"


def _run(klaviyo: SimulatedKlaviyo, sync: Sync, state: dict[str, Any]) -> RunOutput:
    _clear_faults(klaviyo, sync.clock)
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
    for outage in sync.outages:
        klaviyo.begin(outage)
    klaviyo.expect(list(sync.arrivals))
    for join in sync.joins:
        klaviyo.later(join.after, partial(klaviyo.join, join.group, join.profile))
    if sync.clock.jump:
        klaviyo.later(sync.clock.jump_after, partial(klaviyo.shift_clock, sync.clock.jump))
    ending = sync.ending

    def on_request(run: Run, number: int) -> None:
        if isinstance(ending, Crash) and number == ending.request:
            raise MemoryError

    def on_write(number: int) -> None:
        if sync.target and sync.target.first <= number <= sync.target.last:
            klaviyo.pass_time(sync.target.seconds)

    kill = ending if isinstance(ending, Kill) else Kill(NEVER, 0.0)
    return klaviyo.sync(
        state,
        Pipe(kill.writes, kill.fraction, on_write),
        sync.order,
        on_request,
        ending.after if isinstance(ending, Stop) else None,
        concurrency=sync.concurrency,
        page_size=sync.page_size,
    )


def _check_form(output: RunOutput) -> None:
    """Checks complete lines, SCHEMA before RECORD, and a final STATE unless killed."""
    killed = isinstance(output.fault, Killed)
    assert killed or output.partial_line == b"", "the last line is incomplete"
    assert output.fault is None or killed or isinstance(output.fault, TapError | MemoryError)
    assert not isinstance(output.fault, InternalError), output.fault
    known: set[str] = set()
    for message in output.messages:
        if message["type"] == "SCHEMA":
            known.add(message["stream"])
        elif message["type"] == "RECORD":
            assert message["stream"] in known, "a RECORD before its SCHEMA"
    if known and not killed:
        assert output.messages[-1]["type"] == "STATE", "no STATE at the end"


def _check_progress(
    klaviyo: SimulatedKlaviyo,
    output: RunOutput,
    state: Mapping[str, Any],
    statistics: HistoryStatistics,
) -> None:
    """Checks that each page of new events changes the bookmark of its stream.

    A page moves nothing if all that does not belong to its last rows lies in a single second, or in
    the look-back.
    """
    for rows, before, after in _pages(klaviyo, output, state):
        page_size: int = output.settings["page_size"]
        if not 1 < len(rows) <= page_size:
            continue
        kept_back = min(KEPT_BACK, max(1, int(page_size * KEPT_BACK_SHARE)))
        stream, metric = klaviyo.events[rows[0]].stream, klaviyo.events[rows[0]].metric
        seconds = sorted(klaviyo.events[row].timestamp for row in rows)
        safe = sorted({*seconds[: max(0, len(rows) - kept_back)]})
        bookmark_time = _bookmarks(klaviyo, before).get(metric, START)
        is_new = len(safe) > 1 and bookmark_time <= safe[0]
        if is_new and safe[-1] < output.ends - LOOKBACK:
            statistics.counts["pages"] += 1
            bookmarks = [s.get("bookmarks", {}).get(stream) for s in (before, after)]
            assert bookmarks[0] != bookmarks[1], f"a page of {stream} moved no bookmark"


def _pages(
    klaviyo: SimulatedKlaviyo, output: RunOutput, state: Mapping[str, Any]
) -> Iterator[tuple[list[str], Mapping[str, Any], Mapping[str, Any]]]:
    """The events between two STATEs, with both of them, if they are of one metric."""
    rows: list[str] = []
    for message in output.messages:
        if message["type"] == "RECORD" and message["stream"] in STREAMS:
            rows.append(message["record"]["id"])
        elif message["type"] == "STATE":
            if len({klaviyo.events[row].metric for row in rows}) == 1:
                yield rows, state, message["value"]
            rows, state = [], message["value"]


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
