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

A reader can *cut* its window: it keeps a first part and gives the rest back to wait. A cut costs
nothing where a page ends, while each window that comes to its end costs a page that is not full. So
windows are planned few and wide, and cut where they turn out too wide, or readers too few.

What waits is shared out evenly among the readers that are idle, by time, since nobody can know
where the records lie: those of a campaign all fall into a few seconds, with nothing for days before
and after. So the first pages say little, and more is shared out than they suggest: the walk through
a second that fills many pages has to begin early. Only when enough pages have been read for their
density to mean something are windows kept to a size, so that the oldest part of a long timeline is
read first.

Windows are taken from the oldest on, and none is taken once ``ahead`` records beyond the mark are
open or done, so that a run that dies has only that much to read again.

Nothing here knows of threads: one thread, the one that writes, owns every timeline.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

GENEROSITY = 4
"""By how much a window is planned wider than the goal: readers cut it."""


NARROWEST = 2
"""Pages below which nothing is shared out any more."""


TRUSTED = 8
"""Pages after which the density seen is trusted."""


DOUBT = 16
"""By how much more may wait than the first pages suggest, which seldom hold a campaign."""


MEMORY = 0.99
"""What the density that a page has shown weighs beside that of the next."""


class Window(NamedTuple):
    """The seconds from ``start`` up to, but not including, ``end``."""

    start: int
    end: int


class Timeline:
    """What of ``[start, end)`` waits, is open and is done.

    ``goal`` is the number of records at which a reader cuts its window, ``page`` that of a full
    page, ``ahead`` how many records may be open or done beyond the mark. With ``cuts`` its windows
    begin at ``start`` and at these seconds, and none is cut any further.
    """

    def __init__(
        self,
        start: int,
        end: int,
        *,
        goal: int = 1,
        page: int = 1,
        ahead: int = 1,
        cuts: Iterable[int] | None = None,
    ) -> None:
        self.start = start
        self.end = end
        self._goal = goal
        self._narrowest = NARROWEST * page
        self._ahead = ahead
        self._cuttable = cuts is None
        bounds = pairwise([start, *(cuts or ()), end])
        self._waiting = [Window(*bound) for bound in bounds if bound[0] < bound[1]]
        self._open: list[int] = []
        self._done_beyond: dict[int, int] = {}
        self._sights = 0
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
    def outstanding(self) -> int:
        """How many windows wait or are open."""
        return len(self._waiting) + len(self._open)

    @property
    def waiting(self) -> float:
        """About how many records wait, at the density seen; 0 as long as none is known."""
        return self._expected(self._seconds_waiting)

    def worth_sharing(self, start: int, end: int) -> bool:
        """Whether ``[start, end)`` may hold enough for more than one reader."""
        return not self._records or self._expected(end - start) > self._narrowest

    def take(self, readers: int) -> Window | None:
        """The oldest waiting window for one of ``readers`` idle readers; None if none may go.

        With no density known the whole of what waits is one window.
        """
        if not self._waiting or not self._may_take():
            return None
        width = self._width(readers)
        window = self._waiting.pop(0)
        if self._cuttable and width * 3 // 2 < window.end - window.start:
            self._waiting.insert(0, Window(window.start + width, window.end))
            window = Window(window.start, window.start + width)
        bisect.insort(self._open, window.start)
        return window

    def give_back(self, rest: Window) -> None:
        """A reader cut its window: ``rest`` waits again."""
        bisect.insort(self._waiting, rest)

    def saw(self, part: Window, records: int, first: int | None) -> None:
        """A page has shown that ``part`` holds ``records``, the oldest in the second ``first``.

        Before the first record of all there may be years in which the account did not exist; they
        say nothing of how dense the records lie.
        """
        start = first if first is not None and part.start == self.start else part.start
        self._sights += 1
        self._records = self._records * MEMORY + records
        self._seconds = self._seconds * MEMORY + max(1, part.end - start)

    def finish(self, window: Window, records: int) -> None:
        """A window, or what a cut left of it, is done. It held ``records``."""
        self._open.remove(window.start)
        self._done_beyond[window.start] = records
        mark = self.mark
        self._done_beyond = {at: held for at, held in self._done_beyond.items() if at > mark}

    @property
    def _seconds_waiting(self) -> int:
        return sum(window.end - window.start for window in self._waiting)

    def _expected(self, seconds: int) -> float:
        return seconds * self._records / self._seconds if self._records else 0.0

    def _width(self, readers: int) -> int:
        seconds = self._seconds_waiting
        trusted = self._sights >= TRUSTED
        waiting = self.waiting if trusted else self.waiting * DOUBT
        parts = max(1, min(readers, waiting // self._narrowest))
        width = seconds / parts
        if self._records and trusted:
            width = min(width, GENEROSITY * self._goal * self._seconds / self._records)
        return max(1, round(width))

    def _may_take(self) -> bool:
        beyond = sum(self._done_beyond.values()) + len(self._open) * self._goal
        return beyond < self._ahead or self._waiting[0].start == self.mark
