"""Airflow with Celery, Redis and PostgreSQL: two workers that sync the accounts of a fleet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from external_programs import CHECKOUT, ready, run
from live_processes import wait_until
from postgres import Server, free_port
from services import Services, running

DAG = "klaviyo_accounts"
WORKERS = ("worker1", "worker2")
SLOTS = 2
"""Tasks that one worker runs at the same time."""

_START = 120.0  # seconds until all services are ready
_PAUSE = 0.5  # seconds between two questions
_TIMEOUT = 30


@dataclass(frozen=True)
class Task:
    """The sync of an account in a run. ``tries`` counts its starts."""

    number: int
    account: str
    state: str
    tries: int


class Airflow:
    """A running Airflow. ``services`` are its processes."""

    def __init__(self, services: Services, url: str) -> None:
        self.services = services
        self._url = url
        self._token = ""

    def wait_until_ready(self) -> None:
        """Waits until the DAG is known and both workers take tasks."""
        wait_until(self._is_up, _START)
        self._token = self._ask("/auth/token")["access_token"]
        wait_until(lambda: any(self._ask("/api/v2/dags")["dags"]), _START)
        for worker in WORKERS:
            wait_until(lambda worker=worker: " ready." in self.services.log(worker, 1000), _START)
        slots = SLOTS * len(WORKERS)
        pool = {"name": "klaviyo", "slots": slots, "description": "", "include_deferred": False}
        self._ask("/api/v2/pools", pool, "POST")

    def unpause(self) -> str:
        """Turns the DAG on, and returns the ID of the run that its schedule then starts."""
        self._ask(f"/api/v2/dags/{DAG}", {"is_paused": False}, "PATCH")
        path = f"/api/v2/dags/{DAG}/dagRuns"
        wait_until(lambda: bool(self._ask(path)["dag_runs"]), _START)
        (run,) = self._ask(path)["dag_runs"]
        started: str = run["dag_run_id"]
        return started

    def trigger(self) -> str:
        """Starts a further run of the DAG and returns its ID."""
        asked = {"logical_date": None}
        started: str = self._ask(f"/api/v2/dags/{DAG}/dagRuns", asked, "POST")["dag_run_id"]
        return started

    def state(self, run_id: str) -> str:
        """The state of a run."""
        self.services.check()
        state: str = self._ask(f"/api/v2/dags/{DAG}/dagRuns/{run_id}")["state"]
        return state

    def tasks(self, run_id: str) -> list[Task]:
        """The tasks of the accounts in a run, in the order of the accounts."""
        path = f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances?task_id=sync&limit=1000"
        found = sorted(self._ask(path)["task_instances"], key=lambda one: one["map_index"])
        return [
            Task(one["map_index"], one["rendered_map_index"], one["state"], one["try_number"])
            for one in found
        ]

    def summary(self, run_id: str, task: Task) -> dict[str, Any]:
        """What the task of an account has returned."""
        path = f"/api/v2/dags/{DAG}/dagRuns/{run_id}/taskInstances/sync/xcomEntries/return_value"
        summary: dict[str, Any] = self._ask(f"{path}?map_index={task.number}")["value"]
        return summary

    def wait_until_done(self, run_id: str, seconds: float) -> str:
        """Waits for a run, and returns its state: "success" or "failed"."""
        wait_until(lambda: self.state(run_id) in ("success", "failed"), seconds)
        return self.state(run_id)

    def _is_up(self) -> bool:
        self.services.check()
        try:
            health = self._ask("/api/v2/monitor/health")
        except OSError:
            return False
        parts = ("metadatabase", "scheduler", "dag_processor")
        return all(health[part]["status"] == "healthy" for part in parts)

    def _ask(self, path: str, body: Mapping[str, Any] | None = None, method: str = "GET") -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._url + path, data, headers, method=method)
        with urlopen(request, timeout=_TIMEOUT) as answer:
            return json.load(answer)


@contextmanager
def running_airflow(
    folder: Path, postgres: Server, environment: Mapping[str, str]
) -> Iterator[Airflow]:
    """Airflow in an empty database, with the DAG of the examples."""
    bin_ = ready("airflow")
    dags = folder / "dags"
    dags.mkdir()
    for file in ("account_sync.py", "airflow/klaviyo_accounts.py"):
        shutil.copy(CHECKOUT / "examples" / file, dags)
    database = postgres.database("airflow", "UTC").address
    port, redis_port = free_port(), free_port()
    settings = {
        "CORE__DAGS_FOLDER": dags,
        "CORE__EXECUTOR": "CeleryExecutor",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": True,
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API_AUTH__JWT_SECRET": "a secret of these tests, which is 64 characters long or longer...",
        "CELERY__BROKER_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{database}",
        "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
        # A killed worker is noticed after seconds, not after minutes.
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 15,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": 3,
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 3,
    }
    variables = {
        **environment,
        **{f"AIRFLOW__{name}": str(value) for name, value in settings.items()},
        "AIRFLOW_HOME": str(folder),
        "PATH": f"{bin_}:/usr/local/bin:/usr/bin:/bin",
        "KLAVIYO_RETRY_DELAY": "1",
        # The run of this year starts at once, and no other one during the check.
        "KLAVIYO_SCHEDULE": "@yearly",
    }
    run(bin_ / "airflow", "db", "migrate", cwd=folder, environment=variables)
    with running(folder, variables) as services:
        redis = ("redis-server", "--bind", "127.0.0.1", "--port", str(redis_port), "--save", "")
        services.start("redis", *redis)
        services.start("api", bin_ / "airflow", "api-server", "--workers", "1")
        services.start("scheduler", bin_ / "airflow", "scheduler")
        services.start("dags", bin_ / "airflow", "dag-processor")
        for name in WORKERS:
            options = ("-H", f"{name}@%h", "-c", str(SLOTS), "--skip-serve-logs")
            services.start(name, bin_ / "airflow", "celery", "worker", *options)
        airflow = Airflow(services, f"http://127.0.0.1:{port}")
        airflow.wait_until_ready()
        yield airflow
