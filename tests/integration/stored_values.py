"""Values as targets store them: one form for the dates of all targets, and flattened records."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_DATE = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|([+-]\d\d:\d\d))?")

_COORDINATES = ("latitude", "longitude")


def canonical(value: Any) -> Any:
    """The value with all dates as datetimes, and coordinates in text as numbers.

    Dates without a time zone are in UTC.
    """
    if isinstance(value, dict):
        return {
            name: float(child) if name.endswith(_COORDINATES) and child else canonical(child)
            for name, child in value.items()
        }
    if isinstance(value, list):
        return [canonical(child) for child in value]
    if isinstance(value, str) and (date := _DATE.fullmatch(value)):
        moment, fraction, zone = date.groups(default="")
        return datetime.fromisoformat(f"{moment}.{fraction:0<6}{zone or '+00:00'}")
    return value


def flattened(
    value: Mapping[str, Any] | None, schema: Mapping[str, Any], depth: int, prefix: str = ""
) -> dict[str, Any]:
    """The columns of an object: one for each property, and for those of objects down to `depth`.

    Objects without properties in their schema, and those below, are one column.
    """
    columns = {}
    for name, child in schema["properties"].items():
        found = (value or {}).get(name)
        if depth and "properties" in child:
            columns |= flattened(found, child, depth - 1, f"{prefix}{name}__")
        else:
            columns[f"{prefix}{name}"] = found
    return columns


def decoded(stored: Any, expected: Any) -> Any:
    """A stored value; where an object or array is expected, text is decoded as JSON."""
    if isinstance(expected, dict | list) and isinstance(stored, str):
        return json.loads(stored)
    if isinstance(expected, list) and isinstance(stored, list):
        return [decoded(*pair) for pair in zip(stored, expected, strict=True)]
    return stored
