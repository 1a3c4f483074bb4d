"""Run `tap | target` for one Klaviyo account, with its state in a table of PostgreSQL.

A task of any scheduler calls :func:`sync_account`. It needs psycopg 3, and the tap and the target
as commands, each in an environment of its own. docs/fleet.md describes how engines use it.

A scheduler that loses sight of a worker starts a task again, while the first one may still run: two
pipelines would write the rows of one account, and the older one its state last. Three things keep
them apart:

- The lock. A run holds an advisory lock of its account. PostgreSQL gives it up when the connection
  ends, so it never outlives its run. A second run waits for it, and then starts from the state that
  the first one has left.
- The death signal. The kernel kills tap and target when the thread that started them ends, however
  it ends: nothing writes on after a SIGKILL of the task. :func:`die_with_parent` does the same for
  the task, if its worker is killed. Linux has this; elsewhere a second run waits for the first.
- The connection. States are saved through the connection that holds the lock. A run that has lost
  its lock, because the database was restarted for example, cannot save a state. It fails, and its
  pipeline ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

TABLE = """
create table if not exists klaviyo_states (
    account text primary key,
    state json not null,
    saved_at timestamptz not null
)
"""
SELECT = "select state from klaviyo_states where account = %s"
UPSERT = """
insert into klaviyo_states values (%s, %s, now())
on conflict (account) do update set state = excluded.state, saved_at = excluded.saved_at
"""

LOCK_SEED = 7
"""Keeps the locks of accounts apart from other advisory locks of the database."""
LOCK = f"select pg_advisory_lock(hashtextextended(%s, {LOCK_SEED}))"
LOCK_WAIT = 60
"""Seconds that a run waits for another one. A killed pipeline is gone within one of them."""

KEEPALIVE = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
"""Without these, the lock of a machine that was cut off is held for two hours."""

PR_SET_PDEATHSIG = 1
INVALID = 2
"""The exit code of the tap if its configuration, its state or the account is wrong."""

_LIBC = ctypes.CDLL(None)


class SyncFailed(Exception):
    """A pipeline has failed. The message is one line. A retry cannot help if `is_permanent`."""

    def __init__(self, message: str, *, is_permanent: bool = False) -> None:
        super().__init__(message)
        self.is_permanent = is_permanent


class AccountBusy(Exception):
    """Another run of the account has not ended in time."""


@dataclass(frozen=True)
class Account:
    """An account: a `name` of your choice, which its state is stored under, and Klaviyo's ID."""

    name: str
    account_id: str
    api_key: str


@dataclass(frozen=True)
class Pipeline:
    """What the pipelines of all accounts have in common.

    `tap` and `target` are commands, `settings` and `target_settings` their configurations.
    `database` has the states and the locks: parameters of :func:`psycopg.connect`.
    """

    tap: Sequence[str]
    target: Sequence[str]
    settings: Mapping[str, Any]
    target_settings: Mapping[str, Any]
    catalog: Path
    database: Mapping[str, Any]


def load_pipeline(file: Path, database: Mapping[str, Any]) -> Pipeline:
    """Reads a pipeline from a JSON file, whose target loads into `database`.

    The file has the other fields of :class:`Pipeline`. `catalog` is relative to it. `database` has
    `host`, `port`, `user`, `password` and `dbname`; the target gets them by the names that
    meltanolabs-target-postgres has for them.
    """
    given = json.loads(file.read_text())
    address = {name: database[name] for name in ("host", "port", "user", "password")}
    return Pipeline(
        tap=given["tap"],
        target=given["target"],
        settings=given["settings"],
        target_settings={**given["target_settings"], **address, "database": database["dbname"]},
        catalog=file.absolute().parent / given["catalog"],
        database=database,
    )


def create_table(pipeline: Pipeline) -> None:
    """Creates the table of states unless it exists. Call it once, before accounts are synced."""
    with psycopg.connect(**pipeline.database) as connection:
        connection.execute(TABLE)


def sync_account(pipeline: Pipeline, account: Account) -> dict[str, Any]:
    """Syncs an account from its saved state on, and returns the summary of the tap.

    Each state that the target prints is saved at once. Call it from the main thread.

    Raises :class:`AccountBusy` if another run of the account goes on, :class:`SyncFailed` if tap or
    target fail, and :class:`psycopg.Error` if states cannot be read or saved.
    """
    with (
        psycopg.connect(**pipeline.database, autocommit=True, options=KEEPALIVE) as connection,
        tempfile.TemporaryDirectory() as name,
    ):
        _lock(connection, account.name)
        folder = Path(name)
        options = _write_files(folder, pipeline, account, _saved_state(connection, account.name))
        with _running(pipeline, folder, options, account.api_key) as (tap, target):
            assert target.stdout
            for line in target.stdout:
                if (state := _as_state(line)) is not None:
                    connection.execute(UPSERT, (account.name, state))
            codes = {"target": target.wait(), "tap": tap.wait()}
        return _summary(account.name, codes, folder / "summary.json")


def die_with_parent(parent: int | None = None) -> None:
    """Makes the kernel kill this process with SIGKILL when the thread that started it ends.

    With the process ID of the `parent`, it also ends if that one has ended already.
    """
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _lock(connection: psycopg.Connection[Any], account: str) -> None:
    """Locks an account until the connection ends."""
    connection.execute(f"set lock_timeout = '{LOCK_WAIT}s'")
    try:
        connection.execute(LOCK, (account,))
    except psycopg.errors.LockNotAvailable:
        waited = f"its lock was not free within {LOCK_WAIT} s"
        raise AccountBusy(f"{account}: another run of this account goes on; {waited}.") from None


def _saved_state(connection: psycopg.Connection[Any], account: str) -> Any:
    row = connection.execute(SELECT, (account,)).fetchone()
    return row[0] if row else None


def _write_files(folder: Path, pipeline: Pipeline, account: Account, state: Any) -> list[str]:
    """Writes the files of a run, and returns the options of the tap."""
    own = {"account_id": account.account_id, "account_column": True}
    files = {
        "config.json": {**pipeline.settings, **own},
        "target.json": pipeline.target_settings,
        **({} if state is None else {"state.json": state}),
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    options = ["--config=config.json", f"--catalog={pipeline.catalog}"]
    return [*options, *([] if state is None else ["--state=state.json"])]


@contextmanager
def _running(
    pipeline: Pipeline, folder: Path, options: Sequence[str], api_key: str
) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """Tap and target, connected by a pipe. Both have ended when the context is left."""
    die: Callable[[], None] = partial(die_with_parent, os.getpid())
    with ExitStack() as running:
        target = subprocess.Popen(
            [*pipeline.target, "--config=target.json"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=die,
        )
        running.callback(_end, target)
        tap = subprocess.Popen(
            [*pipeline.tap, *options, "--summary-file=summary.json"],
            cwd=folder,
            env={**os.environ, "TAP_KLAVIYO_API_KEY": api_key},
            stdout=target.stdin,
            preexec_fn=die,
        )
        running.callback(_end, tap)
        assert target.stdin
        target.stdin.close()
        yield tap, target


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _as_state(line: bytes) -> str | None:
    """The text of a state; None for what else a target prints, which goes to stderr."""
    try:
        state = json.loads(line)
    except ValueError:
        state = None
    if isinstance(state, dict) and "bookmarks" in state:
        return line.decode().strip()
    sys.stderr.write(line.decode(errors="replace"))
    return None


def _summary(account: str, codes: Mapping[str, int], file: Path) -> dict[str, Any]:
    """The summary of the tap. Raises :class:`SyncFailed` if one of the programs has failed."""
    try:
        summary: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        summary = {}
    if failures := [
        f"the {program} ended with code {code}" for program, code in codes.items() if code
    ]:
        message = f"{account}: {', '.join(failures)}. {summary.get('message', '')}".strip()
        raise SyncFailed(message, is_permanent=codes["tap"] == INVALID)
    return summary
