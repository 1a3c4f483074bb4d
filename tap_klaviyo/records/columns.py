"""Reads the attributes of many resources column by column, wherever in a resource they are. Pure.

Most properties of a record are attributes of its resource. Some are moved (``field_paths`` of the
registry): they are deeper in the resource, or belong to the newest entry of an array. So the
attributes to decode are a tree of *places*, and each place has readers:

* :class:`_Value` reads a property whose value is there,
* :class:`_Newest` reads properties of the newest entry of an array that is there,
* :class:`_EntryDates` reads the dates of all entries of such an array,
* :class:`_Object` reads the places within an object.

The tree is compiled to nested Structs, so that one call decodes all of it. A value that several
readers need in different types, such as an object that is a property itself and holds moved ones,
is not decoded by that call: it stays a slice of the page, and each reader decodes a column of
slices with one call. So no reader depends on what another one needs.

Moved properties are null where the resource has no value for them; other ones are missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import compress
from operator import attrgetter
from typing import Any, Protocol, TypeAlias, Union

from msgspec import UNSET, Raw, UnsetType
from msgspec.json import Decoder

from tap_klaviyo.records.structs import (
    INTEGER,
    check_of,
    field_type,
    is_required,
    struct_of,
    type_of,
)
from tap_klaviyo.records.transform import lifted_names
from tap_klaviyo.records.unknown_attributes import NUMBER_AS_TEXT, Schema
from tap_klaviyo.streams.model import ENTRY_DATE, FieldPath

_Columns: TypeAlias = dict[str, list[Any]]

_decode_numbers = Decoder(list[INTEGER | float]).decode

_DATE: Schema = {"type": ["null", "string"], "format": "date-time"}


class Attributes:
    """A Struct of ``properties``, and how their values are read.

    ``field_paths`` says which of them are moved, and from where. ``entry_dates`` is the dotted path
    of the date of an array's entries: these are a further column of that name, each value a list of
    Unix seconds. Attributes of the names ``ignored`` are not read. With ``refuse_unknown`` the
    Struct refuses attributes that are none of these. Nested objects that keep unknown attributes
    refuse them in any case, as the conversion has to find them first.
    """

    def __init__(
        self,
        properties: Mapping[str, Schema],
        field_paths: Mapping[str, FieldPath],
        *,
        entry_dates: str = "",
        ignored: Iterable[str] = (),
        refuse_unknown: bool = False,
    ) -> None:
        root = _places(properties, field_paths, entry_dates)
        root |= {name: _Ignored() for name in ignored if name not in root}
        self._root = _Object(root, refuse_unknown=refuse_unknown)
        self.struct = self._root.struct

    def columns(self, decoded: Sequence[Any]) -> _Columns:
        """The values of many Structs, by property, each as a list.

        Raises ValueError or MsgspecError if a value does not fit.
        """
        return self._root.read(decoded)

    def count(self, name: str, decoded: Sequence[Any]) -> int:
        """How many of the Structs have an attribute."""
        get = self._root.getter(name)
        return sum(get(one) is not UNSET for one in decoded)


@dataclass
class _Place:
    """What is to be read at one place of a resource, and within it.

    ``values`` and ``newest`` are names of properties, ``newest`` with the attribute of an entry
    that each one is. ``is_closed`` says that the conversion must find what is not read there.
    """

    values: list[str] = field(default_factory=list)
    newest: dict[str, str] = field(default_factory=dict)
    entry_dates: str = ""
    children: dict[str, _Place] = field(default_factory=dict)
    is_closed: bool = False


class _Reader(Protocol):
    """Reads columns from the values at one place; a value is UNSET where there is none."""

    type: Any
    is_required: bool

    def read(self, values: Sequence[Any]) -> _Columns: ...


def _places(
    properties: Mapping[str, Schema], field_paths: Mapping[str, FieldPath], entry_dates: str
) -> dict[str, _Reader]:
    root = _Place()
    for name in properties:
        if name not in field_paths:
            root.children.setdefault(name, _Place()).values.append(name)
    for name, field_path in field_paths.items():
        if name in properties:
            place = _at(root, field_path.path)
            if field_path.latest:
                place.newest[name] = field_path.latest
            else:
                place.values.append(name)
    if entry_dates:
        _at(root, entry_dates.removesuffix(f".{ENTRY_DATE}")).entry_dates = entry_dates
    for attribute, names in lifted_names(field_paths).items():
        holder = _at(root, attribute)
        holder.is_closed = True
        for name in names:
            holder.children.setdefault(name, _Place())
    return {name: _reader(place, properties, field_paths) for name, place in root.children.items()}


def _at(root: _Place, path: str) -> _Place:
    for step in path.split("."):
        root = root.children.setdefault(step, _Place())
    return root


def _reader(
    place: _Place, properties: Mapping[str, Schema], field_paths: Mapping[str, FieldPath]
) -> _Reader:
    """The reader of a place; several readers share its value."""
    readers: list[_Reader] = [
        _Value(name, properties[name], moved=name in field_paths) for name in place.values
    ]
    if place.newest:
        readers.append(_Newest(place.newest, properties))
    if place.entry_dates:
        readers.append(_EntryDates(place.entry_dates))
    if place.children:
        children = {
            name: _reader(child, properties, field_paths) for name, child in place.children.items()
        }
        readers.append(_Object(children, refuse_unknown=place.is_closed))
    if not readers:
        return _Ignored()
    return readers[0] if len(readers) == 1 else _Shared(readers)


class _Value:
    """Reads one property."""

    def __init__(self, name: str, schema: Schema, *, moved: bool) -> None:
        self.type = type_of(schema)
        self.is_required = is_required(schema)
        self._name = name
        self._check = check_of(schema)
        self._numbers_as_text = _numbers_as_text(schema)
        self._moved = moved

    def read(self, values: Sequence[Any]) -> _Columns:
        column = list(values)
        if self._check and not all(map(self._check, column)):
            raise ValueError(self._name)
        if self.is_required and UNSET in column:
            raise ValueError(self._name)
        if self._moved:
            column = [None if value is UNSET else value for value in column]
        if self._numbers_as_text:
            objects = [value for value in column if value]
            for name in self._numbers_as_text:
                _read_numbers(objects, name)
        return {self._name: column}


class _Object:
    """Reads the places within an object, which may be null or missing."""

    is_required = False

    def __init__(self, children: Mapping[str, _Reader], *, refuse_unknown: bool) -> None:
        types = {
            name: child.type if child.is_required else child.type | UnsetType
            for name, child in children.items()
        }
        self.struct = struct_of(types, refuse_unknown=refuse_unknown)
        self.type = Union[self.struct, None]
        self._getters = {name: attrgetter(f"f{at}") for at, name in enumerate(children)}
        self._children = [
            (self._getters[name], child)
            for name, child in children.items()
            if type(child) is not _Ignored
        ]

    def getter(self, name: str) -> attrgetter[Any]:
        """What gets the value at one place from the Struct."""
        return self._getters[name]

    def read(self, values: Sequence[Any]) -> _Columns:
        columns: _Columns = {}
        complete = all(values)
        for get, child in self._children:
            within = (
                map(get, values) if complete else [get(one) if one else UNSET for one in values]
            )
            columns |= child.read(list(within))
        return columns


class _Newest:
    """Reads properties of the newest entry of an array, the first one of several."""

    is_required = False

    def __init__(self, names: Mapping[str, str], properties: Mapping[str, Schema]) -> None:
        schemas = {entry_name: properties[name] for name, entry_name in names.items()}
        schemas[ENTRY_DATE] = _DATE
        self.type = _entries_type(schemas)
        fields = {name: f"f{at}" for at, name in enumerate(schemas)}
        self._getters = {name: attrgetter(fields[attribute]) for name, attribute in names.items()}
        self._checks = [
            (attrgetter(fields[name]), check)
            for name, schema in schemas.items()
            if (check := check_of(schema))
        ]
        self._date = attrgetter(fields[ENTRY_DATE])

    def read(self, values: Sequence[Any]) -> _Columns:
        newest = [self._newest_of(value) for value in values]
        return {
            name: [None if one is None or (value := get(one)) is UNSET else value for one in newest]
            for name, get in self._getters.items()
        }

    def _newest_of(self, entries: Any) -> Any:
        """The newest entry, None if there is none. Raises ValueError for a date that is not UTC."""
        present = list(filter(None, entries)) if entries else []
        for get, check in self._checks:
            if not all(map(check, map(get, present))):
                raise ValueError(ENTRY_DATE)
        if len(present) < 2:
            return present[0] if present else None
        return max(present, key=lambda entry: _age_key(self._date(entry)))


class _EntryDates:
    """Reads the dates of all entries of an array in Unix seconds."""

    is_required = False

    def __init__(self, name: str) -> None:
        self.type = _entries_type({ENTRY_DATE: _DATE})
        self._name = name
        self._check = check_of(_DATE)

    def read(self, values: Sequence[Any]) -> _Columns:
        return {self._name: [self._seconds(value) for value in values]}

    def _seconds(self, entries: Any) -> list[int]:
        dates = [entry.f0 for entry in entries if entry] if entries else []
        if self._check and not all(map(self._check, dates)):
            raise ValueError(self._name)
        return [int(date.timestamp()) for date in dates if date]


def _entries_type(schemas: Mapping[str, Schema]) -> Any:
    """The type of an array of objects that have these attributes, and others that do not matter."""
    entry = struct_of({name: field_type(schema) for name, schema in schemas.items()})
    return Union[list[Union[entry, None]], None]  # type: ignore[valid-type]


def _age_key(date: Any) -> float:
    return date.timestamp() if type(date) is datetime else -math.inf


class _Ignored:
    """Reads nothing of a value that is known."""

    type = Raw
    is_required = False

    def read(self, values: Sequence[Any]) -> _Columns:
        return {}


class _Shared:
    """Reads a value that several readers need in different types."""

    type = Raw
    is_required = False

    def __init__(self, readers: Iterable[_Reader]) -> None:
        self._readers = [(_list_decoder(reader.type), reader) for reader in readers]

    def read(self, values: Sequence[Any]) -> _Columns:
        columns: _Columns = {}
        known = [value is not UNSET for value in values]
        body = b"".join((b"[", b",".join(compress(values, known)), b"]"))
        for decode, reader in self._readers:
            decoded = iter(decode(body))
            columns |= reader.read([next(decoded) if is_known else UNSET for is_known in known])
        return columns


def _list_decoder(type_: Any) -> Callable[[bytes], list[Any]]:
    return Decoder(list[type_]).decode


def _numbers_as_text(schema: Schema) -> list[str]:
    """The fields of an object's Struct that may hold numbers as text."""
    children = schema.get("properties", {}).values()
    return [f"f{at}" for at, child in enumerate(children) if child.get(NUMBER_AS_TEXT)]


def _read_numbers(objects: Sequence[Any], field: str) -> None:
    """Replaces text in a field by the number that it says. Raises ValueError for other text.

    All are decoded in one call, which is ten times as fast as one by one.
    """
    values = list(map(attrgetter(field), objects))
    is_text = [type(value) is str for value in values]
    texts = list(compress(values, is_text))
    numbers = _decode_numbers(f"[{','.join(texts)}]")
    if len(numbers) != len(texts):
        raise ValueError(field)
    for holder, number in zip(compress(objects, is_text), numbers, strict=True):
        setattr(holder, field, number)
