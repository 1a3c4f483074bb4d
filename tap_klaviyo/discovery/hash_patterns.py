"""Which fields the patterns of the setting ``hash_fields`` match. Pure.

A pattern is a stream and a field with dots between, such as ``receive.profile.email``. ``*``, ``?``
and ``[...]`` stand for other characters, as in ``--select``, but here ``*`` also spans dots:
``*.email`` matches the column ``email`` of each stream and what is called ``email`` in its nested
objects. An array counts as its elements.

A free-form object has no declared fields. A pattern enters it only if it has the name of the object
and then the names in it, which are taken literally: ``receive.event_properties.$email``. A name may
itself have dots.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from typing import Any, TypeAlias

from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.errors import did_you_mean
from tap_klaviyo.logs import listed, quoted
from tap_klaviyo.streams.model import Stream

Path: TypeAlias = tuple[str, ...]
"""The name of a stream and the names from its field to a nested one."""

_Schema: TypeAlias = Mapping[str, Any]

_OBJECT = "an object"
_FREE_FORM = "a free-form object, in which the pattern must name a value"
_TYPES = {
    "string": "",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "array": "an array of anything",
}
"""What is said of a field that cannot be hashed, by the type of its schema; empty if it can."""


@dataclass(frozen=True)
class HashPattern:
    """A pattern of fields whose values are hashed."""

    text: str

    def matches(self, path: Path) -> bool:
        """Whether the pattern matches a field."""
        return _matches(".".join(path), self.text)

    def paths_within(self, path: Path) -> list[Path]:
        """The names that lead to the hashed values in the free-form object at ``path``."""
        parts = tuple(self.text.split("."))
        return [
            parts[length:]
            for length in range(1, len(parts))
            if parts[length - 1] == path[-1]
            and _matches(".".join(path), ".".join(parts[:length]))
            and not any("*" in name or not name for name in parts[length:])
        ]


def _matches(path: str, pattern: str) -> bool:
    return _compiled(pattern).match(path) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression; fnmatch of Python 3.10 remembers but 256 of them."""
    return re.compile(translate(pattern))


def is_free_form(schema: _Schema) -> bool:
    """Whether a schema declares an object and none of its fields."""
    return "object" in _types(schema) and not schema.get("properties")


def pattern_errors(patterns: Iterable[HashPattern], streams: Sequence[Stream]) -> list[str]:
    """What is wrong with patterns: they match no field, or one that cannot be hashed."""
    fields = [field for stream in streams for field in _fields_of(stream)]
    errors = (_error(pattern, fields) for pattern in patterns)
    return [error for error in errors if error]


@dataclass(frozen=True)
class _Field:
    """A declared field. ``refusal`` says what it is if it cannot be hashed."""

    path: Path
    schema: _Schema
    refusal: str


def _error(pattern: HashPattern, fields: Sequence[_Field]) -> str:
    """What is wrong with a pattern; empty if nothing is.

    Objects with declared fields are passed over: ``*.email`` does not mean the object
    ``subscriptions.email``.
    """
    matched = [field for field in fields if pattern.matches(field.path)]
    refused: dict[str, list[str]] = {}
    for field in matched:
        if field.refusal and field.refusal != _OBJECT:
            refused.setdefault(field.refusal, []).append(".".join(field.path))
    if refused:
        shown = "; ".join(f"{listed(names)} ({reason})" for reason, names in refused.items())
        return f"{quoted(pattern.text)} matches what cannot be hashed: {shown}"
    if any(not field.refusal for field in matched):
        return ""
    if any(is_free_form(field.schema) and pattern.paths_within(field.path) for field in fields):
        return ""
    if matched:
        names = listed(".".join(field.path) for field in matched)
        return f"{quoted(pattern.text)} matches only objects, name fields of them: {names}"
    known = [".".join(field.path) for field in fields]
    return f"{quoted(pattern.text)} matches no field{did_you_mean(pattern.text, known)}"


def _fields_of(stream: Stream) -> Iterator[_Field]:
    for name, schema in schema_of(stream)["properties"].items():
        is_date = name in (stream.replication_key, stream.time_property)
        # Hashes ignore case, so those of different keys may be equal.
        is_part_of_key = name in stream.keys and len(stream.keys) > 1
        for path, child in _nested((stream.name, name), schema):
            refusal = "the replication key" if is_date else _refusal(path, child)
            yield _Field(path, child, refusal or ("a part of the key" if is_part_of_key else ""))


def _nested(path: Path, schema: _Schema) -> Iterator[tuple[Path, _Schema]]:
    """A field and those in it."""
    while isinstance(schema.get("items"), dict):
        schema = schema["items"]
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _nested((*path, name), child)


def _refusal(path: Path, schema: _Schema) -> str:
    """What a field is that cannot be hashed; empty if it can. It is no array with elements."""
    if path[-1] == "id" or path[-1].endswith("_id"):
        return "an ID, which joins tables"
    if path[-1] == "type":
        return "a type"
    if schema.get("properties"):
        return _OBJECT
    if is_free_form(schema):
        return _FREE_FORM
    if schema.get("format"):
        return f"a {schema['format']}"
    return next(filter(None, map(_TYPES.__getitem__, _types(schema))), "")


def _types(schema: _Schema) -> list[str]:
    types = schema.get("type", ())
    return [types] if isinstance(types, str) else [name for name in types if name != "null"]
