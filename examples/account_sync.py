"""Run `tap | target` for one Klaviyo account, with its state in a table of PostgreSQL.

A task of any scheduler calls :func:`sync_account`. It needs psycopg 3, and the tap and the target
as commands, each in an environment of its own. docs/fleet.md describes how schedulers use it.

A scheduler that does not hear from a worker starts its tasks again, although they may still run.
Then two pipelines would write the rows of one account, and the older one could save its state last.
Three things prevent this:

- The lock. A run holds an advisory lock of its account, which PostgreSQL releases when the
  connection ends. A second run waits for it, and then starts from the state of the first one.
- The death signal. The kernel kills tap and target when the thread that started them ends, also if
  it was killed. :func:`die_with_parent` does the same for the task if its worker is killed. This
  exists on Linux only, and it reaches the two programs, not those that they start: the commands of
  a pipeline must be the programs themselves, not a shell or a runner around them.
- The connection. A run whose connection ends has lost its lock. It fails at once, and kills its
  pipeline. States are saved through the same connection.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

import psycopg

CREATE = """
create table if not exists klaviyo_states (
    account text primary key,
    state json not null,
    saved_at timestamptz not null
)
"""
EXISTS = "select to_regclass('klaviyo_states')"
SELECT = "select state from klaviyo_states where account = %s"
UPSERT = """
insert into klaviyo_states values (%s, %s, now())
on conflict (account) do update set state = excluded.state, saved_at = excluded.saved_at
"""

LOCK_SEED = 7
"""Keeps the locks of accounts apart from other advisory locks of the database."""
LOCK = f"select pg_advisory_lock(hashtextextended(%s, {LOCK_SEED}))"
LOCK_WAIT = 60
"""Seconds that a run waits for another one. A killed pipeline ends within a second."""

CONNECTION = {
    # A machine that was cut off ends its pipeline before the lock is released.
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 35_000,
}
"""Parameters of the connection; those of a pipeline's database replace them."""

SESSION = {
    # A role may have timeouts that would end the wait for the lock, or the connection.
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
    # Without these, the lock of a machine that was cut off is held for two hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
"""Settings of the server for the connection. Those that it does not know are left out."""
SET = "select set_config(name, %s, false) from pg_settings where name = %s"

WITHHELD = ("AIRFLOW", "_AIRFLOW", "DAGSTER", "KLAVIYO", "PYTHON", "VIRTUAL_ENV")
"""Prefixes of variables that tap and target do not get: they may hold the keys of all accounts."""

INVALID = 2
"""The exit code of the tap if its configuration, its state or the account is wrong."""

LOGS = 1
"""The file descriptor that tap and target log to. Airflow logs lines on stderr as errors."""

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_READ_SIZE = 65_536


class SyncFailed(Exception):
    """A pipeline has failed. The message is one line. A retry cannot help if `is_permanent`."""

    def __init__(self, message: str, *, is_permanent: bool = False) -> None:
        super().__init__(message)
        self.is_permanent = is_permanent


class AccountBusy(Exception):
    """Another run of the account has not ended in time."""


@dataclass(frozen=True)
class Account:
    """An account: a `name` of your choice, which its state is stored under, and Klaviyo's ID.

    `settings` of the tap are added to those of all accounts. Raises :class:`SyncFailed` if the
    name, the ID or the key is missing.
    """

    name: str
    account_id: str
    api_key: str = field(repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not (self.name and self.account_id and self.api_key):
            message = f"{self.name}: the account has no ID or no API key. Set both."
            raise SyncFailed(message, is_permanent=True)


@dataclass(frozen=True)
class Pipeline:
    """What the pipelines of all accounts have in common.

    `tap` and `target` are commands, `settings` and `target_settings` their configurations.
    `database` has the states and the locks: parameters of :func:`psycopg.connect`.
    """

    tap: Sequence[str]
    target: Sequence[str]
    settings: Mapping[str, Any]
    target_settings: Mapping[str, Any] = field(repr=False)
    catalog: Path
    database: Mapping[str, Any] = field(repr=False)


def load_pipeline(file: Path, database: Mapping[str, Any]) -> Pipeline:
    """Reads a pipeline from a JSON file, which has all fields of :class:`Pipeline` but `database`.

    `catalog` is relative to the file. A value `$NAME` in `target_settings` stands for the parameter
    NAME of `database`, such as `$password`.
    """
    given = json.loads(file.read_text())
    parameters = {f"${name}": value for name, value in database.items()}
    target_settings = {
        name: parameters.get(value, value) if isinstance(value, str) else value
        for name, value in given["target_settings"].items()
    }
    catalog = file.absolute().parent / given["catalog"]
    return Pipeline(
        given["tap"], given["target"], given["settings"], target_settings, catalog, database
    )


def create_table(pipeline: Pipeline) -> None:
    """Creates the table of states unless it exists. Call it once, before accounts are synced."""
    with psycopg.connect(**pipeline.database, autocommit=True) as connection:
        # CREATE TABLE IF NOT EXISTS needs the privilege even if the table exists.
        if connection.execute(EXISTS).fetchone() == (None,):
            connection.execute(CREATE)


def sync_account(pipeline: Pipeline, account: Account) -> dict[str, Any]:
    """Syncs an account from its saved state on, and returns the summary of the tap.

    Each state that the target prints is saved at once. The logs of both programs go to stdout. Call
    it from the main thread.

    Raises :class:`AccountBusy` if another run of the account does not end, :class:`SyncFailed` if
    tap or target fail or do not exist, and :class:`psycopg.Error` if the database does.
    """
    with (
        psycopg.connect(**{**CONNECTION, **pipeline.database}, autocommit=True) as connection,
        tempfile.TemporaryDirectory() as name,
    ):
        _lock(connection, account.name)
        folder = Path(name)
        options = _write_state(folder, connection.execute(SELECT, (account.name,)).fetchone())
        saved = 0
        with _running(pipeline, account, folder, options) as (tap, target):
            for line in _lines(target, connection):
                if (state := _as_state(line)) is not None:
                    connection.execute(UPSERT, (account.name, state))
                    saved += 1
            codes = {"target": target.wait()}
            if codes["target"]:
                tap.terminate()
            codes["tap"] = tap.wait()
        return _summary(account.name, codes, saved, folder / "summary.json")


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
    own = {"application_name": f"klaviyo {account}", "lock_timeout": f"{LOCK_WAIT}s"}
    for name, value in {**SESSION, **own}.items():
        connection.execute(SET, (value, name))
    try:
        connection.execute(LOCK, (account,))
    except psycopg.errors.LockNotAvailable:
        waited = f"its lock was not released within {LOCK_WAIT} s"
        raise AccountBusy(f"{account}: another run is still running; {waited}.") from None


def _write_state(folder: Path, row: tuple[Any] | None) -> list[str]:
    """Writes the saved state to a file, and returns the options of the tap for it."""
    if row is None:
        return []
    (folder / "state.json").write_text(json.dumps(row[0]))
    return ["--state=state.json"]


@contextmanager
def _running(
    pipeline: Pipeline, account: Account, folder: Path, options: Sequence[str]
) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """Tap and target, connected by a pipe. Both have ended when the context is left."""
    settings = {
        **pipeline.settings,
        **account.settings,
        "account_id": account.account_id,
        "account_column": True,
    }
    variables = {name: value for name, value in os.environ.items() if not name.startswith(WITHHELD)}
    with (
        _unnamed_file(settings) as config,
        _unnamed_file(pipeline.target_settings) as target_config,
        ExitStack() as running,
    ):
        target = _start(
            [*pipeline.target, f"--config=/dev/fd/{target_config.fileno()}"],
            folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[target_config.fileno()],
        )
        running.callback(_end, target)
        assert target.stdin
        assert target.stdout
        running.callback(target.stdout.close)
        running.callback(target.stdin.close)
        tap = _start(
            [
                *pipeline.tap,
                f"--config=/dev/fd/{config.fileno()}",
                f"--catalog={pipeline.catalog}",
                "--summary-file=summary.json",
                *options,
            ],
            folder,
            env={**variables, "TAP_KLAVIYO_API_KEY": account.api_key},
            stdout=target.stdin,
            pass_fds=[config.fileno()],
        )
        running.callback(_end, tap)
        target.stdin.close()
        yield tap, target


def _start(command: Sequence[str], folder: Path, **options: Any) -> subprocess.Popen[bytes]:
    """Starts a program that ends with this thread."""
    die = partial(die_with_parent, os.getpid())
    try:
        return subprocess.Popen(command, cwd=folder, stderr=LOGS, preexec_fn=die, **options)
    except OSError as error:
        message = f"{command[0]} cannot be started: {error.strerror}. Correct the pipeline."
        raise SyncFailed(message, is_permanent=True) from None


@contextmanager
def _unnamed_file(content: Mapping[str, Any]) -> Iterator[IO[str]]:
    """A file without a name: what it holds, such as a password, is gone even after a SIGKILL."""
    with tempfile.TemporaryFile("w+") as file:
        json.dump(content, file)
        file.seek(0)
        yield file


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _lines(target: subprocess.Popen[bytes], connection: psycopg.Connection[Any]) -> Iterator[bytes]:
    """What the target prints, line by line, as soon as it prints it.

    Raises :class:`psycopg.Error` as soon as the connection ends, and the lock with it.
    """
    assert target.stdout
    sources: list[Any] = [target.stdout, connection]
    rest = b""
    while True:
        ready, _, _ = select.select(sources, [], [])
        if connection in ready:
            connection.execute("select 1")
        if target.stdout in ready:
            piece = os.read(target.stdout.fileno(), _READ_SIZE)
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
            if not piece:
                break
    if rest:
        yield rest


def _as_state(line: bytes) -> str | None:
    """Returns a line if it is a state. Prints any other line, and returns None."""
    try:
        state = json.loads(line)
    except ValueError:
        state = None
    if isinstance(state, dict) and "bookmarks" in state:
        return line.decode()
    print(line.decode(errors="replace"), flush=True)
    return None


def _summary(account: str, codes: Mapping[str, int], saved: int, file: Path) -> dict[str, Any]:
    """The summary of the tap. Raises :class:`SyncFailed` if one of the programs has failed."""
    summary: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    failures = [f"the {program} ended with code {code}" for program, code in codes.items() if code]
    if failures:
        message = f"{account}: {', '.join(failures)}. {summary.get('message', '')}".strip()
        raise SyncFailed(message, is_permanent=codes["tap"] == INVALID)
    if not saved:
        message = f"{account}: the target printed no state. The next run would read all again."
        raise SyncFailed(message, is_permanent=True)
    return summary
