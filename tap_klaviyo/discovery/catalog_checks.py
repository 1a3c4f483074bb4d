"""Checks of what a catalog selects: names of tables, and types of fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tap_klaviyo.discovery.catalog import Breadcrumb, field_path
from tap_klaviyo.discovery.entry_metadata import Metadata
from tap_klaviyo.discovery.schemas import Schema
from tap_klaviyo.errors import CatalogError, did_you_mean
from tap_klaviyo.logs import quoted

TYPE_KEYWORDS = ("format", "anyOf", "oneOf", "enum", "maxLength", "multipleOf", "maximum")
"""What a schema may say of a value besides its type."""

NULL = "null"


def refuse_shared_tables(names: Iterable[tuple[str, str]]) -> None:
    """Raises :class:`CatalogError` for streams that would be written to one table.

    ``names`` are pairs of the registry's name of a stream and its name in messages. SQL targets
    make lower-case names of tables, with underscores in place of punctuation.
    """
    tables: dict[str, tuple[str, str]] = {}
    for stream, name in names:
        other, other_name = tables.setdefault(_table_of(name), (stream, name))
        if other != stream:
            shown = " and ".join(map(quoted, dict.fromkeys((other_name, name))))
            raise CatalogError(
                f"catalog: streams '{other}' and '{stream}' would be written to one table, as "
                f"{shown}; change 'stream' of one entry, or deselect it."
            )


def changed_types(schema: Schema, listed: Any, path: str) -> Iterator[str]:
    """The dotted paths of properties in ``schema`` for which a catalog lists another type.

    ``listed`` is the schema in the catalog. What it does not say is no change, and neither is that
    a value may be null.
    """
    if not isinstance(listed, Mapping):
        return
    if isinstance(schema.get("items"), dict):
        yield from changed_types(schema["items"], listed.get("items"), path)
    children = listed.get("properties")
    for name, ours in schema.get("properties", {}).items():
        theirs = children.get(name) if isinstance(children, Mapping) else None
        if not isinstance(theirs, Mapping):
            continue
        if _differs(ours, theirs) or _differs(ours.get("items"), theirs.get("items")):
            yield f"{path}.{name}"
        else:
            yield from changed_types(ours, theirs, f"{path}.{name}")


def misspelt_fields(name: str, known: Iterable[Breadcrumb], metadata: Metadata) -> Iterator[str]:
    """The fields that the metadata of stream ``name`` deselects, but that do not exist."""
    paths = {field_path(place) for place in known}
    for place, chosen in metadata.items():
        path = field_path(place)
        if path and path not in paths and chosen.get("selected") is False:
            hint = did_you_mean(".".join(path), map(".".join, paths))
            yield f"{quoted('.'.join((name, *path)))}{hint}"


def _table_of(name: str) -> str:
    return re.sub(r"\W", "_", name.casefold())


def _differs(ours: Any, theirs: Any) -> bool:
    """Whether a schema in a catalog has another type than ours."""
    if not isinstance(ours, Mapping) or not isinstance(theirs, Mapping):
        return False
    keywords = TYPE_KEYWORDS if "type" in theirs else [k for k in TYPE_KEYWORDS if k in theirs]
    if any(ours.get(keyword) != theirs.get(keyword) for keyword in keywords):
        return True
    return "type" in theirs and _types(theirs) - {NULL} != _types(ours) - ({NULL} & _types(theirs))


def _types(schema: Mapping[str, Any]) -> set[str]:
    """The types of a schema, whatever their order."""
    written = schema.get("type")
    return {*map(str, written)} if isinstance(written, list) else {str(written)}
