"""Two accounts share the tables of a database: each row is of its account, addresses are hashes."""

from __future__ import annotations

import hashlib
import hmac
import json
import shlex
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from external_programs import TAP, run
from postgres import Server
from sandbox_account import SandboxAccount
from targets import DATABASES, Target

from sandbox.account import Account
from sandbox.server import Sandbox

Environment = Callable[[str], Path]

SALT = "a salt of these tests"
STREAMS = ("lists", "list_members", "open", "profiles", "global_exclusions")


@pytest.fixture(scope="module")
def accounts() -> Iterator[list[SandboxAccount]]:
    """Two accounts, whose IDs of resources are partly the same."""
    two_hours_ago = datetime.fromtimestamp(time.time() - 7200, timezone.utc)
    seeded = [Account.seeded(seed=seed, events=300, now=two_hours_ago) for seed in (3, 4)]
    with Sandbox(seeded[0]) as one, Sandbox(seeded[1]) as other:
        yield [SandboxAccount(one), SandboxAccount(other)]


def load(account: SandboxAccount, folder: Path, command: Path, target: Target) -> str:
    """Loads an account into a target, and returns the account's ID."""
    folder.mkdir()
    account.write_files(folder, *STREAMS)
    config = json.loads((folder / "config.json").read_text())
    settings = {"account_column": True, "hash_fields": ["*.email"], "hash_salt": SALT}
    (folder / "config.json").write_text(json.dumps({**config, **settings}))
    (folder / "target.json").write_text(json.dumps(target.settings))
    tap = (TAP, "--config=config.json", "--catalog=catalog.json")
    pipeline = " | ".join(
        shlex.join(map(str, part)) for part in (tap, (command, "--config=target.json"))
    )
    states = run(
        *("bash", "-o", "pipefail", "-c", pipeline), cwd=folder, environment=target.variables
    )
    found: str = json.loads(states.stdout.splitlines()[-1])["account_id"]
    return found


def hashed(email: str) -> str:
    """The hash of an address."""
    text = email.strip().lower()
    return hmac.new(SALT.encode(), text.encode(), hashlib.sha256).hexdigest() if text else email


@pytest.mark.parametrize("make", DATABASES.values(), ids=DATABASES)
def test_accounts_share_tables(
    make: Callable[..., Target],
    accounts: list[SandboxAccount],
    environment: Environment,
    postgres: Server,
    tmp_path: Path,
) -> None:
    """Each account has its rows, also where keys are equal, and no address is in a column."""
    target = make(postgres.database(f"shared-{make.__name__}"))
    command = environment(target.environment) / target.executable
    for number, account in enumerate(accounts):
        found = load(account, tmp_path / str(number), command, target)
        assert [found] == account.account.ids("account")
    for account in accounts:
        (own,) = account.account.ids("account")
        profiles = account.records("profiles")
        rows = {
            stream: [row for row in target.rows(stream) if row["account_id"] == own]
            for stream in STREAMS
        }
        assert sorted(row["id"] for row in rows["lists"]) == account.keys()["lists"]
        assert sorted(row["id"] for row in rows["open"]) == account.keys(end=time.time())["open"]
        assert {row["id"]: row["email"] or None for row in rows["profiles"]} == {
            key: hashed(profile["email"] or "") or None for key, profile in profiles.items()
        }
        assert sorted(row["email"] for row in rows["global_exclusions"]) == sorted(
            map(hashed, account.keys()["global_exclusions"])
        )
        assert rows["list_members"]
