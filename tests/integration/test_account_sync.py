"""The example that engines use: one account at a time, one run of each account at a time."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import account_sync
import psycopg
import pytest
from account_sync import Account, AccountBusy, Pipeline, SyncFailed, create_table, sync_account
from external_programs import TAP, ready
from postgres import USER, Database, Server
from sandbox_account import SandboxAccount, serve_account

STREAMS = ("open", "click", "lists")
NAME = "acme"
TIMEOUT = 60.0  # seconds

FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def account() -> Iterator[SandboxAccount]:
    """An account whose answers take long enough to be in the middle of them."""
    with serve_account(events=1000, latency=0.2) as served:
        yield served


@pytest.fixture
def database(postgres: Server, request: pytest.FixtureRequest) -> Database:
    """An empty database."""
    return postgres.database(request.node.name)


@pytest.fixture
def pipeline(account: SandboxAccount, database: Database, tmp_path: Path) -> Pipeline:
    """A pipeline of three streams, with a table of states."""
    account.write_files(tmp_path, *STREAMS)
    address = {"host": "127.0.0.1", "port": database.port, "user": USER, "password": "any"}
    made = Pipeline(
        tap=[str(TAP)],
        target=[str(ready("target-postgres-meltanolabs") / "target-postgres")],
        settings={"base_url": account.box.url, "start_date": "2020-01-01", "page_size": 100},
        target_settings={**address, "database": database.name, "default_target_schema": "shop"},
        catalog=tmp_path / "catalog.json",
        database={**address, "dbname": database.name},
    )
    create_table(made)
    return made


@pytest.fixture
def known(account: SandboxAccount) -> Account:
    """The account as a scheduler knows it."""
    return Account(NAME, *account.account.ids("account"), account.box.key)


@pytest.fixture
def start(pipeline: Pipeline, known: Account) -> Iterator[Callable[[], Any]]:
    """Starts a sync in a process of its own, as a scheduler does."""
    started = []

    def start_process() -> Any:
        process = FORK.Process(target=sync_account, args=(pipeline, known))
        process.start()
        started.append(process)
        return process

    yield start_process
    for process in started:
        process.kill()
        process.join()


def children(parent: int) -> list[int]:
    """The process IDs of tap and target that a process has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(status[1]) == parent and status[0] != "Z":
            found.append(int(folder.name))
    return found


def wait_until(is_true: Callable[[], Any]) -> None:
    """Waits for a condition of another process."""
    deadline = time.monotonic() + TIMEOUT
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(process_id: int) -> bool:
    """Whether a process exists and runs."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_reading(account: SandboxAccount) -> bool:
    """Whether a tap has asked for events."""
    return any(request.path == "/api/events" for request in account.box.requests)


def state_of(database: Database) -> dict[str, Any] | None:
    """The saved state."""
    lines = database.execute("select state from klaviyo_states").splitlines()
    return json.loads(lines[0]) if lines else None


def assert_exact(database: Database, account: SandboxAccount) -> None:
    """Checks that each table has each key once, with the account's ID."""
    (account_id,) = account.account.ids("account")
    expected = account.keys(end=time.time())
    for stream in STREAMS:
        rows = database.rows("shop", stream)
        assert sorted(row["id"] for row in rows) == expected[stream]
        assert {row["account_id"] for row in rows} == {account_id}


def test_a_run_continues_from_the_saved_state(
    pipeline: Pipeline, known: Account, account: SandboxAccount, database: Database
) -> None:
    """The first run reads everything, the second what is new; the summary tells how much."""
    first = sync_account(pipeline, known)
    assert_exact(database, account)
    second = sync_account(pipeline, known)
    assert (first["status"], second["status"]) == ("complete", "complete")
    assert second["records"] < first["records"] / 2
    assert state_of(database)["account_id"] == known.account_id
    assert_exact(database, account)


def test_a_killed_process_leaves_no_pipeline(
    start: Callable[[], Any],
    pipeline: Pipeline,
    known: Account,
    account: SandboxAccount,
    database: Database,
) -> None:
    """Tap and target end with the process, and the next run does not wait for them."""
    account.box.requests.clear()
    process = start()
    wait_until(lambda: is_reading(account))
    pair = children(process.pid)
    assert len(pair) == 2
    process.kill()
    process.join()
    wait_until(lambda: not any(map(is_alive, pair)))
    began = time.monotonic()
    sync_account(pipeline, known)
    assert time.monotonic() - began < account_sync.LOCK_WAIT
    assert_exact(database, account)


def test_a_second_run_waits_for_the_first(
    start: Callable[[], Any], account: SandboxAccount, database: Database
) -> None:
    """Of two runs that are started together, one reads and then the other continues."""
    account.box.requests.clear()
    first, second = start(), start()
    wait_until(lambda: is_reading(account))
    pairs = [children(process.pid) for process in (first, second)]
    assert sorted(map(len, pairs)) == [0, 2]
    for process in (first, second):
        process.join(TIMEOUT)
        assert process.exitcode == 0
    assert_exact(database, account)


def test_a_run_that_goes_on_is_not_disturbed(
    pipeline: Pipeline, known: Account, monkeypatch: pytest.MonkeyPatch, account: SandboxAccount
) -> None:
    """A run that waits too long gives up, and names the account."""
    monkeypatch.setattr(account_sync, "LOCK_WAIT", 1)
    account.box.requests.clear()
    with psycopg.connect(**pipeline.database) as connection:
        connection.execute(account_sync.LOCK, (NAME,))
        with pytest.raises(AccountBusy, match="acme: another run of this account goes on"):
            sync_account(pipeline, known)
    assert not account.box.requests


def test_a_run_without_its_lock_saves_no_state(
    start: Callable[[], Any],
    pipeline: Pipeline,
    known: Account,
    account: SandboxAccount,
    database: Database,
) -> None:
    """When the database ends the connection of a run, the run fails and the next one continues."""
    account.box.requests.clear()
    process = start()
    wait_until(lambda: is_reading(account))
    pair = children(process.pid)
    holder = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
    assert database.execute(holder).split() == ["t"]
    process.join(TIMEOUT)
    assert process.exitcode == 1
    assert not any(map(is_alive, pair))
    assert state_of(database) is None
    sync_account(pipeline, known)
    assert_exact(database, account)


def test_a_key_of_another_account_is_refused(
    pipeline: Pipeline, known: Account, database: Database
) -> None:
    """No retry can help; the message has both IDs, and nothing is written."""
    with pytest.raises(SyncFailed, match="AbC123") as refused:
        sync_account(pipeline, replace(known, account_id="AbC123"))
    assert known.account_id in str(refused.value)
    assert refused.value.is_permanent
    assert state_of(database) is None
    assert not database.execute("select 1 from pg_namespace where nspname = 'shop'").strip()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": ["sh", "-c", "exit 4"]}, "acme: the target ended with code 4"),
        ({"tap": ["sh", "-c", "kill -9 $$"]}, "acme: the tap ended with code -9"),
        ({"catalog": Path("/nowhere.json")}, "acme: the tap ended with code 2. .*nowhere.json"),
    ],
)
def test_failures_are_told(
    pipeline: Pipeline, known: Account, changes: dict[str, Any], message: str
) -> None:
    """One line names the account, the program and its code, and what the tap says."""
    with pytest.raises(SyncFailed, match=message) as failed:
        sync_account(replace(pipeline, **changes), known)
    assert "\n" not in str(failed.value)


def test_nothing_runs_on_without_a_target(pipeline: Pipeline, known: Account) -> None:
    """If the tap cannot be started, the target does not stay."""
    before = children(os.getpid())
    with pytest.raises(FileNotFoundError, match="no-tap"):
        sync_account(replace(pipeline, tap=["no-tap"]), known)
    assert children(os.getpid()) == before
