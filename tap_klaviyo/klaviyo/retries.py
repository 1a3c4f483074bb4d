"""How long, and at what intervals, failed requests are sent again.

Patience is one value: ``max_retry_wait``. It counts since a request was sent that failed, or since
the last answer after that, for each endpoint and for all of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator

import backoff

MIN_TRIES = 3
"""Tries of a request when nothing has answered for ``max_retry_wait``, so its time is used up."""

LONGEST_BACKOFF = 60
"""The longest pause between two tries of a request, in seconds."""

LONGEST_GAP = 2 * LONGEST_BACKOFF
"""Seconds that may pass between two failures of a request, besides its own duration."""

MAX_THROTTLED = 1000
"""Answers of 429 to one request after which its stream ends."""

ALL = ""
"""The path that stands for all endpoints."""


def backoffs() -> Iterator[float]:
    """Pauses in seconds: exponential up to ``LONGEST_BACKOFF``, with full jitter."""
    longest = backoff.expo(max_value=LONGEST_BACKOFF)
    next(longest)  # Its first value only starts it.
    return map(backoff.full_jitter, longest)


class RetryClock:
    """Since when requests have failed: for each endpoint, and for all of them. Thread-safe.

    ``limit`` is ``max_retry_wait`` and ``clock`` returns seconds. An endpoint that 32 workers ask
    is given up once, not 32 times one after the other. Failures that are more than ``stale_after``
    seconds apart have nothing to do with each other.
    """

    def __init__(self, limit: float, clock: Callable[[], float], stale_after: float) -> None:
        self.limit = limit
        self._clock = clock
        self._stale_after = stale_after
        # By endpoint and for all of them: since when it fails and the time of its last failure;
        # and the time of its last answer.
        self._failing: dict[str, tuple[float, float]] = {}
        self._answered: dict[str, float] = {}
        self._lock = threading.Lock()

    def failed(self, path: str, sent: float) -> bool:
        """Notes that a request failed that was ``sent`` then.

        Returns whether it is the first failure since the endpoint answered.
        """
        now = self._clock()
        with self._lock:
            first = self._current(path, now) is None
            for key in (path, ALL):
                begun = max(sent, self._answered.get(key, -math.inf))
                known = self._current(key, now)
                self._failing[key] = (begun if known is None else known, now)
        return first

    def answered(self, path: str) -> float | None:
        """Notes an answer of an endpoint; returns how long it had failed, None if it had not."""
        now = self._clock()
        with self._lock:
            self._answered[path] = self._answered[ALL] = now
            self._failing.pop(ALL, None)
            times = self._failing.pop(path, None)
        return None if times is None else now - times[0]

    def failing(self) -> list[tuple[str, float]]:
        """The endpoints that fail at present: path, seconds since the first failure."""
        now = self._clock()
        with self._lock:
            since = {path: self._current(path, now) for path in self._failing if path != ALL}
        return [(path, now - begun) for path, begun in since.items() if begun is not None]

    def remaining(self, path: str, since: float, tries: int) -> float:
        """Seconds for which a request may still be retried.

        It has failed ``since`` then, and ``tries`` times.
        """
        now = self._clock()
        with self._lock:
            keys = (path, ALL) if tries >= MIN_TRIES else (path,)
            begun = [begun for key in keys if (begun := self._current(key, now)) is not None]
        return max(0.0, self.limit - (now - min([since, *begun])))

    def patience(self) -> float:
        """Seconds that are left of ``limit`` while nothing answers; infinite while something does.

        A request that is sent now should not take longer.
        """
        now = self._clock()
        with self._lock:
            begun = self._current(ALL, now)
        return math.inf if begun is None else max(0.0, self.limit - (now - begun))

    def _current(self, key: str, now: float) -> float | None:
        """Since when a key fails; None if it does not, or if its failures are long ago."""
        begun, last = self._failing.get(key, (0.0, -math.inf))
        return begun if now - last <= self._stale_after else None
