"""Converts a page that does not fit its schema into one that fits. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.conform import conform
from tap_klaviyo.records.lenient_json import cleaned, loads
from tap_klaviyo.records.structs import Schema
from tap_klaviyo.records.transform import as_dict, as_list, lift_fields, split_rows
from tap_klaviyo.streams.model import FieldPath

LONGEST_ID = 100
"""Characters of the ID of a resource without a key that are shown."""


@dataclass
class ConvertedPage:
    """A page that fits.

    ``warnings`` counts, by text, what was changed. ``without_key`` holds the IDs of resources that
    lack a key property and so cannot become records.
    """

    body: bytes = b""
    warnings: Counter[str] = field(default_factory=Counter)
    without_key: list[str] = field(default_factory=list)


def convert_page(
    body: bytes,
    selected: SelectedStream,
    parent: str = "",
    to_resources: Callable[[Any], Any] | None = None,
) -> ConvertedPage:
    """Converts a page of the children of ``parent`` to the schema of ``selected``.

    ``to_resources`` turns an answer that is not a list of resources into one. Raises ValueError if
    the body is not a page: not JSON, nested too deeply, or without an array ``data``.
    """
    try:
        return _convert(body, selected, parent, to_resources)
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None


def _convert(
    body: bytes,
    selected: SelectedStream,
    parent: str,
    to_resources: Callable[[Any], Any] | None,
) -> ConvertedPage:
    page = ConvertedPage()
    document = loads(body)
    document = to_resources(document) if to_resources else document
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise ValueError("no array of data in the answer")
    document = cleaned(document, page.warnings)
    next_url = as_dict(document.get("links")).get("next")
    if next_url is not None and not isinstance(next_url, str):
        raise ValueError("links.next is not text")
    converted = {
        "data": _data(document["data"], selected, parent, page),
        "included": _included(document.get("included"), selected, page.warnings),
        "links": {"next": next_url},
    }
    page.body = msgspec.json.encode(converted)
    return page


def _data(
    resources: list[Any], selected: SelectedStream, parent: str, page: ConvertedPage
) -> list[dict[str, Any]]:
    """The resources that have all key properties; those without one are noted in ``page``."""
    stream, properties = selected.stream, selected.schema["properties"]
    given_by_page = {stream.id_property, stream.parent.property if stream.parent else ""}
    keys = ("id", *(key for key in selected.keys if key not in given_by_page))
    data = []
    for resource in resources:
        for row in split_rows(as_dict(resource), stream, parent):
            converted = _resource(row, properties, stream.field_paths, page.warnings)
            if all(_has_value(converted, key) for key in keys):
                data.append(converted)
            else:
                shown = str(row.get("id"))[:LONGEST_ID]
                page.without_key.append(" ".join(shown.split()))
    return data


def _included(
    resources: Any, selected: SelectedStream, warnings: Counter[str]
) -> list[dict[str, Any]]:
    """The related resources that records of the page need."""
    properties = selected.schema["properties"]
    wanted = {
        relationship.type: (
            {**relationship.lifted_out(properties), **relationship.embedded(properties)},
            relationship.field_paths,
        )
        for relationship in selected.stream.relationships
        if relationship.is_wanted(properties)
    }
    return [
        _resource(resource, *wanted[resource["type"]], warnings)
        for resource in map(as_dict, as_list(resources))
        if str(resource.get("type")) in wanted and _id_of(resource) is not None
    ]


def _resource(
    resource: Mapping[str, Any],
    properties: Mapping[str, Schema],
    field_paths: Mapping[str, FieldPath],
    warnings: Counter[str],
) -> dict[str, Any]:
    """A resource with only the wanted attributes, transformed first and then made to conform."""
    attributes = lift_fields(as_dict(resource.get("attributes")), field_paths)
    return {
        "type": str(resource.get("type", "")),
        "id": _id_of(resource),
        "attributes": {
            name: conform(attributes[name], schema, name, warnings)
            for name, schema in properties.items()
            if name in attributes
        },
        "relationships": _relationships(resource.get("relationships")),
    }


def _has_value(resource: Mapping[str, Any], key: str) -> bool:
    holder = resource if key in ("id", "type") else resource["attributes"]
    return holder.get(key) is not None


def _id_of(resource: Mapping[str, Any]) -> str | None:
    """The ID of a resource or a reference, as text. None if it is missing or has another type."""
    identifier = resource.get("id")
    return str(identifier) if type(identifier) in (str, int) else None


def _relationships(relationships: Any) -> dict[str, Any]:
    """Each relationship with only the references that have an ID."""
    related = {
        name: _references(as_dict(value).get("data"))
        for name, value in as_dict(relationships).items()
    }
    return {name: {"data": data} for name, data in related.items() if data is not None}


def _references(data: Any) -> Any:
    if isinstance(data, list):
        return [reference for reference in map(_references, data) if reference is not None]
    identifier = _id_of(as_dict(data))
    return None if identifier is None else {"id": identifier}
