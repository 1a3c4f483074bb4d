"""Klaviyo's counts of the events of one metric, by period, as a stream remembers them. Pure.

Klaviyo accepts events with times of long ago. They show in its own counts: where a count has grown
since a period was last read as a whole, the period is read again. A period is a day (UTC), or a
month once its days are older than ``DAYS_REMEMBERED``; its first day is that of ``start_date``. A
period that has not ended is not remembered.

What is known of a period:

* *uncounted*: no reading of it began after a count was answered. The next count makes it due.
* *due*: its count is known, and it has to be read as a whole. ``mark`` tells how far a reading that
  was interrupted has come, and ``brought`` how many events it has brought before.
* *short*: a reading has brought less than was counted, since Klaviyo's lists may lag behind its
  counts. It is read once more, not before ``second_at``.
* *settled*: read as a whole after its count was answered. It becomes due when its count grows. What
  the reading brought does not matter then, so whatever Klaviyo counts or leaves out cancels out. A
  count that falls, because events were deleted, is taken over without reading: nothing is new.

A count that grows while its period is being read is taken over only when that reading has ended: so
a reading that needs many runs ends too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

DAY = 86_400
DAYS_REMEMBERED = 100
"""Days that are remembered one by one; earlier ones are remembered by month."""

OLD_DAYS = 30
"""Days after which a count should not change by itself."""

MOST_STRIKES = 3
"""Runs in a row that show a metric's counts to be unstable, before they are no longer used."""

_EPOCH = date(1970, 1, 1)


@dataclass
class Period:
    """The days from ``first`` up to, but not including, ``end``, numbered from 1970-01-01.

    ``count`` is Klaviyo's, None while no reading covers it. ``difference`` is what the last reading
    brought more than that. ``due`` says that it is to be read, ``second_at`` from when (Unix
    seconds) it may be read once more. ``mark`` is the Unix second to which an interrupted reading
    has come, and ``brought`` how many events it has brought before that. ``being_read`` says that a
    reading is under way.
    """

    first: int
    end: int
    count: int | None = None
    difference: int = 0
    due: bool = False
    second_at: int | None = None
    mark: int | None = None
    brought: int = 0
    being_read: bool = field(default=False, compare=False)

    @property
    def start_second(self) -> int:
        """Its first second, in Unix seconds."""
        return self.first * DAY

    @property
    def end_second(self) -> int:
        """The second after its last one."""
        return self.end * DAY

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be done until its count grows."""
        return self.count is not None and not self.due and self.second_at is None

    def is_to_be_read(self, now: int) -> bool:
        """Whether a run that starts at ``now`` may read it."""
        return self.due or (self.second_at is not None and self.second_at <= now)

    def compare(self, count: int) -> int:
        """Takes a new count; returns by how much that of a period that was read has grown."""
        if self.mark is not None or self.being_read:
            return 0
        known, self.count = self.count, count
        if known is None:
            self.due = True
            return 0
        grown = max(0, count - known) if not self.due else 0
        if count > known:
            self.due, self.second_at = True, None
        return grown

    def can_add(self, following: Period) -> bool:
        """Whether it can become one with the period after it."""
        return self.settled and following.settled

    def add(self, following: Period) -> None:
        """Becomes one with the period after it; both are settled."""
        assert self.count is not None
        assert following.count is not None
        self.end, self.count = following.end, self.count + following.count
        self.difference += following.difference

    def leave_uncounted(self) -> None:
        """Forgets the count and what was read: the next count makes it due."""
        self.count, self.due, self.second_at, self.difference = None, False, None, 0
        self.being_read, self.mark, self.brought = False, None, 0

    def pause(self, mark: int, brought: int) -> None:
        """Notes that a reading has come to ``mark``, and has brought ``brought`` events so far."""
        if mark > self.start_second:
            self.mark, self.brought = mark, brought

    def finish(self, brought: int, second_at: int) -> bool:
        """Notes that it was read as a whole and ``brought`` so many distinct events.

        Returns whether it is settled. If not, it may be read once more from ``second_at`` on.
        """
        assert self.count is not None
        is_second = self.second_at is not None
        self.due, self.mark, self.brought, self.second_at = False, None, 0, None
        self.being_read = False
        self.difference = brought - self.count
        if self.difference < 0 and not is_second:
            self.second_at = second_at
        return self.settled


@dataclass
class MetricCounts:
    """What is remembered of one metric. Times are Unix seconds.

    ``asked_at`` is when its counts were last asked for, ``counted_at`` when they were last
    answered, None for never. ``strikes`` counts the last runs in a row whose answers contradicted
    each other. ``periods`` follow each other without a gap, oldest first. ``unknown`` holds what a
    newer version has stored under keys that this one does not know.
    """

    asked_at: int | None = None
    counted_at: int | None = None
    strikes: int = 0
    periods: list[Period] = field(default_factory=list)
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unstable(self) -> bool:
        """Whether the counts are not used."""
        return self.strikes >= MOST_STRIKES

    def take(self, counts: Mapping[int, int], first: int, end: int, at: int) -> dict[int, int]:
        """Compares the counts by day, answered at ``at``, with those that are remembered.

        ``counts`` are by the number of the day; a day without one has no events. The days from
        ``first`` to ``end`` have ended; what is known of other days stays. Returns for each period
        that was read by how much it has grown, by its first day.
        """
        self._add_periods(first, end)
        self.counted_at, self.strikes = at, 0
        grown = {
            period.first: period.compare(total(counts, period))
            for period in self.periods
            if first <= period.first and period.end <= end
        }
        self.compact(end)
        return {day: count for day, count in grown.items() if count}

    def first_day(self, day: int) -> int:
        """The first day of the period that a day belongs to; if it belongs to none, the day."""
        return next((p.first for p in self.periods if p.first <= day < p.end), day)

    def changed_old_periods(
        self, counts: Mapping[int, int], first: int, today: int
    ) -> list[Period]:
        """The periods from day ``first`` on whose counts are no longer those known.

        Those of the last ``OLD_DAYS`` are left out.
        """
        return [
            period
            for period in self.periods
            if first <= period.first
            and period.end <= today - OLD_DAYS
            and period.count is not None
            and period.count != total(counts, period)
        ]

    def read_again_before(self, second: int) -> None:
        """Moves second readings that a clock that was ahead has put off forward to ``second``."""
        for period in self.periods:
            if period.second_at is not None:
                period.second_at = min(period.second_at, second)

    def compact(self, end: int) -> None:
        """Adds days that are no longer remembered one by one to their months, while settled."""
        kept = [*self.periods[:1]]
        rest = iter(self.periods[1:])
        for period in rest:
            into = kept[-1]
            merges = _same_month(into, period)
            if period.end > end - DAYS_REMEMBERED or (merges and not into.can_add(period)):
                kept.append(period)
                break
            if merges:
                into.add(period)
            else:
                kept.append(period)
        self.periods = [*kept, *rest]

    def knows_since(self, day: int) -> bool:
        """Whether all that is remembered from ``day`` on was read as a whole since it was counted.

        What is to be read once more counts as read.
        """
        since = [period for period in self.periods if period.end > day]
        return bool(since) and all(p.count is not None and not p.due for p in since)

    @property
    def leaves_out(self) -> bool:
        """Whether a reading has brought more events than Klaviyo counts."""
        return any(period.settled and period.difference > 0 for period in self.periods)

    def _add_periods(self, first: int, end: int) -> None:
        days_from = max(first, end - DAYS_REMEMBERED)
        if not self.periods:
            self.periods += [Period(*month) for month in months(first, days_from)]
        start = self.periods[-1].end if self.periods else days_from
        self.periods += [Period(day, day + 1) for day in range(start, end)]


def day_of(second: float) -> int:
    """The number of the day (UTC) of a Unix second."""
    return int(second // DAY)


def iso_day(day: int) -> str:
    """``2026-01-31`` from the number of a day."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def day_number(text: str) -> int:
    """The number of a day from ``2026-01-31``. Raises ValueError."""
    return (date.fromisoformat(text) - _EPOCH).days


def months(first: int, end: int) -> Iterator[tuple[int, int]]:
    """The months, or parts of them, from day ``first`` to ``end``."""
    while first < end:
        begin = _EPOCH + timedelta(days=first)
        following = (begin.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield first, min(end, (following - _EPOCH).days)
        first = (following - _EPOCH).days


def _same_month(one: Period, other: Period) -> bool:
    return iso_day(one.first)[:7] == iso_day(other.first)[:7]


def total(counts: Mapping[int, int], period: Period) -> int:
    """The sum of the counts of a period, by the number of the day."""
    return sum(counts.get(day, 0) for day in range(period.first, period.end))
