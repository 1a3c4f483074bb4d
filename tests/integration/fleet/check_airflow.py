"""Airflow syncs a fleet. A killed worker loses nothing, doubles nothing and leaves no pipeline."""

from __future__ import annotations

import json
import time
from operator import lt
from pathlib import Path

import pytest
from airflow_services import WORKERS, Airflow, running_airflow
from fleet_accounts import PASSWORD, Fleet, is_pipeline
from live_processes import wait_until
from postgres import USER, Server
from services import busy_seconds

RUN = 300.0  # seconds that a run may take
GONE = 10.0  # seconds in which nothing of a killed worker is left
KILLED = WORKERS[0]


def environment(fleet: Fleet) -> dict[str, str]:
    """The variables and connections that the DAG reads, as an operator sets them."""
    warehouse = {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": fleet.database.port,
        "login": USER,
        "password": PASSWORD,
        "schema": fleet.database.name,
    }
    accounts = {
        f"AIRFLOW_CONN_KLAVIYO_ACCOUNT_{name.upper()}": {
            "conn_type": "generic",
            "login": fleet.ids[name],
            "password": account.key,
        }
        for name, account in fleet.accounts.items()
    }
    connections = {**accounts, "AIRFLOW_CONN_KLAVIYO_WAREHOUSE": warehouse}
    return {
        **{name: json.dumps(value) for name, value in connections.items()},
        "AIRFLOW_VAR_KLAVIYO_ACCOUNTS": json.dumps(list(fleet.accounts)),
        "KLAVIYO_PIPELINE": str(fleet.write_pipeline()),
    }


def is_in_the_middle(fleet: Fleet, airflow: Airflow, run: str) -> bool:
    """Whether rows were loaded, and the worker has a tap and a target."""
    assert airflow.state(run) not in ("success", "failed")
    return fleet.has_rows() and is_pipeline(airflow.services.processes(KILLED).values())


def test_a_killed_worker(
    fleet: Fleet, postgres: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tasks of a killed worker are retried, and the next run continues from all states."""
    home = tmp_path / "airflow"
    home.mkdir()
    began = time.time()
    with running_airflow(home, postgres, environment(fleet)) as airflow:
        started = time.time()
        first = airflow.unpause()
        wait_until(lambda: is_in_the_middle(fleet, airflow, first), RUN)
        airflow.services.kill(KILLED)
        wait_until(lambda: not airflow.services.processes(KILLED), GONE)
        assert airflow.wait_until_done(first, RUN) == "success"
        killed = time.time()
        retried = [one.account for one in airflow.tasks(first) if one.tries > 1]
        assert retried
        rows = check(fleet, airflow, first)
        records = records_of(airflow, first)

        fleet.add_data()
        triggered, busy = time.time(), busy_seconds()
        second = airflow.trigger()
        assert airflow.wait_until_done(second, RUN) == "success"
        done, busy = time.time(), busy_seconds() - busy
        more = check(fleet, airflow, second)
        assert all(map(lt, records_of(airflow, second), (one / 2 for one in records)))
    assert more > rows
    logs = "".join(file.read_text(errors="replace") for file in home.rglob("*.log"))
    assert "Complete. Read" in logs
    assert not [account.key for account in fleet.accounts.values() if account.key in logs]
    with capsys.disabled():
        print(
            f"\nAirflow: {len(fleet.accounts)} accounts. Start: {started - began:.0f} s. "
            f"First run: {rows} rows in {killed - started:.0f} s; {KILLED} was killed, and the "
            f"tasks of {' and '.join(retried)} were retried. Second run: {more - rows} new rows "
            f"in {done - triggered:.0f} s, {busy / len(fleet.accounts):.1f} CPU s each."
        )


def records_of(airflow: Airflow, run: str) -> list[int]:
    """How many records the tap has read of each account in a run."""
    return [airflow.summary(run, task)["records"] for task in airflow.tasks(run)]


def check(fleet: Fleet, airflow: Airflow, run: str) -> int:
    """Checks tables, states and summaries after a run, and returns the number of rows."""
    tasks = airflow.tasks(run)
    assert [task.account for task in tasks] == list(fleet.accounts)
    assert {task.state for task in tasks} == {"success"}
    summaries = [airflow.summary(run, task) for task in tasks]
    assert [one["account_id"] for one in summaries] == list(fleet.ids.values())
    assert {one["status"] for one in summaries} == {"complete"}
    return fleet.check(end=time.time())
