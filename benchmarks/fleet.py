"""Measures what a sync of one account costs, and predicts from it a fleet of twice the size.

    python -m benchmarks.fleet --accounts 20

It needs PostgreSQL's programs and the target's environment, which `make test-integration` makes,
and a machine that does nothing else. It syncs the accounts for the first time and then with the new
events of an hour, as docs/fleet.md describes; then it predicts the time of an hourly sync of twice
as many accounts, and syncs these. Returns 1 if the prediction is off by more than a quarter.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from rich.console import Console

from benchmarks.output_ids import METRICS
from benchmarks.programs import ENVIRONMENTS, TAP

sys.path.append(str(Path(__file__).parents[1] / "examples"))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "integration"))

from account_sync import Account, Pipeline, create_table, sync_account

# The server of the tests, which are no package.
from postgres import USER, Database, find_programs, serving  # type: ignore[import-not-found]

TARGETS = {"meltanolabs": "database", "pipelinewise": "dbname"}
"""The targets, and what each of them calls the name of the database."""
HISTORY = 2000
"""Events of an account before its first sync."""
NEW_EVENTS = 2
"""New events of each metric in an hour."""
SLOTS_PER_CORE = 2
TOLERANCE = 0.25
SAMPLING = 0.2
"""Seconds between two looks at the memory of the pipelines."""
TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1
MIB = 2**20


@dataclass(frozen=True)
class Measured:
    """The syncs of some accounts.

    ``seconds`` is the time from start to end, ``pipelines`` the CPU seconds of taps and targets,
    ``database`` those of PostgreSQL, ``memory`` the largest memory of all pipelines at once, in
    bytes.
    """

    accounts: int
    seconds: float
    pipelines: float
    database: float
    memory: int

    @property
    def cpu(self) -> float:
        """CPU seconds for each account."""
        return (self.pipelines + self.database) / self.accounts

    @property
    def per_core(self) -> float:
        """Accounts that one core syncs in an hour."""
        return 3600 * self.accounts / self.seconds / CORES


def main() -> int:
    """Measures, predicts and compares; returns 1 if that fails or a program is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument(
        "--accounts", type=int, default=20, help="half the accounts of the last run"
    )
    parser.add_argument("--target", choices=TARGETS, default="meltanolabs")
    options = parser.parse_args()
    programs, console = find_programs(), Console(highlight=False)
    if programs is None or not command_of(options.target).exists():
        console.print("PostgreSQL or the target is missing: run make test-integration once.")
        return 1
    with (
        tempfile.TemporaryDirectory() as name,
        served(2 * options.accounts) as (url, ids),
        serving(programs) as server,
    ):
        accounts = [Account(key, id_, key) for key, id_ in ids.items()]
        database = server.database("fleet", "UTC")
        pipeline = pipeline_of(url, options.target, database, Path(name))
        create_table(pipeline)
        first = measured(pipeline, accounts)
        console.print(f"First sync of {HISTORY} events: {described(first)}")
        arrive(url, accounts)
        some = measured(pipeline, accounts[: options.accounts])
        console.print(f"Hourly sync: {described(some)}")
        arrive(url, accounts)
        predicted = some.seconds / some.accounts * len(accounts)
        all_ = measured(pipeline, accounts)
        console.print(f"Hourly sync: {described(all_)}")
    error = predicted / all_.seconds - 1
    console.print(f"Predicted {predicted:.0f} s for {len(accounts)} accounts: {error:+.0%}")
    return int(abs(error) > TOLERANCE)


@contextmanager
def served(accounts: int) -> Iterator[tuple[str, dict[str, str]]]:
    """A sandbox in a process of its own: its URL, and the ID of each account by API key."""
    end = datetime.now(timezone.utc) - timedelta(hours=2)
    options = ("--accounts", str(accounts), "--events", str(HISTORY), "--now", end.isoformat())
    command = [sys.executable, "-m", "sandbox", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        try:
            yield ready["url"], ready["accounts"]
        finally:
            process.terminate()


def command_of(target: str) -> Path:
    """The command of a target."""
    return ENVIRONMENTS / f"target-postgres-{target}" / "bin" / "target-postgres"


def pipeline_of(url: str, target: str, database: Database, folder: Path) -> Pipeline:
    """The pipeline of all accounts: the default streams into one schema."""
    address = {"host": "127.0.0.1", "port": database.port, "user": USER, "password": "unused"}
    settings = {"base_url": url, "start_date": "2020-01-01"}
    config, catalog = folder / "config.json", folder / "catalog.json"
    config.write_text(json.dumps({**settings, "api_key": "unused"}))
    with catalog.open("wb") as file:
        subprocess.run([TAP, f"--config={config}", "--discover"], stdout=file, check=True)
    target_settings = {**address, TARGETS[target]: database.name, "default_target_schema": "shop"}
    return Pipeline(
        tap=[TAP],
        target=[str(command_of(target))],
        settings=settings,
        target_settings=target_settings,
        catalog=catalog,
        database={**address, "dbname": database.name},
    )


def arrive(url: str, accounts: Sequence[Account]) -> None:
    """Adds the events of an hour to each account."""
    counts = {name: NEW_EVENTS for names in METRICS.values() for name in names[-1:]}
    for account in accounts:
        body = json.dumps({"counts": counts}).encode()
        request = urllib.request.Request(f"{url}/sandbox/arrive?key={account.api_key}", body)
        with urllib.request.urlopen(request, timeout=60):
            pass


def measured(pipeline: Pipeline, accounts: Sequence[Account]) -> Measured:
    """Syncs accounts side by side, and measures it."""
    database, began = database_seconds(), time.monotonic()
    forking = multiprocessing.get_context("fork")
    with (
        peak_memory() as peak,
        ProcessPoolExecutor(CORES * SLOTS_PER_CORE, forking, initializer=discard_logs) as pool,
    ):
        used = list(pool.map(cpu_of_sync, [pipeline] * len(accounts), accounts))
    seconds = time.monotonic() - began
    return Measured(len(accounts), seconds, sum(used), database_seconds() - database, max(peak))


def discard_logs() -> None:
    """Discards what the programs of this process log."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def cpu_of_sync(pipeline: Pipeline, account: Account) -> float:
    """Syncs an account; returns the CPU seconds of this process and of those that it started."""
    before = cpu_seconds()
    sync_account(pipeline, account)
    return cpu_seconds() - before


def cpu_seconds() -> float:
    """The CPU seconds of this process and of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def database_seconds() -> float:
    """The CPU seconds of PostgreSQL's processes, also of those that have ended."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        name, fields = statistics_of(folder)
        if name == "postgres":
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Collects the memory of all taps and targets at once, in bytes, until the context is left."""
    found, ended = [0], threading.Event()

    def collect() -> None:
        while not ended.wait(SAMPLING):
            found.append(sum(map(memory_of_program, Path("/proc").glob("[0-9]*"))))

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def memory_of_program(folder: Path) -> int:
    """The resident memory of a tap or a target in bytes; 0 for any other process."""
    try:
        command = (folder / "cmdline").read_bytes()
        pages = int((folder / "statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    is_program = TAP.encode() in command or b"target-postgres" in command
    return pages * resource.getpagesize() if is_program else 0


def statistics_of(folder: Path) -> tuple[str, list[str]]:
    """The name of a process, and the fields after it in its file `stat`."""
    try:
        text = (folder / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "", []
    start, _, end = text.rpartition(")")
    return start.partition("(")[2], end.split()


def described(run: Measured) -> str:
    """One line."""
    slots = min(run.accounts, CORES * SLOTS_PER_CORE)
    return (
        f"{run.accounts} accounts in {run.seconds:.0f} s, {run.cpu:.1f} CPU s each "
        f"({run.pipelines / run.accounts:.1f} pipeline, {run.database / run.accounts:.1f} "
        f"database), {run.memory / slots / MIB:.0f} MiB for each of {slots} pipelines, "
        f"{run.per_core:.0f} accounts an hour and core"
    )


if __name__ == "__main__":
    sys.exit(main())
