"""Converts a page that does not fit its schema into one that fits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.conform import conform_attributes
from tap_klaviyo.records.lenient_json import cleaned, loads
from tap_klaviyo.records.page_decoder import known_attributes, shown_id, unselected_date
from tap_klaviyo.records.transform import (
    as_collection,
    as_dict,
    as_list,
    entry_dates,
    lift_fields,
    lifted_names,
    split_rows,
)
from tap_klaviyo.records.unknown_attributes import ITEMS, MOST_UNKNOWN, Findings, Schema
from tap_klaviyo.streams.model import ACCOUNT_ID, FieldPath, Relationship
from tap_klaviyo.streams.relationships import RELATIONSHIPS


@dataclass
class ConvertedPage:
    """A page that fits.

    ``findings`` tells what was changed. ``without_key`` holds the IDs of resources that lack a key
    property and so cannot become records, ``times_without_key`` the newest of their times if they
    have several.
    """

    findings: Findings
    body: bytes = b""
    without_key: list[str] = field(default_factory=list)
    times_without_key: list[int | None] = field(default_factory=list)


def convert_page(
    body: bytes,
    selected: SelectedStream,
    parent: str = "",
    to_resources: Callable[[Any], Any] | None = None,
    room: int = MOST_UNKNOWN,
) -> ConvertedPage:
    """Converts a page of the children of ``parent`` to the schema of ``selected``.

    ``to_resources`` turns an answer that is not a list of resources into one. ``room`` is how many
    attributes are kept that the schema does not describe. Raises ValueError if
    the body is not a page: not JSON, nested too deeply, or without an array ``data``.
    """
    try:
        return _convert(body, selected, parent, to_resources, ConvertedPage(Findings(room)))
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None


def _convert(
    body: bytes,
    selected: SelectedStream,
    parent: str,
    to_resources: Callable[[Any], Any] | None,
    page: ConvertedPage,
) -> ConvertedPage:
    document = loads(body)
    document = to_resources(document) if to_resources else document
    if selected.stream.single:
        document = as_collection(document)
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise ValueError("no array of data in the answer")
    document = cleaned(document, page.findings.warnings)
    # An odd link may hide that there are more pages, so the page is requested again.
    links = document.get("links")
    if links is not None and not isinstance(links, dict):
        raise ValueError("links is not an object")
    next_url = as_dict(links).get("next")
    if next_url is not None and not isinstance(next_url, str):
        raise ValueError("links.next is not text")
    converted = {
        "data": _data(document["data"], selected, parent, page),
        "included": _included(document.get("included"), selected, page.findings),
        "links": {"next": next_url},
    }
    page.body = msgspec.json.encode(converted)
    return page


def _data(
    resources: list[Any], selected: SelectedStream, parent: str, page: ConvertedPage
) -> list[dict[str, Any]]:
    """The resources that have all key properties; those without one are noted in ``page``."""
    stream = selected.stream
    time_filter = stream.time_filter
    dates = time_filter.field if time_filter and time_filter.is_of_entries else ""
    schema = {"properties": {**unselected_date(selected), **selected.schema["properties"]}}
    known = known_attributes(stream)
    wanted = _Wanted(stream.type, schema, stream.field_paths, entry_dates=dates, known=known)
    given_by_page = {stream.id_property, stream.parent.property if stream.parent else ""}
    given_by_page |= {ACCOUNT_ID} if stream.account_column else set()
    keys = ("id", *(key for key in selected.keys if key not in given_by_page))
    data = []
    for resource in resources:
        for row in split_rows(as_dict(resource), stream, parent):
            converted = _resource(row, wanted, page.findings)
            if all(_has_value(converted, key) for key in keys):
                data.append(converted)
            else:
                page.without_key.append(shown_id(str(row.get("id"))))
                times = converted["attributes"].get(dates, ())
                page.times_without_key.append(max(times, default=None))
    return data


def _included(resources: Any, selected: SelectedStream, findings: Findings) -> list[dict[str, Any]]:
    """The related resources that records of the page need."""
    properties = selected.schema["properties"]
    known = {relationship.type for relationship in selected.stream.relationships}
    wanted = {
        relationship.type: _wanted_of(relationship, properties, findings)
        for relationship in selected.stream.relationships
        if relationship.is_wanted(properties)
    }
    converted = []
    for resource in map(as_dict, as_list(resources)):
        type_name = str(resource.get("type"))
        if type_name in wanted and _id_of(resource) is not None:
            converted.append(_resource(resource, *wanted[type_name]))
        elif type_name not in known:
            findings.note_unread(("included", type_name, ""))
    return converted


@dataclass(frozen=True)
class _Wanted:
    """What records need of a type of resource: attributes of ``schema``, after ``field_paths``.

    ``not_attributes`` are names of properties that have another place in a resource.
    ``entry_dates`` is the path of dates that the time filter needs besides. With ``known``, other
    attributes are unread. ``lifted`` are the fields that are lifted out of each attribute,
    ``renamed`` attributes that have another name in a record.
    """

    type: str
    schema: Schema
    field_paths: Mapping[str, FieldPath]
    not_attributes: frozenset[str] = frozenset()
    entry_dates: str = ""
    known: Set[str] | None = None
    lifted: Mapping[str, set[str]] = field(init=False)
    renamed: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lifted", lifted_names(self.field_paths))
        moved = {field_path.path for field_path in self.field_paths.values()}
        object.__setattr__(self, "renamed", frozenset(moved - self.schema["properties"].keys()))


def _wanted_of(
    relationship: Relationship, properties: Mapping[str, Schema], findings: Findings
) -> tuple[_Wanted, Findings]:
    """What records need of a related resource, and the findings of such resources."""
    items = properties.get(relationship.property, {}).get("items", {})
    not_attributes = frozenset({"id", "type", *relationship.references})
    embedded = relationship.embedded(properties)
    attributes = {
        **relationship.lifted_out(properties),
        **{name: child for name, child in embedded.items() if name not in not_attributes},
    }
    schema = {**items, "type": "object", "properties": attributes}
    wanted = _Wanted(relationship.type, schema, relationship.field_paths, not_attributes)
    return wanted, replace(findings, prefix=(relationship.property, ITEMS))


def _resource(resource: Mapping[str, Any], wanted: _Wanted, findings: Findings) -> dict[str, Any]:
    """A resource with only the wanted attributes, transformed first and then made to conform."""
    given = as_dict(resource.get("attributes"))
    related = as_dict(resource.get("relationships"))
    known = RELATIONSHIPS.get(wanted.type, frozenset())
    unread_attributes = set() if wanted.known is None else given.keys() - wanted.known
    for name in sorted(unread_attributes):
        findings.note_unread(("attribute", wanted.type, name))
    for name in sorted(related.keys() - known):
        findings.note_unread(("relationship", wanted.type, name))
    attributes = lift_fields(given, wanted.field_paths)
    for name, lifted in wanted.lifted.items():
        for unknown in as_dict(given.get(name)).keys() - lifted:
            findings.leave_out((name, unknown))
        attributes.pop(name, None)
    for name in (wanted.not_attributes | wanted.renamed) & attributes.keys():
        del attributes[name]
    conforming = conform_attributes(attributes, wanted.schema, (), findings)
    if wanted.entry_dates:
        conforming[wanted.entry_dates] = entry_dates(given, wanted.entry_dates)
    return {
        "type": str(resource.get("type", "")),
        "id": _id_of(resource),
        "attributes": conforming,
        "relationships": _relationships(
            {name: one for name, one in related.items() if name in known}
        ),
    }


def _has_value(resource: Mapping[str, Any], key: str) -> bool:
    holder = resource if key in ("id", "type") else resource["attributes"]
    return holder.get(key) not in (None, "")


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
