"""Plans a run: the partitions of each stream and where they start. Moves the bookmarks. Pure.

An incremental stream is read from its bookmark, less ``lookback_window`` for late events. Once per
``sweep_interval`` it is read from ``sweep_window`` before the last sweep instead: so events that
arrived late by up to that much are found, however long the tap did not run. A report is swept too,
over a window of its own, because Klaviyo corrects its numbers.

A metric that is new to a stream is backfilled from ``start_date`` and has a bookmark of its own
until it has reached the stream's. So neither holds the other back if the run is interrupted.

What an interrupted run has read after its bookmark is remembered too, and so is what it has read of
a sweep: the next run continues there. Only the last ``lookback_window`` before the interrupted run
is read again, since its events may have been late, and what a sweep that has become due covers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from tap_klaviyo.config.settings import Config
from tap_klaviyo.klaviyo.account import Metrics
from tap_klaviyo.klaviyo.queries import equals
from tap_klaviyo.logs import get_logger
from tap_klaviyo.reports.queries import ReportQuery
from tap_klaviyo.state import Resume, State
from tap_klaviyo.streams import REVISIONS_OF, by_name
from tap_klaviyo.sync import bookmark_checks as checks
from tap_klaviyo.sync.backfills import backfills, covered_until
from tap_klaviyo.sync.report_partitions import local_start_of, report_partition
from tap_klaviyo.sync.stream_metrics import metrics_of, warn_empty
from tap_klaviyo.sync.stream_sync import Partition, StreamSync
from tap_klaviyo.sync.sweeps import Sweeps
from tap_klaviyo.sync.windows import SPLIT_AFTER_PAGES, Window, WindowTracker, before

logger = get_logger(__name__)

READ_AHEAD_WINDOWS = 4
"""Windows of ``SPLIT_AFTER_PAGES`` per worker that may be read after the low-water mark."""

MAX_REMEMBERED = 100
"""Windows of a partition, read before an interruption, that the state remembers; oldest first."""

CLOCK_TOLERANCE = 2
"""Seconds of difference to Klaviyo's clock that its Date and the way of an answer explain."""

CLOCK_DIFFERENCE = 60
"""Seconds of difference to Klaviyo's clock above which a warning says so."""

SETTLE_SECONDS = 10
"""Klaviyo may refuse (400) a start within the last seconds; the next run reads them."""


class Planner:
    """Plans the streams of one run. ``now`` is the start of the run in Unix seconds."""

    def __init__(self, config: Config, state: State, now: int) -> None:
        self._config = config
        self._state = state
        self._now = now
        self._sweeps = Sweeps(config, state)
        end = int(config.end_date.timestamp()) if config.end_date else now
        self.end = max(0, min(end, now))
        self._start_date = max(0, int(config.start_date.timestamp()))
        self._clock_known = self._bookmarks_prepared = False
        self._incremental: list[StreamSync] = []
        self._empty: list[str] = []

    @property
    def now(self) -> int:
        """The start of the run, by Klaviyo's clock once that is known."""
        return self._now

    @property
    def first_second(self) -> int:
        """Where streams without a bookmark start. If it is in the future, nothing is read."""
        return min(self._start_date, self._now)

    def heed_clock(self, ahead: float | None) -> None:
        """Sets the time of the run by Klaviyo's clock, of which the local one is ``ahead``.

        ``ahead`` is in seconds; None if no answer has told Klaviyo's clock yet. Only then it is
        known which bookmarks are of the future.
        """
        if not self._clock_known and ahead is not None:
            self._clock_known = True
            self._set_clock(ahead)
            self._prepare_bookmarks()

    def _set_clock(self, ahead: float) -> None:
        """Ends the run at the earlier of both times.

        Events between them would be passed over, and Klaviyo may refuse a bound in its future.
        """
        if abs(ahead) > CLOCK_TOLERANCE:
            self._now -= math.ceil(ahead)
            self.end = max(0, min(self.end, self._now))
        if abs(ahead) > CLOCK_DIFFERENCE:
            where, last = ("ahead of", "Klaviyo's") if ahead > 0 else ("behind", "the local")
            logger.warning(
                "The local clock is %.0f s %s Klaviyo's; the run ends at %s time. Correct it.",
                abs(ahead),
                where,
                last,
            )

    def prepare(self, syncs: Sequence[StreamSync]) -> None:
        """Migrates the bookmarks of ``syncs``, all that are selected, before the first is planned.

        Warns of bookmarks of unknown streams. Raises :class:`StateError` for a bookmark of another
        tap that cannot be continued.
        """
        configured = {*REVISIONS_OF, *by_name(self._config.metric_streams)}
        names = {name for sync in syncs for name in (sync.name, sync.selected.tap_stream_id)}
        checks.warn_unknown_bookmarks(self._state, {*configured, *names})
        self._incremental = [sync for sync in syncs if sync.selected.incremental]
        for sync in self._incremental:
            stream = sync.selected.stream
            if self._state.bookmark(stream.name) is None:
                self._state.migrate(stream.name, (), (), checks.replication_keys(stream))

    def plan(self, sync: StreamSync, metrics: Metrics, queries: Sequence[ReportQuery] = ()) -> None:
        """Sets the partitions of ``sync``; none if the account has no metric for it.

        Those of a child are added with its parents, those of a report come from ``queries``.
        """
        sync.planned = True
        stream = sync.selected.stream
        if stream.metrics:
            sync.parts = metrics_of(sync.selected, metrics, self._state, self._empty)
            if not sync.parts:
                return
        if stream.report:
            sync.parts = [query.part for query in queries]
        if sync.selected.incremental and not stream.parent:
            self._prepare_bookmarks()
            self._prepare_bookmark(sync)
        if stream.report:
            for query in queries:
                sync.add(self._report_partition(sync, query))
        elif not stream.parent:
            for metric_id in sync.parts or ("",):
                for stream_filter in stream.filters:
                    self._add_partition(sync, stream_filter, metric_id=metric_id)

    def warn_empty(self) -> None:
        """Warns of the planned streams for which the account has no metric, once."""
        warn_empty(self._empty)
        self._empty.clear()

    def add_parents(self, sync: StreamSync, parent_ids: Iterable[str]) -> None:
        """Adds the partitions of a child stream for those of ``parent_ids`` that are new to it."""
        self._prepare_bookmarks()
        for parent_id in parent_ids:
            if parent_id not in sync.parent_ids:
                sync.parent_ids.add(parent_id)
                for stream_filter in sync.selected.stream.filters:
                    self._add_partition(sync, stream_filter, parent=parent_id)

    def advance(self, sync: StreamSync) -> bool:
        """Moves the bookmarks of an incremental stream to its low-water marks.

        Notes what else has been read, unless the stream is complete. Returns whether the state has
        changed.
        """
        stream = sync.selected.stream.name
        if sync.error is not None and sync.parent is not None:
            return False  # Not all of its partitions are known.
        complete = sync.finished and sync.error is None
        limits = {"latest": self._now, "start_date": self.first_second}
        changed = complete
        for partition in backfills(self._state, sync):
            own = partition.tracker.low_water_mark
            changed |= self._state.advance_backfill(stream, partition.part, own, **limits)
        if sync.partitions_known and (mark := covered_until(self._state, sync)) is not None:
            changed |= self._state.advance(stream, mark, **limits)
        if complete:
            self._state.set_metrics(stream, metrics=sync.parts, swept_at=sync.sweep)
        return self._state.set_resume(stream, Resume() if complete else self._done(sync)) or changed

    def advance_interrupted(self, syncs: Iterable[StreamSync]) -> None:
        """Notes what has been read after the bookmarks of ``syncs``, for the last STATE."""
        for sync in syncs:
            if sync.interrupted and sync.selected.incremental and sync.partitions:
                self.advance(sync)

    def _done(self, sync: StreamSync) -> Resume:
        """What has been read of a stream: what may have been late then is not part of it."""
        stream = sync.selected.stream
        if stream.parent or stream.report:
            return Resume()
        settled = self._now - int(self._config.lookback_window.total_seconds())
        done = {
            partition.part: before(settled, partition.tracker.done)[:MAX_REMEMBERED]
            for partition in sync.partitions
        }
        return Resume(done, sync.sweep)

    def _add_partition(
        self, sync: StreamSync, stream_filter: str, metric_id: str = "", parent: str = ""
    ) -> None:
        metric_filter = equals("metric_id", metric_id) if metric_id else ""
        filters = tuple(filter(None, (metric_filter, stream_filter)))
        if sync.selected.windowed:
            tracker = self._tracker(sync, metric_id)
            sync.add(Partition(sync, filters, tracker, True, metric_id, parent))
        else:
            tracker = WindowTracker(0, 1)
            sync.unstarted.append(Partition(sync, filters, tracker, False, metric_id, parent))
            sync.unfinished += 1

    def _report_partition(self, sync: StreamSync, query: ReportQuery) -> Partition:
        config = self._config
        start = self._start(sync, query.part, timedelta(0), query.window)
        start = max(start, local_start_of(config.start_day, query, start))
        end = min(self._now, local_start_of(config.end_day, query, self.end))
        return report_partition(sync, query, start, end)

    def _prepare_bookmarks(self) -> None:
        """Checks all bookmarks once, and prepares those of child streams, which are planned first.

        Without an answer that tells Klaviyo's clock, this is done by the local clock.
        """
        if self._bookmarks_prepared:
            return
        self._bookmarks_prepared = True
        self._check_bookmarks(self._incremental)
        for sync in self._incremental:
            if sync.selected.stream.parent:
                self._prepare_bookmark(sync)

    def _prepare_bookmark(self, sync: StreamSync) -> None:
        """Migrates the bookmark of an incremental stream, and decides whether to sweep."""
        stream = sync.selected.stream
        aliases = (sync.selected.tap_stream_id, sync.name, *stream.aliases)
        before = self._state.bookmark(stream.name)
        keys = checks.replication_keys(stream)
        self._state.migrate(stream.name, aliases, sync.parts, keys)
        bookmark = self._state.bookmark(stream.name)
        if bookmark is None:
            # All time up to the end is read, so only what arrives after now can be late.
            self._state.set_metrics(stream.name, metrics=sync.parts, swept_at=self.end)
            return
        if bookmark != before:
            self._check_bookmarks([sync])
        self._plan_sweep(sync)
        if sync.parts:
            aside = min(bookmark, self._sweeps.begin(stream, self._now))
            self._state.set_metrics(stream.name, metrics=sync.parts, set_aside_at=max(0, aside))

    def _plan_sweep(self, sync: StreamSync) -> None:
        """Continues a sweep that was interrupted, or begins one that is due."""
        stream, now = sync.selected.stream, self._now
        resume = self._state.resume(stream.name)
        if sync.sweep is None and resume.sweep is not None:
            sync.sweep = max(0, min(resume.sweep, self.end))
        sync.done = {part: [Window(*period) for period in p] for part, p in resume.done.items()}
        if sync.sweep is None and self._sweeps.is_due(stream, now):
            sync.sweep = self.end
            begin = self._sweeps.begin(stream, now)
            sync.done = {
                part: before(begin, periods) if self._sweeps.reads(sync, part, now) else periods
                for part, periods in sync.done.items()
            }

    def _check_bookmarks(self, syncs: Sequence[StreamSync]) -> None:
        """Sets bookmarks of the future back, and warns of what will not be read."""
        checks.warn_future({n: start for sync in syncs for n, start in self._set_back(sync)})
        streams = {sync.name: sync.selected.stream.name for sync in syncs}
        checks.warn_dates(self._state, streams, self._config, self._now)
        checks.warn_not_understood(self._state, streams)

    def _set_back(self, sync: StreamSync) -> Iterator[tuple[str, int]]:
        """Sets bookmarks of the future back: yields what they are of, and where it is read from.

        The stream sweeps, since such a bookmark says nothing about what has been read since it was
        written.
        """
        stream = sync.selected.stream
        parts = self._state.set_back(stream.name, self._now)
        if parts and self._sweeps.are_on(stream):
            sync.sweep = self.end
        lookback = timedelta(0) if stream.report else self._config.lookback_window
        sweep = timedelta(seconds=self._sweeps.window(stream))
        for part in parts:
            name = f"{part} of {sync.name}" if part else sync.name
            yield name, self._start(sync, part, lookback, sweep)

    def _tracker(self, sync: StreamSync, metric_id: str) -> WindowTracker:
        config, stream = self._config, sync.selected.stream
        start = self._start(sync, metric_id, config.lookback_window, config.sweep_window)
        last = self.end if stream.replication_key else self._now
        end = last if start <= self._now - SETTLE_SECONDS else start
        return self._window_tracker(sync, start, end, sync.done.get(metric_id, ()))

    def _window_tracker(
        self, sync: StreamSync, start: int, end: int, done: Sequence[Window] = ()
    ) -> WindowTracker:
        config, stream = self._config, sync.selected.stream
        page_size = min(stream.page_size or config.page_size, config.page_size)
        split_after = SPLIT_AFTER_PAGES * page_size
        return WindowTracker(
            start,
            max(start, end),
            split_after=split_after,
            page_size=page_size,
            done=done,
            read_ahead=READ_AHEAD_WINDOWS * config.concurrency * split_after,
        )

    def _start(self, sync: StreamSync, part: str, lookback: timedelta, sweep: timedelta) -> int:
        """The second from which a part of a stream is read.

        A sweep reads from ``sweep`` before the last one, another run from ``lookback`` before the
        bookmark.
        """
        stream = sync.selected.stream
        first = self.first_second if stream.replication_key else 0
        bookmark = self._state.bookmark(stream.name)
        if bookmark is None or not sync.selected.incremental:
            return first
        if part and not self._state.covers(stream.name, part):
            bookmark = self._state.backfill_bookmark(stream.name, part)
            if bookmark is None:
                return first
        start = min(bookmark, self._now) - int(lookback.total_seconds())
        if self._sweeps.reads(sync, part, self._now):
            since = self._sweeps.since(stream, part, bookmark, self._now)
            start = min(start, since - int(sweep.total_seconds()))
        return max(first, start)
