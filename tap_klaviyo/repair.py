"""The slow way of a page: whatever Klaviyo sent becomes a page that fits the schema. Pure.

A value that does not fit is coerced if nothing is lost by it (12.0 for an integer, a number for a
text), else it becomes null and is noted. Text is cleansed of what no target can store. A resource
that lacks a key property cannot be a record; its id is reported.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw

from tap_klaviyo.discovery import Selected
from tap_klaviyo.kinds import Source, Stream
from tap_klaviyo.times import parse_utc

Schema = Mapping[str, Any]

MISFIT = object()
INT64 = range(-(2**63), 2**63)
LONGEST_NUMBER = 400
LONGEST_NAME = 100
LARGEST = 10**300


@dataclass
class Repaired:
    """A page that fits, as bytes; what was changed, by text; the ids of what has no key."""

    body: bytes = b""
    notes: Counter[str] = field(default_factory=Counter)
    unkeyed: list[str] = field(default_factory=list)


def page(
    body: bytes,
    selected: Selected,
    parent: str = "",
    listed: Callable[[Any], Any] | None = None,
) -> Repaired:
    """The page ``body``, of the children of ``parent``, made to fit the schema of ``selected``.

    ``listed`` makes a list of resources of an answer that is something else. Raises ValueError if
    it is no page at all: not JSON, nested too deeply, or without an array of ``data``.
    """
    try:
        return _page(body, selected, parent, listed)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None


def _page(
    body: bytes, selected: Selected, parent: str, listed: Callable[[Any], Any] | None
) -> Repaired:
    repaired = Repaired()
    document = _loads(body)
    document = listed(document) if listed else document
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise ValueError("no array of data in the answer")
    document = _cleansed(document, repaired.notes)
    stream, properties = selected.stream, selected.schema["properties"]
    given_by_page = {stream.id_property, stream.parent.property if stream.parent else ""}
    keys = ("id", *(key for key in selected.keys if key not in given_by_page))
    data = []
    given = [row for item in document["data"] for row in _rows(_dict(item), stream, parent)]
    for item in given:
        fixed = _resource(item, properties, stream.sources, repaired.notes)
        if all(_keyed(fixed, key) for key in keys):
            data.append(fixed)
        else:
            name = str(item.get("id"))[:LONGEST_NAME]
            repaired.unkeyed.append(" ".join(name.split()))
    wanted = {
        include.type: (
            {**include.lifted_out(properties), **include.embedded(properties)},
            include.sources,
        )
        for include in stream.includes
        if include.is_wanted(properties)
    }
    included = [
        _resource(item, *wanted[item["type"]], repaired.notes)
        for item in map(_dict, _list(document.get("included")))
        if str(item.get("type")) in wanted and _identifier(item) is not None
    ]
    links = _dict(document.get("links"))
    following = links.get("next")
    if following is not None and not isinstance(following, str):
        raise ValueError("the link to the next page is no text")
    repaired.body = msgspec.json.encode(
        {"data": data, "included": included, "links": {"next": following}}
    )
    return repaired


def _loads(body: bytes) -> Any:
    """JSON as leniently as can be: odd bytes, raw control characters, huge numbers, a BOM."""
    return json.loads(
        body.decode("utf-8-sig", errors="replace"),
        strict=False,
        parse_int=_integer,
        parse_float=_float,
        parse_constant=lambda name: math.nan,
    )


def _integer(digits: str) -> Any:
    """The number, or its digits if they are too many for Python's liking."""
    return int(digits) if len(digits) < LONGEST_NUMBER else Raw(digits.encode())


def _float(digits: str) -> Any:
    """The number, or its digits if no float can hold it: free-form values pass on as they came."""
    number = float(digits)
    return number if math.isfinite(number) else Raw(digits.encode())


def _cleansed(value: Any, notes: Counter[str]) -> Any:
    """The same value without NUL, lone surrogates and numbers that JSON cannot hold."""
    if isinstance(value, str):
        return _text(value, notes)
    if isinstance(value, dict):
        return {_text(key, notes): _cleansed(child, notes) for key, child in value.items()}
    if isinstance(value, list):
        return [_cleansed(item, notes) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        notes["number beyond what JSON can hold: null written"] += 1
        return None
    return value


def _text(text: str, notes: Counter[str]) -> str:
    if "\0" in text:
        notes["NUL character removed from text"] += 1
        text = text.replace("\0", "")
    if not text.isascii() and not _encodable(text):
        notes["lone surrogate in text: replaced by U+FFFD"] += 1
        # Halves of one character may have come as two escapes; joined they are whole again.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _identifier(item: Mapping[str, Any]) -> str | None:
    """The id of a resource or a reference; one that comes as a number is the same as text."""
    identifier = item.get("id")
    return str(identifier) if type(identifier) in (str, int) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _resource(
    item: Mapping[str, Any],
    properties: Mapping[str, Schema],
    sources: Mapping[str, Source],
    notes: Counter[str],
) -> dict[str, Any]:
    """A resource with just the wanted attributes, each where the record wants it and fitting."""
    given = _dict(item.get("attributes"))
    given = {**given, **{name: _find(given, source) for name, source in sources.items()}}
    attributes = {
        name: _fit(given[name], schema, name, notes)
        for name, schema in properties.items()
        if name in given
    }
    return {
        "type": str(item.get("type", "")),
        "id": _identifier(item),
        "attributes": attributes,
        "relationships": _relationships(item.get("relationships")),
    }


def _rows(item: dict[str, Any], stream: Stream, parent: str) -> list[dict[str, Any]]:
    """A resource as often as there are rows in it, each time with one of them for all."""
    if not stream.rows:
        return [item]
    attributes, path = _dict(item.get("attributes")), stream.rows.split(".")
    of_parent = stream.parent.property if stream.parent else ""
    rows = (row for row in _list(_at(attributes, path)) if isinstance(row, dict))
    return [
        {**item, "attributes": _with(attributes, path, row)}
        for row in rows
        if not of_parent or str(row.get(of_parent)) == parent
    ]


def _at(attributes: Any, path: Sequence[str]) -> Any:
    for step in path:
        attributes = _dict(attributes).get(step)
    return attributes


def _with(attributes: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    first, *rest = path
    return {**attributes, first: _with(attributes[first], rest, value)}


def _keyed(item: Mapping[str, Any], key: str) -> bool:
    return (item[key] if key in ("id", "type") else item["attributes"].get(key)) is not None


def _find(attributes: Mapping[str, Any], source: Source) -> Any:
    value = _at(attributes, source.path.split("."))
    if not source.latest:
        return value
    entries = [entry for entry in _list(value) if isinstance(entry, dict)]
    newest = max(entries, key=lambda entry: _moment(entry.get("timestamp")), default={})
    return newest.get(source.latest)


def _moment(value: Any) -> float:
    try:
        return parse_utc(value).timestamp()
    except (ValueError, TypeError):
        return -math.inf


def _relationships(given: Any) -> dict[str, Any]:
    """Each relation with nothing but its references, and only those that name an id."""
    related = {name: _references(_dict(value).get("data")) for name, value in _dict(given).items()}
    return {name: {"data": data} for name, data in related.items() if data is not None}


def _references(data: Any) -> Any:
    if isinstance(data, list):
        return [ref for ref in map(_references, data) if ref is not None]
    identifier = _identifier(_dict(data))
    return None if identifier is None else {"id": identifier}


def _fit(value: Any, schema: Schema, path: str, notes: Counter[str]) -> Any:
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
        name: _fit(value[name], child, f"{path}.{name}", notes)
        for name, child in properties.items()
        if name in value
    }


def _fit_array(value: Any, schema: Schema, path: str, notes: Counter[str]) -> Any:
    if not isinstance(value, list):
        return MISFIT
    items = schema.get("items")
    return [_fit(item, items, path, notes) for item in value] if items else value


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
