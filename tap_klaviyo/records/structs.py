"""JSON schemas compiled: to msgspec Structs, which decode what fits and refuse the rest.

What types cannot say, such as that a date is UTC, nested Structs check when they are made; those of
:class:`Attributes` are checked column by column, when :meth:`Attributes.columns` reads them.

A free-form value is not decoded: it stays a slice of the page, :class:`msgspec.Raw`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from operator import attrgetter
from typing import Annotated, Any, TypeAlias, Union

from msgspec import UNSET, Meta, Raw, UnsetType, defstruct

Schema: TypeAlias = Mapping[str, Any]


_INTEGER = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


_SCALARS: dict[str, tuple[Any, ...]] = {
    "string": (str,),
    "integer": (_INTEGER,),
    "number": (_INTEGER, float),
    "boolean": (bool,),
    "null": (None,),
}


_FIRST_BYTES = {"object": b"{", "array": b"[", "null": b"n"}
"""How a free-form value of a kind begins in JSON."""


class Attributes:
    """A Struct of ``properties``, and what its fields must be beyond their types."""

    def __init__(self, properties: Mapping[str, Schema]) -> None:
        self._getters = {name: attrgetter(f"f{at}") for at, name in enumerate(properties)}
        self._checks = {name: check for name in properties if (check := _check(properties[name]))}
        self.struct = _struct(properties, {})

    def columns(self, decoded: Sequence[Any]) -> dict[str, list[Any]]:
        """The fields of many such Structs, a list for each by name.

        Raises ValueError if one is not what it must be.
        """
        columns = {name: list(map(get, decoded)) for name, get in self._getters.items()}
        for name, check in self._checks.items():
            if not all(map(check, columns[name])):
                raise ValueError(name)
        return columns


def _checked_struct(properties: Mapping[str, Schema]) -> Any:
    """A Struct of ``properties`` that checks what types cannot say when it is made."""
    checks = [
        (f"f{at}", check)
        for at, name in enumerate(properties)
        if (check := _check(properties[name]))
    ]

    def check_all(self: Any) -> None:
        for name, check in checks:
            if not check(getattr(self, name)):
                raise ValueError(name)

    return _struct(properties, {"__post_init__": check_all} if checks else {})


def _struct(properties: Mapping[str, Schema], namespace: dict[str, Any]) -> Any:
    """A Struct of ``properties`` with fields f0, f1 and so on."""
    names = {f"f{at}": name for at, name in enumerate(properties)}
    types = {name: _type(properties[source]) for name, source in names.items()}
    return defstruct(
        "Attributes",
        [
            (name, types[name])
            if _required(properties[source])
            else (name, types[name] | UnsetType, UNSET)
            for name, source in names.items()
        ],
        rename=names,
        kw_only=True,
        namespace=namespace,
        gc=False,
    )


def _kinds(schema: Schema) -> list[str]:
    kinds = schema["type"]
    return kinds if isinstance(kinds, list) else [kinds]


def _required(schema: Schema) -> bool:
    return "null" not in _kinds(schema)


def _is_free(schema: Schema) -> bool:
    """Whether a value of the schema is passed on as it came."""
    kinds = _kinds(schema)
    return ("object" in kinds and not schema.get("properties")) or (
        "array" in kinds and not schema.get("items")
    )


def _type(schema: Schema) -> Any:
    """The msgspec type that accepts what the schema does; ``Raw`` for what is free-form."""
    if _is_free(schema):
        return Raw
    return Union[tuple(part for kind in _kinds(schema) for part in _types(kind, schema))]


def _types(kind: str, schema: Schema) -> tuple[Any, ...]:
    if kind == "object":
        return (_checked_struct(schema["properties"]),)
    if kind == "array":
        return (list[_type(schema["items"])],)  # type: ignore[misc]
    if kind == "string" and schema.get("format") == "date-time":
        return (datetime,)
    return _SCALARS[kind]


def _check(schema: Schema) -> Callable[[Any], bool] | None:
    """What the schema demands of a decoded value beyond its type, if anything."""
    if _is_free(schema):
        first = b"".join(_FIRST_BYTES[kind] for kind in _kinds(schema))
        return lambda value: value is UNSET or memoryview(value)[0] in first
    if schema.get("format") == "date-time":
        return lambda value: type(value) is not datetime or value.tzinfo is timezone.utc
    return None
