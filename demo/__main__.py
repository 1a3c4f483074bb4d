"""``python -m demo``: syncs a sandbox account into DuckDB twice and prints a report.

All files are written to one folder, which is deleted and created again at each start.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from demo.report import report
from demo.tables import make_views, table_names

EVENTS = 16_000
OWN_STREAMS = {"placed_order": {"metric": "Placed Order", "integration": "Shopify"}}
EXTRA_STREAMS = frozenset({"subscribed_to_email", "flows"})
NEW_EVENTS = {"Opened Email": 180, "Clicked Email": 50, "Unsubscribed from Email Marketing": 3}

console = Console()


def main() -> int:
    """Runs the demo and returns its exit code."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--target", required=True, help="path of target-jsonl")
    parser.add_argument(
        "--folder", type=Path, default=Path(".demo"), help="folder for all files (default: .demo)"
    )
    parser.add_argument(
        "--events",
        type=int,
        default=EVENTS,
        help=f"number of events in the account (default: {EVENTS})",
    )
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    started = time.monotonic()
    with _sandbox(options.events) as box:
        _configure(folder, box)
        catalog = _discover(folder)
        _sync(folder, options.target, "First sync: reads all data")
        before = _count(folder, catalog)
        _add_events(box)
        _sync(
            folder,
            options.target,
            f"Second sync: reads {sum(NEW_EVENTS.values())} new events",
        )
        after = _count(folder, catalog)
    report(console, folder, before, after, time.monotonic() - started)
    return 0


@contextmanager
def _sandbox(events: int) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--events", str(events)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit("The sandbox did not start; see its message above.")
            box = json.loads(line)
            console.print(f"[bold]Sandbox:[/] Klaviyo's API is simulated at {box['url']}")
            yield box
        finally:
            process.terminate()


def _configure(folder: Path, box: dict[str, str]) -> None:
    config = {
        "api_key": box["api_key"],
        "base_url": box["url"],
        "start_date": "2020-01-01",
        "metric_streams": OWN_STREAMS,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    target = {"destination_path": str(folder / "data"), "do_timestamp_file": False}
    (folder / "target.json").write_text(json.dumps(target, indent=2))


def _discover(folder: Path) -> dict[str, Any]:
    arguments = ["--config", str(folder / "config.json"), "--discover"]
    command = [sys.executable, "-m", "tap_klaviyo", *arguments]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    catalog: dict[str, Any] = json.loads(text)
    select(catalog)
    (folder / "catalog.json").write_text(json.dumps(catalog, indent=2))
    return catalog


def select(catalog: dict[str, Any]) -> None:
    """Selects the streams and fields that the queries in docs/sql need and the defaults lack."""
    for entry in catalog["streams"]:
        for field in entry["metadata"]:
            extra_stream = field["breadcrumb"] == [] and entry["stream"] in EXTRA_STREAMS
            attributions = (
                field["breadcrumb"] == ["properties", "attributions"]
                and entry["stream"] in OWN_STREAMS
            )
            if extra_stream or attributions:
                field["metadata"]["selected"] = True


def _sync(folder: Path, target: str, title: str) -> None:
    """Runs ``tap | target`` and saves the state that the target confirmed."""
    console.print(f"\n[bold]{title}[/]")
    state = folder / "state.json"
    arguments = ["--config", str(folder / "config.json"), "--catalog", str(folder / "catalog.json")]
    if state.exists():
        arguments += ["--state", str(state)]
    terminal = sys.stderr.isatty()
    module = "demo.tap_without_log" if terminal else "tap_klaviyo"
    tap_command = [sys.executable, "-m", module, *arguments]
    target_command = [target, "--config", str(folder / "target.json")]
    log = folder / "tap.log"
    with (
        log.open("ab") as stderr,
        subprocess.Popen(
            tap_command,
            stdout=subprocess.PIPE,
            stderr=None if terminal else stderr,
        ) as tap,
    ):
        result = subprocess.run(
            target_command, stdin=tap.stdout, stdout=subprocess.PIPE, stderr=stderr, check=False
        )
    if tap.returncode or result.returncode:
        raise SystemExit(f"The sync failed; see {log}.")
    state.write_bytes(result.stdout.splitlines()[-1])


def _add_events(box: dict[str, str]) -> None:
    """Adds new events to the account."""
    body = json.dumps({"counts": NEW_EVENTS, "late": 0}).encode()
    request = urllib.request.Request(f"{box['url']}/sandbox/arrive", data=body, method="POST")
    urllib.request.urlopen(request, timeout=30).close()


def _count(folder: Path, catalog: dict[str, Any]) -> dict[str, int]:
    with duckdb.connect(str(folder / "klaviyo.duckdb")) as database:
        make_views(database, folder / "data", catalog)
        return {
            name: database.execute(f'select count(*) from "{name}"').fetchall()[0][0]
            for name in table_names(folder / "data", catalog)
        }


if __name__ == "__main__":
    sys.exit(main())
