"""A run: reads the selected streams in parallel, writes their records, and moves the bookmarks.

How a page travels. A worker fetches it and does nothing else. This thread parses it, writes its
RECORD lines, and creates the task for the next page: one page in memory, while workers wait for the
network. (Parsing in the workers was measured: no faster, and five times the memory.)

What a bookmark is. A stream is read in partitions, and a partition in windows of time. When a
window is done, the low-water mark of its partition may move. The bookmark of the stream is the
lowest mark of its partitions. When it has moved, a STATE message follows the records that it
covers.

What is read first. Event streams wait for the list of metrics, reports for the account's time zone.
A worker looks these up while the other streams are read.

What fails. An error of one stream ends that stream: the others go on, its bookmark stays, and a
full table is not activated. Other errors end the run. :mod:`tap_klaviyo.klaviyo.failures` has the
policy.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, TypeAlias

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import SelectedStream, hidden_parent
from tap_klaviyo.errors import ApiError, RetryableError, StreamError, forget_frames
from tap_klaviyo.klaviyo.account import Account, Metrics
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.failures import (
    Reaction,
    RefusedRequest,
    reaction_to,
    smaller_page_size,
)
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.logs import get_logger
from tap_klaviyo.messages import Writer
from tap_klaviyo.records.page_parser import Page, PageParser
from tap_klaviyo.reports.builder import check_options
from tap_klaviyo.state import State
from tap_klaviyo.streams import BY_NAME
from tap_klaviyo.sync import summary
from tap_klaviyo.sync.account_lookup import AccountLookup, LookupResult
from tap_klaviyo.sync.output import Output
from tap_klaviyo.sync.page_sizes import PageSizes
from tap_klaviyo.sync.planner import Planner
from tap_klaviyo.sync.progress_bars import Progress
from tap_klaviyo.sync.scheduler import Scheduler
from tap_klaviyo.sync.stream_sync import StreamSync
from tap_klaviyo.sync.summary import RunSummary, summarize
from tap_klaviyo.sync.window_reader import WindowReader
from tap_klaviyo.sync.workers import WorkerPool

logger = get_logger(__name__)

Task: TypeAlias = WindowReader | AccountLookup


class Run:
    """One sync of ``selection``, from ``state``. ``now`` is the wall clock in Unix seconds."""

    def __init__(
        self,
        config: Config,
        client: Client,
        writer: Writer,
        selection: Sequence[SelectedStream],
        state: State,
        *,
        progress: Progress | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._state = state
        self._now = now
        self._started = int(now())
        self._planner = Planner(config, state, self._started)
        self._page_sizes = PageSizes(config.page_size)
        self._reports = config.reports
        self._account = Account(client)
        self._lookups: deque[AccountLookup] = deque()
        self._looking_up = False
        self._pool: WorkerPool[Task, Any] = WorkerPool(
            config.concurrency, self._work, summary.log_fewer_workers
        )
        self._stopped = False
        self._selected = [self._stream_sync(selected) for selected in selection]
        self._syncs = list(self._selected)
        for sync in self._selected:
            self._attach_parent(sync)
        self._scheduler = Scheduler(
            self._syncs, config.concurrency, config.quota_share, self._page_sizes
        )
        version = self._started if config.activate_version else None
        self._progress = progress or Progress()
        self._output = Output(writer, self._progress, state, self._selected, version, now)

    def sync(self) -> RunSummary:
        """Reads everything and ends with a STATE message.

        The summary names the streams that failed. Raises :class:`TapError` for an error that ends
        the run. If Klaviyo never answers, nothing is written.
        """
        for _ in self.steps():
            pass
        return self.summary()

    def steps(self) -> Generator[None, None, None]:
        """Does the same, but yields after each answer. To close the generator ends the run."""
        if not self._syncs:
            logger.warning("No stream is selected, so nothing is read.")
        with self._progress:
            self._plan()
            try:
                with closing(self._pool.run(self._next_task)) as results:
                    for task, result in results:
                        self._take(task, result)
                        yield
                if any(not isinstance(sync.error, RetryableError) for sync in self._selected):
                    self._output.schemas()
            finally:
                self._client.close()
                self._output.state()
                summary.log_summary(self._selected, self._now() - self._started)
                summary.log_daily_quotas(self._client.daily_quotas())

    def stop(self) -> None:
        """Ends the run after the current page; :meth:`sync` then returns. Signal-safe."""
        self._stopped = True
        self._pool.stop()
        self._client.stop()

    def summary(self) -> RunSummary:
        """What the run has done so far."""
        return RunSummary(
            streams=tuple(summarize(sync, self._state) for sync in self._selected),
            seconds=self._now() - self._started,
            stopped=self._stopped,
            error=summary.run_error(self._selected),
        )

    @property
    def errors(self) -> list[StreamError]:
        """Why streams could not be read, in the order of the catalog."""
        return [sync.error for sync in self._selected if sync.error]

    # Planning ------------------------------------------------------------------------------------

    def _stream_sync(self, selected: SelectedStream, *, hidden: bool = False) -> StreamSync:
        query = query_for(selected.stream, selected.schema)
        return StreamSync(selected, query, PageParser(selected), hidden, counted_at=self._now())

    def _attach_parent(self, sync: StreamSync) -> None:
        """Makes ``sync`` a child of its parent stream, which is added if it is not selected."""
        parent = sync.selected.stream.parent
        if parent is None:
            return
        known = (other for other in self._syncs if other.selected.stream.name == parent.stream)
        sync.parent = next(known, None)
        if sync.parent is None:
            sync.parent = self._stream_sync(hidden_parent(BY_NAME[parent.stream]), hidden=True)
            self._syncs.append(sync.parent)
            self._attach_parent(sync.parent)
        sync.parent.children.append(sync)

    def _plan(self) -> None:
        """Plans the streams that need no lookup, and queues the lookups of the others."""
        events, reports = list[StreamSync](), list[StreamSync]()
        for sync in self._syncs:
            stream = sync.selected.stream
            if stream.metrics:
                events.append(sync)
            elif stream.report:
                check_options(sync.selected, self._reports)
                reports.append(sync)
            else:
                self._planner.plan(sync, Metrics(()))
                self._output.show(sync, self._planner.end)
        self._lookups += [AccountLookup(syncs) for syncs in (events, reports) if syncs]

    # In a worker's thread ------------------------------------------------------------------------

    def _work(self, task: Task) -> Body | list[LookupResult]:
        if isinstance(task, AccountLookup):
            return task.perform(self._account, self._reports)
        return self._fetch(task)

    def _fetch(self, reader: WindowReader) -> Body:
        """The next page of a window; one that can be parsed if the last answer could not."""
        url, json_body = reader.next_request()
        return self._client.request(
            url,
            reader.partition.sync.query,
            partial(_checked, reader),
            json_body=json_body,
            count=reader.count_request,
        )

    def _next_task(self) -> Task | None:
        # One at a time: the second lookup uses what the first one has found.
        if self._lookups and not self._looking_up:
            self._looking_up = True
            return self._lookups.popleft()
        return self._scheduler.next(self._pool.idle)

    def _take(self, task: Task, result: Any) -> None:
        self._output.log_progress()
        if isinstance(task, AccountLookup):
            self._looking_up = False
            if isinstance(result, BaseException):
                raise result
            self._take_lookup(task, result)
            return
        task.partition.sync.requests += task.requests
        task.requests = 0
        if isinstance(result, BaseException):
            self._fail(task, result)
        else:
            self._take_answer(task, result)

    def _take_lookup(self, lookup: AccountLookup, results: Sequence[LookupResult]) -> None:
        """Plans the streams of a lookup. What the account lacks ends the stream."""
        for sync, result in zip(lookup.syncs, results, strict=True):
            if result.error is None:
                self._output.schemas()
                self._planner.plan(sync, result.metrics, result.queries)
            self._output.show(sync, self._planner.end)
            if result.error is not None:
                self._end_stream(sync, result.error)

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
            self._fail(reader, error)
            return
        reader.parse_in_worker = False
        if reader.shrunk_by is not None:
            self._page_sizes.reduce(reader.partition.sync, reader.page_size, reader.shrunk_by)
        self._take_page(reader, page)

    def _take_page(self, reader: WindowReader, page: Page) -> None:
        """Writes a page, and continues with the next one or finishes the window."""
        records, more = reader.take(page, others_idle=self._pool.idle > 1)
        sync = reader.partition.sync
        self._output.page(sync, page, records)
        for child in sync.children:
            self._planner.add_parents(child, page.ids)
        if not more:
            self._finish_window(reader)
            return
        try:
            reader.follow(page)
        except ApiError as error:
            self._fail(reader, error)
            return
        self._scheduler.resume(reader)

    def _finish_window(self, reader: WindowReader) -> None:
        self._scheduler.release(reader)
        reader.finish()
        if not reader.partition.windowed:
            reader.partition.sync.unfinished -= 1
        self._advance(reader.partition.sync)

    def _advance(self, sync: StreamSync) -> None:
        """Moves the bookmark of a stream, and ends the stream if it is complete."""
        changed = sync.finished
        if sync.selected.incremental and sync.error is None:
            changed = self._planner.advance(sync)
        self._output.progress(sync)
        if sync.finished:
            self._output.complete(sync)
            for child in sync.children:
                if child.finished:
                    self._advance(child)
        if changed and not sync.hidden_parent:
            self._output.state()

    # Failures ------------------------------------------------------------------------------------

    def _fail(self, reader: WindowReader, error: BaseException) -> None:
        """Carries out what the failure policy says about a window that could not be read."""
        if not isinstance(error, StreamError):
            raise error
        forget_frames(error)
        sync = reader.partition.sync
        reaction = self._reaction_to(reader, error)
        if reaction is Reaction.SMALLER_PAGES:
            reader.shrunk_by = error
            smaller = smaller_page_size(reader.page_size)
            reader.restart(min(smaller, self._page_sizes.of(sync)))
            self._scheduler.resume(reader)
        elif reaction is Reaction.RESTART_WINDOW:
            logger.warning("Stream '%s': a window starts again: %s", sync.name, error)
            reader.restarts += 1
            reader.restart(min(reader.page_size, self._page_sizes.of(sync)))
            self._scheduler.resume(reader)
        elif reaction is Reaction.END_PARTITION:
            parent = reader.partition.parent
            logger.info(
                "Stream '%s': parent %s was deleted during the run; skipped.", sync.name, parent
            )
            self._finish_window(reader)
        else:
            self._scheduler.release(reader)
            self._end_stream(sync, error)

    def _reaction_to(self, reader: WindowReader, error: StreamError) -> Reaction:
        return reaction_to(
            RefusedRequest(
                status=error.status if isinstance(error, ApiError) else 0,
                first_page=not reader.pages,
                of_child=bool(reader.partition.parent),
                restarts=reader.restarts,
                page_size=reader.page_size,
                is_page_size=error.is_page_size if isinstance(error, ApiError) else False,
            )
        )

    def _end_stream(self, sync: StreamSync, error: StreamError) -> None:
        """Ends a stream that cannot be read, and its children."""
        if sync.error is not None:
            return
        sync.error = error
        self._output.failed(sync, error)
        for child in sync.children:
            self._end_stream(child, error)


def _checked(reader: WindowReader, body: Body) -> Body:
    """An answer; raises ValueError if the last one could not be parsed and this cannot either."""
    if reader.parse_in_worker:
        reader.parse(body)
    return body
