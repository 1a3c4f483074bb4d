"""Counts the distinct events that a reading brings of each period. Pure.

Windows overlap nowhere, so an event is seen twice only if its page is: around a cursor, or when a
window starts again. So a reader remembers the IDs of what it has seen after its safe second, and
counts an event when it falls behind it. What cannot be counted exactly counts as nothing: then the
period is read once more.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tap_klaviyo.sync.windows import Window

MOST_IDS = 100_000
"""IDs that a reader remembers. Beyond that, it no longer counts exactly."""


@dataclass
class PeriodTally:
    """What a reading has brought of a period. ``seconds`` are those that are still to be read.

    ``brought`` is what an earlier run has brought before them. ``inexact`` says that not all events
    could be counted.
    """

    window: Window
    seconds: int
    brought: int = 0
    inexact: bool = False
    # The start, and the number of events, of what was read without a gap, by its end.
    _read: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, window: Window, events: int) -> None:
        """Adds seconds that were read, and the events in them."""
        self.seconds -= window.end - window.start
        start, before = self._read.pop(window.start, (window.start, 0))
        self._read[window.end] = start, before + events

    @property
    def finished(self) -> bool:
        """Whether all of it was read."""
        return self.seconds <= 0

    def events_before(self, second: float) -> int:
        """The events before a second before which all was read; 0 if they were not counted."""
        if self.inexact:
            return 0
        before = (events for end, (_, events) in self._read.items() if end <= second)
        return self.brought + sum(before)


class EventTally:
    """What the readers of a partition bring of each of ``periods``, which do not overlap."""

    def __init__(self, periods: Iterable[PeriodTally]) -> None:
        self.periods = sorted(periods, key=lambda period: period.window)
        self._starts = [period.window.start for period in self.periods]

    def add(self, window: Window, times: Sequence[int]) -> None:
        """Adds a window that was read as a whole; ``times`` are those of its events, sorted."""
        for period in self._overlapping(window):
            start, end = max(window.start, period.window.start), min(window.end, period.window.end)
            events = bisect_left(times, end) - bisect_left(times, start)
            period.add(Window(start, end), events)

    def spoil(self, window: Window) -> None:
        """Notes that what a window brings cannot be counted exactly."""
        for period in self._overlapping(window):
            period.inexact = True

    def _overlapping(self, window: Window) -> list[PeriodTally]:
        first = max(0, bisect_right(self._starts, window.start) - 1)
        last = bisect_left(self._starts, window.end)
        return [
            period
            for period in self.periods[first:last]
            if period.window.start < window.end and period.window.end > window.start
        ]


class SeenEvents:
    """The events of a reader's window that lie after its safe second: their times, by ID."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    def note(
        self,
        tally: EventTally | None,
        window: Window,
        ids: Iterable[str],
        times: Iterable[int | None],
    ) -> None:
        """Notes the events of a page that belong to ``window``."""
        if tally is None:
            return
        start, end = window
        self._times |= {
            identifier: time
            for identifier, time in zip(ids, times, strict=True)
            if time is not None and start <= time < end
        }
        if len(self._times) > MOST_IDS:
            self.forget(tally, window)

    def done(self, tally: EventTally | None, window: Window) -> None:
        """Counts the events of a window that was read as a whole."""
        if tally is not None:
            times = self._times.items()
            tally.add(window, sorted(time for _, time in times if time < window.end))
            self._times = {one: time for one, time in times if time >= window.end}

    def forget(self, tally: EventTally | None, spoiled: Window | None = None) -> None:
        """Forgets all, since it is read again; ``spoiled`` is what was counted before."""
        self._times = {}
        if tally is not None and spoiled is not None:
            tally.spoil(spoiled)
