"""The lowest low-water mark of many trackers, without looking at all of them. Pure."""

from __future__ import annotations

from heapq import heappush, heapreplace
from itertools import count

from tap_klaviyo.sync.windows import WindowTracker


class LowWaterMarks:
    """The lowest of the low-water marks of trackers.

    Marks only move up, so what the heap knows of a tracker is at most its mark. Only trackers at
    the top are looked at, until one has the mark that the heap knows.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, WindowTracker]] = []
        self._numbers = count()

    def add(self, tracker: WindowTracker) -> None:
        """Adds a tracker."""
        heappush(self._heap, (tracker.low_water_mark, next(self._numbers), tracker))

    @property
    def lowest(self) -> int:
        """The lowest mark; 0 without trackers."""
        while self._heap:
            known, number, tracker = self._heap[0]
            mark = tracker.low_water_mark
            if mark == known:
                return mark
            heapreplace(self._heap, (mark, number, tracker))
        return 0
