"""The targets of cloud warehouses make a column of each field, with a type that can hold it.

The schemas go through the mapping of each target, without a server. docs/targets.md says what this
shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from external_programs import CHECKOUT, REQUIREMENTS, run

from tap_klaviyo.discovery.catalog import build_catalog

SCHEMAS = {entry["stream"]: entry["schema"] for entry in build_catalog()["streams"]}
SCRIPT = Path(__file__).with_name("column_types.py")
ENVIRONMENTS = {
    "meltanolabs_snowflake": "columns-snowflake-meltanolabs",
    "pipelinewise_snowflake": "columns-snowflake-pipelinewise",
    "pipelinewise_snowflake_flattened": "columns-snowflake-pipelinewise",
    "z3_bigquery": "columns-bigquery",
}
BIGQUERY_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")

Columns = dict[str, dict[str, str]]
ColumnsOf = Callable[[str], Columns]


@pytest.fixture(scope="module")
def columns_of(
    environment: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> ColumnsOf:
    """Returns the columns of all streams that a mapping makes."""
    folder, made = tmp_path_factory.mktemp("columns"), dict[str, Columns]()
    (folder / "schemas.json").write_text(json.dumps(SCHEMAS))

    def columns(mapping: str) -> Columns:
        if mapping not in made:
            python = environment(ENVIRONMENTS[mapping]) / "python"
            done = run(python, SCRIPT, mapping, cwd=folder, stdin=folder / "schemas.json")
            made[mapping] = json.loads(done.stdout)
        return made[mapping]

    return columns


def _leaves(schema: dict[str, Any], prefix: str = "") -> set[str]:
    """The columns of a schema if every object with properties is flattened."""
    found = set[str]()
    for name, child in schema["properties"].items():
        path = f"{prefix}{name}"
        found |= _leaves(child, f"{path}__") if "properties" in child else {path}
    return found


def _nested(schema: dict[str, Any], prefix: str = "") -> set[str]:
    """All fields of a schema, those of objects and of objects in arrays too."""
    found = set[str]()
    for name, child in schema["properties"].items():
        path = f"{prefix}{name}"
        inner = child.get("items", child)
        found |= {path} | (_nested(inner, f"{path}.") if "properties" in inner else set())
    return found


FIELDS: dict[str, Callable[[dict[str, Any]], set[str]]] = {
    "meltanolabs_snowflake": lambda schema: {*schema["properties"]},
    "pipelinewise_snowflake": lambda schema: {*schema["properties"]},
    "pipelinewise_snowflake_flattened": _leaves,
    "z3_bigquery": _nested,
}


@pytest.mark.parametrize("mapping", ENVIRONMENTS)
def test_every_field_is_a_column(columns_of: ColumnsOf, mapping: str) -> None:
    """No field of any stream is dropped or refused, and no two have the same column."""
    made = columns_of(mapping)
    assert made.keys() == SCHEMAS.keys()
    for stream, schema in SCHEMAS.items():
        expected = {name.casefold() for name in FIELDS[mapping](schema)}
        assert {name.casefold() for name in made[stream]} == expected, stream
        assert len(expected) == len(made[stream]), stream


TYPES = {
    "meltanolabs_snowflake": {
        "open.id": "VARCHAR",
        "open.timestamp": "DECIMAL",
        "open.datetime": "TIMESTAMP_NTZ",
        "open.event_properties": "VARIANT",
        "open.profile": "VARIANT",
        "campaigns.CAMPAIGN-MESSAGES": "VARIANT",
        "campaigns.archived": "BOOLEAN",
        "global_exclusions.timestamp": "TIMESTAMP_NTZ",
        "flow_series_report.opens": "FLOAT",
        "flow_series_report.local_date": "DATE",
    },
    "pipelinewise_snowflake": {
        "open.id": "text",
        "open.timestamp": "number",
        "open.datetime": "timestamp_ntz",
        "open.event_properties": "variant",
        "open.profile": "variant",
        "campaigns.campaign-messages": "variant",
        "flow_series_report.opens": "float",
        "flow_series_report.local_date": "date",
    },
    "pipelinewise_snowflake_flattened": {
        "profiles.properties": "variant",
        "profiles.location__latitude": "float",
        "profiles.subscriptions__email__marketing__suppression": "variant",
        "campaigns.send_strategy__datetime": "timestamp_ntz",
    },
    "z3_bigquery": {
        "open.id": "STRING",
        "open.timestamp": "INTEGER",
        "open.datetime": "TIMESTAMP",
        "open.event_properties": "JSON",
        "open.profile": "RECORD[]",
        "open.profile.properties": "JSON",
        "open.profile.location.latitude": "FLOAT",
        "campaigns.audiences.included": "STRING[]",
        "campaigns.campaign-messages.content.action_buttons": "JSON[]",
        "campaigns.archived": "BOOLEAN",
        "flow_series_report.local_date": "DATE",
    },
}


@pytest.mark.parametrize("mapping", TYPES)
def test_types(columns_of: ColumnsOf, mapping: str) -> None:
    """Objects without known attributes, arrays, dates and numbers have a type that holds them."""
    made = columns_of(mapping)
    found = {path: made[path.split(".", 1)[0]][path.split(".", 1)[1]] for path in TYPES[mapping]}
    assert found == TYPES[mapping]


@pytest.mark.parametrize("name", sorted({*ENVIRONMENTS.values()}))
def test_versions_are_documented(name: str) -> None:
    """docs/targets.md names the version of each target, and what to install with it."""
    page = (CHECKOUT / "docs" / "targets.md").read_text()
    target, *others = REQUIREMENTS[name].split()
    assert target.replace("==", " ") in page
    assert all(f'`"{other}"`' in page for other in others)


def test_names_that_bigquery_refuses(columns_of: ColumnsOf) -> None:
    """One field of all streams has a name that a column of BigQuery cannot have."""
    refused = {
        f"{stream}.{name}"
        for stream, columns in columns_of("z3_bigquery").items()
        for name in columns
        if not BIGQUERY_NAME.fullmatch(name.split(".")[-1])
    }
    assert refused == {"campaigns.campaign-messages"}


def _records(schema: dict[str, Any]) -> list[str]:
    """The names of all fields that hold objects with known attributes, or arrays of them."""
    found = list[str]()
    for name, child in schema["properties"].items():
        inner = child.get("items", child)
        if "properties" in inner:
            found += [name, *_records(inner)]
    return found


def test_names_of_nested_objects_that_recur() -> None:
    """Four streams have nested objects of one name, which pipelinewise-target-bigquery refuses.

    Without the fields that docs/targets.md names, three of them have none.
    """
    instead = {
        "profiles": "subscriptions",
        "global_exclusions": "subscriptions",
        "campaigns": "campaign-messages",
        "tracking_settings": None,
    }
    names = {stream: _records(schema) for stream, schema in SCHEMAS.items()}
    assert {stream for stream, one in names.items() if len(one) > len({*one})} == {*instead}
    for stream, field in instead.items():
        properties = {**SCHEMAS[stream]["properties"]}
        if properties.pop(field, None):
            found = _records({"properties": properties})
            assert len(found) == len({*found}), stream


def test_keys_that_are_dates() -> None:
    """The keys of reports and of `list_exclusions` contain a date, which ClickHouse refuses."""
    keys = {entry["stream"]: entry["key_properties"] for entry in build_catalog()["streams"]}
    dated = {
        stream
        for stream, names in keys.items()
        if any(SCHEMAS[stream]["properties"][name].get("format") for name in names)
    }
    assert len(dated) == 9
    assert dated == {"list_exclusions", "metric_aggregates"} | {
        stream for stream in SCHEMAS if stream.endswith("_report")
    }
