"""The metadata for `--about` and docs/streams.md agrees with registry, schemas and limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tap_klaviyo.about.metadata import STREAM_OF_TYPE, FieldMetadata, StreamMetadata, tap_metadata
from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.streams import AREAS, BY_NAME, REGISTRIES, STREAMS, Registry
from tap_klaviyo.streams.model import TIERS

METADATA = {stream["name"]: stream for stream in tap_metadata()["streams"]}

each_stream = pytest.mark.parametrize("name", METADATA)


def joins(name: str) -> dict[str, str]:
    """The properties of a stream that hold ids of other streams, with the stream of each."""
    return {join["property"]: join["stream"] for join in METADATA[name]["joins"]}


def paths(fields: list[FieldMetadata], prefix: str = "") -> Iterator[str]:
    """The paths of all fields, at any depth."""
    for field in fields:
        path = f"{prefix}{field['name']}"
        yield path
        yield from paths(field["fields"], f"{path}[]." if "array" in field["types"] else f"{path}.")


def schema_paths(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The paths of all properties of a schema, at any depth."""
    for name, child in schema.get("properties", {}).items():
        yield prefix + name
        yield from schema_paths(child, f"{prefix}{name}.")
        yield from schema_paths(child.get("items", {}), f"{prefix}{name}[].")


def test_areas() -> None:
    """Each stream is in one area, and streams are sorted by area."""
    pairs = [(area, stream.name) for area, rows in AREAS.items() for stream in rows]
    assert [(stream["area"], stream["name"]) for stream in METADATA.values()] == pairs
    assert len({name for _, name in pairs}) == len(pairs) == len(STREAMS)


@each_stream
def test_fields(name: str) -> None:
    """Every property of the schema is listed, with its type and description."""
    schema = schema_of(BY_NAME[name])
    fields = METADATA[name]["fields"]
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
    """Keys and replication keys are fields, and the method is a possible one."""
    stream = METADATA[name]
    fields = {field["name"] for field in stream["fields"]}
    assert {*stream["key_properties"]} <= fields
    assert stream["replication_method"] in stream["replication_methods"]
    assert ("INCREMENTAL" in stream["replication_methods"]) == bool(stream["replication_key"])
    assert stream["replication_key"] is None or stream["replication_key"] in fields


@each_stream
def test_limits(name: str) -> None:
    """Rate limits are listed by tier and number, lower ones with the field that causes them."""
    stream = METADATA[name]
    for limit in (stream["rate_limit"], *stream["slower_with"].values()):
        assert (limit["per_second"], limit["per_minute"], limit["per_day"]) == TIERS[limit["tier"]]
    assert stream["rate_limit"]["tier"] == BY_NAME[name].tier
    assert stream["slower_with"].keys() <= {field["name"] for field in stream["fields"]}


@each_stream
def test_scopes(name: str) -> None:
    """Scopes are those of the stream and of the resources it embeds."""
    stream, row = METADATA[name], BY_NAME[name]
    included = {one.scope for one in row.relationships if one.scope}
    assert {*stream["scopes"]} == {*row.scopes, *included}
    assert {*stream["field_scopes"].values()} == included - {*row.scopes}
    assert stream["field_scopes"].keys() <= {field["name"] for field in stream["fields"]}


@each_stream
def test_joins_refer_to_streams_with_ids(name: str) -> None:
    """A join refers from an existing property to another stream with the key `id`."""
    assert joins(name).keys() <= {*paths([*METADATA[name]["fields"]])}
    for target in joins(name).values():
        assert target != name
        assert METADATA[target]["key_properties"] == ["id"]


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)
def test_one_stream_for_each_type(registry: Registry) -> None:
    """At most one stream of a revision has all resources of a type."""
    complete = [s.type for s in registry.streams if s.keys == ("id",) and not s.metrics]
    assert len(complete) == len({*complete}) == len(STREAM_OF_TYPE[registry.revision])


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
    """Joins are derived from parents, relationships, embedded resources and a stream's own id."""
    assert joins(name) == expected


def test_joins_of_attributions() -> None:
    """The attributions of events have joins."""
    assert joins("events")["attributions[].campaign_id"] == "campaigns"


def some_metadata(name: str, *keys: str) -> dict[str, Any]:
    """Part of the metadata of a stream."""
    stream: StreamMetadata = METADATA[name]
    return {key: value for key, value in stream.items() if key in keys}


def test_parents_endpoints_and_filters() -> None:
    """Parent, endpoint, filters and rows are listed; the endpoint names the parent's property."""
    assert some_metadata("list_members", "parent", "endpoint", "replication_methods") == {
        "parent": {"stream": "lists", "property": "list_id", "updated": None},
        "endpoint": "/api/lists/{list_id}/profiles",
        "replication_methods": ["FULL_TABLE", "INCREMENTAL"],
    }
    assert some_metadata("flows", "filters", "rows", "parent") == {
        "filters": ["equals(archived,false)", "equals(archived,true)"],
        "rows": None,
        "parent": None,
    }
    assert "{list_id}" in METADATA["list_exclusions"]["filters"][0]
    assert METADATA["list_exclusions"]["rows"] == "subscriptions.email.marketing.list_suppressions"


def test_scopes_of_fields() -> None:
    """A scope that only one field needs is listed with the field."""
    assert METADATA["open"]["field_scopes"] == {
        "profile": "profiles:read",
        "metric": "metrics:read",
    }
    assert METADATA["campaign_messages"]["field_scopes"] == {
        "template_id": "templates:read",
        "image_id": "images:read",
    }
