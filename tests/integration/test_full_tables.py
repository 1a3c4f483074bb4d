"""With `activate_version`, rows of what is no more leave the table or are marked as deleted."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from external_programs import TAP, run
from postgres import Server
from sandbox_account import Shop, open_shop
from targets import DATABASES, Row

Environment = Callable[[str], Path]

STREAMS = ("lists", "list_members", "webhooks", "open")
_KEYS = ("id", "list_id", "profile_id")
_DELETED = "_sdc_deleted_at"


@dataclass(frozen=True)
class StreamSync:
    """The keys in a table: of the rows that count, and of those marked as deleted."""

    living: set[str]
    deleted: set[str]


@dataclass(frozen=True)
class Warehouse:
    """An account, a database, and a way from the one to the other.

    The target `deletes` rows, or just marks them.
    """

    shop: Shop
    folder: Path
    target: Path
    rows: Callable[[str], list[Row]]
    deletes: bool

    def sync(self) -> None:
        """`tap | target`; that the tap fails need not stop the target."""
        tap = (TAP, "--config=config.json", "--catalog=catalog.json", "--state=state.json")
        line = " | ".join(
            shlex.join(map(str, command))
            for command in (tap, (self.target, "--config=target.json"))
        )
        state = run("bash", "-c", line, cwd=self.folder).stdout.splitlines()[-1]
        (self.folder / "state.json").write_text(state)

    def table(self, stream: str, key: str = "id") -> StreamSync:
        """What a table holds."""
        rows = self.rows(stream)
        deleted = {row[key] for row in rows if row.get(_DELETED)}
        assert len(rows) == len({tuple(row.get(name) for name in _KEYS) for row in rows})
        return StreamSync({row[key] for row in rows} - deleted, deleted)


@pytest.fixture(params=["soft", "hard"])
def warehouse(
    request: pytest.FixtureRequest, environment: Environment, postgres: Server, tmp_path: Path
) -> Iterator[Warehouse]:
    """A target that marks rows as deleted, and one that deletes them."""
    make = DATABASES["meltanolabs-postgres"]
    target = make(postgres.database(f"{request.function.__name__}-{request.param}"))
    deletes = request.param == "hard"
    settings = {**target.settings, "hard_delete": deletes}
    (tmp_path / "target.json").write_text(json.dumps(settings))
    (tmp_path / "state.json").write_text("{}")
    command = environment(target.environment) / target.executable
    with open_shop(1000) as shop:
        shop.furnish(tmp_path)
        _select(tmp_path / "catalog.json")
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**config, "activate_version": True}))
        yield Warehouse(shop, tmp_path, command, target.rows, deletes)


def _select(catalog: Path) -> None:
    document = json.loads(catalog.read_text())
    for entry in document["streams"]:
        (top,) = (item["metadata"] for item in entry["metadata"] if not item["breadcrumb"])
        top["selected"] = entry["stream"] in STREAMS
    catalog.write_text(json.dumps(document))


def test_what_is_deleted_leaves_the_table(warehouse: Warehouse) -> None:
    """Lists, members and webhooks that are gone are marked or removed; nothing else is touched."""
    account = warehouse.shop.account
    lists, webhooks = {*account.ids("list")}, {*account.ids("webhook")}
    opens = {*account.event_ids(["Opened Email"], end=time.time())}
    warehouse.sync()
    assert warehouse.table("lists") == StreamSync(lists, set())
    assert warehouse.table("webhooks") == StreamSync(webhooks, set())

    gone = next(one for one in account.ids("list") if account.members(one))
    account.remove("list", gone)
    for webhook in webhooks:
        account.remove("webhook", webhook)
    came = account.add_list("New")
    warehouse.sync()

    def left(*ids: str) -> set[str]:
        return set() if warehouse.deletes else {*ids}

    assert warehouse.table("lists") == StreamSync({*lists, came} - {gone}, left(gone))
    assert warehouse.table("webhooks") == StreamSync(set(), left(*webhooks))
    members = warehouse.table("list_members", key="list_id")
    assert members == StreamSync(
        {one for one in account.ids("list") if account.members(one)}, left(gone)
    )
    assert warehouse.table("open") == StreamSync(opens, set())


def test_a_partial_reading_deletes_nothing(warehouse: Warehouse) -> None:
    """Where a stream was refused half-way all its rows stay, and those of its children."""
    warehouse.sync()
    before = {stream: len(warehouse.rows(stream)) for stream in STREAMS}
    warehouse.shop.account.remove("list", warehouse.shop.account.ids("list")[0])
    warehouse.shop.box.faults.add("status", path="/api/lists", at=2, times=None, status=403)
    warehouse.sync()
    assert {stream: len(warehouse.rows(stream)) for stream in STREAMS} == before
    assert not any(row[_DELETED] for stream in STREAMS for row in warehouse.rows(stream))
