"""What the tap knows of itself, as plain data: from the settings, the registry and the schemas."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from tap_klaviyo import __version__
from tap_klaviyo.config.settings import REQUIRED, SETTINGS
from tap_klaviyo.discovery.catalog import REPLICATION_METHODS
from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.streams import AREAS, STREAMS
from tap_klaviyo.streams.model import PARENT, TIERS, Include, Stream

CAPABILITIES = ("catalog", "discover", "state", "about")


class SettingFacts(TypedDict):
    """One setting; ``default`` is None for a required one too."""

    name: str
    description: str
    expected: str
    required: bool
    default: Any
    secret: bool


class FieldFacts(TypedDict):
    """A property of a record or of an object in it.

    ``types`` are those of the schema. ``items`` are the types that the elements of an array have,
    ``fields`` the properties of an object or of the objects in an array, both mostly empty.
    """

    name: str
    types: list[str]
    format: str | None
    description: str
    items: list[str]
    fields: list[FieldFacts]


class ColumnFacts(FieldFacts):
    """A property of a record itself."""

    key: bool
    selected_by_default: bool


class LimitFacts(TypedDict):
    """A rate limit: so many requests in a second, in a minute and perhaps in a day, all at once."""

    tier: str
    per_second: int
    per_minute: int
    per_day: int | None


class ParentFacts(TypedDict):
    """The stream for each of whose records one is read, and the property that holds its id."""

    stream: str
    property: str


class JoinFacts(TypedDict):
    """A property that holds the ``id`` of a record of ``stream``.

    It may be nested: ``tags[].id`` is the ``id`` of each element of the array ``tags``.
    """

    property: str
    stream: str


class StreamFacts(TypedDict):
    """One stream.

    ``replication_methods`` are all that a catalog may choose from. ``scopes`` are what the key
    needs for all of it, ``field_scopes`` the part of them that is for one field only.
    ``slower_with`` has the fields that cost a lower limit. A report's question is ``posted``.
    ``filters`` are the passes in which it is read, ``rows`` the path of the array whose elements
    are the rows. ``aliases`` are its names in the catalogs of singer-io's tap.
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
    parent: ParentFacts | None
    scopes: list[str]
    field_scopes: dict[str, str]
    rate_limit: LimitFacts
    slower_with: dict[str, LimitFacts]
    metrics: list[str]
    aliases: list[str]
    joins: list[JoinFacts]
    fields: list[ColumnFacts]


class Facts(TypedDict):
    """All there is to say."""

    name: str
    version: str
    description: str
    capabilities: list[str]
    settings: list[SettingFacts]
    streams: list[StreamFacts]


def facts() -> Facts:
    """The tap's name, settings and streams, in the order of the registry."""
    return {
        "name": "tap-klaviyo",
        "version": __version__,
        "description": "Singer tap for Klaviyo.",
        "capabilities": list(CAPABILITIES),
        "settings": [_setting(setting) for setting in SETTINGS],
        "streams": [_stream(area, stream) for area, rows in AREAS.items() for stream in rows],
    }


def _setting(setting: dataclasses.Field[Any]) -> SettingFacts:
    required = setting.metadata["default"] is REQUIRED
    return {
        "name": setting.name,
        "description": setting.metadata["description"],
        "expected": setting.metadata["expected"],
        "required": required,
        "default": None if required else setting.metadata["default"],
        "secret": setting.type == "Secret",
    }


def _stream(area: str, stream: Stream) -> StreamFacts:
    field_scopes = _field_scopes(stream)
    parent = stream.parent
    return {
        "name": stream.name,
        "area": area,
        "description": stream.description,
        "schema": stream.schema,
        "selected_by_default": stream.selected_by_default,
        "key_properties": list(stream.keys),
        "replication_method": stream.replication_method,
        "replication_methods": [
            method
            for method in REPLICATION_METHODS
            if stream.replication_key or method == stream.replication_method
        ],
        "replication_key": stream.replication_key or None,
        "endpoint": _with_parent(stream, stream.path),
        "posted": stream.report is not None,
        "page_size": stream.page_size,
        "filters": [_with_parent(stream, variant) for variant in stream.variants if variant],
        "rows": stream.rows or None,
        "parent": {"stream": parent.stream, "property": parent.property} if parent else None,
        "scopes": sorted({*stream.scopes, *field_scopes.values()}),
        "field_scopes": field_scopes,
        "rate_limit": _limit(stream.tier),
        "slower_with": {name: _limit(tier) for name, tier in stream.slow.items()},
        "metrics": list(stream.metrics),
        "aliases": list(stream.aliases),
        "joins": [{"property": name, "stream": home} for name, home in _joins(stream).items()],
        "fields": _columns(stream),
    }


def _with_parent(stream: Stream, text: str) -> str:
    """A path or filter that says by the name of a property whose id it has a place for."""
    return text.replace(PARENT, f"{{{stream.parent.property}}}") if stream.parent else text


def _limit(tier: str) -> LimitFacts:
    limit = TIERS[tier]
    return {
        "tier": tier,
        "per_second": limit.burst,
        "per_minute": limit.steady,
        "per_day": limit.daily,
    }


def _field_scopes(stream: Stream) -> dict[str, str]:
    """The scope that a property takes beside those which every row does."""
    return {
        name: include.scope
        for include in stream.includes
        if include.scope and include.scope not in stream.scopes
        for name in _asked_for(include)
    }


def _asked_for(include: Include) -> Iterator[str]:
    """The properties for which a related resource is asked for."""
    if include.property:
        yield include.property
    if include.id_asked:
        yield include.id_property
    yield from include.lifted


HOMES: Mapping[str, str] = {
    stream.type: stream.name
    for stream in STREAMS
    if stream.keys == (stream.id_property,) and not stream.metrics
}
"""The stream in which each resource of a type is a row under its id, for each type that has one."""


def _joins(stream: Stream) -> dict[str, str]:
    """The properties that hold ids of other streams' rows, with the stream of each."""
    schema = schema_of(stream)
    # Klaviyo calls the id of a campaign `campaign_id` wherever it stands.
    types = {name: _type(name) for name in schema["properties"] if name.endswith("_id")}
    types[stream.id_property] = stream.type
    for include in stream.includes:
        types.update(_types(include))
    homes = {name: HOMES[type] for name, type in types.items() if type in HOMES}
    if stream.parent:
        homes[stream.parent.property] = stream.parent.stream
    return {name: home for name, home in homes.items() if home != stream.name}


def _types(include: Include) -> dict[str, str]:
    """The properties that hold ids of related resources, with the type of each."""
    own = include.id_property or f"{include.property}[].id"
    related = {f"{include.property}[].{name}": _type(name) for name in include.references}
    return {own: include.type, **related}


def _type(name: str) -> str:
    """The type of the resource whose id a property of this name holds."""
    return name.removesuffix("_id").replace("_", "-")


def _columns(stream: Stream) -> list[ColumnFacts]:
    return [
        {
            **_field(name, schema),
            "key": name in stream.keys,
            "selected_by_default": name not in stream.fields_not_by_default,
        }
        for name, schema in schema_of(stream)["properties"].items()
    ]


def _field(name: str, schema: Mapping[str, Any]) -> FieldFacts:
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
