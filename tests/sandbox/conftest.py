"""What the sandbox's tests share: a small account, and a way to ask about it without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from klaviyo_api import KlaviyoAPI
from sandbox_client import NOW, SandboxClient

from sandbox import Account, Api, Sandbox

MakeClient = Callable[..., SandboxClient]


@pytest.fixture(scope="session")
def account() -> Account:
    """A small account that no test changes."""
    return Account.seeded(events=3000, now=NOW)


@pytest.fixture
def mutable_account() -> Account:
    """A smaller account that a test may change."""
    return Account.seeded(events=400, now=NOW, days=20)


@pytest.fixture(scope="session")
def make_client() -> MakeClient:
    """Makes an asker about an account, on the clock at which it was seeded."""

    def make(account: Account, **options: Any) -> SandboxClient:
        options.setdefault("clock", NOW.timestamp)
        return SandboxClient(Api(account, "https://klaviyo.example", **options))

    return make


@pytest.fixture
def client(account: Account, make_client: MakeClient) -> SandboxClient:
    """Asks about the account that no test changes."""
    return make_client(account)


@pytest.fixture(scope="session")
def metric_id(account: Account) -> str:
    """The id of the metric of received e-mails."""
    return next(one["id"] for one in account.metrics() if one["name"] == "Received Email")


@pytest.fixture(scope="session")
def sdk(account: Account) -> Iterator[KlaviyoAPI]:
    """Klaviyo's own sdk, bound for a sandbox that no test changes."""
    with Sandbox(account) as box:
        yield KlaviyoAPI(box.key, max_retries=1, test_host=box.url)
