"""A run: reads the selected streams in parallel, writes their records, and moves the bookmarks.

How a page travels. A worker fetches it and does nothing else. This thread parses it, writes its
RECORD lines, and creates the task for the next page: one page in memory, while workers wait for the
network. (Parsing in the workers was measured: no faster, and five times the memory.)

What a bookmark is. A stream is read in partitions, and a partition in windows of time. With each
page the low-water mark of its partition may move. The bookmark of the stream is the lowest mark of
its partitions. When it, or what has been read after it, changes, a STATE message follows the
records that it covers: at most one a second, and one at the end.

What is read first. Event streams wait for the list of metrics, other streams that are read by time
for Klaviyo's clock, reports for the account's time zone. Workers look these up while others read.
All that is written waits for the ID of the account, if the settings ask for it.

What fails. An error of one stream ends that stream: the others go on, its bookmark stays, and a
full table is not activated. Other errors end the run. :mod:`tap_klaviyo.klaviyo.failures` has the
policy.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeAlias

from tap_klaviyo.batches import Batches
from tap_klaviyo.config.settings import Config
from tap_klaviyo.dates import steady_clock
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.errors import ApiError, RetryableError, StreamError
from tap_klaviyo.klaviyo.account import Account, Metrics
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.logs import get_logger
from tap_klaviyo.messages import Writer
from tap_klaviyo.records.page_parser import Page
from tap_klaviyo.state import State
from tap_klaviyo.sync import summary
from tap_klaviyo.sync.account_check import AccountCheck, AccountIdLookup
from tap_klaviyo.sync.account_lookup import (
    AccountLookup,
    LookupResult,
    MetricsLookup,
    lookups_for,
)
from tap_klaviyo.sync.backpressure import Backpressure
from tap_klaviyo.sync.count_requests import CountTask
from tap_klaviyo.sync.full_tables import FullTables
from tap_klaviyo.sync.output import Output
from tap_klaviyo.sync.page_sizes import PageSizes
from tap_klaviyo.sync.parent_check import ParentCheck, all_gone_error
from tap_klaviyo.sync.planner import Planner
from tap_klaviyo.sync.progress_bars import Progress
from tap_klaviyo.sync.recount import Recount
from tap_klaviyo.sync.scheduler import Scheduler
from tap_klaviyo.sync.stream_sync import StreamSync, stream_syncs
from tap_klaviyo.sync.summary import RunSummary, run_summary
from tap_klaviyo.sync.window_failures import WindowFailures
from tap_klaviyo.sync.window_reader import WindowReader
from tap_klaviyo.sync.workers import WorkerPool

logger = get_logger(__name__)

Task: TypeAlias = WindowReader | AccountLookup | MetricsLookup | ParentCheck | CountTask


class Run:
    """One sync of ``selection``, from ``state``.

    ``planner`` is the class that plans it, given the config, the state and the start in seconds.
    ``now`` is the wall clock in Unix seconds, ``clock`` a clock that never jumps.
    """

    def __init__(
        self,
        config: Config,
        client: Client,
        writer: Writer,
        selection: Sequence[SelectedStream],
        state: State,
        *,
        progress: Progress | None = None,
        planner: Callable[[Config, State, int], Planner] = Planner,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._state = state
        self._now = steady_clock(now, clock)
        self._clock = clock
        self._backpressure = Backpressure()
        self._started = int(self._now())
        self._planner = planner(config, state, self._started)
        self._page_sizes = PageSizes(config.page_size)
        self._reports = config.reports
        self._account = Account(client)
        self._lookups: deque[AccountIdLookup | AccountLookup | MetricsLookup] = deque()
        started = clock()
        self._recount = Recount(config, state, self._planner, lambda: clock() - started)
        self._pool: WorkerPool[Task | AccountIdLookup, Any] = WorkerPool(
            config.concurrency, lambda task: task.perform(client), summary.log_fewer_workers
        )
        self._other_workers = config.concurrency - 1
        self._stopped = False
        self._full_tables = FullTables(config, state, self._started)
        self._syncs = stream_syncs(selection, self._full_tables.readings(selection), config.hashing)
        self._selected = [sync for sync in self._syncs if not sync.hidden_parent]
        self._scheduler = Scheduler(
            self._syncs, config.concurrency, config.quota_share, self._page_sizes
        )
        self._failures = WindowFailures(
            self._scheduler, self._page_sizes, self._finish_window, self._end_reader
        )
        version = self._started if config.activate_version else None
        self._progress = progress or Progress()
        batches = Batches(config.batch_config, writer) if config.batch_config else None
        self._output = Output(
            writer, self._progress, state, self._selected, client, version, self._now, batches
        )
        self._id_check = AccountCheck(config, state, self._output, self._syncs, self._scheduler)

    def sync(self) -> RunSummary:
        """Reads everything and ends with a STATE message.

        The summary names the streams that failed. Raises :class:`TapError` for an error that ends
        the run. If Klaviyo never answers, nothing is written.
        """
        deque(self.steps(), maxlen=0)
        return self.summary()

    def steps(self) -> Generator[None, None, None]:
        """Does the same, but yields after each answer. To close the generator ends the run."""
        if not self._syncs:
            logger.warning("No stream is selected, so nothing is read.")
        with self._progress:
            self._plan()
            try:
                results = self._pool.run(self._next_task, self._output.keep_up)
                with closing(results):
                    asked = self._clock()
                    for task, result in self._id_check.in_order(results, lambda: self._stopped):
                        received, in_flight = self._clock(), self._pool.in_flight + 1
                        self._take(task, result)
                        yield
                        waited, asked = received - asked, self._clock()
                        self._backpressure.note(waited, asked - received, in_flight)
                self._end_recounted()
                due = [sync for sync in self._selected if not sync.reading.is_skipped]
                if not due or any(not isinstance(sync.error, RetryableError) for sync in due):
                    self._output.schemas()
            finally:
                self._client.close()
                self._planner.advance_interrupted(self._syncs)
                self._recount.end()
                self._output.end()
                self._output.log_summary()

    def stop(self) -> None:
        """Ends the run after the current page; :meth:`sync` then returns. Signal-safe."""
        self._stopped = True
        self._pool.stop()
        self._client.stop()

    def summary(self) -> RunSummary:
        """What the run has done so far."""
        times, saved = (self._started, self._now()), self._output.saved
        late = self._recount.report.late
        summary = run_summary(
            self._selected, self._state, times, stopped=self._stopped, saved=saved, late=late
        )
        return replace(summary, account_id=self._id_check.account_id)

    @property
    def errors(self) -> list[StreamError]:
        """Why streams could not be read, in the order of the catalog."""
        return [sync.error for sync in self._selected if sync.error]

    # Planning ------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Plans the streams that need no lookup, and queues the lookups of the others."""
        self._lookups += self._id_check.lookups(self._account)
        self._planner.prepare(self._selected)
        self._full_tables.log(self._selected)
        lookups = lookups_for(
            (sync for sync in self._syncs if not sync.finished), self._account, self._reports
        )
        self._lookups += [*lookups, *self._recount.prepare(self._syncs, self._account)]
        waiting = {sync for lookup in lookups for sync in lookup.syncs}
        for sync in self._syncs:
            if sync in waiting:
                continue
            if not sync.finished:
                self._planner.plan(sync, Metrics(()))
            self._output.show(sync)
        self._end_recounted()

    # Tasks and their results ----------------------------------------------------------------------

    def _next_task(self) -> Task | AccountIdLookup | None:
        if self._lookups:
            return self._lookups.popleft()
        if self._failures.parent_checks:
            return self._failures.parent_checks.popleft()
        if (task := self._recount.next_task(self._other_workers)) is not None:
            return task
        may_read = self._id_check.has_room(self._pool.in_flight)
        reader = may_read and self._scheduler.next(self._pool.idle, self._backpressure.useful)
        return reader or self._recount.next_task()

    def _take(self, task: Task, result: Any) -> None:
        self._output.keep_up()
        self._planner.heed_clock(self._client.clock_offset())
        if isinstance(task, MetricsLookup | CountTask):
            self._take_counts(task, result)
            return
        if isinstance(task, AccountLookup):
            if isinstance(result, BaseException):
                raise result
            self._take_lookup(task, result)
            return
        reader = task if isinstance(task, WindowReader) else task.reader
        reader.partition.sync.requests += task.requests
        task.requests = 0
        if isinstance(task, ParentCheck):
            self._failures.take_parent_check(task, result)
        elif isinstance(result, BaseException):
            self._failures.fail(reader, result)
        else:
            self._take_answer(reader, result)

    def _take_lookup(self, lookup: AccountLookup, results: Sequence[LookupResult]) -> None:
        """Plans the streams of a lookup. What the account lacks ends the stream."""
        for sync, result in zip(lookup.syncs, results, strict=True):
            if result.error is None:
                self._output.schemas()
                self._planner.plan(sync, result.metrics, result.queries)
            self._output.show(sync)
            if result.error is not None:
                self._end_stream(sync, result.error)
        self._planner.warn_empty()
        self._end_recounted()

    def _take_counts(self, task: MetricsLookup | CountTask, result: Any) -> None:
        """Takes what is needed to find late events; no stream fails without it."""
        if isinstance(result, BaseException) and not isinstance(result, StreamError):
            raise result
        self._recount.take(task, result)
        self._end_recounted()

    def _end_recounted(self) -> None:
        """Ends the streams that have only waited for counts."""
        self._recount.begin_when_planned()
        for sync in self._recount.ended():
            self._advance(sync)

    def _take_answer(self, reader: WindowReader, result: Body) -> None:
        """Parses an answer that is not parsed yet."""
        try:
            with self._client.unfolding:
                page = reader.parse(result)
        except ValueError:
            reader.parse_in_worker = True
            self._scheduler.resume(reader)
            return
        except ApiError as error:
            self._failures.fail(reader, error)
            return
        reader.parse_in_worker = False
        if reader.shrunk_by is not None:
            self._page_sizes.reduce(reader.partition.sync, reader.page_size, reader.shrunk_by)
        self._take_page(reader, page)

    def _take_page(self, reader: WindowReader, page: Page) -> None:
        """Writes a page, and continues with the next one or finishes the window."""
        done = reader.window.start
        idle = self._scheduler.room(reader, self._pool.idle - 1, self._backpressure.useful)
        records, more = reader.take(page, idle)
        sync = reader.partition.sync
        self._output.page(sync, page, records)
        for child in sync.children:
            self._planner.add_parents(child, child.parents_on(page, reader.partition))
        if reader.must_read_again:
            self._failures.restart(reader)
            return
        if not more:
            self._finish_window(reader)
            return
        self._note_counts(reader)
        if reader.window.start > done and sync.parent is None:
            self._advance(sync)
        try:
            reader.follow(page)
        except ApiError as error:
            self._failures.fail(reader, error)
            return
        self._scheduler.resume(reader)

    def _finish_window(self, reader: WindowReader) -> None:
        self._scheduler.release(reader)
        reader.finish()
        if not reader.partition.windowed:
            reader.partition.sync.unfinished -= 1
        self._note_counts(reader)
        self._advance(reader.partition.sync)

    def _note_counts(self, reader: WindowReader) -> None:
        """Notes which counted periods have been read."""
        if self._recount.note(reader.partition):
            self._output.state()

    def _advance(self, sync: StreamSync) -> None:
        """Moves the bookmark of a stream, and ends the stream if it is complete."""
        if sync.all_parents_gone and sync.finished:
            self._end_stream(sync, all_gone_error(sync))
        changed = sync.finished
        if sync.selected.incremental:
            changed = self._planner.advance(sync)
        self._output.progress(sync)
        if sync.finished:
            self._full_tables.complete(sync, self._client.clock_offset())
            self._output.complete(sync)
            for child in sync.children:
                if child.finished:
                    self._advance(child)
        if changed and not sync.hidden_parent:
            self._output.state()

    # Failures ------------------------------------------------------------------------------------

    def _end_reader(self, reader: WindowReader, error: StreamError) -> None:
        """Ends the stream of a window that cannot be read."""
        self._scheduler.release(reader)
        if not self._recount.abandon(reader.partition, error):
            self._end_stream(reader.partition.sync, error)
        elif reader.partition.sync.finished:
            self._advance(reader.partition.sync)

    def _end_stream(self, sync: StreamSync, error: StreamError) -> None:
        """Ends a stream that cannot be read, and its children."""
        if sync.error is not None:
            return
        sync.error = error
        self._output.failed(sync, error)
        for child in sync.children:
            self._end_stream(child, error)
