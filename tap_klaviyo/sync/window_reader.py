"""Reads one window page by page: where it continues, and where it ends early.

A window that holds more than it should, or that idle workers could help with, is split after the
last full second that was read; the rest is planned anew. If a page holds nothing but one second,
which may continue for many pages, the window is split after that second: its reader finishes the
second while others read the rest. A split is safe because events are sorted by time. A window with
a page that is not sorted is not split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import compress, zip_longest
from typing import Any, TypeGuard

from tap_klaviyo.errors import StreamError
from tap_klaviyo.klaviyo.pagination import NextLinks
from tap_klaviyo.klaviyo.queries import between
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.records.page_parser import Page
from tap_klaviyo.reports.queries import ReportPeriod
from tap_klaviyo.reports.rows import as_resources
from tap_klaviyo.sync.stream_sync import Partition
from tap_klaviyo.sync.windows import SPLIT_AFTER_PAGES, Window


@dataclass(eq=False)
class WindowReader:
    """A window of a partition that is being read.

    ``url`` is the page to request next. ``pages`` and ``records`` count what was written,
    ``latest`` is the latest second of it. ``overlaps`` says that pages may hold records outside the
    window, because it was split or because Klaviyo's filters are inexact. ``parse_in_worker`` says
    that the last answer could not be parsed, so the next one counts as a failed try if it cannot be
    parsed either. ``page_size`` is the size that pages are requested in, 0 if the endpoint has
    none; ``shrunk_by`` is why larger ones are not. ``restarts`` counts how often the window has
    started again, ``requests`` counts its requests.
    """

    partition: Partition
    window: Window
    url: str
    page_size: int
    pages: int = 0
    records: int = 0
    latest: int | None = None
    overlaps: bool = field(init=False)
    next_links: NextLinks = field(default_factory=NextLinks)
    parse_in_worker: bool = False
    shrunk_by: StreamError | None = None
    restarts: int = 0
    requests: int = 0

    def __post_init__(self) -> None:
        time_filter = self.partition.sync.selected.stream.time_filter
        inexact = time_filter is not None and time_filter.is_inexact
        self.overlaps = self.partition.windowed and inexact

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

    def count_request(self) -> None:
        """Counts a request; called by the worker that has the window."""
        self.requests += 1

    def parse(self, body: Body) -> Page:
        """Parses an answer. Raises ValueError if it is not a page."""
        to_resources = partial(as_resources, self.period) if self.period else None
        parser = self.partition.sync.parser
        return parser.parse(body.decompressed(), self.partition.parent, to_resources)

    def take(self, page: Page, others_idle: bool) -> tuple[list[Any], bool]:
        """The records of a page that belong to the window, and whether more may follow.

        Splits the window if that is useful, and tells the tracker how dense the records are.
        """
        self.pages += 1
        split_at = self._split_point(page, others_idle)
        if split_at is not None:
            self.partition.tracker.give_back(Window(split_at, self.window.end))
            self.window, self.overlaps = Window(self.window.start, split_at), True
        records, more = self._within_window(page)
        self.records += len(records)
        times = [time for time in page.times if time is not None]
        since = self.window.start if self.latest is None else self.latest
        until = max(times, default=since) if more else self.window.end
        seen = Window(since, until)
        self.partition.tracker.observe(seen, len(records), min(times, default=None))
        self.latest = max(times, default=self.latest)
        return records, more

    def follow(self, page: Page) -> None:
        """Continues with the next page. Raises :class:`ApiError` if the links do not end."""
        assert page.next_url is not None
        # All rows of a report have the same ID.
        shown = map(repr, page.records) if self.period else zip_longest(page.ids, page.times)
        content = (*shown, *page.without_key)
        path = self.partition.sync.query.path
        self.url = self.next_links.follow(page.next_url, path, content)

    def finish(self) -> None:
        """Marks the window as done."""
        self.partition.tracker.finish(self.window, self.records)

    def restart(self, page_size: int) -> None:
        """Starts again with the first page; records that were written come twice."""
        self.page_size = page_size
        self.url = _first_url(self.partition, self.window, page_size)
        self.pages = self.records = 0
        self.latest = None
        self.next_links = NextLinks()

    def _split_point(self, page: Page, others_idle: bool) -> int | None:
        """The second at which to end the window early; None to keep it.

        It is the last second of the page, which may continue on the next page; or the second after
        it if a part of it has been written.
        """
        if not self.partition.windowed or not page.next_url or not _is_sorted(page.times):
            return None
        oldest, latest = page.times[0], page.times[-1]
        if self.latest is not None and oldest < self.latest:
            return None
        before = oldest if self.latest is None else self.latest
        split_at = latest if max(before, self.window.start) < latest else latest + 1
        if not self.window.start < split_at < self.window.end:
            return None
        tracker = self.partition.tracker
        share_rest = others_idle and tracker.worth_sharing(split_at, self.window.end)
        return split_at if self.pages >= SPLIT_AFTER_PAGES or share_rest else None

    def _within_window(self, page: Page) -> tuple[list[Any], bool]:
        more = page.next_url is not None
        if not self.overlaps:
            return page.records, more
        start, end = self.window
        inside = [time is None or start <= time < end for time in page.times]
        ends_here = _is_sorted(page.times) and page.times[-1] >= end
        return list(compress(page.records, inside)), more and not ends_here


def _first_url(partition: Partition, window: Window, page_size: int) -> str:
    sync, filters = partition.sync, partition.filters
    stream = sync.selected.stream
    if partition.windowed and stream.time_filter:
        filters = (*filters, *between(stream.time_filter, *window))
    return sync.query.url(filters, page_size or None, partition.parent)


def _is_sorted(times: Sequence[int | None]) -> TypeGuard[Sequence[int]]:
    """Whether all times are known, there is one, and none is before an earlier one."""
    known = [time for time in times if time is not None]
    return bool(known) and len(known) == len(times) and known == sorted(known)
