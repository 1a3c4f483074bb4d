"""Decodes pages that fit their schema, and makes records of them column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import compress
from typing import Any

import msgspec

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.resources import (
    Resource,
    document_type,
    included_resources,
    related_columns,
)
from tap_klaviyo.records.unknown_attributes import Schema
from tap_klaviyo.streams.model import PARENT

LONGEST_ID = 100
"""Characters of the ID of a resource without a key that are shown."""

UPDATED_SCHEMA = {"type": ["null", "string"], "format": "date-time"}
"""The schema of the date at which a parent was updated."""

_LIST_OF_SECONDS: Schema = {"type": "array", "items": {"type": "integer"}}


@dataclass
class DecodedPage:
    """The records of a page; :class:`~tap_klaviyo.records.page_parser.Page` describes them."""

    records: list[Any]
    ids: list[str]
    times: list[int | None]
    oldest: list[int | None]
    next_url: str | None
    updated: list[int | None]
    without_key: list[str] = field(default_factory=list)


class PageDecoder:
    """Decodes pages of one stream. Threads may share it.

    Pages are ``as_sent`` by Klaviyo, or converted: then all attributes are where a record has them.
    """

    def __init__(self, selected: SelectedStream, *, as_sent: bool) -> None:
        stream, properties = selected.stream, selected.schema["properties"]
        self._included = included_resources(stream.relationships, properties, as_sent=as_sent)
        related = related_columns(stream)
        self._related = [related[name] for name in properties if name in related]
        own = {name: child for name, child in properties.items() if name not in related}
        given_by_page = {"id", "type", stream.id_property}
        self._keys = [key for key in selected.keys if key in own and key not in given_by_page]
        self._time_field = stream.time_filter.field if stream.time_filter else ""
        self._is_of_entries = bool(stream.time_filter and stream.time_filter.is_of_entries)
        entry_dates = self._time_field if self._is_of_entries else ""
        converted = {} if as_sent or not entry_dates else {entry_dates: _LIST_OF_SECONDS}
        self._resource = Resource(
            stream.type,
            {name: _nullable(own[name]) if name in self._keys else own[name] for name in own},
            [relationship.name for relationship in stream.relationships],
            [name for name in properties if name in related],
            id_property=stream.id_property,
            extra_attributes={**unselected_date(selected), **converted},
            field_paths=stream.field_paths if as_sent else {},
            entry_dates=entry_dates if as_sent else "",
        )
        self._decoder = msgspec.json.Decoder(document_type(self._resource, self._included.values()))
        self._encoder = msgspec.json.Encoder()
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
        attributes = self._resource.attributes(items)
        without_key: list[str] = []
        if (has_key := self._have_key(attributes)) is not None:
            without_key = [
                shown_id(item.id) for item, has in zip(items, has_key, strict=True) if not has
            ]
            items = list(compress(items, has_key))
            attributes = {name: list(compress(attributes[name], has_key)) for name in attributes}
        ids = [item.id for item in items]
        if not all(ids):
            raise ValueError("an empty ID")
        related = [read(items, context) for read in self._related]
        records = self._resource.records(ids, attributes, related)
        times, oldest = self._times(attributes.get(self._time_field, ()))
        updated = [_seconds(time) for time in attributes.get(self._updated, ())]
        next_url = document.links.next or None
        return DecodedPage(records, ids, times, oldest, next_url, updated, without_key)

    def _have_key(self, attributes: dict[str, list[Any]]) -> list[bool] | None:
        """For each resource whether it has all key properties; None if all have."""
        columns = [attributes[key] for key in self._keys]
        if all(map(all, columns)):
            return None
        return [all(map(_is_key, keys)) for keys in zip(*columns, strict=True)]

    def _times(self, column: Sequence[Any]) -> tuple[list[int | None], list[int | None]]:
        """The newest and the oldest time of each resource in Unix seconds; None if it has none."""
        if not self._is_of_entries:
            times = [_seconds(time) for time in column]
            return times, times
        newest = [max(seconds, default=None) for seconds in column]
        return newest, [min(seconds, default=None) for seconds in column]


def _nullable(schema: Schema) -> Schema:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return {**schema, "type": [*dict.fromkeys(["null", *types])]}


def _is_key(value: Any) -> bool:
    return value not in (None, "", msgspec.UNSET)


def shown_id(identifier: str) -> str:
    """The ID of a resource in a message: one line, not too long."""
    return " ".join(identifier[:LONGEST_ID].split())


def unselected_date(selected: SelectedStream) -> Mapping[str, Any]:
    """The schema of the date that the run needs, by its name, if the user has not selected it."""
    name, properties = selected.updated, selected.schema["properties"]
    return {name: UPDATED_SCHEMA} if name and name not in properties else {}


def _seconds(time: Any) -> int | None:
    """Unix seconds of a date or a number; None if it is missing."""
    if type(time) is datetime:
        return int(time.timestamp())
    return time or None
