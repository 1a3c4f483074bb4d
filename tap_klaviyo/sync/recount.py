"""Finds late events by Klaviyo's own counts, and reads the periods again that have grown.

Once per ``recount_interval`` a run asks for the counts by day of each metric that its event streams
have read before. :mod:`tap_klaviyo.state.counts` says what is remembered of them, and when a period
is due, short or settled. What is due is read again by partitions of its own, newest first, up to
``recount_budget`` pages a run; the rest stays due in the state. Records come twice by that, and the
bookmark stays where it is.

What a count covers. A count holds for a reading only if its first page was requested after the
count was answered. Where this run reads a period anyway, as new or in a backfill, it is watched. If
one of its pages was requested before, the period stays uncounted, and the next recount makes it
due. A day that was read piece by piece, hour by hour, is never
covered: the first count after it has closed makes it due, and it is read as a whole. So the last
days need no sweep.

Nothing waits for counts. A run reads what is new while it asks, and plans what is read again when
all answers are there. A backfill asks only when it has turned out long: to read a short one again
costs little. One that was interrupted is read on, also by the next runs, before any of it is read
again.

When counts are not used. If counts of days of long ago have changed, they are asked for twice. Two
answers that differ are a strike: the counts of this run are not used. After three strikes in a row
the metric is unstable, and is tried again once a week. A metric that is unstable, that Klaviyo
refuses to count, or of which it counts fewer events than it lists, is swept as before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from tap_klaviyo.config.settings import Config
from tap_klaviyo.errors import RetryableError, StreamError
from tap_klaviyo.klaviyo.account import Account, Metrics
from tap_klaviyo.state import State
from tap_klaviyo.state.counts import DAY, MetricCounts, day_of
from tap_klaviyo.sync.account_lookup import MetricsLookup
from tap_klaviyo.sync.count_requests import CountAnswer, CountRequests, CountTask
from tap_klaviyo.sync.counted_metric import CountedMetric
from tap_klaviyo.sync.planner import Planner
from tap_klaviyo.sync.recount_report import RecountReport
from tap_klaviyo.sync.rereads import Rereads
from tap_klaviyo.sync.stream_sync import Partition, StreamSync

CLOSED_AFTER = 3600
"""Seconds after its end when a day is counted: by then most of its events have arrived."""

LONG_BACKFILL = 20
"""Pages of a metric from which on it is worth it to ask for the counts of its backfill."""

UNSTABLE_INTERVAL = 7 * DAY
"""Seconds after which an unstable metric is tried again."""

ALL_METRICS = ""
"""The key under which a stream of all metrics remembers when it was read first."""


class Recount:
    """The recount of one run. ``elapsed`` tells the seconds since its start."""

    def __init__(
        self, config: Config, state: State, planner: Planner, elapsed: Callable[[], float]
    ) -> None:
        self._interval = int(config.recount_interval.total_seconds())
        self._lookback = int(config.lookback_window.total_seconds())
        self._state = state
        self._planner = planner
        self._elapsed = elapsed
        self._requests = CountRequests()
        self._metrics: list[CountedMetric] = []
        self._syncs: list[StreamSync] = []
        self._waiting: list[StreamSync] = []
        self._interrupted: set[str] = set()
        self._by_main: dict[Partition, CountedMetric] = {}
        self._rereads = Rereads(config.recount_budget, config.page_size)
        self._asked: set[str] = set()
        self._expected: set[str] = set()
        self._all_metrics: list[str] = []
        self._needs_metrics = self._begun = self._planned = False
        self._now = self._end = 0
        self.report = RecountReport()

    # Asking ---------------------------------------------------------------------------------------

    def prepare(self, syncs: Iterable[StreamSync], account: Account) -> list[MetricsLookup]:
        """Chooses the streams of ``syncs`` whose events are counted; returns what to look up."""
        self._syncs = [sync for sync in syncs if self._counts(sync)]
        self._waiting = [*self._syncs]
        names = {sync.selected.stream.name for sync in self._syncs}
        self._interrupted = {name for name in names if self._state.resume(name).done}
        for sync in self._syncs:
            sync.recounting = True
        self._needs_metrics = any(map(self._needs_all_metrics, self._syncs))
        return [MetricsLookup(account)] if self._needs_metrics else []

    def begin_when_planned(self) -> None:
        """Asks for the counts that are due, once all streams are planned. To be called often."""
        if self._begun or self._needs_metrics:
            return
        if not all(sync.planned or sync.error for sync in self._syncs):
            return
        self._begun = True
        self._now = self._planner.now
        self._end = day_of(min(self._now - CLOSED_AFTER, self._planner.end))
        self.report.today = day_of(self._now)
        for sync in self._syncs:
            if not sync.error:
                self._note_stream(sync)
                self._metrics += self._metrics_of(sync)
        self._by_main = {one.main: one for one in self._metrics if one.main is not None}
        for one in self._metrics:
            one.watch()
        due = [one for one in self._metrics if not one.is_backfill and self._is_due(one.counts)]
        for one in sorted(due, key=lambda one: one.counts.asked_at or 0):
            self._ask(one)
            if one.main is None:
                self._store_of(one)  # The next run then requests those first that this one leaves.
        self._expected = {one.metric for one in due}
        self._plan_when_ready()

    def next_task(self, workers: int = 1) -> CountTask | None:
        """The next request for counts; None if ``workers`` are waiting for such requests already.

        They wait for their rate limit most of the time.
        """
        return self._requests.next_task(workers)

    def take(
        self, task: CountTask | MetricsLookup, result: dict[int, int] | Metrics | StreamError
    ) -> None:
        """Takes the result of a task: the counts of a metric, or all metrics of the account."""
        if isinstance(task, MetricsLookup):
            self._needs_metrics = False
            self._all_metrics = result.all_ids if isinstance(result, Metrics) else []
            self.begin_when_planned()
            return
        assert not isinstance(result, Metrics)
        answer = self._requests.take(task, result)
        if answer is not None and not self._asks_again(answer):
            self._take_answer(answer)
        self._plan_when_ready()

    def _counts(self, sync: StreamSync) -> bool:
        stream = sync.selected.stream
        return self._interval > 0 and stream.type == "event" and sync.selected.incremental

    def _needs_all_metrics(self, sync: StreamSync) -> bool:
        """Whether a stream of all metrics has to know them, since some of its counts are due."""
        name = sync.selected.stream.name
        if sync.selected.stream.metrics:
            return False
        known = self._state.counts(name).values() or [MetricCounts()]
        return self._state.bookmark(name) is not None and any(map(self._is_due, known))

    def _metrics_of(self, sync: StreamSync) -> Iterator[CountedMetric]:
        stream = sync.selected.stream
        known = self._state.counts(stream.name)
        mains = {partition.part: partition for partition in sync.partitions}
        first_second = max(self._planner.first_second, self._state.start_date(stream.name) or 0)
        others = self._all_metrics or [metric for metric in known if metric != ALL_METRICS]
        is_interrupted = stream.name in self._interrupted
        for metric in sync.parts if stream.metrics else others:
            mark = self._state.bookmark(stream.name)
            is_covered = self._state.covers(stream.name, metric)
            if mark is not None and not is_covered:
                mark = self._state.backfill_bookmark(stream.name, metric)
            yield CountedMetric(
                sync,
                metric,
                known.get(metric) or MetricCounts(),
                mains.get(metric),
                first_second if mark is None else mark,
                first_second,
                not is_covered or is_interrupted,
                self._lookback,
            )

    def _note_stream(self, sync: StreamSync) -> None:
        """Notes when a stream of all metrics has been read first, or has asked for them."""
        stream = sync.selected.stream
        counts = self._state.counts(stream.name).get(ALL_METRICS) or MetricCounts()
        if not stream.metrics and self._is_due(counts):
            counts.asked_at = self._planner.now
            self._store(stream.name, ALL_METRICS, counts)

    def _is_due(self, counts: MetricCounts) -> bool:
        interval = max(self._interval, UNSTABLE_INTERVAL if counts.unstable else 0)
        return counts.asked_at is None or not 0 <= self._planner.now - counts.asked_at < interval

    def _ask(self, one: CountedMetric) -> None:
        """Asks for the counts of a metric, which may belong to several streams."""
        first = min(other.first_day for other in self._all_of(one.metric))
        if one.metric not in self._asked and first < self._end:
            self._asked.add(one.metric)
            self._requests.ask(one.metric, (first, self._end))

    def _all_of(self, metric: str) -> list[CountedMetric]:
        return [one for one in self._metrics if one.metric == metric]

    def _asks_again(self, answer: CountAnswer) -> bool:
        """Asks again for the days of long ago whose counts have changed, or leaves it for later."""
        if answer.error is not None or answer.earlier is not None:
            return False
        changed = {
            (period.first, period.end)
            for one in self._all_of(answer.metric)
            for period in one.counts.changed_old_periods(
                answer.counts, one.first_day, self.report.today
            )
        }
        if changed:
            self._requests.repeat(answer, changed)
        return bool(changed)

    def _take_answer(self, answer: CountAnswer) -> None:
        earlier = answer.earlier or {}
        contradicts = any(answer.counts[day] != count for day, count in earlier.items())
        if answer.error is not None:
            self.report.refused[answer.metric] = answer.error
        for one in self._all_of(answer.metric):
            counts = one.counts
            if not isinstance(answer.error, RetryableError):
                counts.asked_at = self._now
            if contradicts:
                counts.strikes += 1
            elif answer.error is None:
                at = self._now + math.ceil(self._elapsed())
                self.report.add(answer.metric, one.take(answer.counts, self._end, at))
            if contradicts and counts.unstable:
                self.report.unstable += [answer.metric]
            self._store_of(one)

    # Reading again --------------------------------------------------------------------------------

    def _plan_when_ready(self) -> None:
        """Plans what is read again as soon as all counts are known that will be in this run."""
        if self._planned or self._expected & self._requests.metrics:
            return
        self._planned = True
        read_before = [one for one in self._metrics if not one.is_backfill]
        for one in self._rereads.plan(read_before, self._now):
            self._store_of(one)
        for sync in self._syncs:
            sync.recounting = False

    def note(self, partition: Partition) -> bool:
        """Notes what a page of a partition has brought; returns whether the state has changed."""
        one = self._rereads.note(partition)
        if one is None:
            one = self._note_main(partition)
        if one is not None:
            self._store_of(one)
        return one is not None

    def _note_main(self, partition: Partition) -> CountedMetric | None:
        """The metric of a partition, if one of its watched periods was read now."""
        one = self._by_main.get(partition)
        if one is None:
            return None
        if one.is_backfill and partition.tracker.pages >= LONG_BACKFILL:
            self._ask(one)
        return one if one.note() else None

    def abandon(self, partition: Partition, error: StreamError) -> bool:
        """Leaves periods for later if Klaviyo refuses to list them; returns whether it does so."""
        if partition not in self._rereads or isinstance(error, RetryableError):
            return False
        partition.abandoned = True
        self.report.refused[partition.part] = error
        return True

    def ended(self) -> list[StreamSync]:
        """The streams that have nothing left to wait for, each once; none that read nothing."""
        ended = [sync for sync in self._waiting if sync.finished]
        self._waiting = [sync for sync in self._waiting if not sync.finished]
        return [sync for sync in ended if sync.pages and not sync.error]

    def end(self) -> None:
        """Notes which metrics were read for the first time, and logs what was found.

        Their counts are asked for one ``recount_interval`` from now.
        """
        for one in self._metrics:
            is_new = one.is_backfill and one.counts.asked_at is None
            tracker = one.main.tracker if one.main else None
            if is_new and tracker is not None and tracker.pages and tracker.finished:
                one.counts.asked_at = self._now
                self._store_of(one)
        self.report.log(one.counts for one in self._metrics)

    def _store_of(self, one: CountedMetric) -> None:
        self._store(one.sync.selected.stream.name, one.metric, one.counts)

    def _store(self, stream: str, metric: str, counts: MetricCounts) -> None:
        self._state.set_counts(stream, metric, counts)
