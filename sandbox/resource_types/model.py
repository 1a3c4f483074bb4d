"""How resource types are written down.

Attributes are written as words, nested ones in brackets: `location(city zip)` stands for
`location`, `location.city` and `location.zip`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Relation:
    """A relationship to `kind`; its `data` shows only when included, unless `always` shown."""

    kind: str
    many: bool = False
    always: bool = False


@dataclass(frozen=True)
class Kind:
    """A resource type: its path, scope, attributes (dotted), and relationships.

    `additional` attributes show only at an endpoint that shows them always, or that offers them
    and is asked for them.
    """

    path: str
    scope: str
    attributes: frozenset[str] = frozenset()
    relationships: Mapping[str, Relation] = field(default_factory=lambda: MappingProxyType({}))
    additional: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))


def words(text: str) -> frozenset[str]:
    """Read words and nested words as dotted names."""
    names: set[str] = set()
    parents: list[str] = []
    last = ""
    for word in re.findall(r"[\w.-]+|[()]", text):
        if word == "(":
            parents.append(last)
        elif word == ")":
            parents.pop()
        else:
            last = ".".join([*parents[-1:], word])
            names.add(last)
    return frozenset(names)
