"""A run: the selected streams read side by side, their records and bookmarks written.

The way of one page. A worker fetches it, and does nothing else. This thread unpacks it, shapes it
to finished RECORD lines, writes them and makes the task for the page that follows. So all that
takes processor time happens in one place, with one page in memory at a time, while workers wait for
the network. (Shaping in the workers was measured: no faster, since one interpreter runs them all,
and five times the memory, since each thread keeps a heap of its own.)

What a bookmark is. A stream is read in *lanes*, one for each of its metrics or variants, and a lane
in windows of time. When a window is done, the lane's low-water mark may move; the stream's bookmark
is the lowest mark of its lanes, and if it moved, a STATE line follows, always behind the records it
speaks of.

A stream that Klaviyo refuses ends alone: the others go on, and the run fails when they are done.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timezone
from operator import itemgetter
from typing import Any

from tap_klaviyo import jsonapi, report
from tap_klaviyo.account import Metrics, read_metrics
from tap_klaviyo.client import Body, Client
from tap_klaviyo.config import Config
from tap_klaviyo.discovery import Selected, unseen
from tap_klaviyo.engine import Engine
from tap_klaviyo.errors import ApiError
from tap_klaviyo.jsonapi import Query
from tap_klaviyo.kinds import TIERS
from tap_klaviyo.messages import Writer
from tap_klaviyo.plan import Lane, Planner, Table
from tap_klaviyo.progress import Progress
from tap_klaviyo.reading import Reading
from tap_klaviyo.records import Page, Shaper
from tap_klaviyo.state import State
from tap_klaviyo.streams import BY_NAME, EVENT_PAGE_SIZE_FALLBACK
from tap_klaviyo.windows import Window

logger = logging.getLogger(__name__)

COUNT_INTERVAL = 60
"""Seconds between two log lines that count a stream's records."""

PART_OF_WORKERS = 4
"""A stream with a lane for each parent gets one in so many workers while others need them."""

NOT_FOUND = 404
"""What Klaviyo answers for the children of a record that was deleted meanwhile."""

MAX_RESTARTS = 2
"""How often one window may start again from its first page."""

EXTRACTED = "%Y-%m-%dT%H:%M:%S.%fZ"
"""The form of ``time_extracted``."""


class Stopped(BaseException):
    """The run was stopped before it had read anything."""


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
        self._asked_page_size = self._page_size = config.page_size
        self._workers = config.concurrency
        self._engine = Engine(config.concurrency, self._fetch)
        self._going_on: deque[Reading] = deque()
        self._in_hand: Counter[str] = Counter()
        self._reading = False
        self._version = self._started if config.activate_version else None
        self._share = config.quota_share
        self._tables = [self._table(selected) for selected in selection]
        self._seen = list(self._tables)
        for table in self._seen:
            self._join_parent(table)

    def sync(self) -> None:
        """Reads everything and ends with a STATE.

        Raises :class:`TapError` once all else is done if a stream was refused, at once if nothing
        can go on. The last STATE covers what was written, whatever happens.
        """
        if not self._tables:
            logger.warning("No stream is selected, so nothing is read.")
        with self._progress:
            try:
                self._plan()
            except Stopped:
                return
            self._reading = True
            for table in self._seen:
                self._write_schema(table)
            self._show_streams()
            try:
                with closing(self._engine.run(self._next_task)) as results:
                    for reading, result in results:
                        self._take(reading, result)
            finally:
                self._write_state()
                report.summary(self._seen, self._now() - self._started)
        if fault := report.fault(self._seen):
            raise fault

    def stop(self) -> None:
        """Ends the run with the page in hand; :meth:`sync` then returns. For signal handlers.

        Before the first page there is nothing in hand: the wait for the metrics just ends.
        """
        self._engine.stop()
        if not self._reading:
            raise Stopped

    def _table(self, selected: Selected, unseen: bool = False) -> Table:
        query = jsonapi.query(selected.stream, selected.schema)
        return Table(selected, query, Shaper(selected), unseen, counted_at=self._now())

    def _join_parent(self, table: Table) -> None:
        """Makes ``table`` a child of the one that it has its parents from, selected or not."""
        parent = table.selected.stream.parent
        if parent is None:
            return
        known = (other for other in self._tables if other.selected.stream.name == parent.stream)
        table.parent = next(known, None)
        if table.parent is None:
            table.parent = self._table(unseen(BY_NAME[parent.stream]), unseen=True)
            self._tables.append(table.parent)
            self._join_parent(table.parent)
        table.parent.children.append(table)

    def _show_streams(self) -> None:
        for table in self._seen:
            start = table.mark if table.lanes else None
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

    def _fetch(self, reading: Reading) -> Body | Page:
        """The next page of a window; shaped already if there was something wrong with it before."""
        lane, query = reading.lane, reading.lane.table.query
        if reading.doubtful:
            shaper = lane.table.shaper
            return self._client.get(
                reading.url, query, lambda body: shaper.page(body.unpacked(), lane.parent)
            )
        return self._client.get(reading.url, query, lambda body: body)

    # In the writing thread -----------------------------------------------------------------------

    def _next_task(self) -> Reading | None:
        """A window that is being read goes on first. Then a new one is begun.

        It is one of a stream that has none in hand, so that every stream starts at once; first of
        one that time does not cut, since its pages can only follow each other; else of the lane
        that seems to have most to read, so that all end together. Where there is a lane for each of
        thousands of parents, they get a part of the workers as long as others need them.
        """
        while self._going_on:
            reading = self._going_on.popleft()
            if not reading.lane.table.fault:
                return reading
            self._let_go(reading)
        for _, lane in sorted(self._candidates(), key=itemgetter(0)):
            window = lane.timeline.take(self._engine.idle)
            if window is not None:
                return self._begin(lane, window)
        return None

    def _candidates(self) -> Iterator[tuple[tuple[bool, bool, bool, float], Lane]]:
        """The lanes of which a window may be begun, each with what it is sorted by."""
        for table in self._tables:
            if table.fault or not self._has_room(table.query):
                continue
            if table.fresh:
                too_many = table.open * PART_OF_WORKERS >= self._workers
                yield (too_many, table.open > 0, False, 0.0), table.fresh[0]
            for lane in table.lanes:
                yield (False, lane.open > 0, True, -lane.timeline.waiting), lane

    def _has_room(self, query: Query) -> bool:
        """Whether one more of its requests would not just wait at the gate, and hold a worker."""
        burst, _ = TIERS[query.tier]
        return self._in_hand[query.path] < max(1, int(burst * self._share))

    def _begin(self, lane: Lane, window: Window) -> Reading:
        if not lane.timed:
            lane.table.fresh.popleft()
        lane.open += 1
        lane.table.open += 1
        self._in_hand[lane.table.query.path] += 1
        return Reading(lane, window, self._first_url(lane, window, self._page_size))

    def _let_go(self, reading: Reading) -> None:
        """A window is in nobody's hand any more."""
        table = reading.lane.table
        reading.lane.open -= 1
        table.open -= 1
        self._in_hand[table.query.path] -= 1

    def _first_url(self, lane: Lane, window: Window, page_size: int) -> str:
        stream, filters = lane.table.selected.stream, lane.filters
        if lane.timed and stream.cut:
            filters = (*filters, *jsonapi.between(stream.cut, *window))
        size = min(stream.page_size, page_size) if stream.page_size else None
        return lane.table.query.url(filters, size, lane.parent)

    def _take(self, reading: Reading, result: Body | Page | BaseException) -> None:
        if isinstance(result, BaseException):
            self._fail(reading, result)
            return
        try:
            page = result
            if not isinstance(page, Page):
                page = reading.lane.table.shaper.page(page.unpacked(), reading.lane.parent)
        except ValueError:
            reading.doubtful = True
            self._going_on.append(reading)
            return
        except ApiError as error:
            self._fail(reading, error)
            return
        reading.doubtful = False
        if reading.small:
            self._shrink_pages()
        self._take_page(reading, page)

    def _take_page(self, reading: Reading, page: Page) -> None:
        """Writes a page, and goes on with the next or ends the window."""
        # The worker that fetched this page is idle by now.
        records, more = reading.take(page, others_idle=self._engine.idle > 1)
        table = reading.lane.table
        self._write_records(table, page, records)
        for child in table.children:
            self._planner.adopt(child, page.ids)
        if not more:
            self._finish(reading)
            return
        try:
            reading.follow(page)
        except ApiError as error:
            self._fail(reading, error)
            return
        self._going_on.append(reading)

    def _finish(self, reading: Reading) -> None:
        self._let_go(reading)
        reading.finish()
        if not reading.lane.timed:
            reading.lane.table.unfinished -= 1
        self._advance(reading.lane.table)

    def _write_records(self, table: Table, page: Page, records: list[Any]) -> None:
        if table.unseen:
            return
        extracted = datetime.fromtimestamp(self._now(), timezone.utc).strftime(EXTRACTED)
        self._writer.records(table.shaper.encode(records, extracted, self._version_of(table)))
        table.records += len(records)
        table.repaired_pages += page.repaired
        table.notes += page.notes
        table.leave_out(page.unkeyed)
        self._progress.update(table.name, table.mark, table.records)
        if self._now() - table.counted_at > COUNT_INTERVAL:
            report.count(table)
            table.counted_at = self._now()

    def _version_of(self, table: Table) -> int | None:
        """The version of the records of a table that is read whole, if the user wants versions."""
        return None if table.selected.incremental else self._version

    def _advance(self, table: Table) -> None:
        """Moves the stream's bookmark as far as its lanes have come, and ends what is complete."""
        moved = table.finished
        if table.selected.incremental and table.fault is None:
            moved = self._planner.advance(table)
        if not table.unseen:
            self._progress.update(table.name, table.mark, table.records)
        if table.finished:
            self._end(table)
        if moved and not table.unseen:
            self._write_state()

    def _end(self, table: Table) -> None:
        if not table.unseen:
            version = self._version_of(table)
            if version is not None and table.fault is None:
                self._writer.activate_version(table.name, version)
            self._progress.finish(table.name)
        for child in table.children:
            if child.finished:
                self._advance(child)

    def _fail(self, reading: Reading, error: BaseException) -> None:
        """Ends one stream if Klaviyo refuses it, and the run if anything else is wrong."""
        if not isinstance(error, ApiError):
            raise error
        table = reading.lane.table
        if self._can_shrink(reading, error):
            reading.small = True
            self._begin_again(reading)
            return
        if self._can_restart(reading, error):
            logger.warning("Stream '%s': a window starts again: %s", table.name, error)
            reading.restarts += 1
            self._begin_again(reading)
            return
        if error.status == NOT_FOUND and reading.lane.parent:
            logger.info("Stream '%s': %s is gone meanwhile.", table.name, reading.lane.parent)
            self._finish(reading)
            return
        self._let_go(reading)
        self._refuse(table, error)

    def _refuse(self, table: Table, error: ApiError) -> None:
        """Ends a stream that Klaviyo refuses, and the streams that have their parents from it."""
        if table.fault is not None:
            return
        table.fault = error
        if not table.unseen:
            logger.error("Stream '%s' ends here: %s", table.name, error)
            self._progress.finish(table.name)
        for child in table.children:
            self._refuse(child, error)

    def _can_shrink(self, reading: Reading, error: ApiError) -> bool:
        """Whether the first page of a window may do better in a small size."""
        return (
            error.status == 400
            and not reading.pages
            and not reading.small
            and reading.lane.timed
            and self._asked_page_size > EVENT_PAGE_SIZE_FALLBACK
        )

    def _can_restart(self, reading: Reading, error: ApiError) -> bool:
        """Whether Klaviyo may just not take the cursor any more; a first page has none."""
        return error.status == 400 and bool(reading.pages) and reading.restarts < MAX_RESTARTS

    def _begin_again(self, reading: Reading) -> None:
        size = EVENT_PAGE_SIZE_FALLBACK if reading.small else self._page_size
        reading.begin_again(self._first_url(reading.lane, reading.window, size))
        self._going_on.append(reading)

    def _shrink_pages(self) -> None:
        """Asks for small pages from now on, since large ones are refused."""
        if self._page_size > EVENT_PAGE_SIZE_FALLBACK:
            self._page_size = EVENT_PAGE_SIZE_FALLBACK
            logger.warning(
                "Klaviyo refuses pages of %d events, so the tap asks for %d. Set page_size to %d.",
                self._asked_page_size,
                self._page_size,
                self._page_size,
            )

    def _write_schema(self, table: Table) -> None:
        selected = table.selected
        bookmarks = [selected.stream.replication_key] if selected.incremental else []
        self._writer.schema(selected.name, selected.schema, selected.keys, bookmarks)

    def _write_state(self) -> None:
        unfinished = (table.name for table in self._seen if not table.finished)
        self._writer.state(self._state.document(next(unfinished, None)))
