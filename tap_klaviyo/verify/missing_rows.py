"""Finds the days of which a target holds fewer events than the last readings have brought. Pure.

A stream may have several metrics, while a target counts the stream. So their periods are compared
together, as far as all of them were read as a whole: by day, or by month where the counts of one of
them are remembered by month.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tap_klaviyo.state.counts import Period
from tap_klaviyo.sync.day_ranges import DayRange


@dataclass(frozen=True)
class MissingRows:
    """Days of a stream of which a target holds fewer events than were read."""

    days: DayRange
    held: int
    brought: int

    def followed_by(self, other: MissingRows) -> MissingRows:
        """Both together, and the days without events between them."""
        days = self.days._replace(end=other.days.end)
        return MissingRows(days, self.held + other.held, self.brought + other.brought)


@dataclass(frozen=True)
class TargetComparison:
    """What a target lacks. ``events`` were compared; of ``not_compared`` no day could be.

    ``absent`` are streams of which something is missing and the file has no row, ``unknown`` are
    streams of the file that are not selected event streams.
    """

    missing: tuple[MissingRows, ...]
    events: int
    not_compared: tuple[str, ...]
    absent: tuple[str, ...]
    unknown: tuple[str, ...]


def compare_target(
    periods: Mapping[str, Sequence[Sequence[Period]]], held: Mapping[str, Mapping[int, int]]
) -> TargetComparison:
    """Compares the periods of the metrics of each stream with what a target holds by day.

    Of a metric without periods nothing is known, so its stream cannot be compared.
    """
    missing: list[MissingRows] = []
    not_compared = []
    events = 0
    for stream, metrics in periods.items():
        compared = [*_compared(stream, metrics, held.get(stream, {}))]
        events += sum(one.brought for one in compared)
        missing += _joined(compared)
        if not compared:
            not_compared.append(stream)
    lacking = dict.fromkeys(one.days.stream for one in missing)
    return TargetComparison(
        missing=tuple(missing),
        events=events,
        not_compared=tuple(not_compared),
        absent=tuple(stream for stream in lacking if stream not in held),
        unknown=tuple(stream for stream in held if stream not in periods),
    )


def _compared(
    stream: str, metrics: Sequence[Sequence[Period]], held: Mapping[int, int]
) -> Iterator[MissingRows]:
    """What was brought and what is held, for the shortest ranges of days that are known."""
    bounds = [{day for one in periods for day in (one.first, one.end)} for periods in metrics]
    for first, end in pairwise(sorted(set.intersection(*bounds) if bounds else ())):
        members = [one for periods in metrics for one in periods if first <= one.first < end]
        if all(one.settled for one in members):
            brought = sum((one.count or 0) + one.difference for one in members)
            rows = sum(held.get(day, 0) for day in range(first, end))
            yield MissingRows(DayRange(stream, first, end), rows, brought)


def _joined(compared: Iterable[MissingRows]) -> list[MissingRows]:
    """Where fewer are held than were brought; days without events do not divide a range."""
    joined: list[MissingRows] = []
    end: int | None = None
    for one in compared:
        follows = end == one.days.first
        if one.held < one.brought:
            if follows:
                joined[-1] = joined[-1].followed_by(one)
            else:
                joined.append(one)
            end = one.days.end
        elif follows and not one.brought:
            end = one.days.end
    return joined
