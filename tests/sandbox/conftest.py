"""Fixtures of the sandbox's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from klaviyo_api import KlaviyoAPI
from sandbox_client import HEADERS, NOW, SandboxClient

from sandbox import Account, Api, Sandbox

MakeClient = Callable[..., SandboxClient]


@pytest.fixture(scope="session")
def account() -> Account:
    """A small account that no test may change."""
    return Account.seeded(events=3000, now=NOW)


@pytest.fixture
def mutable_account() -> Account:
    """A smaller account that the test may change."""
    return Account.seeded(events=400, now=NOW, days=20)


@pytest.fixture(scope="session")
def make_client() -> MakeClient:
    """Makes a client of an account; its clock stands at the end of the events."""

    def make(
        account: Account, revision: str = HEADERS["revision"], **options: Any
    ) -> SandboxClient:
        options.setdefault("clock", NOW.timestamp)
        return SandboxClient(Api(account, "https://klaviyo.example", **options), revision)

    return make


@pytest.fixture
def client(account: Account, make_client: MakeClient) -> SandboxClient:
    """A client of the account that no test may change."""
    return make_client(account)


@pytest.fixture
def new_client(account: Account, make_client: MakeClient) -> SandboxClient:
    """The same, with revision 2026-10-15."""
    return make_client(account, "2026-10-15")


@pytest.fixture(scope="session")
def metric_id(account: Account) -> str:
    """The id of the metric Received Email."""
    return next(one["id"] for one in account.metrics() if one["name"] == "Received Email")


@pytest.fixture(scope="session")
def sdk(account: Account) -> Iterator[KlaviyoAPI]:
    """Klaviyo's SDK, connected to a sandbox with the account that no test may change."""
    with Sandbox(account) as server:
        yield KlaviyoAPI(server.key, max_retries=1, test_host=server.url)
