"""Pages of resources in, RECORD lines out: bytes to bytes.

Schema and selection are compiled into msgspec Structs once per stream, so that a page needs only a
few calls:

* **Fast path.** One call decodes the page into Structs that hold only what is selected. A
  free-form value is not decoded: it stays a ``Raw`` slice of the page and is copied to the output.
  Records are made column by column, so that the loops run in C. One call encodes all records.
* **Slow path.** A page that does not fit is converted first (:mod:`page_converter`) and then takes
  the fast path.

A page takes the slow path if msgspec refuses it (a lone surrogate, a wrong type, a missing key), if
it may not be copied verbatim (:mod:`verbatim`), if a date is not UTC, or if a free-form value has
the wrong type. Streams whose values move by design (``field_paths``, ``rows``, reports) always do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.page_converter import convert_page
from tap_klaviyo.records.resources import (
    Resource,
    document_type,
    included_resources,
    related_columns,
)
from tap_klaviyo.records.verbatim import can_copy_verbatim
from tap_klaviyo.streams.model import PARENT


@dataclass
class Page:
    """A page of records.

    ``records`` are opaque, for :meth:`PageParser.encode`; ``ids`` are those of their resources.
    ``times`` are the values of the time filter's field in Unix seconds, empty without a time
    filter. ``next_url`` is Klaviyo's link to the next page. ``warnings`` counts, by text, what was
    changed; ``converted`` says that the page did not fit and was converted. ``without_key`` holds
    the IDs of resources that lack a key property and so cannot become records.
    """

    records: list[Any]
    ids: list[str]
    times: list[int | None]
    next_url: str | None
    warnings: Counter[str] = field(default_factory=Counter)
    without_key: list[str] = field(default_factory=list)
    converted: bool = False


class PageParser:
    """Parses pages of one stream and encodes RECORD lines. Threads may share it."""

    def __init__(self, selected: SelectedStream) -> None:
        stream, properties = selected.stream, selected.schema["properties"]
        self._selected = selected
        nested = any(relationship.field_paths for relationship in stream.relationships)
        self._always_converts = bool(stream.field_paths or stream.rows or stream.report or nested)
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
        self._decoder = msgspec.json.Decoder(document_type(self._resource, self._included.values()))
        self._encoder = msgspec.json.Encoder()
        self._time_field = stream.time_filter.field if stream.time_filter else ""
        self._message = msgspec.defstruct(
            "Message",
            [
                ("stream", str),
                ("record", Any),
                ("time_extracted", str),
                ("version", int | UnsetType, UNSET),
            ],
            tag_field="type",
            tag="RECORD",
            gc=False,
        )

    def parse(
        self, body: bytes, parent: str = "", to_resources: Callable[[Any], Any] | None = None
    ) -> Page:
        """Parses a page; its records are children of ``parent`` if their stream has a parent.

        ``to_resources`` turns an answer that is not a list of resources into one. Raises ValueError
        if ``body`` is not a page.
        """
        body = body.strip()
        if not self._always_converts and can_copy_verbatim(body):
            try:
                return self._page(self._decoder.decode(body), parent)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                pass  # The conversion finds out what is wrong and counts it.
        converted = convert_page(body, self._selected, parent, to_resources)
        page = self._page(self._decoder.decode(converted.body), parent)
        page.warnings, page.without_key = converted.warnings, converted.without_key
        page.converted = not self._always_converts
        return page

    def encode(
        self, records: Iterable[Any], time_extracted: str, version: int | None = None
    ) -> bytes:
        """The RECORD lines of ``records``. ``version`` is the table version of a full table."""
        constants = (repeat(time_extracted), repeat(UNSET if version is None else version))
        messages = map(self._message, repeat(self._selected.name), records, *constants)
        return self._encoder.encode_lines(list(messages))

    def _page(self, document: Any, parent: str) -> Page:
        """Makes the records of a decoded page. Raises ValueError for a value that does not fit."""
        items = document.data
        found = {
            type_name: resource.found(document.included, self._encoder)
            for type_name, resource in self._included.items()
        }
        context = {PARENT: parent, **found}
        ids = [item.id for item in items]
        attributes = self._resource.attributes(items)
        related = [read(items, context) for read in self._related]
        records = self._resource.records(ids, attributes, related)
        times = [_seconds(time) for time in attributes.get(self._time_field, ())]
        return Page(records, ids, times, document.links.next or None)


def _seconds(time: Any) -> int | None:
    """Unix seconds of a date or a number; None if it is missing."""
    if type(time) is datetime:
        return int(time.timestamp())
    return time or None
