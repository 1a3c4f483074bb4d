"""Klaviyo's rate limits: fixed windows of one second (burst), one minute (steady) and one day."""

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sandbox.endpoints.model import RateTier
from sandbox.errors import ApiError


@dataclass
class _Window:
    """A fixed window of `seconds` and the requests counted in it since `began`."""

    seconds: int
    allowed: int
    began: float = -math.inf
    used: int = 0

    def roll(self, now: float) -> None:
        """Start a new window if this one is over."""
        if now >= self.began + self.seconds:
            self.began = now // self.seconds * self.seconds
            self.used = 0

    @property
    def text(self) -> str:
        """The limit of the window in the `RateLimit-Limit` header."""
        return f"{self.allowed};w={self.seconds}"

    def wait(self, now: float) -> int:
        """Whole seconds until the window is over, at least 1."""
        return max(1, math.ceil(self.began + self.seconds - now))


class RateLimits:
    """Counts requests per bucket; a bucket has one window for each limit of its tier.

    `scale` multiplies all limits (1.0: as documented). `clock` returns Unix seconds. Thread-safe.
    """

    def __init__(self, scale: float, clock: Callable[[], float]) -> None:
        self._scale, self._clock = scale, clock
        self._buckets: dict[str, list[_Window]] = {}
        self._lock = threading.Lock()

    def take(self, buckets: Iterable[tuple[str, RateTier]]) -> dict[str, str]:
        """Count one request in each bucket, the first of which is the endpoint's own.

        Returns the `RateLimit-*` headers. As in production, they describe the window of a second,
        although the documentation says that of a minute; `RateLimit-Limit` lists the windows of a
        second and a minute, and `RateLimit-Reset` is 0 or 1. Raises ApiError (429 with
        `Retry-After`) if a window is full; the request is not counted then.
        """
        with self._lock:
            return self._take(buckets, self._clock())

    def _take(self, buckets: Iterable[tuple[str, RateTier]], now: float) -> dict[str, str]:
        windows = [window for name, tier in buckets for window in self._windows(name, tier)]
        for window in windows:
            window.roll(now)
        full = [window.wait(now) for window in windows if window.used >= window.allowed]
        if full:
            raise _throttled(max(full))
        for window in windows:
            window.used += 1
        burst, steady = windows[:2]
        return {
            "RateLimit-Limit": f"{burst.allowed}, {burst.text}, {steady.text}",
            "RateLimit-Remaining": str(burst.allowed - burst.used),
            "RateLimit-Reset": str(round(burst.began + burst.seconds - now)),
        }

    def _windows(self, name: str, tier: RateTier) -> list[_Window]:
        if name not in self._buckets:
            limits = {1: tier.burst, 60: tier.steady, 86_400: tier.daily}
            self._buckets[name] = [
                _Window(seconds, max(1, int(allowed * self._scale)))
                for seconds, allowed in limits.items()
                if allowed is not None
            ]
        return self._buckets[name]


def _throttled(wait: int) -> ApiError:
    unit = "second" if wait == 1 else "seconds"
    detail = f"Request was throttled. Expected available in {wait} {unit}."
    headers = {"Retry-After": str(wait)}
    return ApiError(429, "throttled", "Request was throttled.", detail, headers=headers)
