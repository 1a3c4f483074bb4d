"""Compares what a state remembers of a metric's counts with Klaviyo's counts of now. Pure.

A row is a month: the days in it that have ended and that the stream reads. What is remembered of
the days is summed, and what there is to say of them are reasons with numbers of events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from tap_klaviyo.state.counts import Period, iso_day, total

Reason = Literal["grown", "due", "uncounted", "unread", "short", "fell", "fewer", "more", "partial"]

TO_BE_READ: frozenset[Reason] = frozenset({"grown", "due", "uncounted", "unread"})
"""The reasons for which a later run has something to read."""

NOTES: Mapping[Reason, str] = {
    "grown": "grown since it was read",
    "due": "due: a run reads it again",
    "uncounted": "not compared yet: a run counts it, and reads it again",
    "unread": "not read yet",
    "short": "fewer read than counted: a run reads it once more",
    "fell": "fell: events were deleted",
    "fewer": "fewer counted than Klaviyo lists",
    "more": "more counted than Klaviyo lists",
    "partial": "of its first day, what precedes start_date is not read",
}
"""What each reason means. The number of events precedes it."""


@dataclass(frozen=True)
class VerifiedMonth:
    """One month of a metric, from day ``first`` to ``last`` (ISO dates in UTC).

    ``count`` is Klaviyo's count of now, ``last_count`` the one that the state remembers, and
    ``brought`` the distinct events of the last reading, less those that were deleted before the
    last recount; both are None if no day has one.
    ``change`` is by how much the counts of now differ from those that are remembered, and
    ``difference`` what the readings have brought more than was counted then. ``reasons`` hold the
    numbers of events to which they apply.
    """

    month: str
    first: str
    last: str
    count: int
    last_count: int | None
    brought: int | None
    change: int
    difference: int
    reasons: Mapping[Reason, int]

    @property
    def is_to_be_read(self) -> bool:
        """Whether a later run has something to read."""
        return bool(TO_BE_READ & self.reasons.keys())

    @property
    def to_be_read(self) -> int:
        """How many events a later run reads, as far as that is known."""
        return sum(events for reason, events in self.reasons.items() if reason in TO_BE_READ)


@dataclass(frozen=True)
class _Compared:
    """One period, as a month has it."""

    period: Period
    count: int
    reasons: Mapping[Reason, int]

    @property
    def brought(self) -> int | None:
        """What the last reading has brought and was not deleted since; None if not remembered."""
        period = self.period
        return None if period.due or period.count is None else period.count + period.difference

    @property
    def change(self) -> int:
        """By how much the count differs from the remembered one."""
        return 0 if self.period.count is None else self.count - self.period.count


def verified_months(
    periods: Iterable[Period], counts: Mapping[int, int], first_second: int, *, is_read: bool
) -> Iterator[VerifiedMonth]:
    """The months with events among ``periods``, oldest first.

    ``counts`` are Klaviyo's by the number of the day. The stream reads from ``first_second`` on, in
    Unix seconds; ``is_read`` says that it has been read before.
    """
    for month, group in groupby(periods, _month_of):
        members = [_compared(one, counts, first_second, is_read=is_read) for one in group]
        row = _month(month, members)
        if row.count or row.last_count or row.brought:
            yield row


def _month_of(period: Period) -> str:
    return iso_day(period.first)[:7]


def _compared(
    period: Period, counts: Mapping[int, int], first_second: int, *, is_read: bool
) -> _Compared:
    count = total(counts, period)
    begins_before = period.start_second < first_second
    reasons = _reasons(period, count, begins_before=begins_before, is_read=is_read)
    return _Compared(period, count, reasons)


def _reasons(
    period: Period, count: int, *, begins_before: bool, is_read: bool
) -> dict[Reason, int]:
    known, difference = period.count, period.difference
    if not (count or known):
        return {}
    if known is None:
        return {"uncounted" if is_read else "unread": count}
    if period.due:
        return {"due": count}
    if count > known:
        return {"grown": count - known}
    lacking: Reason = "partial" if begins_before else "more" if period.settled else "short"
    found: dict[Reason, int] = {
        "fell": known - count,
        "fewer": max(0, difference),
        lacking: max(0, -difference),
    }
    return {reason: events for reason, events in found.items() if events}


def _month(month: str, members: Sequence[_Compared]) -> VerifiedMonth:
    counts = [one.period.count for one in members if one.period.count is not None]
    brought = [one.brought for one in members if one.brought is not None]
    reasons: Counter[Reason] = Counter()
    for one in members:
        reasons.update(one.reasons)
    return VerifiedMonth(
        month=month,
        first=iso_day(members[0].period.first),
        last=iso_day(members[-1].period.end - 1),
        count=sum(one.count for one in members),
        last_count=sum(counts) if counts else None,
        brought=sum(brought) if brought else None,
        change=sum(one.change for one in members),
        difference=sum(one.period.difference for one in members),
        reasons=dict(reasons),
    )
