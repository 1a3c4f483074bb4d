"""Compiles JSON schemas to msgspec Structs, which decode what fits and refuse everything else.

Conditions that a type cannot express, such as that a date is UTC, are checked by nested Structs
when they are created, and by :class:`Attributes` column by column.

A free-form value is not decoded: it stays a slice of the page, :class:`msgspec.Raw`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import compress
from operator import attrgetter
from typing import Annotated, Any, Union

from msgspec import UNSET, Meta, Raw, UnsetType, defstruct
from msgspec.json import Decoder

from tap_klaviyo.records.unknown_attributes import NUMBER_AS_TEXT, Schema, keeps_unknown

_INTEGER = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

_SCALARS: dict[str, tuple[Any, ...]] = {
    "string": (str,),
    "integer": (_INTEGER,),
    "number": (_INTEGER, float),
    "boolean": (bool,),
    "null": (None,),
}

_FIRST_BYTES = {"object": b"{", "array": b"[", "null": b"n"}
"""The first byte of a free-form value in JSON, by its type."""


_decode_numbers = Decoder(list[_INTEGER | float]).decode


class Attributes:
    """A Struct of ``properties``, and the conditions on its fields beyond their types.

    With ``refuse_unknown`` it refuses attributes that are not among them. Nested objects that keep
    unknown attributes refuse them in any case, as the conversion has to find them first.
    """

    def __init__(self, properties: Mapping[str, Schema], *, refuse_unknown: bool = False) -> None:
        self._getters = {name: attrgetter(f"f{at}") for at, name in enumerate(properties)}
        self._checks = {name: check for name in properties if (check := _check(properties[name]))}
        self._numbers_as_text = {
            name: fields for name in properties if (fields := _numbers_as_text(properties[name]))
        }
        self.struct = _struct(properties, {}, refuse_unknown)

    def columns(self, decoded: Sequence[Any]) -> dict[str, list[Any]]:
        """The fields of many Structs, by name, each as a list of values.

        Raises ValueError if a value does not meet its condition.
        """
        columns = {name: list(map(get, decoded)) for name, get in self._getters.items()}
        for name, check in self._checks.items():
            if not all(map(check, columns[name])):
                raise ValueError(name)
        for name, fields in self._numbers_as_text.items():
            objects = list(filter(None, columns[name]))
            for field in fields:
                _read_numbers(objects, field)
        return columns


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


def _checked_struct(schema: Schema) -> Any:
    """A Struct of an object that checks its conditions when it is created."""
    properties = schema["properties"]
    checks = [
        (f"f{at}", check)
        for at, name in enumerate(properties)
        if (check := _check(properties[name]))
    ]

    def check_all(self: Any) -> None:
        for name, check in checks:
            if not check(getattr(self, name)):
                raise ValueError(name)

    namespace = {"__post_init__": check_all} if checks else {}
    return _struct(properties, namespace, keeps_unknown(schema))


def _struct(
    properties: Mapping[str, Schema], namespace: dict[str, Any], refuse_unknown: bool
) -> Any:
    """A Struct of ``properties`` with the fields f0, f1 and so on."""
    names = {f"f{at}": name for at, name in enumerate(properties)}
    types = {name: _type(properties[field_path]) for name, field_path in names.items()}
    return defstruct(
        "Attributes",
        [
            (name, types[name])
            if _required(properties[field_path])
            else (name, types[name] | UnsetType, UNSET)
            for name, field_path in names.items()
        ],
        rename=names,
        kw_only=True,
        namespace=namespace,
        forbid_unknown_fields=refuse_unknown,
        gc=False,
    )


def _types_of(schema: Schema) -> list[str]:
    types = schema["type"]
    return types if isinstance(types, list) else [types]


def _has_any_type(schema: Schema) -> bool:
    """Whether a schema only says that there is a value: that of an unknown attribute."""
    return "type" not in schema


def _required(schema: Schema) -> bool:
    return not _has_any_type(schema) and "null" not in _types_of(schema)


def _is_free(schema: Schema) -> bool:
    """Whether a value of the schema is copied and not decoded."""
    if _has_any_type(schema):
        return True
    types = _types_of(schema)
    return ("object" in types and not schema.get("properties")) or (
        "array" in types and not schema.get("items")
    )


def _type(schema: Schema) -> Any:
    """The msgspec type of a schema; ``Raw`` if it is free-form."""
    if _is_free(schema):
        return Raw
    return Union[
        tuple(part for type_name in _types_of(schema) for part in _types(type_name, schema))
    ]


def _types(type_name: str, schema: Schema) -> tuple[Any, ...]:
    if type_name == "object":
        return (_checked_struct(schema),)
    if type_name == "array":
        return (list[_type(schema["items"])],)  # type: ignore[misc]
    if type_name == "string" and schema.get("format") == "date-time":
        return (datetime,)
    as_text = (str,) if schema.get(NUMBER_AS_TEXT) else ()
    return (*_SCALARS[type_name], *as_text)


def _check(schema: Schema) -> Callable[[Any], bool] | None:
    """The condition on a decoded value beyond its type, if there is one."""
    if _has_any_type(schema):
        return None
    if _is_free(schema):
        first = b"".join(_FIRST_BYTES[type_name] for type_name in _types_of(schema))
        return lambda value: value is UNSET or memoryview(value)[0] in first
    if schema.get("format") == "date-time":
        return lambda value: type(value) is not datetime or value.tzinfo is timezone.utc
    return None
