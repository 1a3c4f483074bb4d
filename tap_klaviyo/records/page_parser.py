"""Pages of resources in, finished RECORD lines out: bytes to bytes.

Schema and selection are compiled into msgspec Structs once per stream, so that the way of a page
asks no more questions:

* **The fast way.** One call decodes the page into Structs that hold only what is selected. A
  free-form subtree is not even decoded: it stays a ``Raw`` slice of the page and is copied to the
  output. Records are then made column by column, each property of all resources at once, so that
  the loops run in C. One call encodes all records of the page.
* **The slow way.** A page that does not fit is repaired first (see :mod:`tap_klaviyo.repair`) and
  then goes the fast way, so that there is one way out.

What sends a page the slow way, because ``Raw`` copies bytes as they come and would let it pass: a
raw newline (it would break Singer's one-line rule), bytes that are not UTF-8, an escaped NUL
(PostgreSQL refuses it). Msgspec itself refuses a lone surrogate, a wrong type, a missing key. A
date that is not UTC and a free-form value of the wrong kind are refused here.

Streams whose rows name ``sources`` move values about, which only the slow way does.
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

from tap_klaviyo.discovery.selection import Selected
from tap_klaviyo.records.page_converter import convert_page
from tap_klaviyo.records.raw_json import is_clean
from tap_klaviyo.records.resources import (
    Resource,
    document_type,
    included_resources,
    related_columns,
)
from tap_klaviyo.streams.model import PARENT


@dataclass
class Page:
    """One page of records.

    ``records`` are opaque, for :meth:`Shaper.encode`; ``ids`` are those of their resources;
    ``times`` what they are sorted by, in Unix seconds, empty if the stream is not cut by time.
    ``next_url`` is Klaviyo's link to the next page. ``notes`` counts, by text, what the slow way
    had to change, and ``repaired`` tells whether the page took it because it did not fit.
    ``unkeyed`` are the ids of resources that lack a key property and so cannot be records.
    """

    records: list[Any]
    ids: list[str]
    times: list[int | None]
    next_url: str | None
    notes: Counter[str] = field(default_factory=Counter)
    unkeyed: list[str] = field(default_factory=list)
    repaired: bool = False


class Shaper:
    """The compiled way from one stream's pages to its RECORD lines. Threads may share it."""

    def __init__(self, selected: Selected) -> None:
        stream, properties = selected.stream, selected.schema["properties"]
        self._selected = selected
        moved = stream.sources or stream.rows or any(i.sources for i in stream.includes)
        self._moves = bool(moved or stream.report)
        self._included = included_resources(stream.includes, properties)
        related = related_columns(stream)
        self._related = [related[name] for name in properties if name in related]
        own = {name: child for name, child in properties.items() if name not in related}
        further = [name for name in properties if name in related]
        relationships = [include.relationship for include in stream.includes]
        self._resource = Resource(
            stream.type, own, relationships, further, id_property=stream.id_property
        )
        self._decoder = msgspec.json.Decoder(document_type(self._resource, self._included.values()))
        self._encoder = msgspec.json.Encoder()
        self._time = stream.cut.field if stream.cut else ""
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

    def page(
        self, body: bytes, parent: str = "", listed: Callable[[Any], Any] | None = None
    ) -> Page:
        """The records of one page, which are children of ``parent`` if their stream has one.

        ``listed`` makes a list of resources of an answer that is something else.
        Raises ValueError if ``body`` is no page of Klaviyo's at all.
        """
        body = body.strip()
        if not self._moves and is_clean(body):
            try:
                return self._page(self._decoder.decode(body), parent)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                pass  # Whatever is wrong, the slow way finds out and says so.
        repaired = convert_page(body, self._selected, parent, listed)
        page = self._page(self._decoder.decode(repaired.body), parent)
        page.notes, page.unkeyed = repaired.notes, repaired.unkeyed
        page.repaired = not self._moves
        return page

    def encode(
        self, records: Iterable[Any], time_extracted: str, version: int | None = None
    ) -> bytes:
        """The RECORD lines of ``records``, in one call; ``version`` is that of their table."""
        versioned = UNSET if version is None else version
        same = (repeat(time_extracted), repeat(versioned))
        messages = map(self._message, repeat(self._selected.name), records, *same)
        return self._encoder.encode_lines(list(messages))

    def _page(self, document: Any, parent: str) -> Page:
        """The records of a decoded page. Raises ValueError for a value that does not fit."""
        items = document.data
        found = {
            kind: resource.found(document.included, self._encoder)
            for kind, resource in self._included.items()
        }
        context = {PARENT: parent, **found}
        ids = [item.id for item in items]
        attributes = self._resource.attributes(items)
        related = [read(items, context) for read in self._related]
        records = self._resource.records(ids, attributes, related)
        times = [_second(moment) for moment in attributes.get(self._time, ())]
        return Page(records, ids, times, document.links.next)


def _second(moment: Any) -> int | None:
    """Unix seconds of what a list is sorted by, which may be missing."""
    if type(moment) is datetime:
        return int(moment.timestamp())
    return moment or None
