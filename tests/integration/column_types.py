"""The columns that a target makes of schemas by its own mapping; for the target's environment.

Argument: the name of a mapping below. Reads `{stream: schema}` from stdin and prints `{stream:
{column: type}}`. No server is needed.
"""

import json
import sys
from collections.abc import Iterator


def meltanolabs_snowflake(schema: dict) -> Iterator[tuple[str, str]]:
    """Columns of meltanolabs-target-snowflake."""
    import sqlalchemy
    from target_snowflake.connector import SnowflakeConnector

    connector = SnowflakeConnector(config={})
    unconnected = sqlalchemy.create_engine("snowflake://user:password@account/database")
    # Otherwise it connects to quote names. The name is that of the SDK.
    vars(connector)["_cached_engine"] = unconnected
    for name, child in schema["properties"].items():
        column = connector.to_sql_type(child).compile(dialect=unconnected.dialect)
        yield connector.format_identifier(name), str(column)


def pipelinewise_snowflake(schema: dict) -> Iterator[tuple[str, str]]:
    """Columns of pipelinewise-target-snowflake."""
    from target_snowflake.db_sync import column_type

    for name, child in schema["properties"].items():
        yield name, column_type(child)


def pipelinewise_snowflake_flattened(schema: dict) -> Iterator[tuple[str, str]]:
    """The same, flattened as deep as the schema goes."""
    from target_snowflake.db_sync import column_type
    from target_snowflake.flattening import flatten_schema

    for name, child in flatten_schema(schema, max_level=10).items():
        yield name, column_type(child)


def z3_bigquery(schema: dict) -> Iterator[tuple[str, str]]:
    """Columns of z3-target-bigquery with `denormalized`, and those of its records."""
    from target_bigquery.core import SchemaTranslator

    yield from _fields(SchemaTranslator(schema, {}).translated_schema_transformed, "")


def _fields(fields: list, prefix: str) -> Iterator[tuple[str, str]]:
    for field in fields:
        repeated = "[]" if field.mode == "REPEATED" else ""
        yield f"{prefix}{field.name}", f"{field.field_type}{repeated}"
        yield from _fields(field.fields, f"{prefix}{field.name}.")


if __name__ == "__main__":
    columns_of = globals()[sys.argv[1]]
    print(
        json.dumps(
            {stream: dict(columns_of(schema)) for stream, schema in json.load(sys.stdin).items()}
        )
    )
