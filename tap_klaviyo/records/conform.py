"""Conform: values that do not fit their schema. Pure.

A value is converted if nothing is lost by it (12.0 for an integer, a number for a text), else it
becomes null and is counted in a warning. What a value must be is tried exactly first, then by
conversion, for each type of the schema in order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import msgspec

from tap_klaviyo.dates import parse_utc
from tap_klaviyo.records.unknown_attributes import (
    ITEMS,
    Findings,
    Path,
    Schema,
    dotted,
    keeps_unknown,
)

_MISSING = object()
_MISFIT = object()
"""The result of a function that cannot make the value fit."""

_INT64 = range(-(2**63), 2**63)
_LARGEST_FLOAT = 10**300


def conform(value: Any, schema: Schema, path: Path, findings: Findings) -> Any:
    """``value`` as the schema wants it; null, and a warning, if that takes a loss.

    ``path`` is the path of the value in its resource. A schema without a type takes any value.
    """
    if value is None or "type" not in schema:
        return value
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    for functions in (_EXACT, _CONVERTED):
        for type_name in types:
            if type_name not in functions:
                continue
            fitting = functions[type_name](value, schema, path, findings)
            if fitting is not _MISFIT:
                return fitting
    findings.warnings[f"{dotted(path)}: does not fit the type {'/'.join(types)}, null written"] += 1
    return None


def _exact_object(value: Any, schema: Schema, path: Path, findings: Findings) -> Any:
    if not isinstance(value, dict):
        return _MISFIT
    return conform_attributes(value, schema, path, findings) if schema.get("properties") else value


def conform_attributes(
    value: dict[str, Any], schema: Schema, path: Path, findings: Findings
) -> dict[str, Any]:
    """The attributes of an object as its schema wants them, and those unknown if it keeps them."""
    properties = schema["properties"]
    known = {
        name: None if given is None else conform(given, child, (*path, name), findings)
        for name, child in properties.items()
        if (given := value.get(name, _MISSING)) is not _MISSING
    }
    if len(known) < len(value) and keeps_unknown(schema):
        unknown = value.keys() - properties.keys()
        known |= {name: value[name] for name in sorted(unknown) if findings.keep((*path, name))}
    return known


def _exact_array(value: Any, schema: Schema, path: Path, findings: Findings) -> Any:
    if not isinstance(value, list):
        return _MISFIT
    items = schema.get("items")
    path = (*path, ITEMS)
    return [conform(item, items, path, findings) for item in value] if items else value


def _exact_string(value: Any, schema: Schema, path: Path, findings: Findings) -> Any:
    if not isinstance(value, str):
        return _MISFIT
    if schema.get("format") != "date-time":
        return value
    try:
        return parse_utc(value)
    except ValueError:
        return _MISFIT


def _exact_integer(value: Any, *_: Any) -> Any:
    return value if type(value) is int and value in _INT64 else _MISFIT


def _exact_number(value: Any, *_: Any) -> Any:
    return value if type(value) is float or _exact_integer(value) is not _MISFIT else _MISFIT


def _exact_boolean(value: Any, *_: Any) -> Any:
    return value if isinstance(value, bool) else _MISFIT


def _converted_string(value: Any, schema: Schema, *_: Any) -> Any:
    if schema.get("format") == "date-time":
        return _MISFIT
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _converted_integer(value: Any, *_: Any) -> Any:
    number = _number(value)
    if type(number) is float and number.is_integer():
        number = int(number)
    return _exact_integer(number)


def _converted_number(value: Any, _: Schema, path: Path, findings: Findings) -> Any:
    number = _number(value)
    if number is not _MISFIT and isinstance(value, str):
        findings.note_number_as_text(path)
    return number


def _number(value: Any) -> Any:
    """A number written as text, if the number says all that the text says."""
    if type(value) is int:
        return float(value) if abs(value) < _LARGEST_FLOAT and float(value) == value else _MISFIT
    if not isinstance(value, str):
        return value if type(value) is float else _MISFIT
    try:
        number = json.loads(value)
    except (ValueError, RecursionError):
        return _MISFIT
    if type(number) is float:
        return number if math.isfinite(number) else _MISFIT
    return _exact_number(number)


def _converted_boolean(value: Any, *_: Any) -> Any:
    return (
        {"true": True, "false": False}.get(value.lower(), _MISFIT)
        if type(value) is str
        else _MISFIT
    )


_Function = Callable[..., Any]

_EXACT: dict[str, _Function] = {
    "object": _exact_object,
    "array": _exact_array,
    "string": _exact_string,
    "integer": _exact_integer,
    "number": _exact_number,
    "boolean": _exact_boolean,
}

_CONVERTED: dict[str, _Function] = {
    "string": _converted_string,
    "integer": _converted_integer,
    "number": _converted_number,
    "boolean": _converted_boolean,
}
