"""DuckDB views of the files of target-jsonl, one row for each key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

TYPES = {
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "string": "VARCHAR",
    "object": "JSON",
    "array": "JSON",
}


def table_names(data: Path, catalog: dict[str, Any]) -> list[str]:
    """The names of the streams that have records, in catalog order."""
    names = (entry["stream"] for entry in catalog["streams"])
    return [name for name in names if (data / f"{name}.jsonl").exists()]


def make_views(database: duckdb.DuckDBPyConnection, data: Path, catalog: dict[str, Any]) -> None:
    """Creates or replaces the views; the last record of each key is used."""
    entries = {entry["stream"]: entry for entry in catalog["streams"]}
    for name in table_names(data, catalog):
        properties = entries[name]["schema"]["properties"]
        columns = ", ".join(f"'{column}': '{_type(child)}'" for column, child in properties.items())
        keys = ", ".join(f'"{key}"' for key in entries[name]["key_properties"])
        database.execute(
            f"""
            create or replace view "{name}" as
            select * exclude (line) from (
                select *, row_number() over () as line
                from read_json('{data / name}.jsonl', format='newline_delimited',
                               columns={{{columns}}}, maximum_object_size=33554432)
            )
            qualify row_number() over (partition by {keys} order by line desc) = 1
            """
        )


def _type(schema: dict[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "TIMESTAMPTZ"
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return next(TYPES[name] for name in types if name != "null")
