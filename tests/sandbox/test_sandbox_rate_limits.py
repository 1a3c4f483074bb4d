"""Rate limits, with a clock that the test controls."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sandbox_client import NOW, SandboxClient

from sandbox import Account

# The start of a minute, when both windows begin.
BEGIN = NOW.timestamp() // 60 * 60
ANALYTICS = {"additional_fields__profile": "predictive_analytics"}


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> float:
        """Unix seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at the start of a minute."""
    return Clock()


@pytest.fixture
def limited(
    account: Account, make_client: Callable[..., SandboxClient], clock: Clock
) -> Callable[[float], SandboxClient]:
    """Makes a client with scaled rate limits."""
    return lambda scale: make_client(account, limits=scale, clock=clock)


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
    limited: Callable[[float], SandboxClient],
    clock: Clock,
    path: str,
    query: dict[str, str],
    burst: int,
) -> None:
    """After the burst limit: 429 until the second is over."""
    client = limited(1.0)
    statuses = [client.get(path, **query).status for _ in range(burst + 1)]
    assert statuses == [200] * burst + [429]
    clock.now += 0.99
    assert client.get(path, **query).status == 429
    clock.now += 0.01
    assert client.get(path, **query).status == 200


def test_steady(limited: Callable[[float], SandboxClient], clock: Clock) -> None:
    """After the steady limit: 429 until the minute is over."""
    client = limited(1.0)
    for _ in range(15):
        assert client.get("/api/accounts").status == 200
        clock.now += 1.0
    response = client.get("/api/accounts")
    assert response.status == 429
    assert response.headers["Retry-After"] == "45"
    clock.now = BEGIN + 60
    assert client.get("/api/accounts").status == 200


def test_headers(limited: Callable[[float], SandboxClient], clock: Clock) -> None:
    """Responses describe the window of a second; a 429 has only `Retry-After`."""
    client = limited(1.0)
    clock.now += 10.6
    good = client.get("/api/accounts").headers
    assert [good[f"RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")] == [
        "1, 1;w=1, 15;w=60",
        "0",
        "0",
    ]
    throttled = client.get("/api/accounts")
    assert throttled.headers["Retry-After"] == "1"
    assert not any(name.startswith("RateLimit") for name in throttled.headers)
    assert throttled.error["code"] == "throttled"
    assert throttled.error["detail"].endswith("Expected available in 1 second.")


def test_errors_count(limited: Callable[[float], SandboxClient]) -> None:
    """A 400 counts against the limit; a 401 does not."""
    client = limited(1.0)
    assert client.get("/api/accounts", {"revision": "2026-07-15"}).status == 401
    refused = client.get("/api/accounts", colour="red")
    assert (refused.status, refused.headers["RateLimit-Remaining"]) == (400, "0")
    assert client.get("/api/accounts").status == 429


@pytest.mark.parametrize(("scale", "burst"), [(0.25, 2), (2.0, 20), (0.001, 1)])
def test_scale(limited: Callable[[float], SandboxClient], scale: float, burst: int) -> None:
    """Limits can be scaled, but not below one request."""
    client = limited(scale)
    statuses = [client.get("/api/metrics").status for _ in range(burst + 1)]
    assert statuses == [200] * burst + [429]


def test_separate_limits(limited: Callable[[float], SandboxClient]) -> None:
    """Each endpoint has its own limits; some additional fields have further ones."""
    client = limited(1.0)
    assert [client.get("/api/accounts").status for _ in range(2)] == [200, 429]
    assert client.get("/api/lists").status == 200
    slow = [client.get("/api/profiles", page__size="1", **ANALYTICS).status for _ in range(11)]
    assert slow == [200] * 10 + [429]
    assert client.get("/api/profiles", page__size="1").status == 200


def test_no_limits(client: SandboxClient) -> None:
    """Without limits there are no rate limit headers."""
    responses = [client.get("/api/accounts") for _ in range(20)]
    assert {response.status for response in responses} == {200}
    assert not any(name.startswith("RateLimit") for name in responses[0].headers)
