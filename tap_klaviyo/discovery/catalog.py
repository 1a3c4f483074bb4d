"""The catalog, written from the registry and the bundled schemas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.streams import STREAMS
from tap_klaviyo.streams.model import Stream

Breadcrumb = tuple[str, ...]

REPLICATION_METHODS = ("INCREMENTAL", "FULL_TABLE")


def build_catalog(streams: Sequence[Stream] = STREAMS) -> dict[str, Any]:
    """The catalog of ``streams``. It shares the bundled schemas: do not change it."""
    return {"streams": [_entry(stream) for stream in streams]}


def catalog_text(catalog: Mapping[str, Any]) -> str:
    """A catalog as ``--discover`` prints it and ``catalog.json`` holds it."""
    return json.dumps(catalog, indent=2, ensure_ascii=False)


def _entry(stream: Stream) -> dict[str, Any]:
    schema = schema_of(stream)
    return {
        "tap_stream_id": stream.name,
        "stream": stream.name,
        "key_properties": list(stream.keys),
        "replication_method": stream.replication_method,
        **({"replication_key": stream.replication_key} if stream.replication_key else {}),
        "schema": schema,
        "metadata": [
            {"breadcrumb": [], "metadata": _stream_metadata(stream)},
            *(
                {"breadcrumb": list(place), "metadata": _field_metadata(stream, place)}
                for place in places(schema)
            ),
        ],
    }


def _stream_metadata(stream: Stream) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "inclusion": "available",
        "selected-by-default": stream.selected_by_default,
        "table-key-properties": list(stream.keys),
    }
    if len(stream.replication_methods) == 1:
        metadata["forced-replication-method"] = stream.replication_method
    if stream.replication_key:
        metadata["valid-replication-keys"] = [stream.replication_key]
    return metadata


def _field_metadata(stream: Stream, place: Breadcrumb) -> dict[str, Any]:
    name = place[1]
    if len(place) == 2 and name in stream.automatic:
        return {"inclusion": "automatic", "selected-by-default": True}
    return {
        "inclusion": "available",
        "selected-by-default": len(place) > 2 or name not in stream.fields_not_by_default,
    }


def places(schema: Mapping[str, Any], parent: Breadcrumb = ()) -> Iterator[Breadcrumb]:
    """The breadcrumb of every property; ``items`` of an array is a step like any other.

    The schema may be one of a user: what is no object is passed over.
    """
    properties = schema.get("properties")
    for name, child in properties.items() if isinstance(properties, dict) else ():
        place = (*parent, "properties", name)
        yield place
        if isinstance(child, dict):
            yield from places(child, place)
    if isinstance(schema.get("items"), dict):
        yield from places(schema["items"], (*parent, "items"))


def field_path(place: Breadcrumb) -> tuple[str, ...]:
    """The names of the properties in a breadcrumb, one of which may itself be "items"."""
    steps, path = iter(place), []
    for step in steps:
        if step == "properties":
            path.append(next(steps, ""))
    return tuple(path)
