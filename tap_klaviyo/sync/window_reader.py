"""Reads one window page by page: what is done of it, where it ends early, what is read again.

Klaviyo sends records sorted by time, almost: some have been seen a few rows late, on the next page
even. So the last ``KEPT_BACK`` rows never count as complete. What lies before their oldest second,
the *safe second*, does: it is done as soon as its page is written.

A window that holds more than it should, or that idle workers could help with, is split at the safe
second; the rest becomes one or more windows. If the last rows show nothing but one second, which
may continue for many pages, the window is split after that second: its reader finishes the second
while others read the rest.

Some records have several times, those of the suppressions of a profile, and Klaviyo does not say by
which of them it sorts. Their window is that of the newest one. What Klaviyo sorts by is no earlier
than the oldest one, so the latest of the oldest times so far takes the place of the time of a row:
whatever belongs before it has been seen. Klaviyo allows no upper bound for such a list, so its
reader ends when that time has reached the end of the window. What a page has brought of later
windows is left to their readers. What has been written of a part that is given back is remembered
by ID, so that each record comes once.

A page that is out of order puts the splits in doubt. If the window begins where another one was
split, it is read again from the start of that one, and no window of the partition is split any
more.

If a window has to start again, because its cursor has expired, it does so at the safe second.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, compress, zip_longest
from typing import Any

from tap_klaviyo.errors import ApiError, StreamError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.pagination import NextLinks
from tap_klaviyo.klaviyo.queries import between
from tap_klaviyo.klaviyo.reactions import RefusedRequest
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.records.page_parser import Page
from tap_klaviyo.reports.queries import ReportPeriod
from tap_klaviyo.reports.rows import as_resources
from tap_klaviyo.sync.event_tally import SeenEvents
from tap_klaviyo.sync.stream_sync import Partition
from tap_klaviyo.sync.windows import SPLIT_AFTER_PAGES, Window

KEPT_BACK = 51
"""Rows at the end of a page that do not count as complete: records may be 50 rows late."""

MOST_AHEAD = 20_000
"""IDs of records, written ahead of their turn, beyond which a window is not split."""

KEPT_BACK_SHARE = 0.6
"""The largest share of a small page that is kept back, so that each page completes something."""

OUT_OF_ORDER = "a page was not sorted by time, so its window was read to the end"
"""The warning that is counted for each page out of order."""


@dataclass(eq=False)
class WindowReader:
    """A window of a partition that is being read.

    ``window`` is what remains to be done of it, ``requested`` what its pages hold: more, once a
    part is done or was given back. ``url`` is the page to request next, ``pages`` counts those that
    were written, ``records`` what was written of ``window``. ``latest`` is the time of the last
    row, ``passed`` counts the pages before the first second of the window. ``ahead`` holds the
    newest times, by ID, of the records that were written although they lie after the safe second.
    ``recent`` holds the times of the last rows, ``in_order`` says that no page was out of order,
    ``must_read_again`` that one was, and that the split before the window may have lost records.

    ``parse_in_worker`` says that the last answer could not be parsed, so the next one counts as a
    failed try if it cannot be parsed either. ``page_size`` is the size that pages are requested in,
    0 if the endpoint has none; ``shrunk_by`` is why larger ones are not. ``restarts`` counts how
    often the window has started again without getting further, ``requests`` counts its requests.
    ``seen`` are the events that are not counted yet, if those of the partition are counted.
    """

    partition: Partition
    window: Window
    url: str
    page_size: int
    requested: Window = field(init=False)
    pages: int = 0
    most_pages: int = 0
    records: int = 0
    latest: int | None = None
    passed: int = 0
    ahead: dict[str, float] = field(default_factory=dict)
    recent: deque[int] = field(init=False)
    in_order: bool = field(init=False)
    must_read_again: bool = False
    next_links: NextLinks = field(default_factory=NextLinks)
    parse_in_worker: bool = False
    shrunk_by: StreamError | None = None
    restarts: int = 0
    requests: int = 0
    seen: SeenEvents = field(default_factory=SeenEvents)

    def __post_init__(self) -> None:
        self.requested = self.window
        self.recent = deque(maxlen=_kept_back(self.page_size))
        self.in_order = self.partition.in_order

    @classmethod
    def open(cls, partition: Partition, window: Window, page_size: int) -> WindowReader:
        """A reader at the first page of a window."""
        return cls(partition, window, _first_url(partition, window, page_size), page_size)

    @property
    def period(self) -> ReportPeriod | None:
        """The period of a report that the window stands for."""
        return self.partition.periods.get(self.window.start)

    def next_request(self) -> tuple[str, bytes | None]:
        """The URL of the next page and, for a report, the body to post."""
        if self.period is None:
            return self.url, None
        link = self.url if self.pages else ""
        return self.period.url(link), self.period.json_body(link)

    def perform(self, client: Client) -> Body:
        """Requests the next page, in a worker."""
        url, json_body = self.next_request()
        return client.request(
            url,
            self.partition.sync.query,
            self._checked,
            json_body=json_body,
            count=self._count_request,
        )

    def _checked(self, body: Body) -> Body:
        """An answer; raises ValueError if neither the last one nor this one can be parsed."""
        if self.parse_in_worker:
            self.parse(body)
        return body

    def _count_request(self) -> None:
        self.requests += 1

    def parse(self, body: Body) -> Page:
        """Parses an answer. Raises ValueError if it is not a page."""
        to_resources = partial(as_resources, self.period) if self.period else None
        parser = self.partition.sync.parser
        return parser.parse(body.decompressed(), self.partition.parent, to_resources)

    def take(self, page: Page, idle: int) -> tuple[list[Any], bool]:
        """The records of a page that belong to the window, and whether more may follow.

        Marks what the page completes as done, splits the window if ``idle`` workers could help or
        it is long, and tells the tracker how dense the records are.
        """
        self.pages += 1
        times = self._times_of_rows(page)
        self._note_order(times)
        before, self.latest = self.latest, max(times, default=self.latest)
        safe = self._safe_second(page)
        if self._has_entries and safe is not None and safe <= self.requested.start:
            self.passed += 1
        if page.next_url and safe is not None and times:
            self._split(times, before, safe, idle)
        records, more = self._within_window(page, safe)
        self.records += len(records)
        self.seen.note(self.partition.tally, self.window, page.ids, page.times, more)
        since = self.requested.start if before is None else before
        until = max(times, default=since) if more else self.window.end
        self.partition.tracker.observe(Window(since, until), len(records), min(times, default=None))
        if more and safe is not None and safe > self.window.start:
            self._shrink(safe)
        if self.pages > self.most_pages:
            self.most_pages, self.restarts = self.pages, 0
        return records, more

    def follow(self, page: Page) -> None:
        """Continues with the next page. Raises :class:`ApiError` if the links do not end."""
        assert page.next_url is not None
        # All rows of a report have the same ID.
        shown = map(repr, page.records) if self.period else zip_longest(page.ids, page.times)
        content = (*shown, *page.without_key)
        path = self.partition.sync.query.path
        self.url = self.next_links.follow(page.next_url, path, content)

    def refused(self, error: StreamError) -> RefusedRequest:
        """The request of the window that has failed."""
        return RefusedRequest(
            status=error.status if isinstance(error, ApiError) else 0,
            first_page=not self.pages,
            of_child=bool(self.partition.parent),
            restarts=self.restarts,
            optional=self.partition.sync.selected.stream.optional,
            page_size=self.page_size,
            is_page_size=error.is_page_size if isinstance(error, ApiError) else False,
        )

    def finish(self) -> None:
        """Marks the window as done."""
        self.seen.done(self.partition.tally, self.window)
        self.partition.tracker.finish(self.window, self.records)

    def restart(self, page_size: int) -> None:
        """Starts again with a first page; some of what was written comes twice.

        A window in order starts at what remains of it, another one at its first second, or where
        the window began that was split there.
        """
        if self.in_order:
            self.partition.written_ahead.update(self._written_from(self.window.start))
            self.requested = self.window
            self.seen.forget(self.partition.tally)
        else:
            start, end = self.requested
            self.requested = Window(self.partition.split_from.pop(start, start), end)
            self.seen.forget(self.partition.tally, self.requested)
        self.must_read_again = False
        self.url = _first_url(self.partition, self.requested, page_size)
        self.page_size = page_size
        self.pages = self.records = self.passed = 0
        self.latest = None
        self.ahead.clear()
        self.recent = deque(maxlen=_kept_back(page_size))
        self.next_links = NextLinks()

    def _times_of_rows(self, page: Page) -> list[int]:
        """The times of the rows of a page, at least, in Klaviyo's order."""
        if not self._has_entries:
            return [time for time in page.times if time is not None]
        oldest = [time for time in page.oldest if time is not None]
        known = [] if self.latest is None else [self.latest]
        return list(accumulate(known + oldest, max))[len(known) :]

    def _note_order(self, times: list[int]) -> None:
        """Notes whether a page continues in the order of time."""
        late = bool(times) and self.latest is not None and times[0] < self.latest
        if self.partition.windowed and (late or times != sorted(times)):
            self.in_order = self.partition.in_order = False
            self.must_read_again = self.requested.start in self.partition.split_from
            self.partition.sync.warnings[OUT_OF_ORDER] += 1
        self.recent.extend(times)

    def _safe_second(self, page: Page) -> int | None:
        """The second before which the pages so far are complete; None if that is not known."""
        known = self.partition.windowed and None not in page.times
        if known and self.in_order and len(self.recent) == self.recent.maxlen:
            return self.recent[0]
        return None

    def _split(self, times: Sequence[int], before: int | None, safe: int, idle: int) -> None:
        """Gives the rest of the window back if it is long or idle workers could help.

        The rest begins at the safe second or, if a part of that has been written, after it.
        ``times`` are those of the rows of the page.
        """
        page_seconds = max(1, times[-1] - times[len(times) // 4]) * 4 / 3
        if self._has_entries:
            split_at = max(safe, self.window.start + 1)
            remembered = len(self.partition.written_ahead) + len(self.ahead)
            if safe < self.window.start or remembered > MOST_AHEAD:
                return
        else:
            written = self.window.start if before is None else max(before, self.window.start)
            split_at = safe if safe > written else written + 1
        if not self.window.start < split_at < self.window.end:
            return
        is_long = self.pages >= SPLIT_AFTER_PAGES and not self._has_entries
        tracker, passed = self.partition.tracker, self.passed
        if tracker.split(self.window, split_at, page_seconds, idle, is_long=is_long, passed=passed):
            self.partition.split_from[split_at] = self.requested.start
            self.partition.written_ahead.update(self._written_from(split_at))
            self.window = Window(self.window.start, split_at)

    def _shrink(self, safe: int) -> None:
        """Marks what lies before the safe second as done."""
        self.seen.done(self.partition.tally, Window(self.window.start, safe))
        self.partition.tracker.shrink(self.window.start, safe, self.records)
        self.window = Window(safe, self.window.end)
        self.records = self.restarts = 0

    def _within_window(self, page: Page, safe: int | None) -> tuple[list[Any], bool]:
        """The records that were requested and not given back, and whether more may follow."""
        more = page.next_url is not None
        start, end = self.requested.start, float(self.window.end)
        if end == self.requested.end and not self._is_inexact:
            return page.records, more
        if self._has_entries and end == self.partition.tracker.end:
            end = math.inf
        inside = [time is None or start <= time < end for time in page.times]
        if self._has_entries:
            passed = self.window.start if safe is None else safe
            self.ahead = {one: time for one, time in self.ahead.items() if time >= passed}
            inside = self._not_written(page.ids, page.times, inside)
            lacks = page.times_without_key
            counted = [time is None or start <= time < end for time in lacks]
            counted = self._not_written(page.without_key, lacks, counted)
            page.without_key = list(compress(page.without_key, counted))
        ends_here = safe is not None and safe >= end
        return list(compress(page.records, inside)), more and not ends_here

    def _not_written(
        self, ids: Sequence[str], times: Sequence[int | None], inside: Sequence[bool]
    ) -> list[bool]:
        """Which records inside the window were not written yet. Notes them as written."""
        known = self.partition.written_ahead
        new = [one and identifier not in known for identifier, one in zip(ids, inside, strict=True)]
        latest = [math.inf if time is None else time for time in times]
        self.ahead.update(zip(compress(ids, new), compress(latest, new), strict=True))
        return new

    def _written_from(self, second: int) -> list[str]:
        """The IDs of the records from ``second`` on that were written."""
        return [identifier for identifier, time in self.ahead.items() if time >= second]

    @property
    def _has_entries(self) -> bool:
        """Whether records have several times."""
        time_filter = self.partition.sync.selected.stream.time_filter
        return self.partition.windowed and time_filter is not None and time_filter.is_of_entries

    @property
    def _is_inexact(self) -> bool:
        """Whether pages may hold records outside the window, because Klaviyo's filters do."""
        time_filter = self.partition.sync.selected.stream.time_filter
        return self.partition.windowed and time_filter is not None and time_filter.is_inexact


def _kept_back(page_size: int) -> int:
    return min(KEPT_BACK, max(1, int(page_size * KEPT_BACK_SHARE)))


def _first_url(partition: Partition, window: Window, page_size: int) -> str:
    sync, filters = partition.sync, partition.filters
    stream = sync.selected.stream
    if partition.windowed and stream.time_filter:
        filters = (*filters, *between(stream.time_filter, *window))
    return sync.query.url(filters, page_size or None, partition.parent)
