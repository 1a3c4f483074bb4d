"""Dagster syncs a fleet. Killed processes lose nothing, double nothing and leave no pipeline."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from dagster_services import CODE, Dagster, running_dagster
from fleet_accounts import PASSWORD, Fleet, is_pipeline
from live_processes import wait_until
from postgres import Server

RUN = 300.0  # seconds that a backfill may take
GONE = 30.0  # seconds in which nothing of a killed process is left


def environment(fleet: Fleet) -> dict[str, str]:
    """The variables that the asset reads, as an operator sets them, and the file of accounts."""
    accounts = {
        name: {"account_id": fleet.ids[name], "api_key": account.key}
        for name, account in fleet.accounts.items()
    }
    file = fleet.folder / "accounts.json"
    file.write_text(json.dumps(accounts))
    return {
        "KLAVIYO_ACCOUNTS": str(file),
        "KLAVIYO_DATABASE_URL": f"postgresql://{fleet.database.address}?password={PASSWORD}",
        "KLAVIYO_PIPELINE": str(fleet.write_pipeline()),
    }


def running_pipelines(dagster: Dagster) -> dict[int, dict[int, str]]:
    """The processes of the runs whose tap and target have both started."""
    return {
        worker: commands
        for worker, commands in dagster.workers().items()
        if is_pipeline(commands.values())
    }


def kill_worker(dagster: Dagster) -> None:
    """Kills a run, and waits until its pipeline and all its other processes have ended."""
    worker, commands = next(iter(running_pipelines(dagster).items()))
    dagster.kill_worker(worker)
    wait_until(lambda: not commands.keys() & dagster.services.processes().keys(), GONE)


def kill_code_server(dagster: Dagster) -> None:
    """Kills the code server, waits until all runs have ended too, and starts it again."""
    dagster.services.kill(CODE, alone=True)
    wait_until(lambda: not dagster.services.processes(CODE), GONE)
    dagster.start_code_server()


def test_killed_processes(
    fleet: Fleet, postgres: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The runs of a killed worker and of a killed code server are retried."""
    home = tmp_path / "dagster"
    home.mkdir()
    names = {*fleet.accounts}
    began = time.time()
    with running_dagster(home, postgres, environment(fleet)) as dagster:
        dagster.wait_for_partitions(names)
        started = time.time()
        backfill = dagster.backfill()
        wait_until(lambda: fleet.has_rows() and any(running_pipelines(dagster)), RUN)
        kill_worker(dagster)
        half = len(names) // 2
        wait_until(lambda: len(fleet.states()) >= half and any(running_pipelines(dagster)), RUN)
        assert dagster.scheduled() < names
        kill_code_server(dagster)
        wait_until(lambda: succeeded(dagster, backfill) == names, RUN)
        done = time.time()
        wait_until(lambda: not dagster.workers(), GONE)
        assert dagster.scheduled() == names
        failed = check(fleet, dagster, backfill)
        rows = fleet.check(end=time.time())
    with capsys.disabled():
        print(
            f"\nDagster: {len(names)} accounts. Start: {started - began:.0f} s. Backfill: {rows} "
            f"rows in {done - started:.0f} s; a worker and then the code server were killed, and "
            f"{failed} runs were retried."
        )


def succeeded(dagster: Dagster, backfill: str) -> set[str]:
    """The accounts whose last run has succeeded."""
    runs = dagster.last_runs(backfill).values()
    return {run.account for run in runs if run.status == "SUCCESS"}


def check(fleet: Fleet, dagster: Dagster, backfill: str) -> int:
    """Checks the records of Dagster after a backfill, and returns the number of failed runs."""
    runs = dagster.runs(backfill)
    failed = [run for run in runs if run.status == "FAILURE"]
    assert len(failed) == len(runs) - len(fleet.accounts) >= 2
    for run in dagster.last_runs(backfill).values():
        assert run.metadata.keys() == {"status", "records", "requests", "seconds"}
        assert run.metadata["status"] == "complete"
        assert run.metadata["records"] > 0
    records = dagster.records()
    assert "Complete. Read" in records
    assert not [account.key for account in fleet.accounts.values() if account.key in records]
    return len(failed)
