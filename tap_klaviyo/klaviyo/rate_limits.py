"""Klaviyo's rate limits: kept, so that an answer of 429 is the exception, and heeded after one.

Each endpoint has two limits at once, requests per second and requests per minute. They count per
account, whatever the key. A :class:`RateLimiter` lets requests of one endpoint start at that rate.
It pauses when Klaviyo says that the quota of the minute is used up, perhaps by another program, and
when Klaviyo answers 429, for as long as ``Retry-After`` asks.

Sources: Klaviyo's guide on rate limits, status codes and errors; RFC 9110 for ``Retry-After``.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from pyrate_limiter import InMemoryBucket, Rate, RateItem

from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.server_clock import http_date
from tap_klaviyo.streams.model import TIERS

SLOW_LIMIT = 15
"""Requests per minute up to which an endpoint keeps a worker waiting for seconds."""

LEAST_RETRY_AFTER = 1.0
"""Seconds to wait after a 429 if ``Retry-After`` is missing, unusable, 0 or in the past."""

LONGEST_BURST_RESET = 1
"""The longest time in seconds until the quota of a second is whole again."""

LONGEST_RESET = 60
"""The longest time until the quota of a minute is whole again; a longer one is a mistake."""

_INTERVAL_FACTOR = 1.03
"""Requests bunch up on their way. Longer intervals than Klaviyo's leave room for that."""

_SECOND_MS, _MINUTE_MS = 1000, 60_000


class RateLimiter:
    """Lets requests of one endpoint start at the rate of its tier, from any number of threads.

    ``share`` is the share of the quota to use, ``clock`` returns seconds, and ``sleep`` may raise
    to end all waits. ``request_count`` counts all requests, ``in_flight`` those without an answer
    yet, ``throttled`` the answers of 429. Daily quotas are left to Klaviyo, since earlier runs have
    used an unknown part of them.
    """

    def __init__(
        self,
        tier: str,
        share: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        per_second, per_minute = (max(1, int(limit * share)) for limit in TIERS[tier][:2])
        rates = [Rate(per_minute, int(_MINUTE_MS * _INTERVAL_FACTOR))]
        if per_second < per_minute:
            rates.append(Rate(per_second, int(_SECOND_MS * _INTERVAL_FACTOR)))
        self._bucket = InMemoryBucket(rates)
        self._clock = clock
        self._sleep = sleep
        self._paused_until = 0.0
        self.request_count = 0
        self.throttled = 0
        self.in_flight = 0
        self._lock = threading.Lock()
        self._first_in_line = threading.Lock()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Starts when the next request may start, and lasts until its answer has arrived."""
        self.wait()
        with self._lock:
            self.in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    def wait(self) -> None:
        """Returns when the next request may start; first come, first served."""
        with self._first_in_line:
            while (seconds := self._delay()) > 0:
                self._sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Starts no request for ``seconds`` from now; a longer pause stays."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock() + seconds)

    def throttle(self, seconds: float) -> None:
        """Pauses as an answer of 429 asks."""
        self.throttled += 1
        self.pause(seconds)

    def paused_for(self) -> float:
        """The seconds for which no request starts; 0 if one may start."""
        return max(0.0, self._paused_until - self._clock())

    def heed_quota(self, headers: Mapping[str, str]) -> None:
        """Pauses if the quota that an answer tells of may be used up by requests in flight.

        Klaviyo documents the quota of a minute, and sends that of a second. The latter, which has a
        reset of 0 or 1, is used up often and is kept by the limiter.
        """
        try:
            remaining = int(headers["RateLimit-Remaining"])
            reset = float(headers["RateLimit-Reset"])
        except (KeyError, ValueError):
            return
        if remaining <= self.in_flight and LONGEST_BURST_RESET < reset <= LONGEST_RESET:
            self.pause(reset)

    def _delay(self) -> float:
        """Seconds until a request may start. 0 if it may start now; it is then counted."""
        with self._lock:
            now = self._clock()
            if now < self._paused_until:
                return self._paused_until - now
            milliseconds = int(now * 1000)
            self._bucket.leak(milliseconds)
            item = RateItem("request", milliseconds)
            if self._bucket.put(item):
                self.request_count += 1
                return 0.0
            return max(1, int(self._bucket.waiting(item))) / 1000  # type: ignore[arg-type]


class RateLimiters:
    """The limiters of an account, one for each endpoint. Thread-safe.

    ``share``, ``clock`` and ``sleep`` are those of :class:`RateLimiter`.
    """

    def __init__(
        self, share: float, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._share = share
        self._clock = clock
        self._sleep = sleep
        self._limiters: dict[tuple[str, str], RateLimiter] = {}
        self._creating = threading.Lock()

    def of(self, query: Query) -> RateLimiter:
        """The one limiter of an endpoint."""
        with self._creating:
            key = query.path, query.tier
            if key not in self._limiters:
                self._limiters[key] = RateLimiter(query.tier, self._share, self._clock, self._sleep)
            return self._limiters[key]

    def daily_quotas(self) -> list[tuple[str, int, int]]:
        """The endpoints with a daily quota: path, requests of this run, quota."""
        return [
            (path, limiter.request_count, daily)
            for (path, tier), limiter in self._all()
            if (daily := TIERS[tier].daily) is not None
        ]

    def throttled(self) -> list[tuple[str, int]]:
        """The endpoints whose limit was exceeded: path, answers of 429."""
        return [
            (path, limiter.throttled) for (path, _), limiter in self._all() if limiter.throttled
        ]

    def paused(self) -> list[tuple[str, float]]:
        """The endpoints that wait for their quota: path, seconds that remain."""
        waits = [(path, limiter.paused_for()) for (path, _), limiter in self._all()]
        return [(path, seconds) for path, seconds in waits if seconds]

    def _all(self) -> list[tuple[tuple[str, str], RateLimiter]]:
        # A copy, since a worker may add a limiter.
        return list(self._limiters.items())


def retry_after(value: str | None, now: float) -> float:
    """The seconds to wait by a ``Retry-After`` header, which holds seconds or a date.

    ``now`` is the time in Unix seconds by the clock of the server. At least ``LEAST_RETRY_AFTER``.
    """
    try:
        seconds = float(value or "")
    except ValueError:
        date = http_date(value)
        seconds = math.nan if date is None else date - now
    return max(LEAST_RETRY_AFTER, seconds) if math.isfinite(seconds) else LEAST_RETRY_AFTER
