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

What is read first. Streams of events wait for the list of metrics, reports for the account's time
zone. To ask for these is a task as any other, so all other streams are read meanwhile.

A stream that Klaviyo refuses ends alone: the others go on, and the run fails when they are done.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timezone
from typing import Any, TypeAlias

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import Selected, unseen
from tap_klaviyo.errors import ApiError, StreamError
from tap_klaviyo.klaviyo.account import Account, Metrics
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.messages import Writer
from tap_klaviyo.records.page_parser import Page, Shaper
from tap_klaviyo.reports.builder import questions, refuse_mistakes
from tap_klaviyo.state import State
from tap_klaviyo.streams import BY_NAME
from tap_klaviyo.streams.events import EVENT_PAGE_SIZE_FALLBACK
from tap_klaviyo.sync import summary
from tap_klaviyo.sync.account_lookup import Answers, Inquiry
from tap_klaviyo.sync.planner import Planner
from tap_klaviyo.sync.progress import Progress
from tap_klaviyo.sync.scheduler import Turns
from tap_klaviyo.sync.stream_sync import Table
from tap_klaviyo.sync.window_reader import Reading
from tap_klaviyo.sync.workers import Engine

logger = logging.getLogger(__name__)


INTERVAL = 60
"""Seconds between two log lines that say how far the run, or a stream, has come."""


NOT_FOUND = 404
"""What Klaviyo answers for the children of a record that was deleted meanwhile."""


MAX_RESTARTS = 2
"""How often one window may start again from its first page."""


EXTRACTED = "%Y-%m-%dT%H:%M:%S.%fZ"
"""The form of ``time_extracted``."""


Task: TypeAlias = Reading | Inquiry


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
        self._asked_page_size = config.page_size
        self._reports = config.reports
        self._account = Account(client)
        self._inquiries: deque[Inquiry] = deque()
        self._asking = False
        self._engine = Engine(config.concurrency, self._work)
        self._version = self._started if config.activate_version else None
        self._told_at = now()
        self._tables = [self._table(selected) for selected in selection]
        self._seen = list(self._tables)
        self._unwritten = deque(self._seen)
        for table in self._seen:
            self._join_parent(table)
        self._turns = Turns(self._tables, config.concurrency, config.quota_share, config.page_size)

    def sync(self) -> None:
        """Reads everything and ends with a STATE.

        Raises :class:`TapError` once all else is done if a stream was refused, at once if nothing
        can go on. The last STATE covers what was written, whatever happens; an error before the
        first answer leaves nothing written at all.
        """
        if not self._tables:
            logger.warning("No stream is selected, so nothing is read.")
        with self._progress:
            self._plan()
            try:
                with closing(self._engine.run(self._next_task)) as results:
                    for task, result in results:
                        self._take(task, result)
                self._write_schemas()
            finally:
                self._client.hush()
                if not self._unwritten:
                    self._write_state()
                summary.summary(self._seen, self._now() - self._started)
                summary.quotas(self._client.asked_today())
        if fault := summary.fault(self._seen):
            raise fault

    def stop(self) -> None:
        """Ends the run with the page in hand; :meth:`sync` then returns. For signal handlers."""
        self._engine.stop()

    def _table(self, selected: Selected, unseen: bool = False) -> Table:
        query = query_for(selected.stream, selected.schema)
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

    def _plan(self) -> None:
        """Gives tables their lanes, or sees to it that what they need is asked for first."""
        events, reports = list[Table](), list[Table]()
        for table in self._tables:
            stream = table.selected.stream
            if stream.metrics:
                events.append(table)
            elif stream.report:
                refuse_mistakes(table.selected, self._reports)
                reports.append(table)
            else:
                self._planner.plan(table, Metrics(()))
                self._show(table)
        self._inquiries += [Inquiry(tables) for tables in (events, reports) if tables]

    def _show(self, table: Table) -> None:
        if table.unseen:
            return
        start = table.mark if table.lanes else None
        self._progress.add(table.name, start, self._planner.end)
        if table.finished:
            self._progress.finish(table.name)

    # In a worker's thread ------------------------------------------------------------------------

    def _work(self, task: Task) -> Body | Page | Answers:
        return self._inquire(task) if isinstance(task, Inquiry) else self._fetch(task)

    def _inquire(self, inquiry: Inquiry) -> Answers:
        answers: Answers = []
        for table in inquiry.tables:
            selected, stream = table.selected, table.selected.stream
            try:
                metrics = self._account.metrics if stream.metrics else Metrics(())
                asked = questions(selected, self._reports, self._account) if stream.report else []
            except StreamError as error:
                answers.append(error)
            else:
                answers.append((metrics, asked))
        return answers

    def _fetch(self, reading: Reading) -> Body | Page:
        """The next page of a window; shaped already if there was something wrong with it before."""
        parse: Callable[[Body], Body | Page] = reading.shape if reading.doubtful else _as_it_is
        url, question = reading.request()
        return self._client.ask(url, reading.lane.table.query, question, parse)

    # In the writing thread -----------------------------------------------------------------------

    def _next_task(self) -> Task | None:
        # One inquiry after the other: what the first one finds out serves the second one, too.
        if self._inquiries and not self._asking:
            self._asking = True
            return self._inquiries.popleft()
        return self._turns.next(self._engine.idle)

    def _take(self, task: Task, result: Any) -> None:
        self._tell()
        if not isinstance(result, BaseException):
            self._write_schemas()
        if isinstance(task, Inquiry):
            self._hear(task, result)
        elif isinstance(result, BaseException):
            self._fail(task, result)
        else:
            self._take_answer(task, result)

    def _hear(self, inquiry: Inquiry, answers: Answers | BaseException) -> None:
        """Gives the tables of an inquiry their lanes. What the account lacks is a table's fault."""
        self._asking = False
        if isinstance(answers, BaseException):
            raise answers
        for table, answer in zip(inquiry.tables, answers, strict=True):
            if not isinstance(answer, StreamError):
                self._planner.plan(table, *answer)
            self._show(table)
            if isinstance(answer, StreamError):
                self._refuse(table, answer)

    def _take_answer(self, reading: Reading, result: Body | Page) -> None:
        """Shapes a page if that is still to be done."""
        try:
            page = result if isinstance(result, Page) else reading.shape(result)
        except ValueError:
            reading.doubtful = True
            self._turns.go_on(reading)
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
        self._turns.go_on(reading)

    def _finish(self, reading: Reading) -> None:
        self._turns.let_go(reading)
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
        if self._now() - table.counted_at > INTERVAL:
            summary.count(table)
            table.counted_at = self._now()

    def _tell(self) -> None:
        """Says from time to time what the run still waits for."""
        if self._now() - self._told_at > INTERVAL:
            summary.waiting(self._seen)
            self._told_at = self._now()

    def _version_of(self, table: Table) -> int | None:
        """The version of the records of a table that is read whole, if the user wants versions."""
        return self._version if table.selected.whole else None

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
        self._turns.let_go(reading)
        self._refuse(table, error)

    def _refuse(self, table: Table, error: StreamError) -> None:
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
        largest = reading.lane.table.selected.stream.page_size or 0
        return (
            error.status == 400
            and not reading.pages
            and not reading.small
            and min(largest, self._asked_page_size) > EVENT_PAGE_SIZE_FALLBACK
        )

    def _can_restart(self, reading: Reading, error: ApiError) -> bool:
        """Whether Klaviyo may just not take the cursor any more; a first page has none."""
        return error.status == 400 and bool(reading.pages) and reading.restarts < MAX_RESTARTS

    def _begin_again(self, reading: Reading) -> None:
        size = EVENT_PAGE_SIZE_FALLBACK if reading.small else self._turns.page_size
        reading.begin_again(size)
        self._turns.go_on(reading)

    def _shrink_pages(self) -> None:
        """Asks for small pages from now on, since large ones are refused."""
        if self._turns.page_size > EVENT_PAGE_SIZE_FALLBACK:
            self._turns.page_size = EVENT_PAGE_SIZE_FALLBACK
            logger.warning(
                "Klaviyo refuses pages of %d events, so the tap asks for %d. Set page_size to %d.",
                self._asked_page_size,
                EVENT_PAGE_SIZE_FALLBACK,
                EVENT_PAGE_SIZE_FALLBACK,
            )

    def _write_schemas(self) -> None:
        """Writes the SCHEMA of each stream, once."""
        while self._unwritten:
            selected = self._unwritten.popleft().selected
            bookmarks = [selected.stream.replication_key] if selected.incremental else []
            self._writer.schema(selected.name, selected.schema, selected.keys, bookmarks)

    def _write_state(self) -> None:
        unfinished = (table.name for table in self._seen if not table.finished)
        self._writer.state(self._state.document(next(unfinished, None)))


def _as_it_is(body: Body) -> Body:
    return body
