"""Pages of resources in, RECORD lines out: bytes to bytes.

Schema and selection are compiled into msgspec Structs once per stream, so that a page needs only a
few calls:

* **Fast path.** One call decodes the page into Structs that hold only what is selected. A
  free-form value is not decoded: it stays a ``Raw`` slice of the page and is copied to the output.
  Records are made column by column, so that the loops run in C. One call encodes all records.
* **Slow path.** A page that does not fit is converted first (:mod:`page_converter`) and then takes
  the fast path.

Where Klaviyo sends attributes that the schema does not describe, it sends them with all resources
of a type. So the first resources of a page that does not fit are converted alone: if they have such
attributes, these are compiled, and the page tries the fast path again.

A page takes the slow path if msgspec refuses it (a lone surrogate, a wrong type, a missing key), if
it may not be copied verbatim (:mod:`verbatim`), if a date is not UTC, or if a free-form value has
the wrong type.

Values that move by design (``field_paths``) are decoded where Klaviyo sends them (:mod:`columns`).
The conversion moves them first, so a converted page is decoded by Structs of its own. Streams whose
records are parts of a resource (``rows``, reports), whose answers are one resource (``single``), or
whose values get another form always take the slow path.

Besides its records, a page tells the times of its resources that their stream is filtered by. Where
a resource has several, because the filter is on the entries of an array, it tells the newest and
the oldest, whether or not the array is selected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.hashing import Hashing
from tap_klaviyo.records.page_converter import convert_page
from tap_klaviyo.records.page_decoder import PageDecoder
from tap_klaviyo.records.unknown_attributes import (
    MOST_UNKNOWN,
    Findings,
    Unread,
    closed_where_partial,
    extended,
)
from tap_klaviyo.records.verbatim import can_copy_verbatim

LEARNED_FROM = 50
"""Resources of a page that are converted first, to learn of unknown attributes."""


@dataclass
class Page:
    """A page of records.

    ``records`` are opaque, for :meth:`PageParser.encode`; ``ids`` are those of their resources.
    ``times`` are the values of the time filter's field in Unix seconds, empty without a time
    filter. Of a resource that has several they are the newest, and ``oldest`` are the oldest; both
    are None for a resource that has none. ``updated`` are those of the date that the selection
    needs besides. ``next_url`` is Klaviyo's link to the next page.
    ``warnings`` counts, by text, what was changed; ``converted`` says that the page did not fit and
    was converted. ``without_key`` holds the IDs of resources that lack a key property and so cannot
    become records, ``times_without_key`` their times if resources have several.
    """

    records: list[Any]
    ids: list[str]
    times: list[int | None]
    oldest: list[int | None]
    next_url: str | None
    updated: list[int | None] = field(default_factory=list)
    warnings: Counter[str] = field(default_factory=Counter)
    without_key: list[str] = field(default_factory=list)
    times_without_key: list[int | None] = field(default_factory=list)
    converted: bool = False


class _Resources(msgspec.Struct):
    """The resources of a page as they were sent."""

    data: list[msgspec.Raw]
    included: list[msgspec.Raw] | None = None


class _Compiled:
    """A stream compiled to decoders. ``room`` is how many more unknown attributes it may keep.

    ``unread`` is what was found that is left out. ``hashing`` is what is hashed in records.
    """

    def __init__(
        self,
        selected: SelectedStream,
        room: int = MOST_UNKNOWN,
        unread: frozenset[Unread] = frozenset(),
        hashing: Hashing | None = None,
    ) -> None:
        self.selected = selected
        self.hashing = hashing
        self.room = room
        self.unread = unread

    @cached_property
    def as_sent(self) -> PageDecoder:
        """Decodes a page as Klaviyo sends it."""
        return PageDecoder(self.selected, self.unread, self.hashing, as_sent=True)

    @cached_property
    def converted(self) -> PageDecoder:
        """Decodes a page that was converted: by another decoder if that has moved values."""
        stream = self.selected.stream
        moves = stream.field_paths or any(one.field_paths for one in stream.relationships)
        has_dates = stream.time_filter and stream.time_filter.is_of_entries
        if not (moves or has_dates):
            return self.as_sent
        return PageDecoder(self.selected, hashing=self.hashing, as_sent=False)

    def learns(self, unread: Set[Unread]) -> bool:
        """Whether there is something unread that is not compiled yet, and room for it."""
        return len(self.unread) < MOST_UNKNOWN and not unread <= self.unread

    def extended(self, findings: Findings) -> _Compiled:
        """The same with what the conversion of a page found, so that later pages need none."""
        schema = dict(extended(self.selected.schema, findings))
        return _Compiled(
            replace(self.selected, schema=schema),
            self.room - len(findings.unknown),
            self.unread | findings.unread if self.learns(findings.unread) else self.unread,
            self.hashing,
        )


class PageParser:
    """Parses pages of one stream and encodes RECORD lines. Threads may share it.

    ``hashing`` is what is hashed in the records. ``account_id`` is the ID of the account, for a
    stream with a column for it.
    """

    def __init__(self, selected: SelectedStream, hashing: Hashing | None = None) -> None:
        self.account_id = ""
        stream = selected.stream
        schema = dict(closed_where_partial(selected.schema, schema_of(stream)))
        self._name = selected.name
        self._always_converts = bool(
            stream.rows or stream.report or stream.single or stream.is_reshaped
        )
        self._compiled = _Compiled(replace(selected, schema=schema), hashing=hashing)
        self._encoder = msgspec.json.Encoder()
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
            page = self._decoded(body, parent)
            if page is None and self._learn(body, parent):
                page = self._decoded(body, parent)
            if page is not None:
                return page
        compiled = self._compiled
        converted = convert_page(body, compiled.selected, parent, to_resources, compiled.room)
        if self._extend(converted.findings):
            compiled = self._compiled
        decoded = compiled.converted.decode(converted.body, parent, self.account_id)
        decoded.without_key = converted.without_key
        decoded.times_without_key = converted.times_without_key
        decoded.warnings = converted.findings.warnings
        return Page(**vars(decoded), converted=not self._always_converts)

    def _decoded(self, body: bytes, parent: str) -> Page | None:
        """A page by the fast path; None if it does not fit: the conversion finds out why."""
        try:
            decoder = self._compiled.as_sent
            return Page(**vars(decoder.decode(body, parent, self.account_id)))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None

    def _learn(self, body: bytes, parent: str) -> bool:
        """Learns from the first resources of a page that does not fit; whether there was anything.

        Mostly, that is all: what Klaviyo adds to one resource it adds to all.
        """
        with suppress(msgspec.MsgspecError, ValueError, RecursionError):
            page = msgspec.json.decode(body, type=_Resources)
            first = _Resources(page.data[:LEARNED_FROM], (page.included or [])[:LEARNED_FROM])
            start = msgspec.json.encode(first)
            compiled = self._compiled
            found = convert_page(start, compiled.selected, parent, room=compiled.room)
            return self._extend(found.findings)
        return False

    def _extend(self, findings: Findings) -> bool:
        """Compiles what the conversion of a page has found; whether there was anything."""
        found = bool(findings.unknown or findings.numbers_as_text)
        if found or self._compiled.learns(findings.unread):
            self._compiled = self._compiled.extended(findings)
            return True
        return False

    def encode_bare(self, records: Iterable[Any]) -> bytes:
        """Lines of ``records`` without the envelope of a RECORD message, for a batch file."""
        return self._encoder.encode_lines(list(records))

    def encode(
        self, records: Iterable[Any], time_extracted: str, version: int | None = None
    ) -> bytes:
        """The RECORD lines of ``records``. ``version`` is the table version of a full table."""
        constants = (repeat(time_extracted), repeat(UNSET if version is None else version))
        messages = map(self._message, repeat(self._name), records, *constants)
        return self._encoder.encode_lines(list(messages))
