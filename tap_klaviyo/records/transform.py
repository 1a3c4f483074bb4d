"""Transform: values that move by design, as a row of the registry says. Pure.

A nested field is lifted to the record (``field_paths``), in another form if the row says so. The
elements of an array become records (``rows``), and one resource becomes a list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tap_klaviyo.dates import parse_utc
from tap_klaviyo.streams.model import ENTRY_DATE, FieldPath, Stream


def as_dict(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def as_collection(document: Any) -> Any:
    """The answer of an endpoint for one resource as that for a list; null is an empty list."""
    if not isinstance(document, dict) or "data" not in document:
        return document
    data = document["data"]
    if data is None or isinstance(data, dict):
        return {**document, "data": [] if data is None else [data]}
    return document


def split_rows(resource: dict[str, Any], stream: Stream, parent: str) -> list[dict[str, Any]]:
    """The resource once for each of its rows, with that row in place of the array of rows.

    Rows that name another parent than ``parent`` are left out. Without ``rows`` in the registry,
    the resource is the only one.
    """
    if not stream.rows:
        return [resource]
    attributes, path = as_dict(resource.get("attributes")), stream.rows.split(".")
    parent_property = stream.parent.property if stream.parent else ""
    rows = (row for row in as_list(_value_at(attributes, path)) if isinstance(row, dict))
    return [
        {**resource, "attributes": _with_value_at(attributes, path, row)}
        for row in rows
        if not parent_property or str(row.get(parent_property)) == parent
    ]


def lift_fields(
    attributes: Mapping[str, Any], field_paths: Mapping[str, FieldPath]
) -> dict[str, Any]:
    """The attributes, with those of ``field_paths`` added by the name of their property."""
    lifted = {name: _lifted(attributes, field_path) for name, field_path in field_paths.items()}
    return {**attributes, **lifted}


def lifted_names(field_paths: Mapping[str, FieldPath]) -> dict[str, set[str]]:
    """The fields that are lifted out of each attribute, such as a ``definition``.

    Attributes whose fields are lifted from deeper places are not among them.
    """
    names: dict[str, set[str]] = {}
    for attribute, *steps in (field_path.path.split(".") for field_path in field_paths.values()):
        if len(steps) == 1:
            names.setdefault(attribute, set()).update(steps)
    return names


def _lifted(attributes: Mapping[str, Any], field_path: FieldPath) -> Any:
    value = _value_at(attributes, field_path.path.split("."))
    if field_path.fields:
        return _renamed(value, field_path)
    if field_path.values:
        return field_path.values.get(value, value) if isinstance(value, str) else None
    if not field_path.latest:
        return value
    entries = [entry for entry in as_list(value) if isinstance(entry, dict)]
    newest = max(entries, key=lambda entry: _seconds(entry.get(ENTRY_DATE)), default={})
    return newest.get(field_path.latest)


def _renamed(value: Any, field_path: FieldPath) -> Any:
    """An object of some attributes of a value, under other names; None if it has none of them."""
    given = as_dict(value)
    renamed = {name: given[old] for old, name in field_path.fields.items() if old in given}
    if all(one is None for one in renamed.values()):
        return None
    return [renamed] if field_path.in_array else renamed


def entry_dates(attributes: Mapping[str, Any], path: str) -> list[int]:
    """The Unix seconds of the dates at ``path``, which leads to the entries of an array."""
    *steps, name = path.split(".")
    entries = as_list(_value_at(attributes, steps))
    seconds = (_seconds(as_dict(entry).get(name)) for entry in entries)
    return [int(second) for second in seconds if math.isfinite(second)]


def _value_at(attributes: Any, path: Sequence[str]) -> Any:
    for step in path:
        attributes = as_dict(attributes).get(step)
    return attributes


def _with_value_at(attributes: Any, path: Sequence[str], value: Any) -> Any:
    """A copy of the attributes with ``value`` at ``path``, which exists."""
    if not path:
        return value
    first, *rest = path
    return {**attributes, first: _with_value_at(attributes[first], rest, value)}


def _seconds(date: Any) -> float:
    """Unix seconds of a date; what is not a date is older than all dates."""
    try:
        return parse_utc(date).timestamp()
    except (ValueError, TypeError):
        return -math.inf
