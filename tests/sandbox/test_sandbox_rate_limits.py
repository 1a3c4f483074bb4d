"""Rate limits, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sandbox_client import NOW, Asking

from sandbox import Account

# On the stroke of a minute, when both windows begin.
BEGIN = NOW.timestamp() // 60 * 60
ANALYTICS = {"additional_fields__profile": "predictive_analytics"}


class Clock:
    """A clock that only moves by hand."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> float:
        """Unix seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at the beginning of a minute."""
    return Clock()


@pytest.fixture
def limited(
    account: Account, asking_with: Callable[..., Asking], clock: Clock
) -> Callable[[float], Asking]:
    """Makes an asker with a share of the limits."""
    return lambda share: asking_with(account, limits=share, clock=clock)


@pytest.mark.parametrize(
    ("path", "query", "burst"),
    [
        ("/api/accounts", {}, 1),
        ("/api/metrics", {}, 10),
        ("/api/campaigns", {"filter": "equals(messages.channel,'sms')", "page__size": "1"}, 10),
        ("/api/lists", {"page__size": "1"}, 75),
        ("/api/profiles", {"page__size": "1"}, 75),
        ("/api/profiles", {"page__size": "1", **ANALYTICS}, 10),
        ("/api/events", {"page__size": "1"}, 350),
    ],
)
def test_burst(
    limited: Callable[[float], Asking],
    clock: Clock,
    path: str,
    query: dict[str, str],
    burst: int,
) -> None:
    """So many requests a second, then 429 until the second is over."""
    ask = limited(1.0)
    statuses = [ask(path, **query).status for _ in range(burst + 1)]
    assert statuses == [200] * burst + [429]
    clock.now += 0.99
    assert ask(path, **query).status == 429
    clock.now += 0.01
    assert ask(path, **query).status == 200


def test_steady(limited: Callable[[float], Asking], clock: Clock) -> None:
    """So many requests a minute, however slow; the wait is until the minute is over."""
    ask = limited(1.0)
    for _ in range(15):
        assert ask("/api/accounts").status == 200
        clock.now += 1.0
    reply = ask("/api/accounts")
    assert reply.status == 429
    assert reply.headers["Retry-After"] == "45"
    clock.now = BEGIN + 60
    assert ask("/api/accounts").status == 200


def test_headers(limited: Callable[[float], Asking], clock: Clock) -> None:
    """Answers tell of the steady window; a 429 only says when to come back."""
    ask = limited(1.0)
    clock.now += 10.5
    good = ask("/api/accounts").headers
    assert [good[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")] == [
        "15",
        "14",
        "50",
    ]
    throttled = ask("/api/accounts")
    assert throttled.headers["Retry-After"] == "1"
    assert not any(name.startswith("RateLimit") for name in throttled.headers)
    assert throttled.error["code"] == "throttled"
    assert throttled.error["detail"].endswith("Expected available in 1 second.")


def test_refusals_count(limited: Callable[[float], Asking]) -> None:
    """A refused request counts, and tells of the limit; one without a key does neither."""
    ask = limited(1.0)
    assert ask("/api/accounts", {"revision": "2026-07-15"}).status == 401
    refused = ask("/api/accounts", colour="red")
    assert (refused.status, refused.headers["RateLimit-Remaining"]) == (400, "14")
    assert ask("/api/accounts").status == 429


@pytest.mark.parametrize(("share", "burst"), [(0.25, 2), (2.0, 20), (0.001, 1)])
def test_share(limited: Callable[[float], Asking], share: float, burst: int) -> None:
    """Limits can be scaled, and never to nothing."""
    ask = limited(share)
    statuses = [ask("/api/metrics").status for _ in range(burst + 1)]
    assert statuses == [200] * burst + [429]


def test_endpoints_apart(limited: Callable[[float], Asking]) -> None:
    """Every endpoint has limits of its own; expensive attributes have one besides."""
    ask = limited(1.0)
    assert [ask("/api/accounts").status for _ in range(2)] == [200, 429]
    assert ask("/api/lists").status == 200
    slow = [ask("/api/profiles", page__size="1", **ANALYTICS).status for _ in range(11)]
    assert slow == [200] * 10 + [429]
    assert ask("/api/profiles", page__size="1").status == 200


def test_off(ask: Asking) -> None:
    """Without limits there are no headers about them."""
    replies = [ask("/api/accounts") for _ in range(20)]
    assert {reply.status for reply in replies} == {200}
    assert not any(name.startswith("RateLimit") for name in replies[0].headers)
