"""Decodes pages that fit their schema, and makes records of them column by column."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.resources import (
    Resource,
    document_type,
    included_resources,
    related_columns,
)
from tap_klaviyo.streams.model import PARENT


class DecodedPage(NamedTuple):
    """The records of a page; :class:`~tap_klaviyo.records.page_parser.Page` describes them."""

    records: list[Any]
    ids: list[str]
    times: list[int | None]
    next_url: str | None


class PageDecoder:
    """Decodes pages of one stream. Threads may share it."""

    def __init__(self, selected: SelectedStream) -> None:
        stream, properties = selected.stream, selected.schema["properties"]
        self._included = included_resources(stream.relationships, properties)
        related = related_columns(stream)
        self._related = [related[name] for name in properties if name in related]
        own = {name: child for name, child in properties.items() if name not in related}
        self._resource = Resource(
            stream.type,
            own,
            [relationship.name for relationship in stream.relationships],
            [name for name in properties if name in related],
            id_property=stream.id_property,
        )
        self._keys = [key for key in selected.keys if key in own]
        self._decoder = msgspec.json.Decoder(document_type(self._resource, self._included.values()))
        self._encoder = msgspec.json.Encoder()
        self._time_field = stream.time_filter.field if stream.time_filter else ""

    def decode(self, body: bytes, parent: str) -> DecodedPage:
        """The records of a page of the children of ``parent``.

        Raises ValueError, MsgspecError or RecursionError if the page does not fit its schema.
        """
        document = self._decoder.decode(body)
        items = document.data
        found = {
            type_name: resource.found(document.included, self._encoder)
            for type_name, resource in self._included.items()
        }
        context = {PARENT: parent, **found}
        ids = [item.id for item in items]
        attributes = self._resource.attributes(items)
        if not all(ids) or any("" in attributes.get(key, ()) for key in self._keys):
            raise ValueError("an empty key")
        related = [read(items, context) for read in self._related]
        records = self._resource.records(ids, attributes, related)
        times = [_seconds(time) for time in attributes.get(self._time_field, ())]
        return DecodedPage(records, ids, times, document.links.next or None)


def _seconds(time: Any) -> int | None:
    """Unix seconds of a date or a number; None if it is missing."""
    if type(time) is datetime:
        return int(time.timestamp())
    return time or None
