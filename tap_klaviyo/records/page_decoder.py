"""Decodes pages that fit their schema, and makes records of them column by column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import compress, repeat
from typing import Any

import msgspec

from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.hashing import Hashing
from tap_klaviyo.records.resources import (
    Resource,
    document_type,
    included_resources,
    related_columns,
    unread_type,
)
from tap_klaviyo.records.unknown_attributes import Schema, Unread, unread_warning
from tap_klaviyo.streams.model import ACCOUNT_ID, PARENT, Stream

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
    times_without_key: list[int | None] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)


class PageDecoder:
    """Decodes pages of one stream. Threads may share it.

    Pages are ``as_sent`` by Klaviyo, or converted: then all attributes are where a record has them.
    What is ``unread`` is counted; anything else that is unknown makes a page that does not fit.
    Only records have hashes: what the page tells besides has the values that Klaviyo has sent.
    """

    def __init__(
        self,
        selected: SelectedStream,
        unread: Collection[Unread] = (),
        hashing: Hashing | None = None,
        *,
        as_sent: bool,
    ) -> None:
        stream, properties = selected.stream, selected.schema["properties"]
        self._included = included_resources(
            stream.relationships, properties, unread, as_sent=as_sent
        )
        types = {one.type for one in stream.relationships} - self._included.keys()
        self._unread_types = {
            unread_type(type_name): type_name
            for where, type_name, _ in unread
            if where == "included"
        }
        related = related_columns(stream)
        self._leading = [ACCOUNT_ID] if stream.account_column and ACCOUNT_ID in properties else []
        sent = {name: child for name, child in properties.items() if name not in self._leading}
        self._related = {name: related[name] for name in sent if name in related}
        self._hashed = hashing.columns(stream, sent) if hashing else {}
        own = {name: child for name, child in sent.items() if name not in related}
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
            self._related,
            leading=self._leading,
            id_property=stream.id_property,
            extra_attributes={**unselected_date(selected), **converted},
            field_paths=stream.field_paths if as_sent else {},
            entry_dates=entry_dates if as_sent else "",
            ignored=known_attributes(stream),
            unread=unread,
            refuse_unknown=True,
        )
        included = (
            *(resource.item_type for resource in self._included.values()),
            *map(unread_type, types),
            *self._unread_types,
        )
        self._decoder = msgspec.json.Decoder(document_type(self._resource, included))
        self._encoder = msgspec.json.Encoder()
        self._updated = selected.updated

    def decode(self, body: bytes, parent: str, account_id: str = "") -> DecodedPage:
        """The records of a page of the children of ``parent``, from the account ``account_id``.

        Raises ValueError, MsgspecError or RecursionError if the page does not fit its schema.
        """
        document = self._decoder.decode(body)
        items = document.data
        warnings: Counter[str] = Counter()
        self._count_unread(self._resource, items, warnings)
        found = {}
        for type_name, resource in self._included.items():
            included = resource.items(document.included)
            found[type_name] = resource.found(included, self._encoder)
            self._count_unread(resource, included, warnings)
        for item in document.included if self._unread_types else ():
            if (unread := self._unread_types.get(type(item))) is not None:
                warnings[unread_warning(("included", unread, ""))] += 1
        context = {PARENT: parent, **found}
        attributes = self._resource.attributes(items)
        times, oldest = self._times(attributes)
        without_key: list[str] = []
        times_without_key: list[int | None] = []
        has_key = self._have_key(attributes, len(items))
        if not all(has_key):
            lacks_key = [not has for has in has_key]
            without_key = [shown_id(item.id) for item in compress(items, lacks_key)]
            times_without_key = list(compress(times, lacks_key))
            items = list(compress(items, has_key))
            attributes = {name: list(compress(attributes[name], has_key)) for name in attributes}
            times, oldest = list(compress(times, has_key)), list(compress(oldest, has_key))
        ids = [item.id for item in items]
        if not all(ids):
            raise ValueError("an empty ID")
        related = {name: read(items, context) for name, read in self._related.items()}
        columns = {**attributes, **related}
        columns |= {name: hashed(columns[name]) for name, hashed in self._hashed.items()}
        return DecodedPage(
            self._resource.records(
                ids,
                columns,
                [columns[name] for name in related],
                [repeat(account_id)] if self._leading else [],
            ),
            ids,
            times,
            oldest,
            document.links.next or None,
            [_seconds(time) for time in attributes.get(self._updated, ())],
            without_key,
            times_without_key,
            warnings,
        )

    def _count_unread(
        self, resource: Resource, items: Sequence[Any], warnings: Counter[str]
    ) -> None:
        for unread, times in resource.unread(items):
            warnings[unread_warning(unread)] += times

    def _have_key(self, attributes: dict[str, list[Any]], count: int) -> list[bool]:
        """For each resource whether it has all key properties."""
        columns = [attributes[key] for key in self._keys]
        if all(map(all, columns)):
            return [True] * count
        return [all(map(_is_key, keys)) for keys in zip(*columns, strict=True)]

    def _times(
        self, attributes: Mapping[str, list[Any]]
    ) -> tuple[list[int | None], list[int | None]]:
        """The newest and the oldest time of each resource in Unix seconds; None if it has none."""
        column = attributes.get(self._time_field, ())
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


def known_attributes(stream: Stream) -> set[str]:
    """The attributes of a stream's resources that are described: those of records and of others."""
    paths = [stream.rows, *(field_path.path for field_path in stream.field_paths.values())]
    if stream.time_filter is not None:
        paths.append(stream.time_filter.field)
    return {*schema_of(stream)["properties"], *(path.partition(".")[0] for path in paths)}


def unselected_date(selected: SelectedStream) -> Mapping[str, Any]:
    """The schema of the date that the run needs, by its name, if the user has not selected it."""
    name, properties = selected.updated, selected.schema["properties"]
    return {name: UPDATED_SCHEMA} if name and name not in properties else {}


def _seconds(time: Any) -> int | None:
    """Unix seconds of a date or a number; None if it is missing."""
    if type(time) is datetime:
        return int(time.timestamp())
    return time or None
