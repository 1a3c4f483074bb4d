"""The bundled JSON schemas, with references resolved."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tap_klaviyo.streams.model import ACCOUNT_ID, Stream

Schema = dict[str, Any]

ACCOUNT_SCHEMA: Schema = {
    "type": "string",
    "description": "Unique ID of the Klaviyo account that the record is from.",
}
"""The schema of the property ``account_id`` where the setting ``account_column`` adds it."""

_PACKAGE = Path(__file__).parent.parent
_SCHEMAS = next(
    path for path in (_PACKAGE / "schemas", _PACKAGE.parent / "schemas") if path.is_dir()
)
"""In the package when installed; beside it in a checkout and an editable install."""


@cache
def load_schema(name: str) -> Schema:
    """The bundled schema ``name`` with every ``$ref`` and ``allOf`` inlined. Do not change it."""
    schema = json.loads((_SCHEMAS / f"{name.removesuffix('.json')}.json").read_bytes())
    resolved: Schema = _resolve(schema)
    return resolved


def schema_of(stream: Stream) -> Schema:
    """The schema of a stream's records, with the key properties first. Do not change it."""
    schema = load_schema(stream.schema)
    if stream.added_schema:
        schema = _with_added(schema, load_schema(stream.added_schema))
    properties = schema["properties"]
    if stream.account_column:
        properties = {**properties, ACCOUNT_ID: ACCOUNT_SCHEMA}
    keys = {name: properties[name] for name in stream.keys}
    return {**schema, "properties": {**keys, **properties}}


def _with_added(schema: Schema, added: Schema) -> Schema:
    """The schema with what another one adds to it and to the objects and arrays in it."""
    merged = {**schema, **added}
    if "properties" in added:
        ours = schema.get("properties", {})
        children = {
            name: _with_added(ours[name], child) if name in ours else child
            for name, child in added["properties"].items()
        }
        merged["properties"] = {**ours, **children}
    if "items" in added:
        merged["items"] = _with_added(schema.get("items", {}), added["items"])
    return merged


def _resolve(node: Any) -> Any:
    if isinstance(node, list):
        return [_resolve(item) for item in node]
    if not isinstance(node, dict):
        return node
    own = {key: _resolve(value) for key, value in node.items() if key not in ("$ref", "allOf")}
    bases = [load_schema(node["$ref"])] if isinstance(node.get("$ref"), str) else []
    bases += [_resolve(base) for base in node.get("allOf", ())]
    merged: Schema = {}
    for part in (*bases, own):
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        merged = {**merged, **part, "properties": properties}
    if not merged["properties"]:
        # Targets that flatten objects drop one with an empty list, and keep one without a list.
        del merged["properties"]
    return merged
