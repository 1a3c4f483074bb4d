"""What a report comes to, before it is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sandbox.pagination import Key


@dataclass(frozen=True)
class Row:
    """One row, and what it is sorted by."""

    key: Key
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """All rows sorted by their keys, which are told as the attribute `name` in pages of `size`.

    `rest` are the attributes that every page has; `relations` gives, by the name of a relationship,
    its type and the name of the grouping that holds ids of it; `asked` is the fingerprint of the
    body, to which a `cursor` belongs.
    """

    name: str
    rows: Sequence[Row]
    rest: Mapping[str, Any]
    size: int
    asked: int
    descending: bool = False
    cursor: str | None = None
    relations: Mapping[str, tuple[str, str]] = field(default_factory=lambda: MappingProxyType({}))
