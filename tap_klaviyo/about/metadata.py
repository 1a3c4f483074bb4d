"""The description of the tap as plain data, from the settings, the registry and the schemas."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from tap_klaviyo import __version__
from tap_klaviyo.config.settings import REQUIRED, SETTINGS
from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.streams import DEFAULT, REGISTRIES, Registry, dated_parent
from tap_klaviyo.streams.model import PARENT, TIERS, Relationship, Stream

CAPABILITIES = ("catalog", "discover", "state", "batch", "about", "batch")


class SettingMetadata(TypedDict):
    """A setting; ``default`` is None for a required one too."""

    name: str
    description: str
    expected: str
    required: bool
    default: Any
    secret: bool


class FieldMetadata(TypedDict):
    """A property of a record or of an object in it.

    ``types`` are those of the schema, ``items`` the types of the elements of an array, ``fields``
    the properties of an object or of the objects in an array.
    """

    name: str
    types: list[str]
    format: str | None
    description: str
    items: list[str]
    fields: list[FieldMetadata]


class ColumnMetadata(FieldMetadata):
    """A top-level property of a record."""

    key: bool
    selected_by_default: bool


class LimitMetadata(TypedDict):
    """A rate limit: requests per second, per minute and, for some endpoints, per day."""

    tier: str
    per_second: int
    per_minute: int
    per_day: int | None


class ParentMetadata(TypedDict):
    """The parent stream, and the property that holds the ID of the parent.

    Between full reads, only the children of new parents and of those are read that were updated;
    ``updated`` is the field that says so, of the parent or of its parent. None: there is no such
    field, so all are read.
    """

    stream: str
    property: str
    updated: str | None


class JoinMetadata(TypedDict):
    """A property that holds the ``id`` of a record of ``stream``.

    It may be nested: ``tags[].id`` is the ``id`` of each element of the array ``tags``.
    """

    property: str
    stream: str


class StreamMetadata(TypedDict):
    """A stream.

    ``replication_methods`` are those that a catalog may choose. ``scopes`` are all scopes that the
    API key needs, ``field_scopes`` those of them that only one field needs. ``slower_with`` has the
    fields that cost a lower rate limit. ``posted`` says that it is requested by POST. ``filters``
    are its passes, ``rows`` is the path of the array whose elements are the records. ``aliases``
    are its names in the catalogs of singer-io's tap.
    """

    name: str
    area: str
    description: str
    schema: str
    selected_by_default: bool
    key_properties: list[str]
    replication_method: str
    replication_methods: list[str]
    replication_key: str | None
    endpoint: str
    posted: bool
    page_size: int | None
    filters: list[str]
    rows: str | None
    parent: ParentMetadata | None
    scopes: list[str]
    field_scopes: dict[str, str]
    rate_limit: LimitMetadata
    slower_with: dict[str, LimitMetadata]
    metrics: list[str]
    aliases: list[str]
    joins: list[JoinMetadata]
    fields: list[ColumnMetadata]


class TapMetadata(TypedDict):
    """The whole description."""

    name: str
    version: str
    description: str
    capabilities: list[str]
    settings: list[SettingMetadata]
    streams: list[StreamMetadata]


def tap_metadata(registry: Registry = DEFAULT) -> TapMetadata:
    """The tap's name, settings and the streams of a registry, in its order."""
    return {
        "name": "tap-klaviyo",
        "version": __version__,
        "description": "Singer tap for Klaviyo.",
        "capabilities": list(CAPABILITIES),
        "settings": [_setting(setting) for setting in SETTINGS],
        "streams": [
            _stream(area, stream) for area, rows in registry.areas.items() for stream in rows
        ],
    }


def _setting(setting: dataclasses.Field[Any]) -> SettingMetadata:
    required = setting.metadata["default"] is REQUIRED
    return {
        "name": setting.name,
        "description": setting.metadata["description"],
        "expected": setting.metadata["expected"],
        "required": required,
        "default": None if required else setting.metadata["default"],
        "secret": setting.type in ("Secret", "Secret | None"),
    }


def _stream(area: str, stream: Stream) -> StreamMetadata:
    field_scopes = _field_scopes(stream)
    return {
        "name": stream.name,
        "area": area,
        "description": stream.description,
        "schema": stream.schema,
        "selected_by_default": stream.selected_by_default,
        "key_properties": list(stream.keys),
        "replication_method": stream.replication_method,
        "replication_methods": list(stream.replication_methods),
        "replication_key": stream.replication_key or None,
        "endpoint": _with_parent(stream, stream.path),
        "posted": stream.report is not None,
        "page_size": stream.page_size,
        "filters": [_with_parent(stream, filter_) for filter_ in stream.filters if filter_],
        "rows": stream.rows or None,
        "parent": _parent(stream),
        "scopes": sorted({*stream.scopes, *field_scopes.values()}),
        "field_scopes": field_scopes,
        "rate_limit": _limit(stream.tier),
        "slower_with": {name: _limit(tier) for name, tier in stream.slow_fields.items()},
        "metrics": list(stream.metrics),
        "aliases": list(stream.aliases),
        "joins": [
            {"property": name, "stream": stream_name}
            for name, stream_name in _joins(stream).items()
        ],
        "fields": _columns(stream),
    }


def _parent(stream: Stream) -> ParentMetadata | None:
    parent, dated = stream.parent, dated_parent(stream)
    if parent is None:
        return None
    updated = f"{dated.stream}.{dated.updated}" if dated else None
    return {"stream": parent.stream, "property": parent.property, "updated": updated}


def _with_parent(stream: Stream, text: str) -> str:
    """A path or filter with the name of the property that holds the parent's ID."""
    return text.replace(PARENT, f"{{{stream.parent.property}}}") if stream.parent else text


def _limit(tier: str) -> LimitMetadata:
    limit = TIERS[tier]
    return {
        "tier": tier,
        "per_second": limit.burst,
        "per_minute": limit.steady,
        "per_day": limit.daily,
    }


def _field_scopes(stream: Stream) -> dict[str, str]:
    """The scope that a property needs besides those of the stream."""
    return {
        name: relationship.scope
        for relationship in stream.relationships
        if relationship.scope and relationship.scope not in stream.scopes
        for name in _included_properties(relationship)
    }


def _included_properties(relationship: Relationship) -> Iterator[str]:
    """The properties for which a related resource is included."""
    if relationship.property:
        yield relationship.property
    if relationship.id_needs_include:
        yield relationship.id_property
    yield from relationship.lifted


STREAM_OF_TYPE: Mapping[str, Mapping[str, str]] = {
    revision: {
        stream.type: stream.name
        for stream in registry.streams
        if stream.keys == ("id",) and not stream.metrics
    }
    for revision, registry in REGISTRIES.items()
}
"""The stream whose records are the resources of a type, by revision and type."""


def _joins(stream: Stream) -> dict[str, str]:
    """The properties that hold IDs of other streams' records, with the stream of each."""
    schema = schema_of(stream)
    # Klaviyo names the ID of a campaign `campaign_id` everywhere.
    types = {name: _type(name) for name in schema["properties"] if name.endswith("_id")}
    types[stream.id_property] = stream.type
    for relationship in stream.relationships:
        if not relationship.is_itself:
            types.update(_types(relationship))
    streams = STREAM_OF_TYPE[stream.revision]
    joined = {name: streams[type] for name, type in types.items() if type in streams}
    if stream.parent:
        joined[stream.parent.property] = stream.parent.stream
    return {name: stream_name for name, stream_name in joined.items() if stream_name != stream.name}


def _types(relationship: Relationship) -> dict[str, str]:
    """The properties that hold IDs of related resources, with the type of each."""
    own = relationship.id_property or f"{relationship.property}[].id"
    related = {f"{relationship.property}[].{name}": _type(name) for name in relationship.references}
    return {own: relationship.type, **related}


def _type(name: str) -> str:
    """The type of the resource whose ID a property of this name holds."""
    return name.removesuffix("_id").replace("_", "-")


def _columns(stream: Stream) -> list[ColumnMetadata]:
    return [
        {
            **_field(name, schema),
            "key": name in stream.keys,
            "selected_by_default": name not in stream.fields_not_by_default,
        }
        for name, schema in schema_of(stream)["properties"].items()
    ]


def _field(name: str, schema: Mapping[str, Any]) -> FieldMetadata:
    items = schema.get("items", {})
    parts = schema.get("properties") or items.get("properties") or {}
    return {
        "name": name,
        "types": _listed(schema["type"]),
        "format": schema.get("format"),
        "description": schema["description"],
        "items": _listed(items.get("type", [])),
        "fields": [_field(part, child) for part, child in parts.items()],
    }


def _listed(types: str | list[str]) -> list[str]:
    return [types] if isinstance(types, str) else list(types)
