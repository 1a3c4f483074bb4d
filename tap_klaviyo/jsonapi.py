"""Klaviyo's dialect of JSON:API: queries out, links and errors in. Pure: no HTTP here.

Sources: Klaviyo's API overview (filtering, sparse fieldsets, relationships, pagination) and its
OpenAPI definition of 2026-07-15.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from tap_klaviyo.streams import Source, Stream

OWN_PROPERTIES = frozenset({"id", "type"})
"""What every resource has beside its attributes."""

DETAIL_LENGTH = 200


@dataclass(frozen=True)
class Query:
    """What is asked of one endpoint: a path and its parameters, filters apart.

    ``scopes`` are what the key needs for it, ``tier`` is the rate limit that holds.
    """

    path: str
    parameters: Mapping[str, str]
    scopes: tuple[str, ...]
    tier: str

    def url(self, filters: Iterable[str], page_size: int | None) -> str:
        """Path and query, percent-encoded; ``page_size`` None leaves it to Klaviyo."""
        terms = ",".join(term for term in filters if term)
        size = {"page[size]": str(page_size)} if page_size else {}
        given = {"filter": terms, **self.parameters, **size}
        pairs = {name: value for name, value in given.items() if value}
        return f"{self.path}?{urlencode(pairs, quote_via=quote)}" if pairs else self.path


def query(stream: Stream, schema: Mapping[str, Any]) -> Query:
    """The query for the selected properties: what nobody selected is not asked for.

    The id of a related resource needs no ``include``: Klaviyo's events name their profile and
    metric by id in any case.
    """
    selected = schema["properties"]
    embedded = [include for include in stream.includes if include.property in selected]
    related = {
        name for include in stream.includes for name in (include.property, include.id_property)
    }
    attributes = _attributes(selected.keys() - related, stream.sources)
    parameters = {
        "include": ",".join(include.relationship for include in embedded),
        f"fields[{stream.type}]": _fieldset(attributes),
        f"additional-fields[{stream.type}]": ",".join(
            name for name in stream.additional if name in attributes
        ),
        "sort": stream.sort,
    }
    for include in embedded:
        parts = schema["properties"][include.property]["items"]["properties"]
        parameters[f"fields[{include.type}]"] = _fieldset(_attributes(parts, include.sources))
    return Query(
        path=stream.path,
        parameters={name: value for name, value in parameters.items() if value},
        scopes=tuple(dict.fromkeys((stream.scope, *(include.scope for include in embedded)))),
        tier=next((stream.slow[name] for name in attributes if name in stream.slow), stream.tier),
    )


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


def between(field: str, start: int, end: int) -> tuple[str, str]:
    """The filter for ``start <= field < end`` on a field of Unix seconds."""
    return f"greater-or-equal({field},{start})", f"less-than({field},{end})"


_URL = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?/[!-\[\]-~]*", re.I)
"""An address that no two parsers can read differently: no user, no backslash, no odd character."""

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an address with a path; None for anything unusual."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme = match[1].lower()
    port = int(match[3] or _PORTS[scheme])
    return (scheme, match[2].lower(), port) if 0 < port < 65_536 else None


def error_detail(body: bytes) -> tuple[str, str]:
    """Klaviyo's own words on an error and the parameter it blames, each empty if it has none.

    An error can also come from what stands before Klaviyo, as HTML.
    """
    try:
        first = json.loads(body)["errors"][0]
        detail = " ".join(str(first.get("detail") or first.get("title") or "").split())
        source = first.get("source") or {}
        return detail[:DETAIL_LENGTH], str(source.get("parameter") or "")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", ""
