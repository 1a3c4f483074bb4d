"""Four targets of different authors: their settings, and functions that read their tables."""

from __future__ import annotations

import csv
import datetime
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postgres import USER, Database

from tap_klaviyo.discovery.catalog import build_catalog

Row = dict[str, Any]

_NAMES = {"__builtins__": {}, "datetime": datetime, "Decimal": float}
"""The names that nested values in a CSV file use besides literals."""

_CONTROL = re.compile(r"[\x00-\x1f]")


@dataclass(frozen=True)
class Target:
    """A target: its `settings`, and `rows`, which reads the table of a stream.

    A target that `upserts` keeps one row for each key; others append. It runs with the environment
    `variables`. `text` returns what it stores in a column for a text.
    """

    environment: str
    executable: str
    settings: Row
    rows: Callable[[str], list[Row]]
    upserts: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    text: Callable[[str], str | None] = str


def jsonl(folder: Path) -> Target:
    """One JSON Lines file for each stream."""

    def rows(stream: str) -> list[Row]:
        lines = (folder / f"{stream}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    settings = {"destination_path": str(folder), "do_timestamp_file": False}
    return Target("target-jsonl", "target-jsonl", settings, rows)


def comma_separated(folder: Path) -> Target:
    """One CSV file for each stream and sync; nested values are Python literals."""

    def rows(stream: str) -> list[Row]:
        types = {name: _types(child) for name, child in _properties(stream).items()}
        return [
            {name: _value(text, types[name]) for name, text in row.items()}
            for path in sorted(folder.glob(f"{stream}-*.csv"))
            for row in csv.DictReader(path.read_text().splitlines(keepends=True))
        ]

    # Without the timestamp it overwrites the file of the last sync, despite `overwrite_behavior`.
    settings = {
        "output_path": str(folder),
        "file_naming_scheme": "{stream_name}-{timestamp}.csv",
        "timestamp_format": "%Y%m%dT%H%M%S.%f",
    }
    return Target("target-csv", "target-csv", settings, rows)


def meltanolabs_postgres(database: Database) -> Target:
    """PostgreSQL with the Singer SDK: typed columns, arrays of objects as jsonb[]."""
    settings = {**_address(database), "database": database.name, "default_target_schema": "shop"}
    return Target(
        "target-postgres-meltanolabs",
        "target-postgres",
        settings,
        lambda stream: database.rows("shop", stream),
        upserts=True,
        variables={"PGTZ": "UTC"},
    )


def pipelinewise_postgres(database: Database) -> Target:
    """PostgreSQL with COPY: dates without a time zone, nested values as jsonb."""
    settings = {**_address(database), "dbname": database.name, "default_target_schema": "shop"}
    return Target(
        "target-postgres-pipelinewise",
        "target-postgres",
        settings,
        lambda stream: database.rows("shop", stream),
        upserts=True,
        text=_pipelinewise_text,
    )


def _pipelinewise_text(text: str) -> str | None:
    """NULL for empty text; line breaks, tabs and other control characters as JSON escapes."""
    return _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text) or None


FILES = {"jsonl": jsonl, "csv": comma_separated}
DATABASES = {
    "meltanolabs-postgres": meltanolabs_postgres,
    "pipelinewise-postgres": pipelinewise_postgres,
}

FLATTENING: dict[str, Row] = {
    "meltanolabs-postgres": {"flattening_enabled": True, "flattening_max_depth": 2},
    "pipelinewise-postgres": {"data_flattening_max_level": 2},
}
"""Settings with which a target stores objects as columns, two levels deep."""


def _address(database: Database) -> Row:
    return {"host": "127.0.0.1", "port": database.port, "user": USER, "password": "any"}


def _properties(stream: str) -> Row:
    entries = {entry["stream"]: entry for entry in build_catalog()["streams"]}
    properties: Row = entries[stream]["schema"]["properties"]
    return properties


def _types(schema: Row) -> set[str]:
    types = schema["type"]
    return set(types) if isinstance(types, list) else {types}


def _value(text: str, types: set[str]) -> Any:
    """The value of a cell; an empty cell is null."""
    if text == "":
        return None
    return text if "string" in types else eval(text, _NAMES)
