"""Runs a history of late events, and checks what recounts promise.

After the history, runs without failures follow, a day apart, until no count is due. Then everything
that is listed and counted must have been written, however late it came, but for an arrival that a
deletion in the same period hides. Nothing is read again without a cause: a day not more often than
its counts have grown, and in the end only days that have just closed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from count_histories import DEPTH, LASTING, CountedHistory, CountedSync
from random_histories import DAY, HOUR, LOOKBACK, SWEEP, Kill, Stop
from run_output import Killed, Pipe, RunOutput, ids
from simulated_klaviyo import METRICS, NOW, STREAMS, Arrival, KnownEvent, SimulatedKlaviyo

from sandbox import Request, Response
from tap_klaviyo.dates import utc
from tap_klaviyo.state import State
from tap_klaviyo.sync.count_requests import MOST_REQUESTS

COUNTS = "/api/metric-aggregates"

MOST_RUNS = 30
"""Runs without failures after which no count may be due."""

QUIET_RUNS = 2

SWEEPS_OF_A_DAY = SWEEP // DAY + 2
"""How often sweeps read a day."""


@dataclass
class Model:
    """The account, the target, and why days were read again."""

    klaviyo: SimulatedKlaviyo
    history: CountedHistory
    state: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    deleted: set[tuple[str, str]] = field(default_factory=set)
    requests: Counter[str] = field(default_factory=Counter)
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)
    readings: Counter[tuple[str, int]] = field(default_factory=Counter)
    interruptions: int = 0

    def arrive(self, arrival: Arrival) -> None:
        """Adds events now."""
        self.klaviyo.arrive(arrival)
        self.causes[arrival.metric, _month(self.klaviyo.now - arrival.age)] += 1

    def delete(self, share: float) -> None:
        """Deletes an event, chosen by its share of all."""
        known = [*self.klaviyo.events.values()]
        if known:
            event = known[int(share * (len(known) - 1))]
            self.deleted.add((event.metric, _month(event.timestamp)))
            self.klaviyo.delete(event.id)

    def run(self, sync: CountedSync) -> RunOutput:
        """Lets happen what comes before a run, and runs it."""
        self.klaviyo.pass_time(sync.pause)
        for share in sync.deletions:
            self.delete(share)
        for arrival in sync.arrivals:
            self.klaviyo.later(arrival.after, partial(self.arrive, arrival))
        self.klaviyo.pass_time(0)
        self.requests.clear()
        kill = sync.ending if isinstance(sync.ending, Kill) else None
        output = self.klaviyo.sync(
            self.state,
            Pipe(kill.writes, kill.fraction) if kill else Pipe(),
            sync.order,
            stop_after=sync.ending.after if isinstance(sync.ending, Stop) else None,
            page_size=sync.page_size,
            concurrency=sync.concurrency,
            recount_budget=sync.budget,
        )
        assert output.fault is None or isinstance(output.fault, Killed), output.fault
        assert self.requests[COUNTS] <= MOST_REQUESTS
        self._note_readings(output)
        self._commit(output, sync.unconfirmed)
        self.interruptions += bool(sync.ending or sync.unconfirmed)
        return output

    def count_request(self, request: Request, answer: Response) -> Response:
        """Counts a request."""
        self.requests[request.path] += 1
        return answer

    def _note_readings(self, output: RunOutput) -> None:
        """Notes which days this run has read again, before its bookmarks."""
        days = set()
        for message in output.messages:
            if message["type"] == "RECORD":
                event = self._event(message["record"]["id"])
                marks = self.state.get("bookmarks", {}).get(message["stream"], {})
                if event and event.timestamp < marks.get("timestamp", 0) - LOOKBACK:
                    days.add((event.metric, event.timestamp // DAY))
        self.readings.update(days)

    def _event(self, identifier: str) -> KnownEvent | None:
        return self.klaviyo.events.get(identifier)

    def _commit(self, output: RunOutput, unconfirmed: int) -> None:
        confirmed = output.states[: -unconfirmed or None]
        if confirmed:
            self.state = output.messages[confirmed[-1]]["value"]
            for stream, found in ids(output.messages[: confirmed[-1]]).items():
                self.rows[stream] |= found


def run_counted_history(history: CountedHistory) -> Counter[str]:
    """Runs a history and checks it; returns statistics."""
    klaviyo = SimulatedKlaviyo(
        *STREAMS, start_date=utc(NOW - DEPTH), lookback_window=LOOKBACK, sweep_window=SWEEP
    )
    model = Model(klaviyo, history)
    klaviyo.on_answer = model.count_request
    for metric, rules in history.rules.items():
        klaviyo.account.set_counting(metric, **rules)
    for arrival in history.initial:
        klaviyo.arrive(arrival)
    for sync in history.syncs:
        model.run(sync)
    runs = _run_until_settled(model)
    for _ in range(QUIET_RUNS):
        _check_quiet(model, model.run(LASTING))
    _check_complete(model)
    _check_readings(model)
    return Counter(
        runs=len(history.syncs) + runs + QUIET_RUNS,
        interruptions=model.interruptions,
        events=len(klaviyo.events),
        late=sum(event.arrived > NOW for event in klaviyo.events.values()),
        reread=model.readings.total(),
    )


def _run_until_settled(model: Model) -> int:
    for number in range(MOST_RUNS):
        model.run(LASTING)
        if number and _is_settled(model):
            return number + 1
    raise AssertionError("counts stay due")


def _is_settled(model: Model) -> bool:
    """Whether all periods of the metrics with stable counts are settled."""
    state = State(model.state)
    return all(
        period.settled
        for stream in STREAMS
        for metric, counts in state.counts(stream).items()
        for period in counts.periods
        if not model.history.rules[_name(model, metric)].get("unstable")
    )


def _name(model: Model, metric_id: str) -> str:
    return next(name for name in METRICS if model.klaviyo.metric_id(name) == metric_id)


def _check_quiet(model: Model, output: RunOutput) -> None:
    """Checks that a run a day after the last one reads only that day, and what is swept."""
    before = output.started - LASTING.pause - HOUR
    closed = before - LOOKBACK - before % DAY
    for message in output.messages:
        if message["type"] == "RECORD":
            event = model.klaviyo.events[message["record"]["id"]]
            rules = model.history.rules[event.metric]
            swept = {"leaves_out", "unstable", "unsupported"} & rules.keys()
            if "unstable" not in rules:
                earliest = closed - SWEEP if swept else closed
                assert event.timestamp >= earliest, f"{event} is read again without a cause"


def _check_complete(model: Model) -> None:
    """Checks that all events are written that a recount or a sweep has to find."""
    missing = [
        event
        for event in model.klaviyo.events.values()
        if event.id not in model.rows[event.stream] and _is_promised(model, event)
    ]
    assert not missing, f"lost: {missing}"


def _is_promised(model: Model, event: KnownEvent) -> bool:
    rules = model.history.rules[event.metric]
    lateness = event.arrived - event.timestamp
    if event.arrived <= NOW or lateness <= LOOKBACK - HOUR // 2:
        return True
    if rules.get("unsupported"):
        return lateness <= SWEEP
    every = rules.get("leaves_out")
    is_counted = not every or event.position % every != 0
    hidden = (event.metric, _month(event.timestamp)) in model.deleted
    return is_counted and not hidden and not rules.get("unstable")


def _check_readings(model: Model) -> None:
    """Checks that no day was read more often than its counts have grown."""
    for (metric, day), times in model.readings.items():
        rules = model.history.rules[metric]
        if "unstable" not in rules:
            causes = 1 + model.causes[metric, _month(day * DAY)]
            most = 2 * causes + model.interruptions + SWEEPS_OF_A_DAY
            assert times <= most, f"{metric} of {utc(day * DAY)} was read {times} times"


def _month(second: float) -> str:
    return utc(second)[:7]
