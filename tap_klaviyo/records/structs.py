"""Compiles JSON schemas to msgspec Structs, which decode what fits and refuse everything else.

Conditions that a type cannot express, such as that a date is UTC, are checked by nested Structs
when they are created, and by :mod:`columns` column by column.

A free-form value is not decoded: it stays a slice of the page, :class:`msgspec.Raw`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Annotated, Any, Union, get_args

from msgspec import UNSET, Meta, Raw, UnsetType, defstruct

from tap_klaviyo.records.unknown_attributes import NUMBER_AS_TEXT, Schema, keeps_unknown

INTEGER = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

_SCALARS: dict[str, tuple[Any, ...]] = {
    "string": (str,),
    "integer": (INTEGER,),
    "number": (INTEGER, float),
    "boolean": (bool,),
    "null": (None,),
}

_FIRST_BYTES = {"object": b"{", "array": b"[", "null": b"n"}
"""The first byte of a free-form value in JSON, by its type."""


def _checked_struct(schema: Schema) -> Any:
    """A Struct of an object that checks its conditions when it is created."""
    properties = schema["properties"]
    checks = [
        (f"f{at}", check)
        for at, name in enumerate(properties)
        if (check := check_of(properties[name]))
    ]

    def check_all(self: Any) -> None:
        for name, check in checks:
            if not check(getattr(self, name)):
                raise ValueError(name)

    namespace = {"__post_init__": check_all} if checks else {}
    types = {name: field_type(child) for name, child in properties.items()}
    return struct_of(types, namespace, refuse_unknown=keeps_unknown(schema))


def struct_of(
    types: Mapping[str, Any],
    namespace: dict[str, Any] | None = None,
    *,
    refuse_unknown: bool = False,
) -> Any:
    """A Struct of attributes of these types, with the fields f0, f1 and so on.

    An attribute may be missing, and is ``UNSET`` then, if its type says so. With
    ``refuse_unknown`` the Struct refuses other attributes.
    """
    fields = [(f"f{at}", type_) for at, type_ in enumerate(types.values())]
    return defstruct(
        "Attributes",
        [(name, type_, UNSET) if _may_be_unset(type_) else (name, type_) for name, type_ in fields],
        rename={f"f{at}": name for at, name in enumerate(types)},
        kw_only=True,
        namespace=namespace,
        forbid_unknown_fields=refuse_unknown,
        gc=False,
    )


def _may_be_unset(type_: Any) -> bool:
    return UnsetType in get_args(type_)


def field_type(schema: Schema) -> Any:
    """The type of a Struct's field: that of its schema, or ``UNSET`` unless a value is required."""
    return type_of(schema) if is_required(schema) else type_of(schema) | UnsetType


def _types_of(schema: Schema) -> list[str]:
    types = schema["type"]
    return types if isinstance(types, list) else [types]


def _has_any_type(schema: Schema) -> bool:
    """Whether a schema only says that there is a value: that of an unknown attribute."""
    return "type" not in schema


def is_required(schema: Schema) -> bool:
    """Whether a value must be there."""
    return not _has_any_type(schema) and "null" not in _types_of(schema)


def _is_free(schema: Schema) -> bool:
    """Whether a value of the schema is copied and not decoded."""
    if _has_any_type(schema):
        return True
    types = _types_of(schema)
    return ("object" in types and not schema.get("properties")) or (
        "array" in types and not schema.get("items")
    )


def type_of(schema: Schema) -> Any:
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
        return (list[type_of(schema["items"])],)  # type: ignore[misc]
    if type_name == "string" and schema.get("format") == "date-time":
        return (datetime,)
    as_text = (str,) if schema.get(NUMBER_AS_TEXT) else ()
    return (*_SCALARS[type_name], *as_text)


def check_of(schema: Schema) -> Callable[[Any], bool] | None:
    """The condition on a decoded value beyond its type, if there is one."""
    if _has_any_type(schema):
        return None
    if _is_free(schema):
        first = b"".join(_FIRST_BYTES[type_name] for type_name in _types_of(schema))
        return lambda value: value is UNSET or memoryview(value)[0] in first
    if schema.get("format") == "date-time":
        return lambda value: type(value) is not datetime or value.tzinfo is timezone.utc
    return None
