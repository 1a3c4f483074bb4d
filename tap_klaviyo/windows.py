"""Time cut into windows, and the low-water mark that moves over what is done.

All moments are whole Unix seconds, all windows half-open: ``[start, end)``. Klaviyo's events have a
grain of one second and many share one, so a second is never cut.

A :class:`Timeline` is the account of one filter's way through time. Each second of it is in exactly
one of these states:

* *waiting*: in a window that nobody reads yet;
* *open*: in a window that a reader has taken;
* *done*: everything in it has been written.

The low-water mark is the oldest second that is not done. Windows may finish in any order; only the
mark is ever promised to anybody, since a run that dies starts again from there.

A reader that finds its window to hold too much *cuts* it: it keeps the part that it has read to the
last record and gives the rest back. A cut costs nothing, while a window that holds less than a page
costs a request all the same. So windows are planned wider than they should be, from the density of
what was read lately, and readers cut them to size.

Windows are taken from the oldest on, and none is taken more than ``ahead`` windows beyond the mark,
so that a run that dies has only that much to read again.

Nothing here knows of threads: one thread, the one that writes, owns every timeline.
"""

from __future__ import annotations

import bisect
from typing import NamedTuple

GENEROSITY = 4
"""By how much a window is planned wider than the goal: readers cut it."""

MEMORY = 0.75
"""What the density of one window weighs beside that of the next."""


class Window(NamedTuple):
    """The seconds from ``start`` up to, but not including, ``end``."""

    start: int
    end: int


class Timeline:
    """What of ``[start, end)`` waits, is open and is done.

    ``goal`` is the number of records at which a reader cuts its window, ``ahead`` how many windows
    may be open or done beyond the mark.
    """

    def __init__(self, start: int, end: int, *, goal: int, ahead: int) -> None:
        self.start = start
        self.end = end
        self._goal = goal
        self._ahead = ahead
        self._waiting = [Window(start, end)] if start < end else []
        self._open: list[int] = []
        self._done_beyond: list[int] = []
        self._records = self._seconds = 0.0

    @property
    def mark(self) -> int:
        """Everything before this second is done; ``end`` when all is."""
        return min([*self._open, *(window.start for window in self._waiting[:1])], default=self.end)

    @property
    def finished(self) -> bool:
        """Whether nothing waits and nothing is open."""
        return not self._waiting and not self._open

    @property
    def explored(self) -> bool:
        """Whether anything is known of how dense the records lie."""
        return self._records > 0

    @property
    def waiting(self) -> float:
        """About how many records wait, at the density seen; 0 as long as none is known."""
        if not self.explored:
            return 0.0
        seconds = sum(window.end - window.start for window in self._waiting)
        return seconds * self._records / self._seconds

    def take(self) -> Window | None:
        """The oldest waiting window, as wide as the density seen suggests; None if none may go.

        With no density known the whole of what waits is one window.
        """
        if not self._waiting or not self._may_take():
            return None
        window = self._waiting.pop(0)
        width = self._width()
        if width is not None and width * 3 // 2 < window.end - window.start:
            self._waiting.insert(0, Window(window.start + width, window.end))
            window = Window(window.start, window.start + width)
        bisect.insort(self._open, window.start)
        return window

    def _width(self) -> int | None:
        if not self.explored:
            return None
        return max(1, int(GENEROSITY * self._goal * self._seconds / self._records))

    def _may_take(self) -> bool:
        return (
            len(self._open) + len(self._done_beyond) < self._ahead
            or self._waiting[0].start == self.mark
        )

    def give_back(self, rest: Window) -> None:
        """A reader cut its window: ``rest`` waits again."""
        bisect.insort(self._waiting, rest)

    def finish(self, window: Window, records: int, since: int | None = None) -> None:
        """A window, or what a cut left of it, is done.

        It held ``records``, in the seconds from ``since`` on if that is given: of a window that was
        cut, nothing is known of how dense the time before its first record is meant to be.
        """
        self._open.remove(window.start)
        self._done_beyond.append(window.start)
        mark = self.mark
        self._done_beyond = [start for start in self._done_beyond if start > mark]
        start = window.start if since is None else since
        self._records = self._records * MEMORY + records
        self._seconds = self._seconds * MEMORY + max(1, window.end - start)
