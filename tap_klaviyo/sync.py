"""A run: the selected streams read side by side, their records and bookmarks written.

The way of one page. A worker asks the client for the pages of one window of one *lane* (a stream
may have several lanes, one for each of its metrics or variants), shapes each page to finished
RECORD lines and hands them over. This thread writes them. When a window is done, the lane's
low-water mark may move; the stream's bookmark is the lowest mark of its lanes, and if it moved, a
STATE line follows, always behind the records it speaks of.

A worker that finds its window to hold more than it should, or sees other workers idle, cuts the
window behind the last full second it has read; the rest is planned anew. It may, since events come
sorted by time. Where a page is not sorted, the window is not cut.

A stream that Klaviyo refuses ends alone: the others go on, and the run fails when they are done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone

from singer import metrics as singer_metrics

from tap_klaviyo import jsonapi
from tap_klaviyo.account import Metrics, read_metrics
from tap_klaviyo.client import Client
from tap_klaviyo.config import Config
from tap_klaviyo.discovery import Selected
from tap_klaviyo.engine import Done, Engine, Failed
from tap_klaviyo.errors import ApiError, TapError
from tap_klaviyo.messages import Writer
from tap_klaviyo.plan import GOAL_PAGES, Lane, Planner, Table
from tap_klaviyo.progress import Progress
from tap_klaviyo.records import Page, Shaper
from tap_klaviyo.state import State
from tap_klaviyo.streams import EVENT_PAGE_SIZE_FALLBACK
from tap_klaviyo.windows import Window

logger = logging.getLogger(__name__)

BACKLOG = 2
"""Finished pages that may wait to be written. A page of events is about 2.5 MB."""

COUNT_INTERVAL = 60
"""Seconds between two log lines that count a stream's records."""

EXTRACTED = "%Y-%m-%dT%H:%M:%S.%fZ"
"""The form of ``time_extracted``."""

UNKEYED_NAMED = 10
"""How many of the resources that could not be records a warning names."""


@dataclass(eq=False)
class Task:
    """One window of one lane in a worker's hands; ``records`` counts what has been written."""

    lane: Lane
    window: Window
    records: int = 0


@dataclass(frozen=True)
class Chunk:
    """The finished lines of one page, with ``count`` records."""

    lines: bytes
    count: int
    page: Page


@dataclass(frozen=True)
class Cut:
    """The task's window ends at ``at``; what lies behind is to be planned anew."""

    at: int


class Run:
    """One sync of ``selection``, on from ``state``. ``now`` is the wall clock in Unix seconds."""

    def __init__(
        self,
        config: Config,
        client: Client,
        writer: Writer,
        progress: Progress,
        selection: Sequence[Selected],
        state: State,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._writer = writer
        self._progress = progress
        self._state = state
        self._now = now
        self._started = int(now())
        self._planner = Planner(config, state, self._started)
        self._page_size = config.page_size
        self._engine: Engine[Task, Chunk | Cut] = Engine(config.concurrency, BACKLOG)
        self._tables = [self._table(selected) for selected in selection]

    def sync(self) -> None:
        """Reads everything and ends with a STATE.

        Raises :class:`TapError` once all else is done if a stream was refused, at once if nothing
        can go on. The last STATE covers what was written, whatever happens.
        """
        if not self._tables:
            logger.warning("No stream is selected, so nothing is read.")
        with self._progress:
            self._plan()
            for table in self._tables:
                self._write_schema(table)
            self._show_streams()
            try:
                with closing(self._engine.run(self._read, self._next_task)) as results:
                    for task, result in results:
                        self._take(task, result)
            finally:
                self._write_state()
                self._report()
        self._raise_faults()

    def stop(self) -> None:
        """Ends the run with the page in hand; :meth:`sync` then returns. For signal handlers."""
        self._engine.stop()

    def _table(self, selected: Selected) -> Table:
        query = jsonapi.query(selected.stream, selected.schema)
        return Table(selected, query, Shaper(selected), counted_at=self._now())

    def _show_streams(self) -> None:
        for table in self._tables:
            start = table.mark if table.selected.stream.replication_key else None
            self._progress.add(table.name, start, self._planner.end)
            if table.finished:
                self._progress.finish(table.name)

    def _plan(self) -> None:
        """Gives each table its lanes. Without the metrics, streams made of them are refused."""
        metrics, fault = Metrics(()), None
        if any(table.selected.stream.metrics for table in self._tables):
            try:
                metrics = read_metrics(self._client)
            except ApiError as error:
                fault = error
        for table in self._tables:
            if fault and table.selected.stream.metrics:
                table.fault = fault
            else:
                self._planner.plan(table, metrics)

    # In a worker's thread ------------------------------------------------------------------------

    def _read(self, task: Task) -> Iterator[Chunk | Cut]:
        """All pages of the task's window, or of what a cut leaves of it."""
        table = task.lane.table
        latest: int | None = None
        for read, page in enumerate(self._pages(task), start=1):
            at = self._cut_point(page, latest, read) if task.lane.timed else None
            records = page.records
            if at is not None:
                records = records[: page.times.index(at)]
            extracted = datetime.fromtimestamp(self._now(), timezone.utc).strftime(EXTRACTED)
            yield Chunk(table.shaper.encode(records, extracted), len(records), page)
            if at is not None:
                yield Cut(at)
                return
            latest = page.times[-1] if page.times else latest

    def _pages(self, task: Task) -> Iterator[Page]:
        lane, window = task.lane, task.window
        query, shaper = lane.table.query, lane.table.shaper
        filters = lane.filters
        if lane.timed:
            key = lane.table.selected.stream.replication_key
            filters = (*filters, *jsonapi.between(key, *window))
        needs = ", ".join(query.scopes)
        size = lane.table.selected.stream.page_size or self._page_size
        try:
            page = self._client.get(query.url(filters, size), shaper.page, needs)
        except ApiError as error:
            smaller = EVENT_PAGE_SIZE_FALLBACK
            if error.status != 400 or size != self._page_size or size <= smaller:
                raise
            page = self._client.get(query.url(filters, smaller), shaper.page, needs)
            self._shrink_pages(smaller)
        yield page
        seen: set[int] = set()
        while page.next_url:
            if (place := hash(page.next_url)) in seen:
                raise ApiError(
                    f"Klaviyo's pages of {query.path} lead in a circle. Run again; if it stays so, "
                    "report it to Klaviyo.",
                    status=200,
                )
            seen.add(place)
            page = self._client.get(page.next_url, shaper.page, needs)
            yield page

    def _shrink_pages(self, size: int) -> None:
        """Asks for pages of ``size`` from now on, since larger ones are refused."""
        if self._page_size != size:
            logger.warning(
                "Klaviyo refuses pages of %d events, so the tap asks for %d. Set page_size to %d.",
                self._page_size,
                size,
                size,
            )
            self._page_size = size

    def _cut_point(self, page: Page, latest: int | None, read: int) -> int | None:
        """The second at which to end the window, if it should end with this page.

        It is the last second of the page, whose events may go on in the next one; none of them may
        have been written before.
        """
        times = [moment for moment in page.times if moment is not None]
        if not page.next_url or not times or len(times) < len(page.times):
            return None
        if read < GOAL_PAGES and not self._engine.idle:
            return None
        is_sorted = times == sorted(times) and (latest is None or latest <= times[0])
        return times[-1] if is_sorted and times[0] < times[-1] else None

    # In the writing thread -----------------------------------------------------------------------

    def _next_task(self) -> Task | None:
        """The next window: of the lane with the fewest in hand, and then in the catalog's order.

        So every stream starts at once, and none waits for a long one.
        """
        lanes = [lane for table in self._tables if not table.fault for lane in table.lanes]
        for lane in sorted(lanes, key=lambda lane: lane.open):
            window = lane.timeline.take()
            if window is not None:
                lane.open += 1
                return Task(lane, window)
        return None

    def _take(self, task: Task, result: Chunk | Cut | Done | Failed) -> None:
        if isinstance(result, Chunk):
            self._write_records(task, result)
        elif isinstance(result, Cut):
            kept = Window(task.window.start, result.at)
            rest = Window(result.at, task.window.end)
            task.lane.timeline.give_back(rest, task.records, kept.end - kept.start)
            task.window = kept
        elif isinstance(result, Done):
            task.lane.open -= 1
            task.lane.timeline.finish(task.window, task.records)
            self._advance(task.lane.table)
        else:
            task.lane.open -= 1
            self._fail(task.lane.table, result.error)

    def _write_records(self, task: Task, chunk: Chunk) -> None:
        table = task.lane.table
        self._writer.records(chunk.lines)
        task.records += chunk.count
        table.records += chunk.count
        table.repaired_pages += chunk.page.repaired
        table.notes += chunk.page.notes
        table.unkeyed += chunk.page.unkeyed
        self._progress.update(table.name, table.mark, table.records)
        if self._now() - table.counted_at > COUNT_INTERVAL:
            self._count(table)

    def _advance(self, table: Table) -> None:
        """Moves the stream's bookmark as far as its lanes have come."""
        selected = table.selected
        moved = table.finished
        if selected.incremental and table.fault is None:
            name = selected.stream.name
            moved |= self._state.advance(name, table.mark, latest=self._started)
            if table.finished:
                swept_at = self._started if table.sweeping else None
                self._state.note(name, metrics=table.metric_ids, swept_at=swept_at)
        self._progress.update(table.name, table.mark, table.records)
        if table.finished:
            self._progress.finish(table.name)
        if moved:
            self._write_state()

    def _fail(self, table: Table, error: BaseException) -> None:
        """Ends one stream if Klaviyo refuses it, and the run if anything else is wrong."""
        if not isinstance(error, ApiError):
            raise error
        if table.fault is None:
            logger.error("Stream '%s' ends here: %s", table.name, error)
            table.fault = error
            self._progress.finish(table.name)

    def _write_schema(self, table: Table) -> None:
        selected = table.selected
        bookmarks = [selected.stream.replication_key] if selected.incremental else []
        self._writer.schema(selected.name, selected.schema, selected.keys, bookmarks)

    def _write_state(self) -> None:
        unfinished = (table.name for table in self._tables if not table.finished)
        self._writer.state(self._state.document(next(unfinished, None)))

    # The end of a run ----------------------------------------------------------------------------

    def _count(self, table: Table) -> None:
        tags = {singer_metrics.Tag.endpoint: table.name}
        metric = singer_metrics.Metric.record_count
        singer_metrics.log(logger, singer_metrics.Point("counter", metric, table.records, tags))
        table.counted_at = self._now()

    def _report(self) -> None:
        """What the operator should know of each stream, one line for each thing."""
        for table in self._tables:
            self._count(table)
            for note, times in sorted(table.notes.items()):
                logger.warning("Stream '%s': %s (%d times).", table.name, note, times)
            if table.repaired_pages:
                logger.info(
                    "Stream '%s': %d pages took the slow way.", table.name, table.repaired_pages
                )
            if table.unkeyed:
                logger.warning(
                    "Stream '%s': %d left out, without a value for the key %s: %s%s",
                    table.name,
                    len(table.unkeyed),
                    " or ".join(table.selected.keys),
                    ", ".join(table.unkeyed[:UNKEYED_NAMED]),
                    ", …" if len(table.unkeyed) > UNKEYED_NAMED else ".",
                )

    def _raise_faults(self) -> None:
        faults = {table.name: table.fault for table in self._tables if table.fault}
        if not faults:
            return
        reasons = " ".join(dict.fromkeys(str(fault) for fault in faults.values()))
        raise TapError(
            f"{len(faults)} of {len(self._tables)} streams could not be read "
            f"({', '.join(faults)}); all others are complete. {reasons}"
        )
