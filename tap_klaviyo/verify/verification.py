"""Compares what is remembered of the selected streams with what Klaviyo counts now.

Nothing is read but numbers, and nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.errors import StreamError
from tap_klaviyo.klaviyo.account import Account, Metrics
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.event_counts import COUNTS_QUERY
from tap_klaviyo.klaviyo.profile_counts import (
    COUNTED_GROUPS,
    ProfileCount,
    read_profile_counts,
)
from tap_klaviyo.logs import get_logger
from tap_klaviyo.state import State
from tap_klaviyo.state.counts import Period, day_of, iso_day
from tap_klaviyo.streams.model import TIERS
from tap_klaviyo.sync.count_requests import Days, chunks
from tap_klaviyo.sync.recount import CLOSED_AFTER
from tap_klaviyo.verify.comparison import VerifiedMonth, verified_months
from tap_klaviyo.verify.counting import Answer, ask
from tap_klaviyo.verify.missing_rows import TargetComparison, compare_target
from tap_klaviyo.verify.remembered import RememberedMetric, remembered_metrics
from tap_klaviyo.verify.target_counts import TargetCounts

logger = get_logger(__name__)

NOT_EVENTS = "Klaviyo counts events only"
NO_METRIC = "The account has no metric for them"
LEFT = "the stream no longer has this metric"


@dataclass(frozen=True)
class VerifiedMetric:
    """A metric of a stream by month, up to the day ``until`` (ISO date in UTC, included).

    ``problem`` is why there are no months, empty if there is none.
    """

    stream: str
    metric: str
    name: str
    months: tuple[VerifiedMonth, ...]
    until: str = ""
    problem: str = ""

    @property
    def to_be_read(self) -> tuple[VerifiedMonth, ...]:
        """The months of which a later run has something to read."""
        return tuple(month for month in self.months if month.is_to_be_read)


@dataclass(frozen=True)
class Verification:
    """What a verification has found.

    ``not_verified`` says why streams cannot be verified, by their names. ``profile_counts`` are of
    lists and segments, if these are selected. ``target`` is what a target lacks, None if its counts
    were not given. ``error`` is why some counts were not answered.
    """

    metrics: tuple[VerifiedMetric, ...] = ()
    not_verified: Mapping[str, str] = field(default_factory=dict)
    profile_counts: tuple[ProfileCount, ...] = ()
    target: TargetComparison | None = None
    error: StreamError | None = None

    @property
    def to_be_read(self) -> tuple[VerifiedMetric, ...]:
        """The metrics of which a later run has something to read."""
        return tuple(metric for metric in self.metrics if metric.to_be_read)

    @property
    def complete(self) -> bool:
        """Whether nothing is left for a later run, and nothing is missing in the target."""
        return not self.to_be_read and not (self.target and self.target.missing)


def verify(
    config: Config,
    client: Client,
    selection: Sequence[SelectedStream],
    state: State,
    target_counts: TargetCounts | None = None,
    *,
    now: Callable[[], float] = time.time,
) -> Verification:
    """Asks for the counts of all metrics of the selected event streams, and compares them.

    ``target_counts`` are compared with what the last readings have brought. Raises what ends a run,
    such as :class:`ConfigError` for a key that Klaviyo refuses, and :class:`StreamError` if the
    metrics of the account cannot be read.
    """
    if not config.recount_interval:
        logger.warning("recount_interval is 0, so no run counts or reads again what has grown.")
    return _Verifier(config, client, state, int(now())).verify(selection, target_counts)


class _Verifier:
    """A verification at ``now``, in Unix seconds."""

    def __init__(self, config: Config, client: Client, state: State, now: int) -> None:
        self._client = client
        self._state = state
        self._today = day_of(now)
        end = config.end_date.timestamp() if config.end_date else now
        self._end = day_of(min(end, now - CLOSED_AFTER))
        self._start = max(0, int(config.start_date.timestamp()))
        self._not_verified: dict[str, str] = {}
        self._errors: list[StreamError] = []

    def verify(
        self, selection: Sequence[SelectedStream], target_counts: TargetCounts | None
    ) -> Verification:
        """Verifies the selected streams."""
        events = [one for one in selection if one.stream.type == "event"]
        groups = [one for one in selection if one.stream.name in COUNTED_GROUPS]
        metrics = Account(self._client).metrics if events else Metrics(())
        remembered = [found for one in events for found in self._remembered(one, metrics)]
        answers = self._ask_all(remembered)
        verified = [self._verified(one, answers[one.metric], metrics) for one in remembered]
        others = [one for one in selection if one not in (*events, *groups)]
        self._not_verified |= {one.name: NOT_EVENTS for one in others}
        profile_counts = [count for one in groups for count in self._profile_counts(one)]
        return Verification(
            tuple(verified),
            self._not_verified,
            tuple(profile_counts),
            _compared_target(remembered, verified, target_counts),
            self._errors[0] if self._errors else None,
        )

    def _remembered(self, selected: SelectedStream, metrics: Metrics) -> Sequence[RememberedMetric]:
        found = [*remembered_metrics(selected, metrics, self._state, self._start)]
        if not any(one.is_current for one in found):
            self._not_verified[selected.name] = NO_METRIC
        return found

    def _ask_all(self, remembered: Sequence[RememberedMetric]) -> dict[str, Answer]:
        """The answers by metric, each of which may belong to several streams."""
        by_metric: dict[str, list[RememberedMetric]] = {}
        for one in remembered:
            by_metric.setdefault(one.metric, []).append(one)
        days = {metric: self._days_of(members) for metric, members in by_metric.items()}
        requests = sum(len([*chunks(*span)]) for span in days.values())
        if requests:
            logger.info(
                "Asking for the counts of %d metrics: %d requests, at most %d a minute.",
                len(days),
                requests,
                TIERS[COUNTS_QUERY.tier].steady,
            )
        return {
            metric: self._ask(metric, members, days[metric])
            for metric, members in by_metric.items()
        }

    def _days_of(self, members: Sequence[RememberedMetric]) -> Days:
        periods = [period for one in members for period in one.periods_until(self._end)]
        if not periods:
            return 0, 0
        return min(one.first for one in periods), max(one.end for one in periods)

    def _ask(self, metric: str, members: Sequence[RememberedMetric], days: Days) -> Answer:
        if not any(one.is_current for one in members):
            return Answer(problem=LEFT)
        answer = ask(self._client, metric, [one.counts for one in members], days, self._today)
        self._errors += [answer.error] if answer.error else []
        return answer

    def _verified(self, one: RememberedMetric, answer: Answer, metrics: Metrics) -> VerifiedMetric:
        name = metrics.name(one.metric) or ""
        problem = answer.problem if one.is_current else LEFT
        if problem:
            return VerifiedMetric(one.stream, one.metric, name, (), problem=problem)
        periods = one.periods_until(self._end)
        months = verified_months(periods, answer.counts, one.first_second, is_read=one.is_read)
        until = iso_day(periods[-1].end - 1) if periods else ""
        return VerifiedMetric(one.stream, one.metric, name, tuple(months), until)

    def _profile_counts(self, selected: SelectedStream) -> Iterator[ProfileCount]:
        try:
            yield from read_profile_counts(self._client, selected.stream)
        except StreamError as error:
            self._not_verified[selected.name] = str(error)
            self._errors.append(error)


def _compared_target(
    remembered: Sequence[RememberedMetric],
    verified: Sequence[VerifiedMetric],
    target_counts: TargetCounts | None,
) -> TargetComparison | None:
    if target_counts is None:
        return None
    periods: dict[str, list[Sequence[Period]]] = {}
    for one, metric in zip(remembered, verified, strict=True):
        may_have_events = one.is_current and (metric.months or metric.problem)
        if one.periods or may_have_events:
            periods.setdefault(one.stream, []).append(one.periods)
    return compare_target(periods, target_counts)
