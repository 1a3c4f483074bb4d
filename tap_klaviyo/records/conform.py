"""The slow way of a page: whatever Klaviyo sent becomes a page that fits the schema. Pure.

A value that does not fit is coerced if nothing is lost by it (12.0 for an integer, a number for a
text), else it becomes null and is noted. Text is cleansed of what no target can store. A resource
that lacks a key property cannot be a record; its id is reported.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tap_klaviyo.dates import parse_utc

Schema = Mapping[str, Any]


MISFIT = object()


INT64 = range(-(2**63), 2**63)


LARGEST = 10**300


def fit(value: Any, schema: Schema, path: str, notes: Counter[str]) -> Any:
    """``value`` as the schema wants it; null, and a note, if it cannot be had without loss."""
    if value is None:
        return None
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    for ways in (_EXACT, _COERCED):
        for kind in kinds:
            fitted = ways[kind](value, schema, path, notes) if kind in ways else MISFIT
            if fitted is not MISFIT:
                return fitted
    notes[f"{path}: does not fit the type {'/'.join(kinds)}, null written"] += 1
    return None


def _fit_object(value: Any, schema: Schema, path: str, notes: Counter[str]) -> Any:
    if not isinstance(value, dict):
        return MISFIT
    properties = schema.get("properties")
    if not properties:
        return value
    return {
        name: fit(value[name], child, f"{path}.{name}", notes)
        for name, child in properties.items()
        if name in value
    }


def _fit_array(value: Any, schema: Schema, path: str, notes: Counter[str]) -> Any:
    if not isinstance(value, list):
        return MISFIT
    items = schema.get("items")
    return [fit(item, items, path, notes) for item in value] if items else value


def _fit_string(value: Any, schema: Schema, path: str, notes: Counter[str]) -> Any:
    if not isinstance(value, str):
        return MISFIT
    if schema.get("format") != "date-time":
        return value
    try:
        return parse_utc(value)
    except ValueError:
        return MISFIT


def _fit_integer(value: Any, *_: Any) -> Any:
    return value if type(value) is int and value in INT64 else MISFIT


def _fit_number(value: Any, *_: Any) -> Any:
    return value if type(value) is float or _fit_integer(value) is not MISFIT else MISFIT


def _fit_boolean(value: Any, *_: Any) -> Any:
    return value if isinstance(value, bool) else MISFIT


def _to_string(value: Any, schema: Schema, *_: Any) -> Any:
    if schema.get("format") == "date-time":
        return MISFIT
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _to_integer(value: Any, *_: Any) -> Any:
    number = _to_number(value)
    if type(number) is float and number.is_integer():
        number = int(number)
    return _fit_integer(number)


def _to_number(value: Any, *_: Any) -> Any:
    """A number written as text, if the number says all that the text says."""
    if type(value) is int:
        return float(value) if abs(value) < LARGEST and float(value) == value else MISFIT
    if not isinstance(value, str):
        return value if type(value) is float else MISFIT
    try:
        number = json.loads(value)
    except (ValueError, RecursionError):
        return MISFIT
    if type(number) is float:
        return number if math.isfinite(number) else MISFIT
    return _fit_number(number)


def _to_boolean(value: Any, *_: Any) -> Any:
    return (
        {"true": True, "false": False}.get(value.lower(), MISFIT) if type(value) is str else MISFIT
    )


_Fitter = Callable[..., Any]


_EXACT: dict[str, _Fitter] = {
    "object": _fit_object,
    "array": _fit_array,
    "string": _fit_string,
    "integer": _fit_integer,
    "number": _fit_number,
    "boolean": _fit_boolean,
}


_COERCED: dict[str, _Fitter] = {
    "string": _to_string,
    "integer": _to_integer,
    "number": _to_number,
    "boolean": _to_boolean,
}
