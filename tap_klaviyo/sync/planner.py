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

from collections.abc import Iterable, Sequence
from datetime import timedelta

from tap_klaviyo.config.settings import Config
from tap_klaviyo.klaviyo.account import Metrics
from tap_klaviyo.klaviyo.queries import equals
from tap_klaviyo.logs import get_logger
from tap_klaviyo.reports.queries import ReportQuery
from tap_klaviyo.state import Resume, State
from tap_klaviyo.streams.model import Stream
from tap_klaviyo.sync.stream_sync import Partition, StreamSync
from tap_klaviyo.sync.windows import SPLIT_AFTER_PAGES, Window, WindowTracker, before

logger = get_logger(__name__)

READ_AHEAD_WINDOWS = 4
"""Windows of ``SPLIT_AFTER_PAGES`` per worker that may be read after the low-water mark."""

MAX_REMEMBERED = 100
"""Windows of a partition, read before an interruption, that the state remembers; oldest first."""

SETTLE_SECONDS = 10
"""Klaviyo may refuse (400) a start within the last seconds; the next run reads them."""


class Planner:
    """Plans the streams of one run. ``now`` is the start of the run in Unix seconds."""

    def __init__(self, config: Config, state: State, now: int) -> None:
        self._config = config
        self._state = state
        self._now = now
        end = int(config.end_date.timestamp()) if config.end_date else now
        self.end = min(end, now)

    def plan(self, sync: StreamSync, metrics: Metrics, queries: Sequence[ReportQuery] = ()) -> None:
        """Sets the partitions of ``sync``; none if the account has no metric for it.

        Those of a child are added with its parents, those of a report come from ``queries``.
        """
        sync.planned = True
        stream = sync.selected.stream
        if stream.metrics:
            sync.parts = metrics.ids(stream.metrics, stream.integration)
            if not sync.parts:
                _warn_no_metric(sync)
                return
        if stream.report:
            sync.parts = [query.part for query in queries]
        if sync.selected.incremental:
            self._prepare_bookmark(sync)
        if stream.report:
            sync.partitions = [self._report_partition(sync, query) for query in queries]
        elif not stream.parent:
            for metric_id in sync.parts or ("",):
                for stream_filter in stream.filters:
                    self._add_partition(sync, stream_filter, metric_id=metric_id)

    def add_parents(self, sync: StreamSync, parent_ids: Iterable[str]) -> None:
        """Adds the partitions of a child stream for those of ``parent_ids`` that are new to it."""
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
        first = self._state.bookmark(stream) is None
        covered: list[Partition] = []
        backfilled: list[Partition] = []
        for partition in sync.partitions:
            is_covered = first or not partition.part or self._state.covers(stream, partition.part)
            (covered if is_covered else backfilled).append(partition)
        complete = sync.finished and sync.error is None
        changed = complete
        if covered and sync.partitions_known:
            mark = min(partition.tracker.low_water_mark for partition in covered)
            changed |= self._state.advance(stream, mark, latest=self._now)
        for partition in backfilled:
            mark, part = partition.tracker.low_water_mark, partition.part
            changed |= self._state.advance_backfill(stream, part, mark, latest=self._now)
        if complete:
            self._state.set_metrics(stream, metrics=sync.parts, swept_at=sync.sweep)
        return self._state.set_resume(stream, Resume() if complete else self._done(sync)) or changed

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
            sync.partitions.append(Partition(sync, filters, tracker, True, metric_id, parent))
        else:
            tracker = WindowTracker(0, 1)
            sync.unstarted.append(Partition(sync, filters, tracker, False, metric_id, parent))
            sync.unfinished += 1

    def _report_partition(self, sync: StreamSync, query: ReportQuery) -> Partition:
        """A partition with one window for each period of a report."""
        start = self._start(sync, query.part, timedelta(0), query.window)
        periods = {query.seconds(period.start): period for period in query.periods(start, self.end)}
        first, *boundaries = periods or (self.end,)
        tracker = WindowTracker(first, max(first, self.end), boundaries=boundaries)
        return Partition(sync, (), tracker, True, query.part, periods=periods)

    def _prepare_bookmark(self, sync: StreamSync) -> None:
        """Migrates the bookmark of an incremental stream, and decides whether to sweep."""
        stream = sync.selected.stream
        aliases = (sync.selected.tap_stream_id, sync.name, *stream.aliases)
        self._state.migrate(stream.name, aliases, sync.parts)
        bookmark = self._state.bookmark(stream.name)
        if bookmark is None:
            # All time up to now is read, so only what arrives after now can be late.
            self._state.set_metrics(stream.name, metrics=sync.parts, swept_at=self._now)
            return
        if self._state.advance(stream.name, bookmark, latest=self._now):
            logger.warning(
                "Stream '%s': the bookmark in the state was in the future; it was set back to the "
                "start of this run.",
                sync.name,
            )
        self._plan_sweep(sync)

    def _plan_sweep(self, sync: StreamSync) -> None:
        """Continues a sweep that was interrupted, or begins one that is due."""
        stream = sync.selected.stream
        resume = self._state.resume(stream.name)
        sync.sweep = resume.sweep
        sync.done = {part: [Window(*period) for period in p] for part, p in resume.done.items()}
        if sync.sweep is None and self._sweep_is_due(stream):
            sync.sweep = self._now
            begin = self._sweep_start(sync, self._config.sweep_window)
            sync.done = {part: before(begin, periods) for part, periods in sync.done.items()}

    def _sweep_is_due(self, stream: Stream) -> bool:
        interval = self._config.sweep_interval.total_seconds()
        if not interval or not (stream.report or self._config.sweep_window):
            return False
        swept_at = self._state.swept_at(stream.name)
        return swept_at is None or not 0 <= self._now - swept_at < interval

    def _tracker(self, sync: StreamSync, metric_id: str) -> WindowTracker:
        config, stream = self._config, sync.selected.stream
        start = self._start(sync, metric_id, config.lookback_window, config.sweep_window)
        last = self.end if stream.replication_key else self._now
        end = last if start <= self._now - SETTLE_SECONDS else start
        page_size = min(stream.page_size or config.page_size, config.page_size)
        split_after = SPLIT_AFTER_PAGES * page_size
        return WindowTracker(
            start,
            max(start, end),
            split_after=split_after,
            page_size=page_size,
            done=sync.done.get(metric_id, ()),
            read_ahead=READ_AHEAD_WINDOWS * config.concurrency * split_after,
        )

    def _start(self, sync: StreamSync, part: str, lookback: timedelta, sweep: timedelta) -> int:
        """The second from which a part of a stream is read.

        A sweep reads from ``sweep`` before the last one, another run from ``lookback`` before the
        bookmark.
        """
        stream = sync.selected.stream
        first = int(self._config.start_date.timestamp()) if stream.replication_key else 0
        bookmark = self._state.bookmark(stream.name)
        if bookmark is None or not sync.selected.incremental:
            return first
        if part and not self._state.covers(stream.name, part):
            bookmark = self._state.backfill_bookmark(stream.name, part)
            if bookmark is None:
                return first
        start = min(bookmark, self._now) - int(lookback.total_seconds())
        if sync.sweep is not None:
            start = min(start, self._sweep_start(sync, sweep))
        return max(first, start)

    def _sweep_start(self, sync: StreamSync, sweep: timedelta) -> int:
        """The second from which a sweep reads again: ``sweep`` before the last one."""
        name = sync.selected.stream.name
        swept_at, bookmark = self._state.swept_at(name), self._state.bookmark(name)
        since = bookmark if swept_at is None else swept_at
        return min(since or 0, self._now) - int(sweep.total_seconds())


def _warn_no_metric(sync: StreamSync) -> None:
    stream = sync.selected.stream
    logger.warning(
        "Stream '%s' is empty: the account has no metric %s%s.",
        sync.name,
        " or ".join(f"'{name}'" for name in stream.metrics),
        f" of the integration {stream.integration.capitalize()}" if stream.integration else "",
    )
