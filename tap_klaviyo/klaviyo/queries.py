"""Queries in Klaviyo's dialect of JSON:API: paths, sparse fieldsets, includes, filters. Pure.

Sources: Klaviyo's API overview (filtering, sparse fieldsets, relationships, pagination) and its
OpenAPI document of 2026-07-15.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from tap_klaviyo.streams.model import (
    ACCOUNT_ID,
    PARENT,
    FieldPath,
    Relationship,
    Stream,
    TimeFilter,
)

RESOURCE_PROPERTIES = frozenset({"id", "type"})
"""Properties that every resource has besides its attributes."""


@dataclass(frozen=True)
class Query:
    """A request to one endpoint without its filters.

    ``scopes`` are those that the API key needs, ``tier`` is the rate limit that applies.
    ``most_tries`` bounds the tries of a request that a run can do without; 0: as long as any.
    """

    path: str
    parameters: Mapping[str, str]
    scopes: tuple[str, ...]
    tier: str
    most_tries: int = 0

    def url(self, filters: Iterable[str], page_size: int | None, parent: str = "") -> str:
        """Path and query string, percent-encoded. Without a ``page_size`` Klaviyo's default holds.

        ``parent`` is the ID that is put in for ``{parent}`` in the path and the filters.
        """
        terms = ",".join(term for term in filters if term).replace(PARENT, json.dumps(parent))
        size = {"page[size]": str(page_size)} if page_size else {}
        given = {"filter": terms, **self.parameters, **size}
        pairs = {name: value for name, value in given.items() if value}
        path = self.path.replace(PARENT, quote(parent, safe=""))
        return f"{path}?{urlencode(pairs, quote_via=quote)}" if pairs else path


def query_for(stream: Stream, schema: Mapping[str, Any], updated: str = "") -> Query:
    """The query for the selected properties. What is not selected is not requested.

    ``updated`` is an attribute that is requested besides. The query of a report has no parameters:
    they are in the body of its requests.
    """
    if stream.report:
        return Query(stream.path, {}, stream.scopes, stream.tier)
    selected = schema["properties"]
    related = [r for r in stream.relationships if _is_included(r, selected)]
    names = (selected.keys() | {updated} - {""}) - _not_attributes(stream)
    attributes = _attributes({*names, *_filter_field(stream)}, stream.field_paths)
    fieldsets = {stream.type: {*attributes}}
    for relationship in related:
        embedded = relationship.embedded(selected).keys() - relationship.references.keys()
        needed = [*embedded, *relationship.lifted_out(selected)]
        fieldset = fieldsets.setdefault(relationship.type, set())
        fieldset.update(_attributes(needed, relationship.field_paths))
    parameters = {
        "include": ",".join(relationship.name for relationship in related),
        **{f"fields[{name}]": _fieldset(sorted(names)) for name, names in fieldsets.items()},
        f"additional-fields[{stream.type}]": ",".join(
            name for name in stream.additional_fields if name in attributes
        ),
        "sort": stream.sort,
    }
    scopes = (*stream.scopes, *(relationship.scope for relationship in related))
    return Query(
        path=stream.path,
        parameters={name: value for name, value in parameters.items() if value},
        scopes=tuple(dict.fromkeys(filter(None, scopes))),
        tier=next(
            (stream.slow_fields[name] for name in attributes if name in stream.slow_fields),
            stream.tier,
        ),
    )


def query_by_id(stream: Stream) -> Query:
    """The query for one resource of a stream, with nothing but its ID."""
    path = f"/api/{stream.name.replace('_', '-')}/{PARENT}"
    return Query(path, {f"fields[{stream.type}]": _fieldset([])}, stream.scopes, stream.tier)


def equals(field: str, value: str) -> str:
    """The filter for one value of a text field."""
    return f"equals({field},{json.dumps(value)})"


def between(time_filter: TimeFilter, start: int, end: int) -> tuple[str, ...]:
    """The filters for ``start <= field < end``, in Unix seconds.

    Where Klaviyo offers only operators that match less or more than that, they match more, and so
    does the lower bound where it allows no second one. No time before 1970 is requested.
    """
    field, lower, upper = time_filter.field, time_filter.lower, time_filter.upper
    start = max(0, start - (lower == "greater-than"))
    low, high = (_iso(start), _iso(end)) if time_filter.iso else (start, end)
    bounds = ((lower, low), (upper, high))
    return tuple(f"{operator}({field},{value})" for operator, value in bounds if operator)


def _is_included(relationship: Relationship, selected: Mapping[str, Any]) -> bool:
    """Whether a related resource has to be included. Most resources name related IDs without."""
    return relationship.is_wanted(selected) or (
        relationship.id_needs_include and relationship.id_property in selected
    )


def _not_attributes(stream: Stream) -> set[str]:
    """The properties of a stream's records that are not attributes of its resources."""
    related = {
        name
        for relationship in stream.relationships
        for name in (relationship.property, relationship.id_property, *relationship.lifted)
    }
    parent = {stream.parent.property} if stream.parent else set()
    account = {ACCOUNT_ID} if stream.account_column else set()
    return {*related, *account, *(parent - stream.field_paths.keys()), stream.id_property}


def _filter_field(stream: Stream) -> list[str]:
    """The field that tells the window of a resource, if no property of a record holds it."""
    time_filter = stream.time_filter
    return [time_filter.field] if time_filter and time_filter.is_of_entries else []


def _attributes(properties: Iterable[str], field_paths: Mapping[str, FieldPath]) -> list[str]:
    """The top-level attributes that hold ``properties``, sorted, without duplicates."""
    paths = (field_paths[name].path if name in field_paths else name for name in properties)
    return sorted({path.split(".")[0] for path in paths} - RESOURCE_PROPERTIES - {""})


def _fieldset(attributes: list[str]) -> str:
    """A sparse fieldset; ``id`` for none, since an empty one would mean all."""
    return ",".join(attributes or ["id"])


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
