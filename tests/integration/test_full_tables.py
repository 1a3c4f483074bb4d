"""`activate_version`: rows that no longer exist in Klaviyo are deleted or marked."""

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
from sandbox_account import SandboxAccount, serve_account
from targets import DATABASES, Row

Environment = Callable[[str], Path]

STREAMS = ("lists", "list_members", "webhooks", "open", "profiles")
_KEYS = ("id", "list_id", "profile_id")
_DELETED = "_sdc_deleted_at"


@dataclass(frozen=True)
class TableKeys:
    """The keys of the current rows of a table, and of the rows marked as deleted."""

    current: set[str]
    deleted: set[str]


@dataclass(frozen=True)
class Warehouse:
    """An account, a database, and a pipeline between them.

    The target either `deletes` rows or marks them.
    """

    klaviyo: SandboxAccount
    folder: Path
    target: Path
    rows: Callable[[str], list[Row]]
    deletes: bool

    def sync(self) -> None:
        """Runs `tap | target`; the target completes even if the tap fails."""
        tap = (TAP, "--config=config.json", "--catalog=catalog.json", "--state=state.json")
        pipeline = " | ".join(
            shlex.join(map(str, command))
            for command in (tap, (self.target, "--config=target.json"))
        )
        state = run("bash", "-c", pipeline, cwd=self.folder).stdout.splitlines()[-1]
        (self.folder / "state.json").write_text(state)

    def table(self, stream: str, key: str = "id") -> TableKeys:
        """The keys of a table."""
        rows = self.rows(stream)
        deleted = {row[key] for row in rows if row.get(_DELETED)}
        assert len(rows) == len({tuple(row.get(name) for name in _KEYS) for row in rows})
        return TableKeys({row[key] for row in rows} - deleted, deleted)


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
    with serve_account(1000) as klaviyo:
        klaviyo.write_files(tmp_path, *STREAMS)
        _read_in_full("profiles", tmp_path / "catalog.json")
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**config, "activate_version": True}))
        yield Warehouse(klaviyo, tmp_path, command, target.rows, deletes)


def _read_in_full(stream: str, catalog: Path) -> None:
    document = json.loads(catalog.read_text())
    (entry,) = (entry for entry in document["streams"] if entry["stream"] == stream)
    (top,) = (item["metadata"] for item in entry["metadata"] if not item["breadcrumb"])
    top["replication-method"] = "FULL_TABLE"
    catalog.write_text(json.dumps(document))


def test_deleted_resources_are_deleted_from_the_table(warehouse: Warehouse) -> None:
    """Deleted lists, members, webhooks and profiles are deleted or marked; other rows stay.

    A profile is also deleted when Klaviyo merges it with another one.
    """
    account = warehouse.klaviyo.account
    lists, webhooks = {*account.ids("list")}, {*account.ids("webhook")}
    profiles = {*account.ids("profile")}
    opens = {*account.event_ids(["Opened Email"], end=time.time())}
    warehouse.sync()
    assert warehouse.table("lists") == TableKeys(lists, set())
    assert warehouse.table("webhooks") == TableKeys(webhooks, set())
    assert warehouse.table("profiles") == TableKeys(profiles, set())

    deleted = next(one for one in account.ids("list") if account.members(one))
    account.remove("list", deleted)
    for webhook in webhooks:
        account.remove("webhook", webhook)
    added = account.add_list("New")
    merged = min(
        profiles - {one for group in account.ids("list") for one in account.members(group)}
    )
    account.remove("profile", merged)
    warehouse.sync()

    def marked(*ids: str) -> set[str]:
        return set() if warehouse.deletes else {*ids}

    assert warehouse.table("lists") == TableKeys({*lists, added} - {deleted}, marked(deleted))
    assert warehouse.table("webhooks") == TableKeys(set(), marked(*webhooks))
    assert warehouse.table("profiles") == TableKeys(profiles - {merged}, marked(merged))
    members = warehouse.table("list_members", key="list_id")
    assert members == TableKeys(
        {one for one in account.ids("list") if account.members(one)}, marked(deleted)
    )
    assert warehouse.table("open") == TableKeys(opens, set())


def test_a_partial_read_deletes_nothing(warehouse: Warehouse) -> None:
    """A partially read stream and its children keep all rows."""
    warehouse.sync()
    before = {stream: len(warehouse.rows(stream)) for stream in STREAMS}
    warehouse.klaviyo.account.remove("list", warehouse.klaviyo.account.ids("list")[0])
    warehouse.klaviyo.box.faults.add("status", path="/api/lists", at=2, times=None, status=403)
    warehouse.sync()
    assert {stream: len(warehouse.rows(stream)) for stream in STREAMS} == before
    assert not any(row[_DELETED] for stream in STREAMS for row in warehouse.rows(stream))
