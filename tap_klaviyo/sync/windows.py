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
nothing where a page ends, while each window that ends costs a page that is not full. So windows are
planned few and wide, and split when they turn out too wide or workers are idle.

Pending time is shared evenly among the idle readers, because it is not known where the records are:
those of a campaign fall into a few seconds, with nothing for days around them. The first pages
therefore say little, and more is shared than they suggest, so that the reading of a second with
many pages starts early. After enough pages, their density limits the width of windows, so that the
oldest part of a long time is read first.

Windows are taken oldest first, the first one alone, so that the first page of all is one that moves
the mark. None is taken while ``read_ahead`` records after the mark are open or done: a run that is
interrupted before its state is saved reads only that much again.

There are no locks: one thread, the one that writes, owns all trackers.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

SPLIT_AFTER_PAGES = 8
"""Pages after which a reader splits its window, so that the mark can move."""

WIDTH_FACTOR = 4
"""How much wider than ``split_after`` records a window is planned: readers split it."""

MIN_PAGES_SHARED = 2
"""Pages below which pending time is not shared among readers."""

TRUSTED_AFTER_PAGES = 8
"""Pages after which the density of records is trusted."""

EARLY_FACTOR = 16
"""Factor by which early density estimates are assumed too low; they seldom hold a campaign."""

SMOOTHING = 0.99
"""Smoothing factor of the density estimate, for each page."""


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
        self._least_shared = MIN_PAGES_SHARED * page_size
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
        self._pages_seen = 0
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
        return self._expected(self._pending_seconds)

    def worth_sharing(self, start: int, end: int) -> bool:
        """Whether ``[start, end)`` may hold enough for more than one reader."""
        return not self._records or self._expected(end - start) > self._least_shared

    def take(self, readers: int) -> Window | None:
        """Opens the oldest pending window for one of ``readers`` idle readers; None if none may.

        While the density is unknown, all pending time is one window.
        """
        if not self._pending or not self._may_take():
            return None
        width = self._width(readers)
        window = self._pending.pop(0)
        if self._can_split and width * 3 // 2 < window.end - window.start:
            self._pending.insert(0, Window(window.start + width, window.end))
            window = Window(window.start, window.start + width)
        bisect.insort(self._open, window.start)
        return window

    def give_back(self, rest: Window) -> None:
        """Makes the rest of a window that was split pending again."""
        bisect.insort(self._pending, rest)

    def observe(self, part: Window, records: int, first: int | None) -> None:
        """Notes that a page showed ``part`` to hold ``records``, the oldest at ``first``.

        The time before the first record of all says nothing about density: the account may not have
        existed.
        """
        start = first if first is not None and part.start == self.start else part.start
        self._pages_seen += 1
        self._records = self._records * SMOOTHING + records
        self._seconds = self._seconds * SMOOTHING + max(1, part.end - start)

    def shrink(self, start: int, until: int, records: int) -> None:
        """Marks the part of an open window before ``until`` as done; it held ``records``."""
        self._open.remove(start)
        bisect.insort(self._open, until)
        self._note_done(Window(start, until), records)

    def finish(self, window: Window, records: int) -> None:
        """Marks a window, or what is left of it, as done; it held ``records``."""
        self._open.remove(window.start)
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

    def _expected(self, seconds: int) -> float:
        return seconds * self._records / self._seconds if self._records else 0.0

    def _width(self, readers: int) -> int:
        seconds = self._pending_seconds
        trusted = self._pages_seen >= TRUSTED_AFTER_PAGES
        pending = self.pending_records if trusted else self.pending_records * EARLY_FACTOR
        parts = max(1, min(readers, pending // self._least_shared))
        width = seconds / parts
        if self._records and trusted:
            width = min(width, WIDTH_FACTOR * self._split_after * self._seconds / self._records)
        return max(1, round(width))

    def _may_take(self) -> bool:
        if self._can_split and self._open and not self._pages_seen:
            return False
        done = sum(records for _, records in self._done_after_mark.values())
        after_mark = done + len(self._open) * self._split_after
        return after_mark < self._read_ahead or self._pending[0].start == self.low_water_mark


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
