"""The queries of docs/sql/postgresql return what the account has, on the tables of both targets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from external_programs import CHECKOUT, TAP, pipe, run
from postgres import Database, Server
from sql_answers import NOW, QUERIES, TRUTHS, assert_answer, query_text, shop
from targets import DATABASES

from demo.__main__ import OWN_STREAMS, select
from sandbox.account import Account
from sandbox.server import Sandbox
from tap_klaviyo.discovery.catalog import build_catalog


@dataclass(frozen=True)
class Warehouse:
    """An account, and a database that holds its tables."""

    account: Account
    database: Database


@pytest.fixture(scope="module", params=DATABASES)
def warehouse(
    request: pytest.FixtureRequest,
    environment: Callable[[str], Path],
    postgres: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Warehouse:
    """A target's tables of an account with data that a careless query would count incorrectly."""
    folder, account = tmp_path_factory.mktemp(request.param), shop()
    database = postgres.database(f"sql-{request.param}")
    target = DATABASES[request.param](database)
    (folder / "target.json").write_text(json.dumps(target.settings))
    end = datetime.fromtimestamp(NOW, timezone.utc).isoformat()
    with Sandbox(account) as box:
        config = {
            **{"api_key": box.key, "base_url": box.url, "metric_streams": OWN_STREAMS},
            **{"start_date": "2000-01-01", "end_date": end},
        }
        (folder / "config.json").write_text(json.dumps(config))
        tap = (TAP, "--config=config.json")
        catalog = json.loads(run(*tap, "--discover", cwd=folder).stdout)
        select(catalog)
        (folder / "catalog.json").write_text(json.dumps(catalog))
        command = environment(target.environment) / target.executable
        pipe(
            *((*tap, "--catalog=catalog.json"), (command, "--config=target.json")),
            cwd=folder,
            environment=target.variables,
        )
    return Warehouse(account, database)


def test_columns_that_need_quotes(postgres: Server) -> None:
    """docs/targets.md names all columns that need quotes in PostgreSQL."""
    reserved = postgres.database("keywords").execute(
        "select word from pg_get_keywords() where catcode in ('R', 'T')"
    )
    columns = {
        column for entry in build_catalog()["streams"] for column in entry["schema"]["properties"]
    }
    quoted = {one for one in columns if one in reserved.split() or not one.isidentifier()}
    page = (CHECKOUT / "docs" / "targets.md").read_text()
    (named,) = re.findall(r"^- (.*) always need quotes", page, re.M)
    assert quoted == {*re.findall(r'`"(.+?)"`', named)}


_DECODED: dict[str, Callable[[Any], Any]] = {
    "sent_on": date.fromisoformat,
    "week": date.fromisoformat,
    "day": date.fromisoformat,
    "value": lambda number: Decimal(str(number)),
    "average_order": float,
}


@pytest.mark.parametrize("time_zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati"])
@pytest.mark.parametrize("name", TRUTHS)
def test_query(warehouse: Warehouse, name: str, time_zone: str) -> None:
    """A query returns the expected rows on the tables of each target, in any session."""
    query = query_text(QUERIES / "postgresql" / f"{name}.sql", "timestamp").rstrip().rstrip(";")
    output = warehouse.database.execute(
        f"set search_path to shop; select row_to_json(found) from ({query}) found", time_zone
    )
    rows = [
        {
            column: _DECODED.get(column, lambda value: value)(value)
            for column, value in json.loads(line).items()
        }
        for line in output.splitlines()
        if line.startswith("{")
    ]
    assert_answer(name, rows, warehouse.account)
