"""What Klaviyo sends and the schema does not describe. Pure.

Klaviyo adds attributes to nested objects within a revision. An object that is selected whole keeps
them: the conversion finds a new one, and :func:`extended` adds it to the schema that pages are
compiled with, so that later pages take the fast path. An object of which the user has deselected a
part has its selected properties only.

No record gets a new column: the attributes and the related resources of a stream are requested by
name. If a resource has other attributes or relationships nevertheless, or if other types are
included, these are *unread*: they are left out, and counted in a warning.

A number that arrives as text is found and added in the same way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
Path: TypeAlias = tuple[str, ...]
"""The names that lead to a property; :data:`ITEMS` leads to the elements of an array."""

Unread: TypeAlias = tuple[str, str, str]
"""Where something unread was found (one of :data:`UNREAD`), the type of its resource, its name."""

UNREAD = {
    "attribute": "{name}: not in the schema, left out",
    "relationship": "relationship {name} of {type}: unknown, left out",
    "included": "included {type}: unknown, left out",
}
"""What is said of something unread."""

ITEMS = ""

MOST_UNKNOWN = 100
"""Unknown attributes of a stream that are kept. Each is compiled, so there must be a limit."""

NUMBER_AS_TEXT = "x-number-as-text"
"""Keyword of a number that may arrive as text. It is not in any schema that is written."""

_MOST_NAMED = 20
"""Attributes of a page that are named when they are left out; others are only counted."""

_COMPILABLE = re.compile(r'[^"\\\x00-\x1f]+')
"""The names that a msgspec Struct can decode."""


@dataclass
class Findings:
    """What the conversion of a page found.

    ``warnings`` counts, by text, what was changed. ``unknown`` are the attributes that are kept
    though the schema does not describe them; there is ``room`` for so many. ``numbers_as_text`` are
    the numbers that arrived as text, and ``unread`` is what was left out. ``prefix`` is the place
    in the record of the resource that is converted; paths are relative to it.
    """

    room: int = MOST_UNKNOWN
    warnings: Counter[str] = field(default_factory=Counter)
    unknown: set[Path] = field(default_factory=set)
    numbers_as_text: set[Path] = field(default_factory=set)
    unread: set[Unread] = field(default_factory=set)
    left_out: set[Path] = field(default_factory=set)
    prefix: Path = ()

    def keep(self, path: Path) -> bool:
        """Notes an unknown attribute. Returns whether it is kept; otherwise it is counted."""
        place = (*self.prefix, *path)
        if place not in self.unknown:
            if len(self.unknown) >= self.room or not _COMPILABLE.fullmatch(path[-1]):
                self.leave_out(path)
                return False
            self.unknown.add(place)
        return True

    def leave_out(self, path: Path) -> None:
        """Counts an unknown attribute that is left out."""
        place = (*self.prefix, *path)
        if len(self.left_out) < _MOST_NAMED:
            self.left_out.add(place)
        name = dotted(path) if place in self.left_out else "further attributes"
        self.warnings[f"{name}: not in the schema, left out"] += 1

    def note_unread(self, unread: Unread) -> None:
        """Counts something unread."""
        if len(self.unread) < _MOST_NAMED and _COMPILABLE.fullmatch("".join(unread)):
            self.unread.add(unread)
        name = unread if unread in self.unread else (unread[0], "…", "further ones")
        self.warnings[unread_warning(name)] += 1

    def note_number_as_text(self, path: Path) -> None:
        """Notes a number that arrived as text in an object, where the fast path can read it."""
        if len(path) == 2 and ITEMS not in path:
            self.numbers_as_text.add((*self.prefix, *path))


def unread_warning(unread: Unread) -> str:
    """What is said of something unread."""
    where, type_name, name = unread
    return UNREAD[where].format(type=type_name, name=name)


def dotted(path: Path) -> str:
    """A path as messages show it."""
    return ".".join(filter(None, path))


def closed_where_partial(selected: Schema, whole: Schema) -> Schema:
    """The ``selected`` part of the ``whole`` schema, in which objects tell what they keep.

    One with all its properties has ``additionalProperties``, one with a part of them has none.
    """
    if "items" in selected:
        return {**selected, "items": closed_where_partial(selected["items"], whole["items"])}
    if "properties" not in selected:
        return selected
    properties = {
        name: closed_where_partial(child, whole["properties"][name])
        for name, child in selected["properties"].items()
    }
    is_whole = properties.keys() == whole["properties"].keys()
    return {**selected, "properties": properties, "additionalProperties": is_whole}


def keeps_unknown(schema: Schema) -> bool:
    """Whether an object keeps attributes that its schema does not describe."""
    return bool(schema.get("additionalProperties"))


def extended(schema: Schema, findings: Findings) -> Schema:
    """The schema with what a conversion found."""
    for path in findings.unknown:
        schema = _with(schema, path, {})
    for path in findings.numbers_as_text:
        schema = _with(schema, path, {NUMBER_AS_TEXT: True})
    return schema


def _with(schema: Schema, path: Path, addition: Schema) -> Schema:
    """The schema with ``addition`` in the part that ``path`` leads to."""
    if not path:
        return {**schema, **addition}
    first, rest = path[0], path[1:]
    if first == ITEMS:
        return {**schema, "items": _with(schema["items"], rest, addition)}
    child = _with(schema["properties"].get(first, {}), rest, addition)
    return {**schema, "properties": {**schema["properties"], first: child}}
