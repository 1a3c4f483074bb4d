"""Several accounts on one port, told apart by their API keys."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sandbox_client import HEADERS, NOW

from sandbox import Account, Sandbox

ROOT = Path(__file__).parents[2]
TIMEOUT = 10
KEYS = ("pk_sandbox", "pk_other")


@pytest.fixture(scope="module")
def accounts() -> dict[str, Account]:
    """Two accounts by API key."""
    seeds = enumerate(KEYS, start=1)
    return {key: Account.seeded(seed, events=50, now=NOW, days=5) for seed, key in seeds}


@pytest.fixture
def server(accounts: dict[str, Account]) -> Iterator[Sandbox]:
    """A sandbox that serves both, with Klaviyo's limits."""
    first, second = KEYS
    with Sandbox(accounts[first], more_accounts={second: accounts[second]}, limits=1.0) as running:
        yield running


def _get(server: Sandbox, path: str, key: str) -> requests.Response:
    headers = {**HEADERS, "Authorization": f"Klaviyo-API-Key {key}"}
    return requests.get(server.url + path, headers=headers, timeout=TIMEOUT)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_reads_its_own_account(
    server: Sandbox, accounts: dict[str, Account], key: str
) -> None:
    """Answers and control endpoints are of the account that the key belongs to."""
    found = _get(server, "/api/accounts", key).json()["data"]
    assert [one["id"] for one in found] == accounts[key].ids("account")
    truth = requests.get(f"{server.url}/sandbox/truth?key={key}", timeout=TIMEOUT).json()
    assert truth["lists"] == accounts[key].list_ids()
    assert accounts[KEYS[0]].ids("account") != accounts[KEYS[1]].ids("account")


def test_an_unknown_key_is_refused(server: Sandbox) -> None:
    """A key of no account gets 401, and 400 from a control endpoint."""
    assert _get(server, "/api/accounts", "pk_nobody").status_code == 401
    asked = requests.get(f"{server.url}/sandbox/truth?key=pk_nobody", timeout=TIMEOUT)
    assert asked.status_code == 400


def test_limits_are_those_of_one_account(server: Sandbox) -> None:
    """An account that has used up its requests does not slow another one."""
    statuses = {_get(server, "/api/accounts", KEYS[0]).status_code for _ in range(16)}
    assert statuses == {200, 429}
    assert _get(server, "/api/accounts", KEYS[1]).status_code == 200


def test_command_line_with_accounts() -> None:
    """The command prints key and ID of each account, of consecutive seeds."""
    options = "--events 20 --days 5 --accounts 3 --seed 7 --now 2026-11-20T12:00:00Z"
    command = [sys.executable, "-m", "sandbox", *options.split()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        process.terminate()
    seeds = zip(("pk_sandbox", "pk_sandbox_2", "pk_sandbox_3"), (7, 8, 9), strict=True)
    assert ready["accounts"] == {
        key: Account.seeded(seed, events=20, now=NOW, days=5).ids("account")[0]
        for key, seed in seeds
    }


def test_command_line_refuses_no_accounts() -> None:
    """The number of accounts is 1 or more."""
    command = [sys.executable, "-m", "sandbox", "--accounts", "0"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "--accounts: must be 1 or more" in done.stderr
