"""One metric of a stream whose events Klaviyo counts, and what this run reads of it. Pure.

A period that this run reads anyway, as new or in a backfill, is *watched*: the readers of the main
partition settle it. If one of its pages was requested before its count was answered, it stays
uncounted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tap_klaviyo.state.counts import MetricCounts, Period, day_of
from tap_klaviyo.sync.event_tally import EventTally, PeriodTally
from tap_klaviyo.sync.stream_sync import Partition, StreamSync
from tap_klaviyo.sync.windows import Window


@dataclass(eq=False)
class CountedMetric:
    """One metric of ``sync``, and what is remembered of its ``counts``.

    ``main`` is the partition that reads its new events, None if they are read with those of other
    metrics. This run is the first to read what comes from ``new_from`` on, in Unix seconds;
    ``first_second`` is that of the stream. ``is_backfill`` says that it has never been read as far
    as the stream, or that the last run of the stream was interrupted. ``lookback`` is how much
    Klaviyo's lists may lag behind its counts, in seconds.
    """

    sync: StreamSync
    metric: str
    counts: MetricCounts
    main: Partition | None
    new_from: int
    first_second: int
    is_backfill: bool
    lookback: int
    _watched: list[tuple[PeriodTally, Period]] = field(default_factory=list)

    @property
    def first_day(self) -> int:
        """The first day whose count is asked for: that of the stream, or of its period."""
        return self.counts.first_day(day_of(self.first_second))

    def take(self, counts: dict[int, int], end: int, at: int) -> dict[int, int]:
        """Takes the counts by day that were answered at ``at``; the days have ended before ``end``.

        Returns for each period by how much it has grown, by its first day.
        """
        known = {period.first for period in self.counts.periods if period.count is not None}
        grown = self.counts.take(counts, self.first_day, end, at)
        self.counts.read_again_before(at + self.lookback)
        self.watch()
        for period in self.counts.periods:
            is_new = period.first not in known and self.window_of(period).start >= self.new_from
            if is_new and not period.being_read:
                period.leave_uncounted()
        return grown

    def watch(self) -> None:
        """Watches the periods that are due and of which the main partition has read nothing."""
        if self.main is None:
            return
        watched = []
        for period in self.counts.periods:
            window = self.window_of(period)
            is_due = period.due and period.mark is None and not period.being_read
            if is_due and window.start >= self.new_from and self.main.tracker.is_unread(window):
                watched.append((PeriodTally(window, window.end - window.start), period))
                period.being_read = True
        if watched:
            self.main.tally = self.main.tally or EventTally()
            self.main.tally.watch(tally for tally, _ in watched)
            self._watched += watched

    def note(self) -> bool:
        """Settles the watched periods that have been read; returns whether something is new."""
        ended = [one for one in self._watched if one[0].touched or one[0].finished]
        for tally, period in ended:
            if tally.touched:
                period.leave_uncounted()
            else:
                self.finish(period, tally)
        if ended:
            self._watched = [one for one in self._watched if one[1].being_read]
        return bool(ended)

    def finish(self, period: Period, tally: PeriodTally) -> None:
        """Notes that a period was read as a whole."""
        answered = self.counts.counted_at or 0
        period.finish(tally.events_before(period.end_second), answered + self.lookback)

    def leave_earlier_uncounted(self) -> bool:
        """Leaves the periods before the stream uncounted that are not settled.

        If its start_date moves back, they are counted again. Returns whether there are some.
        """
        earlier = [
            period
            for period in self.counts.periods
            if period.end_second <= self.first_second
            and period.count is not None
            and not period.settled
        ]
        for period in earlier:
            period.leave_uncounted()
        return bool(earlier)

    def to_read_again(self, now: int) -> Iterable[Period]:
        """The periods that a run that starts at ``now`` may read again."""
        for period in self.counts.periods:
            if period.is_to_be_read(now) and not period.being_read:
                yield period

    def window_of(self, period: Period) -> Window:
        """The seconds of a period that belong to the stream, from where its reading continues."""
        start = max(period.start_second, self.first_second, period.mark or 0)
        return Window(start, max(start, period.end_second))
