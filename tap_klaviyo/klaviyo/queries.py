"""Klaviyo's dialect of JSON:API: queries out, links and errors in. Pure: no HTTP here.

Sources: Klaviyo's API overview (filtering, sparse fieldsets, relationships, pagination) and its
OpenAPI definition of 2026-07-15.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

from tap_klaviyo.streams.model import PARENT, Cut, Include, Source, Stream

OWN_PROPERTIES = frozenset({"id", "type"})
"""What every resource has beside its attributes."""


@dataclass(frozen=True)
class Query:
    """What is asked of one endpoint: a path and its parameters, filters apart.

    ``scopes`` are what the key needs for it, ``tier`` is the rate limit that holds.
    """

    path: str
    parameters: Mapping[str, str]
    scopes: tuple[str, ...]
    tier: str

    def url(self, filters: Iterable[str], page_size: int | None, parent: str = "") -> str:
        """Path and query, percent-encoded; ``page_size`` None leaves it to Klaviyo.

        ``parent`` is the id that a child's path or filters have a place for.
        """
        terms = ",".join(term for term in filters if term).replace(PARENT, json.dumps(parent))
        size = {"page[size]": str(page_size)} if page_size else {}
        given = {"filter": terms, **self.parameters, **size}
        pairs = {name: value for name, value in given.items() if value}
        path = self.path.replace(PARENT, quote(parent, safe=""))
        return f"{path}?{urlencode(pairs, quote_via=quote)}" if pairs else path


def query_for(stream: Stream, schema: Mapping[str, Any]) -> Query:
    """The query for the selected properties: what nobody selected is not asked for.

    A report has all that is asked in its body.
    """
    if stream.report:
        return Query(stream.path, {}, stream.scopes, stream.tier)
    selected = schema["properties"]
    asked = [include for include in stream.includes if _is_asked(include, selected)]
    attributes = _attributes(selected.keys() - _not_attributes(stream), stream.sources)
    parameters = {
        "include": ",".join(include.relationship for include in asked),
        f"fields[{stream.type}]": _fieldset(attributes),
        f"additional-fields[{stream.type}]": ",".join(
            name for name in stream.additional if name in attributes
        ),
        "sort": stream.sort,
    }
    for include in asked:
        embedded = selected.get(include.property, {}).get("items", {}).get("properties", {})
        lifted = [name for prop, name in include.lifted.items() if prop in selected]
        parts = [*(embedded.keys() - include.references.keys()), *lifted]
        parameters[f"fields[{include.type}]"] = _fieldset(_attributes(parts, include.sources))
    scopes = (*stream.scopes, *(include.scope for include in asked if include.scope))
    return Query(
        path=stream.path,
        parameters={name: value for name, value in parameters.items() if value},
        scopes=tuple(dict.fromkeys(scopes)),
        tier=next((stream.slow[name] for name in attributes if name in stream.slow), stream.tier),
    )


def _is_asked(include: Include, selected: Mapping[str, Any]) -> bool:
    """Whether a related resource is needed: Klaviyo's events name theirs by id in any case."""
    return include.is_wanted(selected) or (include.id_asked and include.id_property in selected)


def _not_attributes(stream: Stream) -> set[str]:
    """The properties of a stream's records that are no attributes of its resources."""
    related = {
        name
        for include in stream.includes
        for name in (include.property, include.id_property, *include.lifted)
    }
    parent = {stream.parent.property} if stream.parent else set()
    return {*related, *(parent - stream.sources.keys()), stream.id_property}


def _attributes(properties: Iterable[str], sources: Mapping[str, Source]) -> list[str]:
    """The attributes in which the values of ``properties`` stand, sorted and each once."""
    paths = (sources[name].path if name in sources else name for name in properties)
    return sorted({path.split(".")[0] for path in paths} - OWN_PROPERTIES)


def _fieldset(attributes: list[str]) -> str:
    """A resource of which only the id is wanted still needs a fieldset, or it comes whole."""
    return ",".join(attributes or ["id"])


def equals(field: str, value: str) -> str:
    """The filter for one value of a text field."""
    return f"equals({field},{json.dumps(value)})"


def between(cut: Cut, start: int, end: int) -> tuple[str, str]:
    """The filters for ``start <= field < end``, in Unix seconds.

    Where Klaviyo's only operators take in less or more than that, more it is.
    """
    start -= cut.lower == "greater-than"
    low, high = (_date(start), _date(end)) if cut.iso else (start, end)
    return f"{cut.lower}({cut.field},{low})", f"{cut.upper}({cut.field},{high})"


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
