"""Converts a page with values that do not fit the schema into one that fits. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tap_klaviyo.discovery.selection import Selected
from tap_klaviyo.records.conform import fit
from tap_klaviyo.records.raw_json import cleansed, loads
from tap_klaviyo.records.structs import Schema
from tap_klaviyo.records.transform import as_dict, as_list, find, identifier_of, rows_of
from tap_klaviyo.streams.model import Source

LONGEST_NAME = 100


@dataclass
class Repaired:
    """A page that fits, as bytes; what was changed, by text; the ids of what has no key."""

    body: bytes = b""
    notes: Counter[str] = field(default_factory=Counter)
    unkeyed: list[str] = field(default_factory=list)


def convert_page(
    body: bytes,
    selected: Selected,
    parent: str = "",
    listed: Callable[[Any], Any] | None = None,
) -> Repaired:
    """The page ``body``, of the children of ``parent``, made to fit the schema of ``selected``.

    ``listed`` makes a list of resources of an answer that is something else. Raises ValueError if
    it is no page at all: not JSON, nested too deeply, or without an array of ``data``.
    """
    try:
        return _page(body, selected, parent, listed)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None


def _page(
    body: bytes, selected: Selected, parent: str, listed: Callable[[Any], Any] | None
) -> Repaired:
    repaired = Repaired()
    document = loads(body)
    document = listed(document) if listed else document
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise ValueError("no array of data in the answer")
    document = cleansed(document, repaired.notes)
    stream, properties = selected.stream, selected.schema["properties"]
    given_by_page = {stream.id_property, stream.parent.property if stream.parent else ""}
    keys = ("id", *(key for key in selected.keys if key not in given_by_page))
    data = []
    given = [row for item in document["data"] for row in rows_of(as_dict(item), stream, parent)]
    for item in given:
        fixed = _resource(item, properties, stream.sources, repaired.notes)
        if all(_keyed(fixed, key) for key in keys):
            data.append(fixed)
        else:
            name = str(item.get("id"))[:LONGEST_NAME]
            repaired.unkeyed.append(" ".join(name.split()))
    wanted = {
        include.type: (
            {**include.lifted_out(properties), **include.embedded(properties)},
            include.sources,
        )
        for include in stream.includes
        if include.is_wanted(properties)
    }
    included = [
        _resource(item, *wanted[item["type"]], repaired.notes)
        for item in map(as_dict, as_list(document.get("included")))
        if str(item.get("type")) in wanted and identifier_of(item) is not None
    ]
    links = as_dict(document.get("links"))
    following = links.get("next")
    if following is not None and not isinstance(following, str):
        raise ValueError("the link to the next page is no text")
    repaired.body = msgspec.json.encode(
        {"data": data, "included": included, "links": {"next": following}}
    )
    return repaired


def _resource(
    item: Mapping[str, Any],
    properties: Mapping[str, Schema],
    sources: Mapping[str, Source],
    notes: Counter[str],
) -> dict[str, Any]:
    """A resource with just the wanted attributes, each where the record wants it and fitting."""
    given = as_dict(item.get("attributes"))
    given = {**given, **{name: find(given, source) for name, source in sources.items()}}
    attributes = {
        name: fit(given[name], schema, name, notes)
        for name, schema in properties.items()
        if name in given
    }
    return {
        "type": str(item.get("type", "")),
        "id": identifier_of(item),
        "attributes": attributes,
        "relationships": _relationships(item.get("relationships")),
    }


def _keyed(item: Mapping[str, Any], key: str) -> bool:
    return (item[key] if key in ("id", "type") else item["attributes"].get(key)) is not None


def _relationships(given: Any) -> dict[str, Any]:
    """Each relation with nothing but its references, and only those that name an id."""
    related = {
        name: _references(as_dict(value).get("data")) for name, value in as_dict(given).items()
    }
    return {name: {"data": data} for name, data in related.items() if data is not None}


def _references(data: Any) -> Any:
    if isinstance(data, list):
        return [ref for ref in map(_references, data) if ref is not None]
    identifier = identifier_of(as_dict(data))
    return None if identifier is None else {"id": identifier}
