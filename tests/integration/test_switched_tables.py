"""A switch of Klaviyo's revision keeps the tables of a warehouse, their rows and their columns."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from external_programs import TAP, run
from postgres import Server
from sandbox_account import SandboxAccount
from targets import DATABASES, Row, Target

Environment = Callable[[str], Path]

KEPT: Mapping[str, tuple[str, ...]] = {
    "campaigns": ("id", "name", "archived", "audiences", "created_at", "updated_at"),
    "campaign_messages": ("id", "campaign_id", "created_at"),
    "lists": ("id", "name", "created", "updated"),
    "open": ("id", "timestamp", "datetime", "profile_id", "event_properties"),
    "profiles": ("id", "email", "created", "updated", "properties"),
}
"""The columns of each table whose values do not depend on the revision."""

MOST_CAMPAIGNS = 50
"""The messages of each take a request of 150 a minute under the older revision."""


class Warehouse:
    """A database that runs under one revision after the other load."""

    def __init__(self, folder: Path, target: Target, command: Path) -> None:
        self._folder, self._target, self._command = folder, target, command
        (folder / "target.json").write_text(json.dumps(target.settings))
        (folder / "state.json").write_text("{}")

    def sync(self, revision: str) -> dict[str, int]:
        """Runs `tap | target` under a revision; returns the number of records of each stream."""
        tap = (
            *(TAP, "--config=config.json", "--catalog=catalog.json", "--state=state.json"),
            "--summary-file=summary.json",
        )
        target = (self._command, "--config=target.json")
        pipeline = " | ".join(shlex.join(map(str, command)) for command in (tap, target))
        states = run(
            *("bash", "-o", "pipefail", "-c", pipeline),
            cwd=self._folder,
            environment={**self._target.variables, "TAP_KLAVIYO_REVISION": revision},
        )
        (self._folder / "state.json").write_text(states.stdout.splitlines()[-1])
        summary = json.loads((self._folder / "summary.json").read_text())
        return {one["stream"]: one["records"] for one in summary["streams"]}

    def rows(self) -> dict[str, dict[str, Row]]:
        """The kept columns of each table, by the ID of the row."""
        return {
            stream: {
                row["id"]: {name: row[name] for name in columns}
                for row in self._target.rows(stream)
            }
            for stream, columns in KEPT.items()
        }

    def columns(self) -> dict[str, set[str]]:
        """The columns of each table."""
        return {stream: {*self._target.rows(stream)[0]} for stream in KEPT}


@pytest.mark.parametrize("make", DATABASES.values(), ids=DATABASES)
def test_a_switch_keeps_tables(
    make: Callable[..., Target],
    klaviyo: SandboxAccount,
    environment: Environment,
    postgres: Server,
    tmp_path: Path,
) -> None:
    """The catalog and the state of one revision go on under the other one, and back.

    Events are not read again. Full tables have the same rows, besides campaigns that only the newer
    revision shows.
    """
    for campaign in klaviyo.account.ids("campaign")[MOST_CAMPAIGNS:]:
        klaviyo.account.remove("campaign", campaign)
    target = make(postgres.database(f"switch-{make.__name__}"))
    warehouse = Warehouse(tmp_path, target, environment(target.environment) / target.executable)
    klaviyo.write_files(tmp_path, *KEPT)
    records = warehouse.sync("2026-07-15")
    rows, columns = warehouse.rows(), warehouse.columns()
    assert records["open"] == len(rows["open"]) > 0
    for revision in ("2026-10-15", "2026-07-15"):
        assert warehouse.sync(revision)["open"] == 0
        after = warehouse.rows()
        for stream, before in rows.items():
            assert {key: after[stream].get(key) for key in before} == before, (revision, stream)
        assert warehouse.columns() == columns
    later = {stream for stream in rows if after[stream].keys() != rows[stream].keys()}
    assert later == {"campaigns", "campaign_messages"}
