"""One window of one lane on its way, page by page: where it goes on, and where it ends sooner.

A window that turns out to hold more than it should, or that could use idle workers, is cut behind
the last full second that has been read; the rest is planned anew. Where a page holds nothing but
one second, whose events may go on for many pages, the window is cut behind that second: its reader
walks on to there while others read the rest. That is safe since events come sorted by time. Where a
page is not sorted, the window is not cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from typing import Any, TypeGuard

from tap_klaviyo.klaviyo.pagination import Trail
from tap_klaviyo.klaviyo.queries import between
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.records.page_parser import Page
from tap_klaviyo.reports.rows import as_resources
from tap_klaviyo.sync.planner import GOAL_PAGES
from tap_klaviyo.sync.stream_sync import Lane
from tap_klaviyo.sync.windows import Window


@dataclass(eq=False)
class Reading:
    """One window of one lane.

    ``url`` is the page to fetch next, ``pages`` and ``records`` count what has been written, of
    which ``latest`` is the last second. ``cut`` means that pages may hold records from beside the
    window, which are not this reader's: it was cut, or Klaviyo's filters are not exact. ``trail``
    is the way from page to page. ``doubtful`` means that the page came in a form that could not be
    read, ``small`` that it is asked for in a small size. ``restarts`` counts how often the window
    had to begin again.
    """

    lane: Lane
    window: Window
    url: str
    pages: int = 0
    records: int = 0
    latest: int | None = None
    cut: bool = field(init=False)
    trail: Trail = field(default_factory=Trail)
    doubtful: bool = False
    small: bool = False
    restarts: int = 0

    def __post_init__(self) -> None:
        cut = self.lane.table.selected.stream.cut
        self.cut = self.lane.timed and cut is not None and cut.reaches_over

    @classmethod
    def begin(cls, lane: Lane, window: Window, page_size: int) -> Reading:
        """The way of a window, at its first page."""
        return cls(lane, window, _first_url(lane, window, page_size))

    def request(self) -> tuple[str, bytes | None]:
        """Where the next page is asked for, and what is posted there if it is one of a report."""
        timeframe = self.lane.timeframes.get(self.window.start)
        if timeframe is None:
            return self.url, None
        link = self.url if self.pages else ""
        return timeframe.address(link), timeframe.body(link)

    def shape(self, body: Body) -> Page:
        """The records of an answer. Raises ValueError if it is no page of what was asked for."""
        timeframe = self.lane.timeframes.get(self.window.start)
        listed = partial(as_resources, timeframe) if timeframe else None
        return self.lane.table.shaper.page(body.unpacked(), self.lane.parent, listed)

    def take(self, page: Page, others_idle: bool) -> tuple[list[Any], bool]:
        """The records of a page that are this reader's, and whether more may follow.

        Cuts the window if that is worth it, and tells the timeline how dense the records lie.
        """
        self.pages += 1
        at = self._cut_point(page, others_idle)
        if at is not None:
            self.lane.timeline.give_back(Window(at, self.window.end))
            self.window, self.cut = Window(self.window.start, at), True
        records, more = self._own(page)
        self.records += len(records)
        times = [moment for moment in page.times if moment is not None]
        since = self.window.start if self.latest is None else self.latest
        upto = max(times, default=since) if more else self.window.end
        self.lane.timeline.saw(Window(since, upto), len(records), min(times, default=None))
        self.latest = max(times, default=self.latest)
        return records, more

    def follow(self, page: Page) -> None:
        """Goes on with the page that follows. Raises :class:`ApiError` if that leads nowhere."""
        assert page.next_url is not None
        empty = not page.records and not page.unkeyed
        self.url = self.trail.follow(page.next_url, self.lane.table.query.path, empty=empty)

    def finish(self) -> None:
        """All of the window has been written."""
        self.lane.timeline.finish(self.window, self.records)

    def begin_again(self, page_size: int) -> None:
        """Goes on with the window's first page; what was written of it comes twice."""
        self.url = _first_url(self.lane, self.window, page_size)
        self.pages = self.records = 0
        self.latest = None
        self.trail = Trail()

    def _cut_point(self, page: Page, others_idle: bool) -> int | None:
        """The second at which the window should end, if that is sooner than planned.

        It is the last second of the page, whose events may go on in the next one; or the one after
        it if some of them have been written before.
        """
        if not self.lane.timed or not page.next_url or not _is_sorted(page.times):
            return None
        oldest, latest = page.times[0], page.times[-1]
        if self.latest is not None and oldest < self.latest:
            return None
        before = oldest if self.latest is None else self.latest
        at = latest if max(before, self.window.start) < latest else latest + 1
        if not self.window.start < at < self.window.end:
            return None
        rest_is_worth_it = others_idle and self.lane.timeline.worth_sharing(at, self.window.end)
        return at if self.pages >= GOAL_PAGES or rest_is_worth_it else None

    def _own(self, page: Page) -> tuple[list[Any], bool]:
        more = page.next_url is not None
        if not self.cut:
            return page.records, more
        start, end = self.window
        inside = [moment is None or start <= moment < end for moment in page.times]
        ends_here = _is_sorted(page.times) and page.times[-1] >= end
        return list(compress(page.records, inside)), more and not ends_here


def _first_url(lane: Lane, window: Window, page_size: int) -> str:
    stream, filters = lane.table.selected.stream, lane.filters
    if lane.timed and stream.cut:
        filters = (*filters, *between(stream.cut, *window))
    size = min(stream.page_size, page_size) if stream.page_size else None
    return lane.table.query.url(filters, size, lane.parent)


def _is_sorted(times: Sequence[int | None]) -> TypeGuard[Sequence[int]]:
    """Whether all moments are known, there are some, and none comes before an older one."""
    known = [moment for moment in times if moment is not None]
    return bool(known) and len(known) == len(times) and known == sorted(known)
