"""JSON schemas compiled: to msgspec Structs, which decode what fits and refuse the rest.

A free-form value is not decoded: it stays a slice of the page, :class:`msgspec.Raw`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
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


def attributes_struct(properties: Mapping[str, Schema]) -> Any:
    """A Struct of ``properties``, fields f0, f1 and so on, that checks what types cannot say."""
    names = {f"f{index}": name for index, name in enumerate(properties)}
    types = {name: _type(properties[source]) for name, source in names.items()}
    checks = [
        (name, check)
        for name, source in names.items()
        if (check := _check(properties[source])) is not None
    ]

    def check_all(self: Any) -> None:
        for name, check in checks:
            if not check(getattr(self, name)):
                raise ValueError(names[name])

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
        namespace={"__post_init__": check_all} if checks else {},
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
        return (attributes_struct(schema["properties"]),)
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


def is_clean(body: bytes) -> bool:
    """Whether slices of the page may be copied as they are."""
    return b"\n" not in body and b"\r" not in body and not _NUL.search(body) and _is_utf8(body)


_NUL = re.compile(rb"\\u0000")


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    # In pieces: as a whole, one emoji would make every character take four bytes.
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        for start in range(0, len(body), _PIECE):
            decode(body[start : start + _PIECE])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


_PIECE = 32_768
