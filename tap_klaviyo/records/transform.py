"""Values that move by design, such as a field lifted out of a nested object. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tap_klaviyo.dates import parse_utc
from tap_klaviyo.streams.model import Source, Stream


def identifier_of(item: Mapping[str, Any]) -> str | None:
    """The id of a resource or a reference; one that comes as a number is the same as text."""
    identifier = item.get("id")
    return str(identifier) if type(identifier) in (str, int) else None


def as_dict(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def rows_of(item: dict[str, Any], stream: Stream, parent: str) -> list[dict[str, Any]]:
    """A resource as often as there are rows in it, each time with one of them for all."""
    if not stream.rows:
        return [item]
    attributes, path = as_dict(item.get("attributes")), stream.rows.split(".")
    of_parent = stream.parent.property if stream.parent else ""
    rows = (row for row in as_list(_at(attributes, path)) if isinstance(row, dict))
    return [
        {**item, "attributes": _with(attributes, path, row)}
        for row in rows
        if not of_parent or str(row.get(of_parent)) == parent
    ]


def _at(attributes: Any, path: Sequence[str]) -> Any:
    for step in path:
        attributes = as_dict(attributes).get(step)
    return attributes


def _with(attributes: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    first, *rest = path
    return {**attributes, first: _with(attributes[first], rest, value)}


def find(attributes: Mapping[str, Any], source: Source) -> Any:
    """The value that a path leads to."""
    value = _at(attributes, source.path.split("."))
    if not source.latest:
        return value
    entries = [entry for entry in as_list(value) if isinstance(entry, dict)]
    newest = max(entries, key=lambda entry: _moment(entry.get("timestamp")), default={})
    return newest.get(source.latest)


def _moment(value: Any) -> float:
    try:
        return parse_utc(value).timestamp()
    except (ValueError, TypeError):
        return -math.inf
