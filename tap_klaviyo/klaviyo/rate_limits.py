"""Klaviyo's rate limits, kept so that being refused (429) is the exception.

Each endpoint has two limits at once, so many requests in a second and so many in a minute; they
count per account, whatever the key. A :class:`Gate` lets requests of one endpoint pass at that
pace. It closes when Klaviyo says that the minute's quota is used up, perhaps by somebody else, and
when it answers 429.

Source: Klaviyo's guide on rate limits, status codes and errors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyrate_limiter import InMemoryBucket, Rate, RateItem

from tap_klaviyo.streams.model import TIERS

SLOW = 15
"""Requests a minute up to which an endpoint keeps a worker waiting for seconds."""


JITTER = 1.03
"""Requests bunch on their way: windows this much longer than Klaviyo's leave room for that."""


SECOND, MINUTE = 1000, 60_000


class Gate:
    """Lets requests of one endpoint pass at the pace of its tier, from any number of threads.

    ``share`` is the part of the quota to use, ``clock`` gives seconds. ``passed`` counts all
    requests, ``under_way`` those that were let pass and are not over. The quota of a day is
    Klaviyo's to keep: nobody here knows what was asked before this run.
    """

    def __init__(
        self,
        tier: str,
        share: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        burst, steady = (max(1, int(limit * share)) for limit in TIERS[tier][:2])
        rates = [Rate(steady, int(MINUTE * JITTER))]
        if burst < steady:
            rates.append(Rate(burst, int(SECOND * JITTER)))
        self._bucket = InMemoryBucket(rates)
        self._clock = clock
        self._sleep = sleep
        self._closed_until = 0.0
        self.passed = 0
        self.under_way = 0
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    @contextmanager
    def passage(self) -> Iterator[None]:
        """Begins when the next request may go, and lasts as long as it is under way."""
        self.wait()
        with self._lock:
            self.under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self.under_way -= 1

    def wait(self) -> None:
        """Returns when the next request may go. Who waits first goes first."""
        with self._turn:
            while (seconds := self._delay()) > 0:
                self._sleep(seconds)

    def close(self, seconds: float) -> None:
        """Lets nothing pass for ``seconds`` from now; a longer closure stays."""
        with self._lock:
            self._closed_until = max(self._closed_until, self._clock() + seconds)

    def _delay(self) -> float:
        """Seconds until a request may go; 0 if it may now, and then it counts."""
        with self._lock:
            now = self._clock()
            if now < self._closed_until:
                return self._closed_until - now
            moment = int(now * 1000)
            self._bucket.leak(moment)
            item = RateItem("request", moment)
            if self._bucket.put(item):
                self.passed += 1
                return 0.0
            return max(1, int(self._bucket.waiting(item))) / 1000  # type: ignore[arg-type]
