"""Replaces values of records by keyed hashes, where the setting ``hash_fields`` says so. Pure.

The patterns and a schema are compiled to functions, one for each column in which anything is to be
hashed. A column of text is hashed as it is. Any other value is encoded, and of its JSON only the
objects and arrays that lead to hashed values are decoded: the rest is copied.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Raw
from msgspec.json import Decoder

from tap_klaviyo.discovery.hash_patterns import HashPattern, Path, is_free_form
from tap_klaviyo.records.lenient_json import cleaned, loads
from tap_klaviyo.records.unknown_attributes import Schema
from tap_klaviyo.streams.model import Stream

ColumnHash: TypeAlias = Callable[[Iterable[Any]], list[Any]]
"""Returns a column of values with hashes in place of some of them, or of parts of them."""

_Edit: TypeAlias = Callable[[Raw], Raw]
"""Returns a JSON value with hashes; the same one if there was nothing to hash in it."""

_T = TypeVar("_T")

_encode = msgspec.json.Encoder().encode
_TEXT: Decoder[str] = Decoder(str)
_OBJECT: Decoder[dict[str, Raw]] = Decoder(dict[str, Raw])
_ARRAY: Decoder[list[Raw]] = Decoder(list[Raw])
_ANYTHING: Decoder[Any] = Decoder()


def _bounded(edit: Callable[..., Raw]) -> Callable[..., Raw]:
    """The method, but what is nested too deeply for it is hashed as one text."""

    @wraps(edit)
    def bounded(hashing: Hashing, *arguments: Any) -> Raw:
        try:
            return edit(hashing, *arguments)
        except RecursionError:
            return hashing.hash_as_text(arguments[-1])

    return bounded


class Hashing:
    """What is hashed, and how. ``salt`` is the key of HMAC-SHA256. Threads may share it."""

    def __init__(self, patterns: Iterable[HashPattern], salt: str) -> None:
        self._patterns = tuple(patterns)
        self._keyed = hmac.new(salt.encode(), digestmod="sha256")

    def columns(self, stream: Stream, properties: Mapping[str, Schema]) -> dict[str, ColumnHash]:
        """The functions for the columns of a stream in which anything is to be hashed, by name.

        The key of a report is composed of other columns. If one of those is hashed, so is the key,
        exactly as it is: different keys stay different.
        """
        columns: dict[str, ColumnHash] = {
            name: partial(self._column, edit)
            for name, schema in properties.items()
            if (edit := self._edit_of((stream.name, name), schema))
        }
        composed = stream.report.extra_groups_key if stream.report else ""
        if columns and composed in properties:
            columns[composed] = lambda keys: [key and self._keyed_hash(key) for key in keys]
        return columns

    def hash(self, text: str) -> str:
        """64 hexadecimal digits in place of a text; blanks around it and its case do not matter.

        A text of nothing but blanks stays as it is.
        """
        normalized = text.strip().lower()
        if not normalized:
            return text
        return self._keyed_hash(normalized)

    def _keyed_hash(self, text: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(text.encode())
        return keyed.hexdigest()

    def hash_as_text(self, value: Raw) -> Raw:
        """Hashes the JSON text of a value."""
        try:
            text = _encode(_ANYTHING.decode(value))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            text = bytes(value)
        return Raw(_encode(self.hash(text.decode("utf-8", "replace"))))

    def _column(self, edit: _Edit, values: Iterable[Any]) -> list[Any]:
        values = list(values)
        # Records of a page share the values of related resources.
        hashed = {id(value): value for value in values}
        for key, value in hashed.items():
            hashed[key] = self._hashed(edit, value)
        return [hashed[id(value)] for value in values]

    def _hashed(self, edit: _Edit, value: Any) -> Any:
        if value is None or value is UNSET:
            return value
        if type(value) is str:
            return self.hash(value)
        given = value if type(value) is Raw else Raw(_encode(value))
        edited = edit(given)
        return value if edited is given else edited

    def _edit_of(self, path: Path, schema: Schema) -> _Edit | None:
        """What is to be done to the values of a field; None if there is nothing."""
        if "items" in schema:
            items = self._edit_of(path, schema["items"])
            return partial(_edit_items, items) if items else None
        if "properties" in schema:
            fields = {
                name: edit
                for name, child in schema["properties"].items()
                if (edit := self._edit_of((*path, name), child))
            }
            return partial(_edit_fields, fields) if fields else None
        if self._matches(path):
            return self._hash_all
        if "type" not in schema:
            return partial(self._hash_matching, path)
        within = [tail for pattern in self._patterns for tail in pattern.paths_within(path)]
        return partial(self._hash_within, within) if within and is_free_form(schema) else None

    def _matches(self, path: Path) -> bool:
        return any(pattern.matches(path) for pattern in self._patterns)

    @_bounded
    def _hash_all(self, value: Raw) -> Raw:
        """Hashes all values in a value, whatever they are. null and empty texts stay."""
        first = _first(value)
        if first == "[":
            return _edit_items(self._hash_all, value)
        if first == "{":
            fields = _decode(_OBJECT, value)
            return _edit_fields(dict.fromkeys(fields, self._hash_all), value)
        if first == "n":
            return value
        if first == '"':
            text = _decode(_TEXT, value)
            return value if (hashed := self.hash(text)) == text else Raw(_encode(hashed))
        return self.hash_as_text(value)

    @_bounded
    def _hash_matching(self, path: Path, value: Raw) -> Raw:
        """Hashes what patterns match in an attribute that the schema does not describe."""
        first = _first(value)
        if first == "[":
            return _edit_items(partial(self._hash_matching, path), value)
        if first != "{":
            return value
        fields = {
            name: self._hash_all
            if self._matches((*path, name))
            else partial(self._hash_matching, (*path, name))
            for name in _decode(_OBJECT, value)
        }
        return _edit_fields(fields, value)

    @_bounded
    def _hash_within(self, paths: Sequence[Path], value: Raw) -> Raw:
        """Hashes what ``paths`` lead to in a free-form object. A name may have dots."""
        first = _first(value)
        if first == "[":
            return _edit_items(partial(self._hash_within, paths), value)
        if first != "{":
            return value
        further: dict[str, list[Path]] = {}
        for path in paths:
            for length in range(1, len(path) + 1):
                further.setdefault(".".join(path[:length]), []).append(path[length:])
        fields = {
            name: self._hash_all if () in rest else partial(self._hash_within, rest)
            for name, rest in further.items()
        }
        return _edit_fields(fields, value)


def _edit_fields(edits: Mapping[str, _Edit], value: Raw) -> Raw:
    """Edits some fields of an object; they may be missing."""
    if _first(value) != "{":
        return value
    given = _decode(_OBJECT, value)
    edited = {name: edit(given[name]) for name, edit in edits.items() if name in given}
    # Where a name is twice in an object, the last value counts. So the value is never copied.
    return Raw(_encode({**given, **edited})) if edited else value


def _edit_items(edit: _Edit, value: Raw) -> Raw:
    """Edits the elements of an array."""
    if _first(value) != "[":
        return value
    given = _decode(_ARRAY, value)
    edited = [edit(item) for item in given]
    if all(one is item for one, item in zip(edited, given, strict=True)):
        return value
    return Raw(_encode(edited))


def _first(value: Raw) -> str:
    """The first character of a JSON value, which tells its type."""
    return chr(memoryview(value)[0])


def _decode(decoder: Decoder[_T], value: Raw) -> _T:
    """Decodes one level of a value. Text that strict parsers refuse is cleaned first."""
    try:
        return decoder.decode(value)
    except (msgspec.MsgspecError, ValueError):
        return decoder.decode(_encode(cleaned(loads(bytes(value)), Counter())))
