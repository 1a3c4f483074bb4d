"""The accounts of a fleet: their configuration, and what the tables should hold in the end."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from external_programs import TAP, ready, run
from postgres import USER, Database
from sandbox_account import KEY_OF, SandboxAccount

from sandbox.server import Sandbox

SCHEMA = "shop"
PASSWORD = "any"


def is_pipeline(commands: Collection[str]) -> bool:
    """Whether there are a tap and a target among the commands of processes."""
    return all(
        any(f"{program} --config" in command for command in commands)
        for program in (TAP, "target-postgres")
    )


@dataclass(frozen=True)
class Fleet:
    """Accounts that a sandbox serves, and the database that they are loaded into."""

    box: Sandbox
    database: Database
    folder: Path

    @cached_property
    def accounts(self) -> dict[str, SandboxAccount]:
        """The accounts by name."""
        return {key.removeprefix("pk_"): SandboxAccount(self.box, key) for key in self.box.accounts}

    @cached_property
    def ids(self) -> dict[str, str]:
        """Klaviyo's ID of each account, by name."""
        return {name: one.account.ids("account")[0] for name, one in self.accounts.items()}

    @property
    def connection(self) -> dict[str, Any]:
        """The connection parameters of the database."""
        return {
            "host": "127.0.0.1",
            "port": self.database.port,
            "user": USER,
            "password": PASSWORD,
            "dbname": self.database.name,
        }

    def write_pipeline(self) -> Path:
        """Writes the file of the pipeline, with a catalog of the default streams."""
        target = ready("target-postgres-meltanolabs") / "target-postgres"
        settings = {"base_url": self.box.url, "start_date": "2020-01-01"}
        pipeline = {
            "tap": [str(TAP)],
            "target": [str(target)],
            "catalog": "catalog.json",
            "settings": settings,
            # Small batches, so that a run saves several states.
            "target_settings": {
                **{name: f"${name}" for name in ("host", "port", "user", "password")},
                "database": "$dbname",
                "default_target_schema": SCHEMA,
                "batch_size_rows": 500,
            },
        }
        config = self.folder / "config.json"
        config.write_text(json.dumps({**settings, "api_key": "pk_any", "account_column": True}))
        found = run(TAP, f"--config={config}", "--discover", cwd=self.folder).stdout
        (self.folder / "catalog.json").write_text(found)
        file = self.folder / "pipeline.json"
        file.write_text(json.dumps(pipeline))
        return file

    def add_data(self) -> None:
        """Adds new and late events, lists and suppressions to all accounts."""
        for account in self.accounts.values():
            account.add_data()

    def has_rows(self) -> bool:
        """Whether rows of an event stream were loaded."""
        query = f"select to_regclass('{SCHEMA}.receive') is not null"
        if self.database.execute(query).strip() != "t":
            return False
        return bool(self.database.execute(f'select 1 from "{SCHEMA}".receive limit 1').strip())

    def states(self) -> dict[str, Mapping[str, Any]]:
        """The saved states by account."""
        query = "select json_build_object('account', account, 'state', state) from klaviyo_states"
        rows = map(json.loads, self.database.execute(query).splitlines())
        return {row["account"]: row["state"] for row in rows}

    def check(self, end: float) -> int:
        """Compares the tables with the accounts up to ``end``, and returns the number of rows.

        Raises AssertionError if a row is missing, doubled, or under another account's ID, or if a
        state is not that of its account.
        """
        expected = {
            self.ids[name]: account.keys(end=end) for name, account in self.accounts.items()
        }
        rows = 0
        for stream, key in KEY_OF.items():
            found: dict[str, list[str]] = defaultdict(list)
            query = f'select account_id, "{key}" from "{SCHEMA}"."{stream}"'
            for line in self.database.execute(query).splitlines():
                account_id, _, value = line.partition("|")
                found[account_id].append(value)
            wanted = {id_: keys[stream] for id_, keys in expected.items() if keys[stream]}
            assert {id_: sorted(keys) for id_, keys in found.items()} == wanted, stream
            rows += sum(map(len, wanted.values()))
        states = self.states()
        assert {name: state["account_id"] for name, state in states.items()} == self.ids
        return rows
