"""Klaviyo's rate limits, on a clock that only sleeping moves."""

from __future__ import annotations

import bisect

import pytest

from tap_klaviyo.klaviyo.rate_limits import RateLimiter
from tap_klaviyo.streams import STREAMS
from tap_klaviyo.streams.model import TIERS


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Lets the time pass at once."""
        assert seconds > 0
        self.now += seconds


def passed(limiter: RateLimiter, clock: Clock, count: int) -> list[float]:
    """The moments at which ``count`` requests pass."""
    moments = []
    for _ in range(count):
        limiter.wait()
        moments.append(clock.now)
    return moments


def most_within(moments: list[float], seconds: float) -> int:
    """The largest number of moments in any stretch of ``seconds``."""
    return max(
        bisect.bisect_left(moments, moment + seconds) - place
        for place, moment in enumerate(moments)
    )


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("share", [1.0, 0.25, 0.01])
def test_neither_limit_is_ever_exceeded(tier: str, share: float) -> None:
    """In no second and in no minute do more requests pass than the share of the tier allows."""
    clock = Clock()
    limiter = RateLimiter(tier, share, clock, clock.sleep)
    burst, steady = (max(1, int(limit * share)) for limit in TIERS[tier][:2])
    moments = passed(limiter, clock, steady * 2 + 5)
    assert most_within(moments, 1.0) <= burst
    assert most_within(moments, 60.0) <= steady


@pytest.mark.parametrize("tier", TIERS)
def test_the_limit_is_made_use_of(tier: str) -> None:
    """Over some minutes at least 95 % of what Klaviyo allows passes."""
    clock = Clock()
    steady = TIERS[tier][1]
    count = steady * 10
    moments = passed(RateLimiter(tier, 1.0, clock, clock.sleep), clock, count)
    allowed = steady * (1 + (moments[-1] - moments[0]) / 60)
    assert count >= 0.95 * (allowed - steady)


def test_a_closed_gate_lets_nothing_pass() -> None:
    """Whoever comes while the gate is closed waits until it opens."""
    clock = Clock()
    limiter = RateLimiter("XL", 1.0, clock, clock.sleep)
    limiter.pause(30)
    limiter.pause(7)
    limiter.wait()
    assert clock.now >= 1030


def test_every_stream_has_a_tier() -> None:
    """The rate limit of each stream is one of Klaviyo's."""
    for stream in STREAMS:
        assert {stream.tier, *stream.slow_fields.values()} <= TIERS.keys()
