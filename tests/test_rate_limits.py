"""Rate limits, on a simulated clock."""

from __future__ import annotations

import bisect

import pytest

from tap_klaviyo.klaviyo.rate_limits import RateLimiter, retry_after
from tap_klaviyo.streams import STREAMS
from tap_klaviyo.streams.model import TIERS


class Clock:
    """Simulated time that only ``sleep`` advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advances the clock without waiting."""
        assert seconds > 0
        self.now += seconds


def request_times(limiter: RateLimiter, clock: Clock, count: int) -> list[float]:
    """The times at which the limiter allows ``count`` requests."""
    moments = []
    for _ in range(count):
        limiter.wait()
        moments.append(clock.now)
    return moments


def maximum_within(moments: list[float], seconds: float) -> int:
    """The maximum number of requests in any period of ``seconds``."""
    return max(
        bisect.bisect_left(moments, moment + seconds) - place
        for place, moment in enumerate(moments)
    )


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("share", [1.0, 0.25, 0.01])
def test_neither_limit_is_ever_exceeded(tier: str, share: float) -> None:
    """No second and no minute has more requests than the quota share of the tier allows."""
    clock = Clock()
    limiter = RateLimiter(tier, share, clock, clock.sleep)
    burst, steady = (max(1, int(limit * share)) for limit in TIERS[tier][:2])
    moments = request_times(limiter, clock, steady * 2 + 5)
    assert maximum_within(moments, 1.0) <= burst
    assert maximum_within(moments, 60.0) <= steady


@pytest.mark.parametrize("tier", TIERS)
def test_the_limit_is_used(tier: str) -> None:
    """Over several minutes at least 95 % of the allowed requests are sent."""
    clock = Clock()
    steady = TIERS[tier][1]
    count = steady * 10
    moments = request_times(RateLimiter(tier, 1.0, clock, clock.sleep), clock, count)
    allowed = steady * (1 + (moments[-1] - moments[0]) / 60)
    assert count >= 0.95 * (allowed - steady)


def test_a_paused_limiter_allows_no_request() -> None:
    """A request during a pause waits until the end of the longest pause."""
    clock = Clock()
    limiter = RateLimiter("XL", 1.0, clock, clock.sleep)
    limiter.pause(30)
    limiter.pause(7)
    limiter.wait()
    assert clock.now >= 1030


def test_every_stream_has_a_tier() -> None:
    """The rate limit tier of each stream is one of Klaviyo's."""
    for stream in STREAMS:
        assert {stream.tier, *stream.slow_fields.values()} <= TIERS.keys()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("1.5", 1.5),
        ("0", 1.0),
        ("0.001", 1.0),
        ("-4", 1.0),
        ("Thu, 01 Jan 1970 00:01:50 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:00:50 GMT", 1.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 1.0),
        (None, 1.0),
        ("", 1.0),
        ("soon", 1.0),
        ("inf", 1.0),
        ("nan", 1.0),
    ],
)
def test_retry_after(value: str | None, seconds: float) -> None:
    """Retry-After may be seconds or a date; at least a second is waited."""
    assert retry_after(value, now=100.0) == seconds
