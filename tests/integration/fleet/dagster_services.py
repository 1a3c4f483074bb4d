"""Dagster with PostgreSQL, as the examples set it up: a code server, the daemon, the web server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from external_programs import CHECKOUT, ready, run
from live_processes import live_processes, wait_until
from postgres import Database, Server, free_port
from services import Services, running

EXAMPLES = CHECKOUT / "examples"
ASSET = {"path": ["klaviyo_account"]}
LOCATION = "klaviyo"
SCHEDULE = {
    "repositoryLocationName": LOCATION,
    "repositoryName": "__repository__",
    "scheduleName": "hourly",
}
CODE = "code"
"""The service that starts the processes of runs."""

PARTITIONS = """
query($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) {
    ... on AssetNode { partitionKeys }
} }
"""
BACKFILL = """
mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    ... on LaunchBackfillSuccess { backfillId }
} }
"""
RUNS = """
query($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results {
    status creationTime
    tags { key value }
    assetMaterializations { metadataEntries {
        label
        ... on TextMetadataEntry { text }
        ... on IntMetadataEntry { intValue }
        ... on FloatMetadataEntry { floatValue }
    } }
} } } }
"""
DRY_RUN = """
mutation($schedule: ScheduleSelector!, $now: Float!) {
    scheduleDryRun(selectorData: $schedule, timestamp: $now) {
        ... on DryRunInstigationTick { evaluationResult {
            error { message }
            runRequests { tags { key value } }
        } }
    }
}
"""

_START = 120.0  # seconds until all services are ready
_TIMEOUT = 30


@dataclass(frozen=True)
class Run:
    """A run of a partition. ``metadata`` is that of its materialization; empty if there is none."""

    account: str
    status: str
    metadata: Mapping[str, Any]


class Dagster:
    """A running Dagster. ``services`` are its processes, ``database`` has its records."""

    def __init__(self, services: Services, bin_: Path, database: Database) -> None:
        self.services = services
        self.database = database
        self._bin = bin_
        self._code_port, self._web_port = free_port(), free_port()

    def start(self) -> None:
        """Starts all services."""
        server = {"host": "127.0.0.1", "port": self._code_port, "location_name": LOCATION}
        workspace = self.services.folder / "workspace.yaml"
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))
        self.start_code_server()
        wait_until(lambda: "Started Dagster code server" in self.services.log(CODE), _START)
        self.services.start("daemon", self._bin / "dagster-daemon", "run")
        port = ("--port", str(self._web_port))
        self.services.start("web", self._bin / "dagster-webserver", *port)

    def start_code_server(self) -> None:
        """Starts the code server, at first or after it was killed."""
        module = ("--python-file", EXAMPLES / "dagster" / "klaviyo_assets.py")
        port = ("--port", str(self._code_port))
        self.services.start(CODE, self._bin / "dagster", "api", "grpc", *port, *module)

    def wait_for_partitions(self, names: set[str]) -> None:
        """Waits until the sensor has added these partitions."""
        wait_until(lambda: self._partitions() == names, _START)

    def backfill(self) -> str:
        """Starts a backfill of all partitions, and returns its ID."""
        params = {"assetSelection": [ASSET], "partitionNames": sorted(self._partitions())}
        answer = self._ask(BACKFILL, params=params)["launchPartitionBackfill"]
        started: str = answer["backfillId"]
        return started

    def runs(self, backfill: str) -> list[Run]:
        """The runs of a backfill in the order of their creation."""
        self.services.check()
        tags = [{"key": "dagster/backfill", "value": backfill}]
        found = self._ask(RUNS, filter={"tags": tags})["runsOrError"]["results"]
        return [
            Run(
                account=_tags(one)["dagster/partition"],
                status=one["status"],
                metadata={
                    entry.pop("label"): next(iter(entry.values()))
                    for materialization in one["assetMaterializations"]
                    for entry in materialization["metadataEntries"]
                },
            )
            for one in sorted(found, key=lambda one: float(one["creationTime"]))
        ]

    def last_runs(self, backfill: str) -> dict[str, Run]:
        """The last run of each account."""
        return {one.account: one for one in self.runs(backfill)}

    def scheduled(self) -> set[str]:
        """The accounts that the schedule would start now."""
        tick = self._ask(DRY_RUN, schedule=SCHEDULE, now=time.time())["scheduleDryRun"]
        result = tick["evaluationResult"]
        assert not result["error"], result["error"]
        return {_tags(one)["dagster/partition"] for one in result["runRequests"]}

    def workers(self) -> dict[int, dict[int, str]]:
        """The processes of each run by its process ID: their command lines by process ID."""
        commands = self.services.processes(CODE)
        parents = {process.number: process.parent for process in live_processes()}
        return {
            worker: {one: commands[one] for one in commands if worker in _ancestry(one, parents)}
            for worker, command in commands.items()
            if "--multiprocessing-fork" in command
        }

    def kill_worker(self, process_id: int) -> None:
        """Kills the process of a run, as the kernel does when memory ends."""
        os.kill(process_id, signal.SIGKILL)

    def records(self) -> str:
        """What Dagster has written: its logs, those of the runs, its runs and its events."""
        files = (file for file in self.services.folder.rglob("*") if file.is_file())
        queries = ("select run_body from runs", "select event from event_logs")
        return "\n".join(
            [*(file.read_text() for file in files), *map(self.database.execute, queries)]
        )

    def _partitions(self) -> set[str]:
        self.services.check()
        try:
            asset = self._ask(PARTITIONS, asset=ASSET)["assetNodeOrError"]
        except OSError:
            return set()
        return {*asset.get("partitionKeys", ())}

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self._web_port}/graphql"
        with urlopen(Request(url, body, headers), timeout=_TIMEOUT) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data


@contextmanager
def running_dagster(
    folder: Path, postgres: Server, environment: Mapping[str, str]
) -> Iterator[Dagster]:
    """Dagster in an empty database, with the asset and the settings of the examples."""
    bin_ = ready("dagster")
    database = postgres.database("dagster", "UTC")
    shutil.copy(EXAMPLES / "dagster" / "dagster.yaml", folder)
    variables = {
        **environment,
        "DAGSTER_DATABASE_URL": f"postgresql+psycopg2://{database.address}",
        "DAGSTER_HOME": str(folder),
        "PATH": f"{bin_}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{EXAMPLES}:{EXAMPLES / 'dagster'}",
    }
    run(bin_ / "dagster", "instance", "migrate", cwd=folder, environment=variables)
    with running(folder, variables) as services:
        dagster = Dagster(services, bin_, database)
        dagster.start()
        yield dagster


def _tags(one: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in one["tags"]}


def _ancestry(process_id: int, parents: Mapping[int, int]) -> list[int]:
    """A process, its parent, and so on."""
    found = [process_id]
    while found[-1] in parents:
        found.append(parents[found[-1]])
    return found
