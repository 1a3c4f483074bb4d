"""Times the pipeline into target-postgres, with RECORD messages and with BATCH messages in turn.

    python -m benchmarks.load --events 30000 --rounds 3

It needs PostgreSQL's programs and the target's environment, which `make test-integration` makes.
After each run the ids in the tables are compared with those of the account.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from benchmarks.output_ids import METRICS
from benchmarks.programs import ENVIRONMENTS, KEY, TAP
from sandbox import Account, Sandbox

sys.path.append(str(Path(__file__).parents[1] / "tests" / "integration"))

# The server of the tests, which are no package.
from postgres import USER, Database, find_programs, serving  # type: ignore[import-not-found]

TARGET = ENVIRONMENTS / "target-postgres-meltanolabs" / "bin" / "target-postgres"
TIMEOUT = 600
SCHEMA = "shop"


def main() -> int:
    """Runs both pipelines in turn; returns 1 if PostgreSQL or the target is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--events", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    programs, console = find_programs(), Console()
    if programs is None or not TARGET.exists():
        console.print("PostgreSQL or the target is missing: run make test-integration once.")
        return 1
    seconds: dict[str, list[float]] = {"RECORD": [], "BATCH": []}
    account = Account.seeded(events=options.events, tame=True)
    with serving(programs) as server, Sandbox(account, limits=None) as box:
        for number in range(options.rounds):
            for name, measured in seconds.items():
                database = server.database(f"{name.lower()}_{number}")
                measured.append(_load(box.url, database, in_files=name == "BATCH"))
                _compare(account, database)
                console.print(f"{name}: {measured[-1]:.1f} s", highlight=False)
    ratios = [plain / batch for plain, batch in zip(*seconds.values(), strict=True)]
    console.print(f"BATCH is {median(ratios):.2f} times as fast, {min(ratios):.2f} at least.")
    return 0


def _load(url: str, database: Database, *, in_files: bool) -> float:
    """Runs the pipeline into an empty database; its seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config: dict[str, Any] = {"api_key": KEY, "base_url": url, "start_date": "2020-01-01"}
        if in_files:
            config["batch_config"] = {"storage": {"root": folder.as_uri()}}
        target = {
            "host": "127.0.0.1",
            "port": database.port,
            "user": USER,
            "password": "unused",
            "database": database.name,
            "default_target_schema": SCHEMA,
        }
        files = {"config.json": config, "target.json": target}
        for file, content in files.items():
            (folder / file).write_text(json.dumps(content))
        tap = [TAP, "--config", "config.json", "--select", ",".join(METRICS)]
        pipeline = f"{shlex.join(tap)} | {shlex.join([str(TARGET), '--config', 'target.json'])}"
        began = time.monotonic()
        subprocess.run(
            ["bash", "-o", "pipefail", "-c", pipeline],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=TIMEOUT,
        )
        return time.monotonic() - began


def _compare(account: Account, database: Database) -> None:
    """Raises AssertionError if the ids of a table are not those of the account."""
    for stream, names in METRICS.items():
        wanted = account.event_ids(names)
        query = f'select count(*), count(distinct id) from "{SCHEMA}"."{stream}"'
        found = database.execute(query).strip() if wanted else "0|0"
        assert found == f"{len(wanted)}|{len(set(wanted))}", f"{stream}: {found}, not {len(wanted)}"


if __name__ == "__main__":
    sys.exit(main())
