"""Klaviyo's rate limits: fixed windows of a second (burst), a minute (steady), rarely of a day."""

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sandbox.endpoints.model import Tier
from sandbox.errors import Refusal


@dataclass
class _Window:
    """Requests counted since a window began; `seconds` is its length."""

    seconds: int
    allowed: int
    began: float = -math.inf
    used: int = 0

    def roll(self, now: float) -> None:
        """Begin anew if the window is over."""
        if now >= self.began + self.seconds:
            self.began = now // self.seconds * self.seconds
            self.used = 0

    def wait(self, now: float) -> int:
        """Whole seconds until the window is over, at least one."""
        return max(1, math.ceil(self.began + self.seconds - now))


class Limits:
    """Counts requests by bucket; every bucket has the windows of its tier.

    `share` scales all limits (1.0 is Klaviyo's), `clock` gives Unix seconds. Safe to use from
    several threads.
    """

    def __init__(self, share: float, clock: Callable[[], float]) -> None:
        self._share, self._clock = share, clock
        self._buckets: dict[str, list[_Window]] = {}
        self._lock = threading.Lock()

    def take(self, buckets: Iterable[tuple[str, Tier]]) -> dict[str, str]:
        """Count one request in all of its buckets, the first being the endpoint's own.

        Returns the headers of an answer within the limits. Raises Refusal (429, with
        `Retry-After` instead of those) if any window is full; nothing is counted then.
        """
        with self._lock:
            return self._take(buckets, self._clock())

    def _take(self, buckets: Iterable[tuple[str, Tier]], now: float) -> dict[str, str]:
        windows = [window for name, tier in buckets for window in self._windows(name, tier)]
        for window in windows:
            window.roll(now)
        full = [window.wait(now) for window in windows if window.used >= window.allowed]
        if full:
            raise _throttled(max(full))
        for window in windows:
            window.used += 1
        steady = windows[1]
        return {
            "RateLimit-Limit": str(steady.allowed),
            "RateLimit-Remaining": str(steady.allowed - steady.used),
            "RateLimit-Reset": str(steady.wait(now)),
        }

    def _windows(self, name: str, tier: Tier) -> list[_Window]:
        if name not in self._buckets:
            lengths = {1: tier.burst, 60: tier.steady, 86_400: tier.daily}
            self._buckets[name] = [
                _Window(seconds, max(1, int(allowed * self._share)))
                for seconds, allowed in lengths.items()
                if allowed is not None
            ]
        return self._buckets[name]


def _throttled(wait: int) -> Refusal:
    unit = "second" if wait == 1 else "seconds"
    detail = f"Request was throttled. Expected available in {wait} {unit}."
    headers = {"Retry-After": str(wait)}
    return Refusal(429, "throttled", "Request was throttled.", detail, headers=headers)
