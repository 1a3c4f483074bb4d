"""Partitions that read periods again: newest first, as many as the pages of a run allow. Pure.

Periods of a metric that follow each other are read together, as long as they have few pages: a page
may hold the events of many days. Each is settled by itself. The pages of a partition are read one
after the other: each moves its mark, so that none is read in vain when a run ends or may read no
more. Different partitions are read side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tap_klaviyo.klaviyo.queries import equals
from tap_klaviyo.state.counts import Period
from tap_klaviyo.sync.counted_metric import CountedMetric
from tap_klaviyo.sync.event_tally import EventTally, PeriodTally
from tap_klaviyo.sync.stream_sync import PageAllowance, Partition
from tap_klaviyo.sync.windows import SPLIT_AFTER_PAGES, WindowTracker

PAGES_TOGETHER = 8
"""Pages, as counted, that periods may have together to be read by one partition."""


@dataclass(eq=False)
class _Reading:
    """The ``periods`` of a metric that one partition reads, oldest first, and their tallies."""

    one: CountedMetric
    periods: list[tuple[Period, PeriodTally]]
    pages: float

    @property
    def end(self) -> int:
        """The day after the last one."""
        return self.periods[-1][0].end

    def precedes(self, period: Period, pages: float) -> bool:
        """Whether a period follows that can be read with these."""
        together = self.pages + pages <= PAGES_TOGETHER
        return together and self.end == period.first and period.mark is None


class Rereads:
    """What a run reads again, in at most ``budget`` pages of ``page_size`` events."""

    def __init__(self, budget: int, page_size: int) -> None:
        self._budget = budget
        self._page_size = page_size
        self._readings: dict[Partition, _Reading] = {}

    def __contains__(self, partition: Partition) -> bool:
        return partition in self._readings

    def plan(self, metrics: Sequence[CountedMetric], now: int) -> Iterable[CountedMetric]:
        """Plans the partitions of a run that starts at ``now``, in Unix seconds.

        Yields the metrics with periods that change without reading.
        """
        for one in metrics:
            if one.leave_earlier_uncounted():
                yield one
        readings = [
            reading
            for one in metrics
            if not one.counts.unstable
            for reading in self._readings_of(one, now)
        ]
        pages, allowance = float(self._budget), PageAllowance(self._budget)
        for reading in sorted(readings, key=lambda reading: -reading.end):
            if pages <= 0:
                break
            pages -= max(1, math.ceil(reading.pages))
            self._add(reading, allowance)
            if _settle(reading):
                yield reading.one

    def note(self, partition: Partition) -> CountedMetric | None:
        """Notes what a page of a partition has brought; returns the metric if it is news."""
        reading = self._readings.get(partition)
        if reading is None:
            return None
        is_news = _settle(reading)
        mark = partition.tracker.low_water_mark
        if reading.periods:
            period, tally = reading.periods[0]
            before = period.mark
            period.pause(mark, tally.events_before(mark))
            is_news |= period.mark != before
        return reading.one if is_news else None

    def _readings_of(self, one: CountedMetric, now: int) -> Sequence[_Reading]:
        readings: list[_Reading] = []
        for period in one.to_read_again(now):
            window = one.window_of(period)
            pages = ((period.count or 0) - period.brought) / self._page_size
            tally = PeriodTally(window, window.end - window.start, period.brought)
            if readings and readings[-1].precedes(period, pages):
                readings[-1].periods.append((period, tally))
                readings[-1].pages += pages
            else:
                readings.append(_Reading(one, [(period, tally)], pages))
        return readings

    def _add(self, reading: _Reading, allowance: PageAllowance) -> None:
        first, last = reading.periods[0][1].window, reading.periods[-1][1].window
        tracker = WindowTracker(
            first.start,
            last.end,
            split_after=SPLIT_AFTER_PAGES * self._page_size,
            page_size=self._page_size,
        )
        sync, metric = reading.one.sync, reading.one.metric
        filters = (equals("metric_id", metric), *filter(None, sync.selected.stream.filters))
        partition = Partition(sync, filters, tracker, True, metric)
        partition.tally = EventTally(tally for _, tally in reading.periods)
        partition.allowance = allowance
        for period, _ in reading.periods:
            period.being_read = True
        self._readings[partition] = reading
        sync.rereads.append(partition)


def _settle(reading: _Reading) -> bool:
    """Notes which periods were read as a whole; returns whether there are some."""
    finished = [(period, tally) for period, tally in reading.periods if tally.finished]
    for period, tally in finished:
        reading.one.finish(period, tally)
    reading.periods = [found for found in reading.periods if not found[1].finished]
    return bool(finished)
