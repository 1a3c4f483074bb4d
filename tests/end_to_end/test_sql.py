"""The queries of docs/sql return what the account has, on the tables of the demo."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sql_answers import NOW, QUERIES, TRUTHS, assert_answer, events, query_text, shop
from sync_runner import Tap

from demo.__main__ import OWN_STREAMS, select
from demo.tables import make_views, table_names
from sandbox.account import Account
from sandbox.server import Sandbox
from tap_klaviyo.config.loading import parse_metric_streams
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.state.counts import iso_day
from tap_klaviyo.streams import STREAMS
from tap_klaviyo.verify.target_counts import read_target_counts


@pytest.fixture(scope="module")
def account() -> Account:
    """An account with data that a careless query would count incorrectly."""
    return shop()


@pytest.fixture(scope="module")
def database(
    account: Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The demo's tables of the account, and the tables of a target that only appends."""
    own = parse_metric_streams({"metric_streams": OWN_STREAMS})
    catalog = build_catalog([*STREAMS, *own])
    select(catalog)
    with Sandbox(account) as box:
        settings = {"api_key": box.key, "base_url": box.url, "start_date": "2000-01-01"}
        output = Tap(box, settings).sync(now=NOW, catalog=catalog, metric_streams=OWN_STREAMS)
    assert output.fault is None
    data = tmp_path_factory.mktemp("data")
    for message in output.of("RECORD"):
        with (data / f"{message['stream']}.jsonl").open("a") as file:
            file.write(2 * f"{json.dumps(message['record'])}\n")
    with duckdb.connect() as connection:
        # A time zone far from UTC, so that no day is correct by chance.
        connection.execute("set timezone = 'Pacific/Kiritimati'")
        make_views(connection, data, catalog)
        connection.execute("create schema appended")
        for name in table_names(data, catalog):
            twice = f'select * from main."{name}"'
            connection.execute(f'create view appended."{name}" as {twice} union all {twice}')
        yield connection


def run_query(database: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    """The rows of a query."""
    found = database.execute(query_text(QUERIES / f"{name}.sql"))
    columns = [column[0] for column in found.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def test_every_query_is_tested() -> None:
    """Every query has expected rows and is listed in the README of docs/sql."""
    listed = re.findall(r"\]\(([\w/]+\.sql)\)", (QUERIES / "README.md").read_text("utf-8"))
    for folder in ("", "postgresql/"):
        names = [file.stem for file in (QUERIES / folder).glob("*.sql")]
        assert sorted(names) == sorted(TRUTHS)
        assert {f"{folder}{name}.sql" for name in names} <= {*listed}


@pytest.mark.parametrize("schema", ["main", "appended"])
@pytest.mark.parametrize("name", TRUTHS)
def test_query(
    database: duckdb.DuckDBPyConnection, account: Account, name: str, schema: str
) -> None:
    """A query returns the expected rows, also if each row was loaded twice."""
    database.execute(f"set schema = '{schema}'")
    assert_answer(name, run_query(database, name), account)


def test_event_counts_for_a_verification(
    database: duckdb.DuckDBPyConnection, account: Account, tmp_path: Path
) -> None:
    """The file of event_counts can be passed to --target-counts."""
    database.execute("set schema = 'main'")
    query = query_text(QUERIES / "event_counts.sql").rstrip().rstrip(";")
    database.execute(f"copy ({query}) to '{tmp_path}/counts.csv' (header)")
    truth, _ = TRUTHS["event_counts"]
    expected = {
        (stream, day.isoformat()): count for (stream, day), (count,) in truth(account).items()
    }
    assert {
        (stream, iso_day(day)): count
        for stream, days in read_target_counts(tmp_path / "counts.csv").items()
        for day, count in days.items()
    } == expected


def test_some_emails_belong_to_flows(account: Account) -> None:
    """Some emails of the account belong to flows, so that a wrong query would fail."""
    properties_of_events = [event.payload.properties for event in events(account, "receive")]
    assert (
        0
        < sum("$flow" in properties for properties in properties_of_events)
        < len(properties_of_events) / 2
    )


def test_an_order_counts_once_for_each_flow() -> None:
    """An order counts once for each flow, also if two messages of the flow are credited."""
    credits = [{"flow_id": "A"}, {"flow_id": "A"}, {"flow_id": "B"}, {"campaign_id": "C"}]
    with duckdb.connect() as connection:
        connection.execute("create table flows (id text, name text)")
        connection.execute("insert into flows values ('A', 'Welcome')")
        connection.execute(
            "create table placed_order (id text, event_properties json, attributions json)"
        )
        for id, value in (("1", '"12.50"'), ("2", "12.5"), ("3", "null"), ("4", '"a lot"')):
            properties = f'{{"$value": {value}}}'
            connection.execute(
                "insert into placed_order values (?, ?, ?)", [id, properties, json.dumps(credits)]
            )
        connection.execute("insert into placed_order values ('5', null, null), ('6', null, '[]')")
        rows = run_query(connection, "revenue_by_flow")
    assert [(row["flow"], row["orders"], row["value"]) for row in rows] == [
        ("Welcome", 4, 25),
        ("(deleted)", 4, 25),
    ]
