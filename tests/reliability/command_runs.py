"""Runs the command in this process against a simulated account, and checks what every run has."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from log_lines import log_lines
from run_output import Message, Pipe
from simulated_klaviyo import NOW, URL, Arrival, SimulatedKlaviyo, time_limit
from tap_processes import restored_logging

from tap_klaviyo import cli
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.ending import ExitCode
from tap_klaviyo.state import METRICS, SWEPT_AT
from tap_klaviyo.sync.run import Run

STREAMS = ("open", "lists")
DAY = 86_400

CONFIG = {"api_key": "pk_test", "start_date": "2026-08-10", "base_url": URL}
STATE = {
    "bookmarks": {
        "open": {"timestamp": NOW - DAY, SWEPT_AT: NOW - DAY, METRICS: ["M1"]},
        "click": {"since": "2026-10-01T00:00:00Z"},
    },
    "currently_syncing": "open",
}


def catalog(*names: str) -> dict[str, Any]:
    """A catalog with these streams only, each with a few fields."""
    entries = []
    for entry in build_catalog()["streams"]:
        if entry["stream"] in names:
            fields = dict(list(entry["schema"]["properties"].items())[:6])
            schema = {**entry["schema"], "properties": fields}
            kept = [m for m in entry["metadata"] if len(m["breadcrumb"]) < 3]
            entries.append({**entry, "schema": schema, "metadata": kept})
    return {"streams": json.loads(json.dumps(entries))}


@dataclass
class Outcome:
    """The exit code, the messages and the log lines of a command."""

    code: int
    messages: list[Message]
    shown: str

    @property
    def errors(self) -> list[str]:
        """The log lines that explain the failure."""
        return [line for line in self.shown.splitlines() if line.startswith("CRITICAL ")]


def account_of_few_events() -> SimulatedKlaviyo:
    """An account with the lists of all simulations and five events."""
    klaviyo = SimulatedKlaviyo(*STREAMS)
    klaviyo.arrive(Arrival(0, 3 * DAY, "Opened Email", 5))
    return klaviyo


def run(arguments: list[str], klaviyo: SimulatedKlaviyo) -> Outcome:
    """Runs the command in a simulation and checks what is true for every run."""
    pipe, shown = Pipe(), io.StringIO()
    klaviyo.api.key = "pk_test"
    with (
        time_limit(),
        restored_logging(),
        klaviyo.mounted(),
        redirect_stderr(shown),
        patch("tap_klaviyo.cli.write_stdout", pipe.write),
        patch("tap_klaviyo.tap.client_for", klaviyo.client),
        patch("tap_klaviyo.tap.Run", partial(Run, now=klaviyo.clock)),
    ):
        code = cli.main(arguments)
    assert code in tuple(ExitCode)
    assert "Traceback" not in shown.getvalue()
    assert "Internal error" not in shown.getvalue(), shown.getvalue()
    logged = log_lines(shown.getvalue())
    assert len(logged) == len(shown.getvalue().splitlines()), shown.getvalue()
    *lines, rest = bytes(pipe.got).split(b"\n")
    assert rest == b"", "the last line is incomplete"
    outcome = Outcome(code, [json.loads(line) for line in lines], "\n".join(logged))
    assert len(outcome.errors) == bool(code)
    return outcome


def run_with(folder: Path, klaviyo: SimulatedKlaviyo | None = None, **files: Any) -> Outcome:
    """Runs the command with these files; content that is not bytes is written as JSON."""
    arguments = []
    for role, content in {"config": CONFIG, "catalog": catalog(*STREAMS), **files}.items():
        path = folder / f"{role}.json"
        if isinstance(content, Path):
            path = content
        else:
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            path.write_bytes(raw)
        arguments += [f"--{role}", str(path)]
    return run(arguments, klaviyo or account_of_few_events())
