"""The programs that are measured: what they read, the command that runs them, what they write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import read_catalog
from tap_klaviyo.klaviyo.queries import query_for

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".envs"
TAP = str(Path(sys.executable).with_name("tap-klaviyo"))
KEY = "pk_sandbox"
DISCOVERY = 60.0
"""Seconds that another tap may take to find out what there is."""


@dataclass(frozen=True)
class Job:
    """What one run has to do, in a ``folder`` of its own, for events from ``start`` on.

    ``pages`` are those that the last run of the tap fetched, each as path and query; ``state`` is
    the last one that it wrote.
    """

    url: str
    folder: Path
    streams: tuple[str, ...]
    without: tuple[str, ...]
    start: datetime
    pages: tuple[str, ...] = ()
    state: str = ""

    def file(self, name: str, content: Any) -> str:
        """Writes a file of JSON, or of a text, into the folder; returns its path."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of its programs, free of a developer's own settings.

        Python's go too: PYTHONDONTWRITEBYTECODE would have a program compile anew each time what
        pip has compiled for everybody else.
        """
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TAP_KLAVIYO_", "PYTHON"))
        }
        return {**own, "KLAVIYO_URL": self.url, "NO_PROXY": "127.0.0.1"}

    @property
    def since(self) -> str:
        """The start in the form that every program reads."""
        return self.start.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Side:
    """One program. ``commands`` makes those of a run: one, or several piped into each other.

    ``form`` says how ids stand in its output, empty if there are none. ``environment`` is its
    folder in ``.envs``, without which it is left out. ``every_event`` means that it cannot be told
    to read some streams only.
    """

    name: str
    commands: Callable[[Job], list[list[str]]]
    form: str = "singer"
    environment: str = ""
    every_event: bool = False

    @property
    def installed(self) -> bool:
        """Whether its environment is there."""
        return not self.environment or (ENVIRONMENTS / self.environment / "ready").exists()


def _python(environment: str) -> Path:
    return ENVIRONMENTS / environment / "bin" / "python"


def _tap(job: Job) -> list[list[str]]:
    settings = {"api_key": KEY, "base_url": job.url, "start_date": job.since}
    command = [TAP, "--config", job.file("config.json", settings)]
    command += ["--catalog", job.file("catalog.json", _catalog(job.streams, job.without))]
    return [command + (["--state", job.file("state.json", job.state)] if job.state else [])]


@lru_cache
def _catalog(streams: tuple[str, ...], without: tuple[str, ...]) -> dict[str, Any]:
    """The tap's own catalog with just these streams, and without these properties."""
    entries = build_catalog()["streams"]
    for entry in entries:
        for part in entry["metadata"]:
            if not part["breadcrumb"]:
                part["metadata"]["selected"] = entry["stream"] in streams
            elif part["breadcrumb"][1] in without:
                part["metadata"]["selected"] = False
    return {"streams": entries}


def asked_of_events(streams: tuple[str, ...], without: tuple[str, ...]) -> dict[str, str]:
    """The parameters, beside those of a window, with which the tap asks for the streams' events."""
    for selected in read_catalog(_catalog(streams, without)):
        if selected.stream.metrics:
            return dict(query_for(selected.stream, selected.schema).parameters)
    return {}


def _floor(job: Job) -> list[list[str]]:
    pages = job.file("pages.txt", "\n".join(job.pages))
    return [[sys.executable, str(HERE / "floor.py"), job.url, KEY, pages]]


def _singer_io(job: Job) -> list[list[str]]:
    command = [str(_python("singer-io")), str(HERE / "peers" / "singer_io.py")]
    command += ["--config", job.file("config.json", {"api_key": KEY, "start_date": job.since})]
    found = subprocess.run(
        [*command, "--discover"],
        check=True,
        capture_output=True,
        cwd=job.folder,
        env=job.environment,
        timeout=DISCOVERY,
    )
    catalog = json.loads(found.stdout)
    for entry in catalog["streams"]:
        whole = next(part for part in entry["metadata"] if not part["breadcrumb"])
        whole["metadata"]["selected"] = entry["stream"] in job.streams
    return [[*command, "--catalog", job.file("catalog.json", catalog)]]


def _airbyte(job: Job) -> list[list[str]]:
    command = [str(_python("airbyte")), str(HERE / "peers" / "airbyte.py"), "read"]
    command += ["--config", job.file("config.json", {"api_key": KEY, "start_date": job.since})]
    stream = {
        "name": "events",
        "json_schema": {},
        "supported_sync_modes": ["full_refresh", "incremental"],
    }
    entry = {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"}
    return [[*command, "--catalog", job.file("catalog.json", {"streams": [entry]})]]


def _pipeline(job: Job) -> list[list[str]]:
    target = str(ENVIRONMENTS / "target-jsonl" / "bin" / "target-jsonl")
    settings = {"destination_path": str(job.folder), "do_timestamp_file": False}
    return [*_tap(job), [target, "--config", job.file("target.json", settings)]]


def _fixed(*command: str) -> Callable[[Job], list[list[str]]]:
    return lambda _: [[*command]]


THE_TAP = Side("tap-klaviyo", _tap)
FLOOR = Side("the floor", _floor, form="bodies")
SINGER_IO = Side("singer-io's tap-klaviyo 1.1.5", _singer_io, environment="singer-io")
AIRBYTE = Side(
    "airbyte-source-klaviyo 2.13.1",
    _airbyte,
    form="airbyte",
    environment="airbyte",
    every_event=True,
)
PIPELINE = Side("tap-klaviyo | target-jsonl", _pipeline, form="rows", environment="target-jsonl")
IMPORTS = Side(
    'python -c "import singer, requests"',
    _fixed(sys.executable, "-c", "import singer, requests"),
    form="",
)
VERSION = Side("tap-klaviyo --version", _fixed(TAP, "--version"), form="")
DISCOVER = Side("tap-klaviyo --discover", _fixed(TAP, "--discover"), form="")
