"""Sync many Klaviyo accounts with Dagster: an asset with a partition for each account.

It reads these environment variables:

- KLAVIYO_PIPELINE names the file that `load_pipeline` describes.
- KLAVIYO_ACCOUNTS names a JSON file, `{"NAME": {"account_id": "...", "api_key": "..."}, ...}`:
  Klaviyo's ID and the API key of each account, by a name of your choice. `settings` of the tap that
  differ can be added. Mount the file as a secret. No key gets into Dagster's database or logs.
- KLAVIYO_DATABASE_URL is the PostgreSQL database of the states, and of the rows if the target loads
  into PostgreSQL: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`. Parameters such as `sslmode` may
  follow.

Each run reads the file of accounts again, so a change of it needs no restart. The sensor `accounts`
adds and deletes partitions when the file changes. The schedule `hourly` syncs all of them; turn it
on in the UI. A backfill syncs those that you choose.

dagster.yaml in the same folder limits how many accounts are synced at the same time, and makes
Dagster retry runs whose process was killed. docs/fleet.md describes how to set this up.
"""

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import dagster as dg
from account_sync import (
    Account,
    Pipeline,
    SyncFailed,
    create_table,
    die_with_parent,
    load_pipeline,
    sync_account,
)
from psycopg.conninfo import conninfo_to_dict

PARTITION_TAG = "dagster/partition"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

partitions = dg.DynamicPartitionsDefinition(name="klaviyo_accounts")


@dg.asset(partitions_def=partitions, retry_policy=dg.RetryPolicy(max_retries=2, delay=60))
def klaviyo_account(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """All rows of one Klaviyo account."""
    # Otherwise the run would continue after its code server was killed.
    if parent := multiprocessing.parent_process():
        die_with_parent(parent.pid)
    name = context.partition_key
    try:
        known = accounts()[name]
        own = known.get("settings", {})
        account = Account(name, known.get("account_id", ""), known.get("api_key", ""), own)
        summary = sync_account(pipeline(), account)
    except SyncFailed as error:
        raise dg.Failure(str(error), allow_retries=not error.is_permanent) from None
    return dg.MaterializeResult(
        metadata={name: summary[name] for name in ("status", "records", "requests", "seconds")}
    )


@dg.sensor(
    name="accounts",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def account_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Adds a partition for each new account, and deletes those of accounts that were removed."""
    wanted = {*accounts()}
    present = {*partitions.get_partition_keys(dynamic_partitions_store=context.instance)}
    if wanted - present:
        create_table(pipeline())
    return dg.SensorResult(
        dynamic_partitions_requests=[
            partitions.build_add_request(sorted(wanted - present)),
            partitions.build_delete_request(sorted(present - wanted)),
        ]
    )


@dg.schedule(cron_schedule="0 * * * *", target=klaviyo_account)
def hourly(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
    """Syncs all accounts, except those whose earlier run has not ended."""
    runs = context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    busy = {run.tags.get(PARTITION_TAG) for run in runs}
    names = partitions.get_partition_keys(dynamic_partitions_store=context.instance)
    # Dagster starts one run for each key, ever.
    hour = f"{context.scheduled_execution_time:%Y-%m-%dT%H}"
    return [
        dg.RunRequest(run_key=f"{hour} {name}", partition_key=name)
        for name in names
        if name not in busy
    ]


def accounts() -> dict[str, dict[str, Any]]:
    """The fields of each account, by its name."""
    known: dict[str, dict[str, Any]] = json.loads(Path(os.environ["KLAVIYO_ACCOUNTS"]).read_text())
    return known


def pipeline() -> Pipeline:
    """The pipeline of all accounts."""
    database = conninfo_to_dict(os.environ["KLAVIYO_DATABASE_URL"])
    database["port"] = int(database.get("port") or 5432)
    return load_pipeline(Path(os.environ["KLAVIYO_PIPELINE"]), database)


definitions = dg.Definitions(
    assets=[klaviyo_account],
    sensors=[account_sensor],
    schedules=[hourly],
    # The default executor starts a second process for the only step of a run: 2 CPU seconds.
    executor=dg.in_process_executor,
)
