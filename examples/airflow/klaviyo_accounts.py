"""Sync many Klaviyo accounts with Airflow: a task for each account, mapped over a list.

It reads

- the file that the environment variable KLAVIYO_PIPELINE names (see `load_pipeline`);
- the variable `klaviyo_accounts`: a JSON list of accounts, by names of your choice;
- the connection `klaviyo_account_NAME` of each account: its login is Klaviyo's ID of the account,
  its password the API key, and its extra may have settings of its own;
- the connection `klaviyo_warehouse`: the PostgreSQL database of the states, and of the rows if
  the target loads into PostgreSQL. Its extra has further parameters, such as `sslmode`.

The pool `klaviyo` bounds how many accounts are synced at the same time. docs/fleet.md describes how
to set this up.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from account_sync import (
    Account,
    AccountBusy,
    Pipeline,
    SyncFailed,
    create_table,
    die_with_parent,
    load_pipeline,
    sync_account,
)
from airflow.sdk import Connection, Variable, dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

SCHEDULE = os.environ.get("KLAVIYO_SCHEDULE", "@hourly")
# Airflow reads this file in the process of each task.
SUPERVISOR = os.getppid()
RETRY_DELAY = timedelta(seconds=float(os.environ.get("KLAVIYO_RETRY_DELAY", "300")))


@dag(
    schedule=SCHEDULE,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    # The first sync of an account may take hours. The next runs skip it, and sync the others.
    max_active_runs=4,
)
def klaviyo_accounts() -> None:
    """Syncs all accounts, side by side."""
    sync.expand(account=accounts())


@task(retries=3, retry_delay=RETRY_DELAY)
def accounts() -> list[str]:
    """The names of all accounts."""
    create_table(pipeline())
    names: list[str] = Variable.get("klaviyo_accounts", deserialize_json=True)
    return names


@task(
    pool="klaviyo",
    retries=3,
    retry_delay=RETRY_DELAY,
    # What is stopped then is continued by the retry.
    execution_timeout=timedelta(hours=12),
    map_index_template="{{ task.op_kwargs['account'] }}",
)
def sync(account: str) -> dict[str, Any]:
    """Syncs one account, and returns the summary of the tap."""
    # Otherwise the task would continue after its worker was killed.
    die_with_parent(SUPERVISOR)
    klaviyo = Connection.get(f"klaviyo_account_{account}")
    try:
        known = Account(account, klaviyo.login, klaviyo.password, klaviyo.extra_dejson)
        return sync_account(pipeline(), known)
    except AccountBusy as error:
        raise AirflowSkipException(str(error)) from None
    except SyncFailed as error:
        if error.is_permanent:
            raise AirflowFailException(str(error)) from None
        raise


def pipeline() -> Pipeline:
    """The pipeline of all accounts."""
    warehouse = Connection.get("klaviyo_warehouse")
    database = {
        "host": warehouse.host,
        "port": warehouse.port or 5432,
        "user": warehouse.login,
        "password": warehouse.password,
        "dbname": warehouse.schema,
        **warehouse.extra_dejson,
    }
    return load_pipeline(Path(os.environ["KLAVIYO_PIPELINE"]), database)


klaviyo_accounts()
