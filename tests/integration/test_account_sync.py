"""The example for schedulers: one account in each run, and one run of each account at a time."""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import account_sync
import psycopg
import pytest
from account_sync import (
    Account,
    AccountBusy,
    Pipeline,
    SyncFailed,
    create_table,
    load_pipeline,
    sync_account,
)
from external_programs import TAP, ready
from live_processes import children, is_alive, wait_until
from postgres import USER, Database, Server
from sandbox_account import SandboxAccount, serve_account

STREAMS = ("open", "click", "lists")
NAME = "acme"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are listed in /proc")

TIMEOUT = 150.0  # seconds
SILENCE = 600.0  # seconds that an answer takes, until it does not matter any more

FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def served() -> Iterator[SandboxAccount]:
    """An account that is served."""
    with serve_account(events=1000) as opened:
        yield opened


@pytest.fixture
def account(served: SandboxAccount) -> SandboxAccount:
    """The account without requests or faults of other tests."""
    served.box.requests.clear()
    served.box.faults.clear()
    return served


@pytest.fixture
def silent(account: SandboxAccount) -> SandboxAccount:
    """The account, which does not answer the second request for events."""
    account.box.faults.add("silence", path="/api/events", at=2, times=None, seconds=SILENCE)
    return account


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


@pytest.fixture
def reading(start: Callable[[], Any], silent: SandboxAccount) -> tuple[Any, list[int]]:
    """A process whose tap waits for an answer, and the process IDs of its tap and target."""
    process = start()
    wait_until(lambda: is_reading(silent), TIMEOUT)
    pair = children(process.pid)
    assert len(pair) == 2
    return process, pair


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
    reading: tuple[Any, list[int]],
    pipeline: Pipeline,
    known: Account,
    silent: SandboxAccount,
    database: Database,
) -> None:
    """Tap and target end with the process, and the next run does not wait for them."""
    process, pair = reading
    process.kill()
    process.join()
    wait_until(lambda: not any(map(is_alive, pair)), TIMEOUT)
    silent.box.faults.clear()
    sync_account(pipeline, known)
    assert_exact(database, silent)


def test_a_second_run_waits_for_the_first(
    start: Callable[[], Any],
    silent: SandboxAccount,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two runs that are started together, one has a pipeline, and the other continues it."""
    monkeypatch.setattr(account_sync, "LOCK_WAIT", TIMEOUT)
    first, second = start(), start()
    wait_until(lambda: is_reading(silent), TIMEOUT)
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    wait_until(lambda: database.execute(waiting).strip() == "1", TIMEOUT)
    pairs = {process: children(process.pid) for process in (first, second)}
    assert sorted(map(len, pairs.values())) == [0, 2]
    reading, other = sorted(pairs, key=lambda process: len(pairs[process]), reverse=True)
    silent.box.faults.clear()
    reading.kill()
    other.join(TIMEOUT)
    assert other.exitcode == 0
    assert_exact(database, silent)


def test_a_run_that_is_still_running_is_not_disturbed(
    pipeline: Pipeline, known: Account, monkeypatch: pytest.MonkeyPatch, account: SandboxAccount
) -> None:
    """A run that waits too long gives up and names the account, whatever timeouts a role has."""
    monkeypatch.setattr(account_sync, "LOCK_WAIT", 1)
    with psycopg.connect(**pipeline.database, autocommit=True) as connection:
        connection.execute(
            f"alter role {USER} in database {connection.info.dbname!r}".replace("'", '"')
            + " set statement_timeout = '500ms'"
        )
        connection.execute(account_sync.LOCK, (NAME,))
        with pytest.raises(AccountBusy, match="acme: another run is still running"):
            sync_account(pipeline, known)
    assert not account.box.requests


def test_a_run_that_loses_its_lock_ends_at_once(
    reading: tuple[Any, list[int]],
    pipeline: Pipeline,
    known: Account,
    silent: SandboxAccount,
    database: Database,
) -> None:
    """When the database ends its connection, a run does not wait for the next state."""
    process, pair = reading
    holder = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
    assert database.execute(holder).split() == ["t"]
    process.join(TIMEOUT)
    assert process.exitcode == 1
    assert not any(map(is_alive, pair))
    assert state_of(database) is None
    silent.box.faults.clear()
    sync_account(pipeline, known)
    assert_exact(database, silent)


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


def test_a_failed_target_stops_the_tap(
    pipeline: Pipeline, known: Account, silent: SandboxAccount
) -> None:
    """The tap does not wait for an answer that nobody loads."""
    waiting = "while read -t 3 line; do :; done; exit 4"
    began = time.monotonic()
    with pytest.raises(SyncFailed, match="the target ended with code 4"):
        sync_account(replace(pipeline, target=["bash", "-c", waiting]), known)
    assert time.monotonic() - began < SILENCE / 10


def test_a_target_has_to_print_states(pipeline: Pipeline, known: Account) -> None:
    """A target that keeps its states to itself is refused, because nothing would continue."""
    target = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with pytest.raises(SyncFailed, match="printed no state") as failed:
        sync_account(replace(pipeline, target=target), known)
    assert failed.value.is_permanent


@pytest.mark.parametrize("missing", ["name", "account_id", "api_key"])
def test_an_account_needs_an_id_and_a_key(known: Account, missing: str) -> None:
    """What is missing is not taken for a setting that is turned off."""
    with pytest.raises(SyncFailed, match="no ID or no API key"):
        replace(known, **{missing: None})


def test_secrets_stay_where_they_are_needed(
    pipeline: Pipeline, known: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each program gets its own secrets; none is in a file, a command line or a representation."""
    for prefix in account_sync.WITHHELD:
        monkeypatch.setenv(f"{prefix}_OTHER", "pk_other")
    seen = {name: tmp_path / name for name in ("tap", "target")}
    look = "(env; ls; cat * .*; tr '\\0' ' ' < /proc/$$/cmdline) 2>/dev/null > {}"
    states = "echo '{{\"bookmarks\": {{}}}}'; cat > /dev/null"
    commands = {
        name: ["bash", "-c", f"{look}; {states}".format(shlex.quote(str(file))), name]
        for name, file in seen.items()
    }
    changed = replace(
        pipeline,
        tap=commands["tap"],
        target=commands["target"],
        target_settings={"password": "of the database"},
    )
    sync_account(changed, known)
    texts = {name: file.read_text() for name, file in seen.items()}
    assert known.api_key in texts["tap"].replace("TAP_KLAVIYO_API_KEY=", "", 1)
    assert texts["tap"].count(known.api_key) == 1
    assert known.api_key not in texts["target"]
    for text in (*texts.values(), repr((known, changed))):
        assert "pk_other" not in text
        assert "of the database" not in text
    assert known.api_key not in repr(known)


def test_own_settings_of_an_account(pipeline: Pipeline, known: Account) -> None:
    """Settings of an account replace those of all accounts."""
    ten_days_ago = datetime.now(timezone.utc) - timedelta(days=10)
    settings = {"start_date": ten_days_ago.isoformat()}
    found = sync_account(pipeline, replace(known, settings=settings))
    default = sync_account(pipeline, replace(known, name="other"))
    assert 0 < found["records"] < default["records"]


def test_values_of_the_database_in_a_pipeline_file(tmp_path: Path) -> None:
    """A value that is the name of a parameter of the database gets its value."""
    file = tmp_path / "pipeline.json"
    given = {"tap": ["tap"], "target": ["target"], "catalog": "catalog.json", "settings": {}}
    target_settings = {"port": "$port", "dbname": "$dbname", "schema": "$other", "size": 5}
    file.write_text(json.dumps({**given, "target_settings": target_settings}))
    loaded = load_pipeline(file, {"port": 5432, "dbname": "shop"})
    expected = {"port": 5432, "dbname": "shop", "schema": "$other", "size": 5}
    assert loaded.target_settings == expected
    assert loaded.catalog == tmp_path / "catalog.json"


def test_a_table_that_exists_needs_no_privilege(pipeline: Pipeline, database: Database) -> None:
    """A role that cannot create tables can use the table of states."""
    database.execute("revoke create on schema public from public")
    database.execute("create role reader login; grant select on klaviyo_states to reader")
    create_table(replace(pipeline, database={**pipeline.database, "user": "reader"}))


def test_no_target_stays_without_a_tap(pipeline: Pipeline, known: Account) -> None:
    """If the tap cannot be started, the target does not stay."""
    before = children(os.getpid())
    with pytest.raises(SyncFailed, match="no-tap cannot be started: No such file") as failed:
        sync_account(replace(pipeline, tap=["no-tap"]), known)
    assert failed.value.is_permanent
    assert children(os.getpid()) == before
