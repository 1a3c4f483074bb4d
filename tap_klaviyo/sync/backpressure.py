"""How many windows are worth reading at once, given how fast the target takes records. Pure.

While this process waits for pages, more readers help. While pages wait for the target, they only
spread what is read over more windows: all that is unfinished in these is read again if the run is
interrupted. So no window is opened beyond what keeps the target busy. Windows that are open
continue, and the oldest are opened first.
"""

from __future__ import annotations

import math

SMOOTHING = 0.8
"""How much the past weighs against the last page."""

FEWEST = 2
"""Windows that are always read at once."""


class Backpressure:
    """Compares the time that pages are waited for with the time that it takes to write them."""

    def __init__(self) -> None:
        self._waited = self._busy = 0.0
        self.useful = math.inf

    def note(self, waited: float, busy: float, in_flight: int) -> None:
        """Notes a page: seconds waited for it, seconds until it was written, tasks in flight then.

        If the wait is half of the time, twice as many tasks would fill it.
        """
        self._waited = self._waited * SMOOTHING + max(0.0, waited)
        self._busy = self._busy * SMOOTHING + max(0.0, busy)
        if self._busy:
            needed = in_flight * (self._waited + self._busy) / self._busy
            self.useful = max(FEWEST, math.ceil(needed))
