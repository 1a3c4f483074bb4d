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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeAlias, Union

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tap_klaviyo import repair
from tap_klaviyo.compiled import Attributes, Schema, is_clean
from tap_klaviyo.discovery import Selected
from tap_klaviyo.kinds import PARENT, Include, Stream


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
        self._included = _included(stream.includes, properties)
        related = _related(stream)
        self._related = [related[name] for name in properties if name in related]
        own = {name: child for name, child in properties.items() if name not in related}
        further = [name for name in properties if name in related]
        relationships = [include.relationship for include in stream.includes]
        self._resource = _Resource(
            stream.type, own, relationships, further, id_property=stream.id_property
        )
        self._decoder = msgspec.json.Decoder(
            _document_type(self._resource, self._included.values())
        )
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
        repaired = repair.page(body, self._selected, parent, listed)
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


class _Resource:
    """The Structs of one resource type: what is decoded and what is written.

    ``properties`` are its own, the attributes and perhaps id and type; ``further`` names what a
    record holds after them. ``relationships`` are decoded for others to use, and so are attributes
    that stand ``aside``. With ``tagged`` only resources of this type are decoded.
    """

    def __init__(
        self,
        kind: str,
        properties: Mapping[str, Schema],
        relationships: Iterable[str] = (),
        further: Iterable[str] = (),
        *,
        id_property: str = "id",
        aside: Mapping[str, Schema] = MappingProxyType({}),
        tagged: bool = False,
    ) -> None:
        shown = {n: child for n, child in properties.items() if n not in ("type", id_property)}
        self._shown = list(shown)
        self._attributes = Attributes({**aside, **shown})
        self._has_id = id_property in properties
        self.item_type = _item_type(self._attributes.struct, relationships, kind if tagged else "")
        written = {f"f{at}": n for at, n in enumerate([id_property, *shown, *further])}
        self._record = msgspec.defstruct(
            "Record",
            [(field, Any, UNSET) for field in written],
            rename=written,
            tag_field="type" if "type" in properties else None,
            tag=kind if "type" in properties else None,
            gc=False,
        )

    def attributes(self, items: Sequence[Any]) -> dict[str, list[Any]]:
        """The attributes of decoded resources, a column for each by name.

        Raises ValueError for a value that does not fit its schema.
        """
        return self._attributes.columns([item.attributes for item in items])

    def records(
        self,
        ids: Sequence[str],
        attributes: Mapping[str, Iterable[Any]],
        further: Iterable[Iterable[Any]] = (),
    ) -> list[Any]:
        """Resources as records, all of them given column by column."""
        known = ids if self._has_id else repeat(UNSET, len(ids))
        own = (attributes[name] for name in self._shown)
        return list(map(self._record, known, *own, *further))

    def stub(self, identifier: str) -> Any:
        """A record of which nothing but its id is known."""
        return self._record(identifier if self._has_id else UNSET)


class _Included(_Resource):
    """The Structs of a related resource, which may tell its own relations by id."""

    def __init__(self, include: Include, properties: Mapping[str, Schema]) -> None:
        embedded = include.embedded(properties)
        references = {p: r for p, r in include.references.items() if p in embedded}
        self._lifted = include.lifted_out(properties)
        super().__init__(
            include.type,
            {name: child for name, child in embedded.items() if name not in references},
            references.values(),
            references,
            aside=self._lifted,
            tagged=True,
        )
        self._references = [_ids(relationship) for relationship in references.values()]

    def found(self, included: Iterable[Any], encoder: msgspec.json.Encoder) -> _Found:
        """What a page includes of this type."""
        items = [item for item in included if type(item) is self.item_type]
        ids = [item.id for item in items]
        attributes = self.attributes(items)
        records = self.records(ids, attributes, [read(items, {}) for read in self._references])
        # Encoded here once, however many records embed it.
        encoded = [[Raw(encoder.encode(record))] for record in records]
        found = _Found(zip(ids, encoded, strict=True))
        found.stub = self.stub
        found.lifted = {n: dict(zip(ids, attributes[n], strict=True)) for n in self._lifted}
        return found


class _Found(dict[str, list[Any]]):
    """The resources of one type that a page includes, by id, encoded; a ``stub`` for what it lacks.

    Each is in a list of its own, as the records of a to-one relation have it. ``lifted`` maps the
    name of an attribute to its values by id.
    """

    stub: Callable[[str], Any]
    lifted: Mapping[str, Mapping[str, Any]]

    def __missing__(self, identifier: str) -> list[Any]:
        return [self.stub(identifier)]


def _included(
    includes: Iterable[Include], properties: Mapping[str, Schema]
) -> dict[str, _Included]:
    """The related resources whose attributes are wanted, by type."""
    return {
        include.type: _Included(include, properties)
        for include in includes
        if include.is_wanted(properties)
    }


_Column: TypeAlias = Callable[[Sequence[Any], Mapping[str, Any]], Iterable[Any]]
"""Reads one property of all resources of a page, from them and from what the page includes."""


def _related(stream: Stream) -> dict[str, _Column]:
    """For each property that is no attribute of its resource, what reads it."""
    columns: dict[str, _Column] = {stream.parent.property: _parent} if stream.parent else {}
    for include in stream.includes:
        columns[include.property] = _embedded(include)
        columns[include.id_property] = _ids(include.relationship)
        for name, attribute in include.lifted.items():
            columns[name] = _lifted(include, attribute)
    return columns


def _parent(items: Sequence[Any], found: Mapping[str, Any]) -> Iterable[Any]:
    return repeat(found[PARENT], len(items))


def _embedded(include: Include) -> _Column:
    """Reads the resources that a relation refers to: an array, empty if there is none."""
    data_of, kind = _data_of(include.relationship), include.type

    def read(items: Sequence[Any], found: Mapping[str, Any]) -> list[Any]:
        known = found[kind]
        return [
            known[data.id]
            if type(data) is _Reference
            else [one for reference in data or () for one in known[reference.id]]
            for data in map(data_of, items)
        ]

    return read


def _lifted(include: Include, attribute: str) -> _Column:
    """Reads one attribute of the resource that a to-one relation refers to."""
    ids, kind = _ids(include.relationship), include.type

    def read(items: Sequence[Any], found: Mapping[str, Any]) -> Iterable[Any]:
        return map(found[kind].lifted[attribute].get, ids(items, found))

    return read


def _ids(relationship: str) -> _Column:
    """Reads the id that a to-one relation refers to."""
    data_of = _data_of(relationship)
    return lambda items, found: [getattr(data, "id", None) for data in map(data_of, items)]


def _data_of(relationship: str) -> Callable[[Any], Any]:
    """Reads the references of one relation of a resource."""
    return attrgetter(f"relationships.{_field_name(relationship)}.data")


def _field_name(relationship: str) -> str:
    return relationship.replace("-", "_")


class _Reference(msgspec.Struct, gc=False):
    id: str


class _Relation(msgspec.Struct, gc=False):
    data: _Reference | list[_Reference] | None = None


class _Links(msgspec.Struct, gc=False):
    next: str | None = None


# None of the Structs of a page can be part of a cycle, so Python's garbage collector need not look
# at thousands of them: that would take an eighth of the time.


def _item_type(attributes: Any, relationships: Iterable[str], tag: str) -> Any:
    """The Struct of a resource; with a ``tag`` it has that type."""
    fields = {_field_name(name): name for name in relationships}
    related = msgspec.defstruct(
        "Relationships",
        [(field, _Relation, _default(_Relation)) for field in fields],
        rename=fields,
        gc=False,
    )
    return msgspec.defstruct(
        "Item",
        [
            ("id", str),
            ("attributes", attributes, _default(attributes)),
            ("relationships", related, _default(related)),
        ],
        tag_field="type" if tag else None,
        tag=tag or None,
        gc=False,
    )


def _document_type(resource: _Resource, included: Iterable[_Resource]) -> Any:
    """The Struct of a whole page."""
    kinds = tuple(part.item_type for part in included)
    return msgspec.defstruct(
        "Document",
        [
            ("data", list[resource.item_type]),  # type: ignore[name-defined]
            ("included", list[Union[kinds] if kinds else Raw], _default(list)),  # type: ignore[misc]
            ("links", _Links, _default(_Links)),
        ],
    )


def _default(factory: Any) -> Any:
    return msgspec.field(default_factory=factory)
