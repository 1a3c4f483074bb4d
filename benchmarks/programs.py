"""The measured programs: their commands, configuration and output formats."""

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
DISCOVERY_TIMEOUT = 60.0
"""Maximum number of seconds of another tap's discovery."""


@dataclass(frozen=True)
class Job:
    """The task of one run, with its own ``folder``: read the streams since ``start``.

    ``incremental`` names streams that are read INCREMENTAL although they are not by default.
    ``pages`` are the paths and queries that the last run of the tap requested; ``state`` is the
    last state that it wrote.
    """

    url: str
    folder: Path
    streams: tuple[str, ...]
    without: tuple[str, ...]
    start: datetime
    incremental: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    state: str = ""

    def file(self, name: str, content: Any) -> str:
        """Writes text, or a value as JSON, to a file in the folder; returns its path."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of the programs, without the developer's own settings.

        Python's variables are removed too: with PYTHONDONTWRITEBYTECODE a program that is installed
        in place would be compiled at each start.
        """
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TAP_KLAVIYO_", "PYTHON"))
        }
        return {**own, "KLAVIYO_URL": self.url, "NO_PROXY": "127.0.0.1"}

    @property
    def start_date(self) -> str:
        """The start in a format that every program accepts."""
        return self.start.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Program:
    """One program. ``commands`` returns the commands of a run, several for a pipeline.

    ``output_format`` is the format of the ids in its output, empty if it writes none.
    ``environment`` is its folder in ``.envs``; the program is skipped if that does not exist.
    ``every_event`` means that the program cannot select streams.
    """

    name: str
    commands: Callable[[Job], list[list[str]]]
    output_format: str = "singer"
    environment: str = ""
    every_event: bool = False

    @property
    def installed(self) -> bool:
        """Whether the environment of the program exists."""
        return not self.environment or (ENVIRONMENTS / self.environment / "ready").exists()


def _python(environment: str) -> Path:
    return ENVIRONMENTS / environment / "bin" / "python"


def _tap(job: Job) -> list[list[str]]:
    settings = {"api_key": KEY, "base_url": job.url, "start_date": job.start_date}
    command = [TAP, "--config", job.file("config.json", settings)]
    command += ["--catalog", job.file("catalog.json", _catalog(job))]
    return [command + (["--state", job.file("state.json", job.state)] if job.state else [])]


def _catalog(job: Job) -> dict[str, Any]:
    return _selection(job.streams, job.without, job.incremental)


@lru_cache
def _selection(
    streams: tuple[str, ...], without: tuple[str, ...], incremental: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The tap's own catalog with these streams only, and without these properties."""
    entries = build_catalog()["streams"]
    for entry in entries:
        for part in entry["metadata"]:
            if not part["breadcrumb"]:
                part["metadata"]["selected"] = entry["stream"] in streams
                if entry["stream"] in incremental:
                    part["metadata"]["replication-method"] = "INCREMENTAL"
            elif part["breadcrumb"][1] in without:
                part["metadata"]["selected"] = False
    return {"streams": entries}


def requests_of(streams: tuple[str, ...], without: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """The tap's requests for events and profiles: query parameters by path.

    Those for events lack the filters of a metric and a window.
    """
    found = {}
    for selected in read_catalog(_selection(streams, without)):
        stream = selected.stream
        if stream.metrics or stream.name == "global_exclusions":
            parameters = dict(query_for(stream, selected.schema).parameters)
            if not stream.metrics:
                parameters |= {
                    "filter": ",".join(stream.filters),
                    "page[size]": str(stream.page_size),
                }
            found[stream.path] = parameters
    return found


def _floor(job: Job) -> list[list[str]]:
    pages = job.file("pages.txt", "\n".join(job.pages))
    return [[sys.executable, str(HERE / "floor.py"), job.url, KEY, pages]]


def _singer_io(job: Job) -> list[list[str]]:
    command = [str(_python("singer-io")), str(HERE / "peers" / "singer_io.py")]
    command += ["--config", job.file("config.json", {"api_key": KEY, "start_date": job.start_date})]
    found = subprocess.run(
        [*command, "--discover"],
        check=True,
        capture_output=True,
        cwd=job.folder,
        env=job.environment,
        timeout=DISCOVERY_TIMEOUT,
    )
    catalog = json.loads(found.stdout)
    for entry in catalog["streams"]:
        stream_metadata = next(part for part in entry["metadata"] if not part["breadcrumb"])
        stream_metadata["metadata"]["selected"] = entry["stream"] in job.streams
    return [[*command, "--catalog", job.file("catalog.json", catalog)]]


def _airbyte(job: Job) -> list[list[str]]:
    command = [str(_python("airbyte")), str(HERE / "peers" / "airbyte.py"), "read"]
    command += ["--config", job.file("config.json", {"api_key": KEY, "start_date": job.start_date})]
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


THE_TAP = Program("tap-klaviyo", _tap)
FLOOR = Program("the floor", _floor, output_format="bodies")
SINGER_IO = Program("singer-io's tap-klaviyo 1.1.5", _singer_io, environment="singer-io")
AIRBYTE = Program(
    "airbyte-source-klaviyo 2.13.1",
    _airbyte,
    output_format="airbyte",
    environment="airbyte",
    every_event=True,
)
PIPELINE = Program(
    "tap-klaviyo | target-jsonl", _pipeline, output_format="rows", environment="target-jsonl"
)
IMPORTS = Program(
    'python -c "import singer, requests"',
    _fixed(sys.executable, "-c", "import singer, requests"),
    output_format="",
)
VERSION = Program("tap-klaviyo --version", _fixed(TAP, "--version"), output_format="")
DISCOVER = Program("tap-klaviyo --discover", _fixed(TAP, "--discover"), output_format="")
