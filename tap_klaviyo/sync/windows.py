"""Windows of time, and the low-water mark that moves over what is done. Pure.

All times are whole Unix seconds, and all windows are half-open: ``[start, end)``. Klaviyo's events
have a resolution of one second and many share one, so a second is never split.

A :class:`WindowTracker` keeps track of one partition. Each second of it is in one of three states:

* *pending*: in a window that no reader has taken;
* *open*: in a window that a reader has taken;
* *done*: all its records have been written.

The low-water mark is the oldest second that is not done. An open window shrinks with each page:
what the page completes is done at once. So every page of the oldest window moves the mark, wherever
the run is interrupted.

Windows finish in any order. Only the mark becomes a bookmark; the windows that are done after it
are remembered beside it, and the next run passes over them.

A reader can *split* its window: it keeps the first part and gives the rest back. A split costs
little where a page ends, while each window that ends costs a page that is not full. So windows are
few and wide, and are split when they turn out long or workers are idle.

Where the records are is not known in advance, and they cluster: a campaign puts hundreds into each
of a few seconds and then decays over hours, and the weeks around it are empty. So what a page has
shown is believed close to it and less and less further away. The rest of a window that idle workers
help with becomes windows that start one page wide, at the density of that page, and grow faster and
faster: whatever begins after the page, a few windows are about as wide as it lasts. The last and
widest one is parted evenly, in case the records go on as they are. See :func:`growing`.

Idle workers help most where most is left. Each open window has an estimate of its pages: its length
at the density of its last page, up to ``MOST_EXPECTED``, since the estimate says nothing about what
is far away. A reader that brings a page gets its share of the idle workers, and all of them if no
other window has more left.

Empty windows cost requests. They are bounded: a partition is not split for idle workers beyond two
requests for each page of records, and ``SPARE_REQUESTS``.

Windows are taken oldest first, the first one alone, so that the first page of all is one that moves
the mark. None is taken while ``read_ahead`` records after the mark are open or done: a run that is
interrupted before its state is saved reads only that much again.

There are no locks: one thread, the one that writes, owns all trackers.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

SPLIT_AFTER_PAGES = 8
"""Pages after which a reader splits its window, so that the mark can move."""

FIRST_FACTOR = 2.0
"""How many times further from the page a window ends than the one before it, at first."""

GROWTH = 1.5
"""How this factor grows from one window to the next."""

LEAST_REST = 1.5
"""How many times further than a window the rest must reach to be worth a window of its own."""

EVEN_PARTS = 3
"""Windows, at most, into which the widest one is parted."""

LEAST_SHARED = 2.0
"""Pages, as the last page suggests, up to which the rest of a window is not shared."""

MOST_EXPECTED = 256.0
"""Pages that the rest of a window counts for at most."""

MOST_WINDOWS = 16
"""Windows that the rest of a window is given back as, at most."""

REQUESTS_PER_PAGE = 2
"""Requests for each page of records up to which windows are split for idle workers."""

SPARE_REQUESTS = 24
"""Requests of a partition for which this does not count: the first pages say little."""

SMOOTHING = 0.99
"""Smoothing factor of the average density, for each page."""


class Window(NamedTuple):
    """The seconds from ``start`` up to, but not including, ``end``."""

    start: int
    end: int


class WindowTracker:
    """Which windows of ``[start, end)`` are pending, open and done.

    ``split_after`` is the number of records after which a reader splits its window, ``page_size``
    that of a full page, ``read_ahead`` how many records may be open or done after the mark.
    ``done`` are windows that an earlier run has read. With ``boundaries`` the windows start at
    ``start`` and at these seconds and are never split.
    """

    def __init__(
        self,
        start: int,
        end: int,
        *,
        split_after: int = 1,
        page_size: int = 1,
        read_ahead: int = 1,
        done: Iterable[Window] = (),
        boundaries: Iterable[int] | None = None,
    ) -> None:
        self.start = start
        self.end = end
        self._split_after = split_after
        self._page_size = page_size
        self._read_ahead = read_ahead
        self._can_split = boundaries is None
        bounds = pairwise([start, *(boundaries or ()), end])
        windows = [Window(*bound) for bound in bounds if bound[0] < bound[1]]
        self._pending = without(windows, done)
        self.seconds = self._pending_seconds
        """The seconds that are to be read."""
        self.seconds_done = 0
        """Those of them that are done."""
        self._open: list[int] = []
        # After the mark: the end and the number of records of what is done, by its start.
        self._done_after_mark = {
            window.start: (window.end, 0) for window in without(windows, self._pending)
        }
        self._forget_before_mark()
        # Of windows that were shared or split: the pages that are expected, by their start.
        self._expected_pages: dict[int, float] = {}
        self._pages_seen = self._records_seen = 0
        self._records = self._seconds = 0.0

    @property
    def low_water_mark(self) -> int:
        """Everything before this second is done; ``end`` when all is done."""
        starts = [*self._open, *(window.start for window in self._pending[:1])]
        return min(starts, default=self.end)

    @property
    def finished(self) -> bool:
        """Whether no window is pending or open."""
        return not self._pending and not self._open

    @property
    def done(self) -> list[Window]:
        """All that is done, as few windows as possible, oldest first."""
        after_mark = (Window(start, end) for start, (end, _) in self._done_after_mark.items())
        return merged([Window(self.start, self.low_water_mark), *after_mark])

    @property
    def outstanding(self) -> int:
        """How many windows are pending or open."""
        return len(self._pending) + len(self._open)

    @property
    def pending_records(self) -> float:
        """An estimate of the records that are pending; 0 while their density is unknown."""
        return self._pending_seconds * self._records / self._seconds if self._records else 0.0

    @property
    def pages(self) -> int:
        """How many pages have been read."""
        return self._pages_seen

    def is_pending(self, window: Window) -> bool:
        """Whether all seconds of a window are pending."""
        return bool(window.start < window.end) and not without([window], self._pending)

    def take(self) -> Window | None:
        """Opens the oldest pending window; None if none may be opened now."""
        if not self._pending or not self._may_take():
            return None
        window = self._pending.pop(0)
        bisect.insort(self._open, window.start)
        return window

    def split(
        self,
        window: Window,
        at: int,
        page_seconds: float,
        idle: int,
        *,
        is_long: bool,
        passed: int = 0,
    ) -> bool:
        """Gives an open window back from the second ``at``, if it is long or others can help.

        ``page_seconds`` is what a page spans at the density of the last one. ``idle`` readers have
        nothing to do. ``passed`` is how many pages a window costs before its first record.
        Returns whether the window now ends at ``at``.
        """
        rest = Window(at, window.end)
        pages = min(MOST_EXPECTED, (rest.end - rest.start) / page_seconds)
        self._expected_pages.pop(window.start, None)
        readers = self._readers_for(pages, idle, passed)
        if readers == 1 and not is_long:
            self._expected_pages[window.start] = pages
            return False
        for part in growing(rest, page_seconds, readers):
            bisect.insort(self._pending, part)
            pages = (part.end - part.start) / page_seconds
            self._expected_pages[part.start] = min(MOST_EXPECTED, pages)
        return True

    def observe(self, part: Window, records: int, first: int | None) -> None:
        """Notes that a page showed ``part`` to hold ``records``, the oldest at ``first``.

        The time before the first record of all says nothing about density: the account may not have
        existed.
        """
        start = first if first is not None and part.start == self.start else part.start
        self._pages_seen += 1
        self._records_seen += records
        self._records = self._records * SMOOTHING + records
        self._seconds = self._seconds * SMOOTHING + max(1, part.end - start)

    def shrink(self, start: int, until: int, records: int) -> None:
        """Marks the part of an open window before ``until`` as done; it held ``records``."""
        self._open.remove(start)
        bisect.insort(self._open, until)
        if start in self._expected_pages:
            self._expected_pages[until] = self._expected_pages.pop(start)
        self._note_done(Window(start, until), records)

    def finish(self, window: Window, records: int) -> None:
        """Marks a window, or what is left of it, as done; it held ``records``."""
        self._open.remove(window.start)
        self._expected_pages.pop(window.start, None)
        self._note_done(window, records)

    def _note_done(self, window: Window, records: int) -> None:
        """Notes what is done, as one with what the same reader has done before it."""
        self.seconds_done += window.end - window.start
        start = window.start
        for known, (end, earlier) in self._done_after_mark.items():
            if end == start:
                start, records = known, earlier + records
        self._done_after_mark[start] = (window.end, records)
        self._forget_before_mark()

    def _forget_before_mark(self) -> None:
        mark = self.low_water_mark
        self._done_after_mark = {
            start: done for start, done in self._done_after_mark.items() if start > mark
        }

    @property
    def _pending_seconds(self) -> int:
        return sum(window.end - window.start for window in self._pending)

    def _readers_for(self, pages: float, idle: int, passed: int) -> int:
        """How many readers should read the rest of a window with ``pages``; 1 if none can help."""
        if idle < 1 or pages <= LEAST_SHARED * (1 + passed) or self._pending:
            return 1
        spare = self._requests_to_spare // (1 + passed)
        share = min(idle, MOST_WINDOWS - 1, max(int(not passed), spare))
        others = self._expected_pages.values()
        if pages < max(others, default=0.0):
            share = round(share * pages / (pages + sum(others)))
        return 1 + share

    @property
    def _requests_to_spare(self) -> int:
        """How many more windows may be empty."""
        allowed = SPARE_REQUESTS + REQUESTS_PER_PAGE * self._records_seen // self._page_size
        return allowed - self._pages_seen - self.outstanding

    def _may_take(self) -> bool:
        if self._can_split and self._open and not self._pages_seen:
            return False
        done = sum(records for _, records in self._done_after_mark.values())
        after_mark = done + len(self._open) * self._split_after
        return after_mark < self._read_ahead or self._pending[0].start == self.low_water_mark


def growing(rest: Window, page_seconds: float, readers: int) -> list[Window]:
    """``rest`` as windows for ``readers``, oldest first: ``page_seconds`` wide, and growing.

    They start a page wide, or wider if all readers together could not reach the end otherwise.
    """
    seconds = rest.end - rest.start
    factor = max(FIRST_FACTOR, (seconds / page_seconds) ** (1 / readers))
    distance = page_seconds * factor / FIRST_FACTOR
    windows: list[Window] = []
    start = rest.start
    while len(windows) < readers - 1 and distance * LEAST_REST < seconds:
        end = max(start + 1, rest.start + round(distance))
        windows.append(Window(start, end))
        start = end
        distance *= factor
        factor *= GROWTH
    parts = min(EVEN_PARTS, readers - len(windows))
    return windows + evenly(Window(start, rest.end), parts)


def evenly(window: Window, parts: int) -> list[Window]:
    """A window as at most ``parts`` windows of the same width."""
    width = max(1, math.ceil((window.end - window.start) / parts))
    starts = range(window.start, window.end, width)
    return [Window(start, min(window.end, start + width)) for start in starts]


def merged(windows: Iterable[Window]) -> list[Window]:
    """The same seconds in as few windows as possible, oldest first."""
    result: list[Window] = []
    for start, end in sorted(windows):
        if start >= end:
            continue
        if result and start <= result[-1].end:
            result[-1] = Window(result[-1].start, max(end, result[-1].end))
        else:
            result.append(Window(start, end))
    return result


def before(second: int, windows: Iterable[Window]) -> list[Window]:
    """The seconds of ``windows`` before ``second``."""
    return [Window(start, min(end, second)) for start, end in windows if start < min(end, second)]


def without(windows: Iterable[Window], excluded: Iterable[Window]) -> list[Window]:
    """The seconds of ``windows`` that are not in ``excluded``; no window grows together."""
    cuts = merged(excluded)
    result: list[Window] = []
    for start, end in windows:
        for cut in cuts:
            if cut.end <= start or end <= cut.start:
                continue
            if start < cut.start:
                result.append(Window(start, cut.start))
            start = min(cut.end, end)
        if start < end:
            result.append(Window(start, end))
    return result
