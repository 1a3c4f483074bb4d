"""Decodes pages that fit their schema, and makes records of them column by column."""

from __future__ import annotations

from collections.abc import Mapping
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

UPDATED_SCHEMA = {"type": ["null", "string"], "format": "date-time"}
"""The schema of the date at which a parent was updated."""


class DecodedPage(NamedTuple):
    """The records of a page; :class:`~tap_klaviyo.records.page_parser.Page` describes them."""

    records: list[Any]
    ids: list[str]
    times: list[int | None]
    next_url: str | None
    updated: list[int | None]


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
            extra_attributes=unselected_date(selected),
        )
        self._keys = [key for key in selected.keys if key in own]
        self._decoder = msgspec.json.Decoder(document_type(self._resource, self._included.values()))
        self._encoder = msgspec.json.Encoder()
        self._time_field = stream.time_filter.field if stream.time_filter else ""
        self._updated = selected.updated

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
        updated = [_seconds(time) for time in attributes.get(self._updated, ())]
        return DecodedPage(records, ids, times, document.links.next or None, updated)


def unselected_date(selected: SelectedStream) -> Mapping[str, Any]:
    """The schema of the date that the run needs, by its name, if the user has not selected it."""
    name, properties = selected.updated, selected.schema["properties"]
    return {name: UPDATED_SCHEMA} if name and name not in properties else {}


def _seconds(time: Any) -> int | None:
    """Unix seconds of a date or a number; None if it is missing."""
    if type(time) is datetime:
        return int(time.timestamp())
    return time or None
