"""The facts that `--about` and the documents are made of agree with registry, schemas, limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tap_klaviyo.about.metadata import STREAM_OF_TYPE, FieldMetadata, StreamMetadata, tap_metadata
from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.streams import AREAS, BY_NAME, STREAMS
from tap_klaviyo.streams.model import TIERS

FACTS = {stream["name"]: stream for stream in tap_metadata()["streams"]}

each_stream = pytest.mark.parametrize("name", FACTS)


def joins(name: str) -> dict[str, str]:
    """The properties of a stream that hold ids of others, with the stream of each."""
    return {join["property"]: join["stream"] for join in FACTS[name]["joins"]}


def paths(fields: list[FieldMetadata], above: str = "") -> Iterator[str]:
    """The path of each field, however deep."""
    for field in fields:
        path = f"{above}{field['name']}"
        yield path
        yield from paths(field["fields"], f"{path}[]." if "array" in field["types"] else f"{path}.")


def schema_paths(schema: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The path of each property of a schema, however deep."""
    for name, child in schema.get("properties", {}).items():
        yield above + name
        yield from schema_paths(child, f"{above}{name}.")
        yield from schema_paths(child.get("items", {}), f"{above}{name}[].")


def test_areas() -> None:
    """Each stream is in one area, and streams come by area."""
    pairs = [(area, stream.name) for area, rows in AREAS.items() for stream in rows]
    assert [(stream["area"], stream["name"]) for stream in FACTS.values()] == pairs
    assert len({name for _, name in pairs}) == len(pairs) == len(STREAMS)


@each_stream
def test_fields(name: str) -> None:
    """Every property of the schema is told, with its type and what it means."""
    schema = schema_of(BY_NAME[name])
    fields = FACTS[name]["fields"]
    assert list(paths([*fields])) == list(schema_paths(schema))
    for field in fields:
        assert field["description"] == schema["properties"][field["name"]]["description"]
        assert field["format"] == schema["properties"][field["name"]].get("format")
        assert field["types"]
    assert {field["name"] for field in fields if field["key"]} == {*BY_NAME[name].keys}
    unselected = {field["name"] for field in fields if not field["selected_by_default"]}
    assert unselected == {*BY_NAME[name].fields_not_by_default}


@each_stream
def test_keys_and_replication(name: str) -> None:
    """Keys and replication keys are fields, and the method is one of the possible ones."""
    stream = FACTS[name]
    fields = {field["name"] for field in stream["fields"]}
    assert {*stream["key_properties"]} <= fields
    assert stream["replication_method"] in stream["replication_methods"]
    assert ("INCREMENTAL" in stream["replication_methods"]) == bool(stream["replication_key"])
    assert stream["replication_key"] is None or stream["replication_key"] in fields


@each_stream
def test_limits(name: str) -> None:
    """Rate limits are told by tier and by number, the lower ones with what costs them."""
    stream = FACTS[name]
    for limit in (stream["rate_limit"], *stream["slower_with"].values()):
        assert (limit["per_second"], limit["per_minute"], limit["per_day"]) == TIERS[limit["tier"]]
    assert stream["rate_limit"]["tier"] == BY_NAME[name].tier
    assert stream["slower_with"].keys() <= {field["name"] for field in stream["fields"]}


@each_stream
def test_scopes(name: str) -> None:
    """Scopes are those of the row and of what it embeds."""
    stream, row = FACTS[name], BY_NAME[name]
    included = {include.scope for include in row.relationships if include.scope}
    assert {*stream["scopes"]} == {*row.scopes, *included}
    assert {*stream["field_scopes"].values()} == included - {*row.scopes}
    assert stream["field_scopes"].keys() <= {field["name"] for field in stream["fields"]}


@each_stream
def test_joins_end_somewhere(name: str) -> None:
    """A join leads from a property that exists to another stream that has its rows by id."""
    assert joins(name).keys() <= {*paths([*FACTS[name]["fields"]])}
    for home in joins(name).values():
        assert home != name
        assert FACTS[home]["key_properties"] == ["id"]


def test_one_home_for_each_type() -> None:
    """No two streams have all the resources of one type."""
    complete = [s.type for s in STREAMS if s.keys == (s.id_property,) and not s.metrics]
    assert len(complete) == len({*complete}) == len(STREAM_OF_TYPE)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("open", {"id": "events", "profile_id": "profiles", "metric_id": "metrics"}),
        ("global_exclusions", {"id": "profiles"}),
        ("list_members", {"list_id": "lists", "profile_id": "profiles"}),
        ("lists", {"tags[].id": "tags"}),
        ("reviews", {"item_id": "catalog_items"}),
        ("flow_actions", {"flow_id": "flows"}),
        ("accounts", {}),
    ],
)
def test_joins(name: str, expected: dict[str, str]) -> None:
    """Joins come of parents, related resources, embedded ones and a resource's own id."""
    assert joins(name) == expected


def test_joins_of_attributions() -> None:
    """What events are attributed to is joined from inside the attributions."""
    assert joins("events")["attributions[].campaign_id"] == "campaigns"


def told(name: str, *tap_metadata: str) -> dict[str, Any]:
    """Some facts of a stream."""
    stream: StreamMetadata = FACTS[name]
    return {fact: value for fact, value in stream.items() if fact in tap_metadata}


def test_how_a_stream_is_read() -> None:
    """Parent, endpoint, filters and rows are told, the parent's id by the name of its property."""
    assert told("list_members", "parent", "endpoint", "replication_methods") == {
        "parent": {"stream": "lists", "property": "list_id"},
        "endpoint": "/api/lists/{list_id}/profiles",
        "replication_methods": ["INCREMENTAL", "FULL_TABLE"],
    }
    assert told("flows", "filters", "rows", "parent") == {
        "filters": ["equals(archived,false)", "equals(archived,true)"],
        "rows": None,
        "parent": None,
    }
    assert "{list_id}" in FACTS["list_exclusions"]["filters"][0]
    assert FACTS["list_exclusions"]["rows"] == "subscriptions.email.marketing.list_suppressions"


def test_scopes_of_fields() -> None:
    """A scope that is for a field only stands with the field."""
    assert FACTS["open"]["field_scopes"] == {
        "profile": "profiles:read",
        "metric": "metrics:read",
    }
    assert FACTS["campaign_messages"]["field_scopes"] == {
        "template_id": "templates:read",
        "image_id": "images:read",
    }
