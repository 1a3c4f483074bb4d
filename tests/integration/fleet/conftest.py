"""A fleet: many accounts in one sandbox, and the tables and states that they should end up in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from fleet_accounts import Fleet
from postgres import Server

from sandbox.account import Account
from sandbox.server import Sandbox


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the number of accounts."""
    parser.addoption("--accounts", type=int, default=20, help="number of accounts")


@pytest.fixture
def fleet(request: pytest.FixtureRequest, postgres: Server, tmp_path: Path) -> Iterator[Fleet]:
    """Accounts whose events end two hours ago, and an empty database for them."""
    now = datetime.fromtimestamp(time.time() - 7200, timezone.utc)
    number = request.config.getoption("--accounts")
    first, *others = (Account.seeded(seed, 2000, "both", now) for seed in range(1, number + 1))
    keys = {f"pk_account_{index}": account for index, account in enumerate(others, start=2)}
    name = request.node.name.replace("[", "_").replace("]", "")
    with Sandbox(first, key="pk_account_1", more_accounts=keys, limits=1.0) as box:
        yield Fleet(box, postgres.database(name, "UTC"), tmp_path)
