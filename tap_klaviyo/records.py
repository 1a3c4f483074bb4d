"""Pages of resources in, finished RECORD lines out: bytes to bytes.

Schema and selection are compiled into msgspec Structs once per stream, so that the way of a page
asks no more questions:

* **The fast way.** One call decodes the page into Structs that hold only what is selected. A
  free-form subtree is not even decoded: it stays a ``Raw`` slice of the page and is copied to the
  output. One call encodes all records of the page.
* **The slow way.** A page that does not fit is repaired first (see :mod:`tap_klaviyo.repair`) and
  then goes the fast way, so that there is one way out.

What sends a page the slow way, because ``Raw`` copies bytes as they come and would let it pass: a
raw newline (it would break Singer's one-line rule), bytes that are not UTF-8, an escaped NUL
(PostgreSQL refuses it). Msgspec itself refuses a lone surrogate, a wrong type, a missing key. The
Structs refuse a date that is not UTC and a free-form value of the wrong kind.

Streams whose rows name ``sources`` move values about, which only the slow way does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias, Union

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tap_klaviyo import repair
from tap_klaviyo.compiled import Schema, attributes_struct, is_clean
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
        related = _getters(stream, self._included)
        self._getters = [related[name] for name in properties if name in related]
        own = {name: child for name, child in properties.items() if name not in related}
        further = [name for name in properties if name in related]
        self._resource = _Resource(stream.type, own, further, stream.id_property)
        self._decoder = msgspec.json.Decoder(
            _document_type(self._resource, self._included, stream.includes)
        )
        self._encoder = msgspec.json.Encoder()
        self._time = self._resource.field_of(stream.cut.field) if stream.cut else ""
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
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
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
        message, name = self._message, self._selected.name
        versioned = UNSET if version is None else version
        return self._encoder.encode_lines(
            [message(name, record, time_extracted, versioned) for record in records]
        )

    def _page(self, document: Any, parent: str) -> Page:
        found = {kind: _Found(resource) for kind, resource in self._included.items()}
        for item in document.included if found else ():
            found[item.__struct_config__.tag].add(item, self._encoder)
        shape, getters = self._resource.shape, self._getters
        context = {PARENT: parent, **found}
        records = [
            shape(item, [get(item.relationships, context) for get in getters])
            for item in document.data
        ]
        ids = [item.id for item in document.data]
        name = self._time
        times = [_second(getattr(item.attributes, name)) for item in document.data] if name else []
        return Page(records, ids, times, document.links.next)


def _second(moment: Any) -> int | None:
    """Unix seconds of what a list is sorted by, which may be missing."""
    if type(moment) is datetime:
        return int(moment.timestamp())
    return moment or None


class _Resource:
    """The Structs of one resource type: what is decoded and what is written.

    ``properties`` are its own, the attributes and perhaps id and type; ``further`` names what a
    record holds after them. ``aside`` are attributes that are decoded for others to use.
    """

    def __init__(
        self,
        kind: str,
        properties: Mapping[str, Schema],
        further: Iterable[str] = (),
        id_property: str = "id",
        aside: Mapping[str, Schema] = MappingProxyType({}),
    ) -> None:
        identity = ("type", id_property)
        self._names = [name for name in properties if name not in identity]
        self._shown = len(self._names)
        decoded = {**aside, **properties}
        self._names += [name for name in aside if name not in properties]
        self.attributes_type = attributes_struct({name: decoded[name] for name in self._names})
        own = [name for name in identity if name in properties]
        self._identity = _IDENTITIES["type" in own, id_property in own](kind)
        names = [*own, *self._names[: self._shown], *further]
        self._record = msgspec.defstruct(
            "Record",
            [(f"f{index}", Any, UNSET) for index in range(len(names))],
            rename={f"f{index}": name for index, name in enumerate(names)},
            gc=False,
        )

    def field_of(self, name: str) -> str:
        """The Struct field in which attribute ``name`` is decoded; empty if there is none."""
        return f"f{self._names.index(name)}" if name in self._names else ""

    def shape(self, item: Any, further: Iterable[Any] = ()) -> Any:
        """A decoded resource as a record, with the values of what is ``further``."""
        values = msgspec.structs.astuple(item.attributes)[: self._shown]
        return self._record(*self._identity(item.id), *values, *further)

    def stub(self, identifier: str) -> Any:
        """A record of which nothing but its id is known."""
        return self._record(*self._identity(identifier))


class _Included(_Resource):
    """The Structs of a related resource, which may tell its own relations by id."""

    def __init__(self, include: Include, properties: Mapping[str, Schema]) -> None:
        items = properties.get(include.property, {}).get("items", {})
        embedded = items.get("properties", {})
        references = {p: r for p, r in include.references.items() if p in embedded}
        super().__init__(
            include.type,
            {name: child for name, child in embedded.items() if name not in references},
            references,
            aside={
                attribute: properties[name]
                for name, attribute in include.lifted.items()
                if name in properties
            },
        )
        self.relationships_type = _relationships(references.values())
        self._getters = [_reference_id(relationship) for relationship in references.values()]

    def embed(self, item: Any) -> Any:
        """A decoded resource as it stands beside a record."""
        return self.shape(item, [get(item.relationships) for get in self._getters])


def _included(
    includes: Iterable[Include], properties: Mapping[str, Schema]
) -> dict[str, _Included]:
    """The related resources whose attributes are wanted, by type."""
    return {
        include.type: _Included(include, properties)
        for include in includes
        if include.property in properties or not properties.keys().isdisjoint(include.lifted)
    }


_IDENTITIES: dict[tuple[bool, bool], Callable[[str], Callable[[str], tuple[str, ...]]]] = {
    (False, False): lambda kind: lambda identifier: (),
    (False, True): lambda kind: lambda identifier: (identifier,),
    (True, False): lambda kind: lambda identifier: (kind,),
    (True, True): lambda kind: lambda identifier: (kind, identifier),
}
"""Whether a resource's type is selected, and its id: their values from type and id."""


class _Found(dict[str, Any]):
    """The resources of one type that a page includes, by id, encoded; a stub for what it lacks.

    ``attributes`` holds what was decoded of each.
    """

    def __init__(self, resource: _Included) -> None:
        super().__init__()
        self._resource = resource
        self.attributes: dict[str, Any] = {}

    def add(self, item: Any, encoder: msgspec.json.Encoder) -> None:
        """Takes in a resource: encoded here once, however many records embed it."""
        self[item.id] = Raw(encoder.encode(self._resource.embed(item)))
        self.attributes[item.id] = item.attributes

    def __missing__(self, identifier: str) -> Any:
        return self._resource.stub(identifier)


_Getter: TypeAlias = Callable[[Any, Mapping[str, Any]], Any]
"""Reads a property of a record from its relationships and from what its page includes, by type."""


def _getters(stream: Stream, included: Mapping[str, _Included]) -> dict[str, _Getter]:
    """For each property that is no attribute of its resource, what reads it."""
    getters: dict[str, _Getter] = {stream.parent.property: _parent} if stream.parent else {}
    for include in stream.includes:
        getters[include.property] = _embedded(include)
        getters[include.id_property] = _related_id(include)
        for name in include.lifted:
            getters[name] = _lifted(include, included.get(include.type), name)
    return getters


def _parent(relationships: Any, found: Mapping[str, Any]) -> Any:
    return found[PARENT]


def _embedded(include: Include) -> _Getter:
    """Reads the resources that a relation refers to: an array, empty if there is none."""
    name, kind = _field_name(include.relationship), include.type

    def get(relationships: Any, found: Mapping[str, Any]) -> list[Any]:
        data, known = getattr(relationships, name).data, found[kind]
        if data is None:
            return []
        return [known[ref.id] for ref in data] if type(data) is list else [known[data.id]]

    return get


def _lifted(include: Include, resource: _Included | None, name: str) -> _Getter:
    """Reads one attribute of the resource that a to-one relation refers to."""
    relation, kind = _field_name(include.relationship), include.type
    attribute = resource.field_of(include.lifted[name]) if resource else ""

    def get(relationships: Any, found: Mapping[str, Any]) -> Any:
        data = getattr(relationships, relation).data
        attributes = found[kind].attributes.get(getattr(data, "id", None))
        return getattr(attributes, attribute, None)

    return get


def _related_id(include: Include) -> _Getter:
    """Reads the id that a to-one relation refers to."""
    read = _reference_id(include.relationship)
    return lambda relationships, found: read(relationships)


def _reference_id(relationship: str) -> Callable[[Any], str | None]:
    name = _field_name(relationship)
    return lambda relationships: getattr(getattr(relationships, name).data, "id", None)


def _field_name(relationship: str) -> str:
    return relationship.replace("-", "_")


class _Reference(msgspec.Struct, gc=False):
    id: str


class _Relation(msgspec.Struct, gc=False):
    data: _Reference | list[_Reference] | None = None


class _Links(msgspec.Struct, gc=False):
    next: str | None = None


def _relationships(names: Iterable[str]) -> Any:
    """The Struct of the relations with these names."""
    fields = {_field_name(name): name for name in names}
    return msgspec.defstruct(
        "Relationships",
        [(field, _Relation, _default(_Relation)) for field in fields],
        rename=fields,
        gc=False,
    )


def _document_type(
    resource: _Resource, included: Mapping[str, _Included], includes: Iterable[Include]
) -> Any:
    """The Struct of a whole page, from the Structs of its resources.

    None of them can be part of a cycle, so Python's garbage collector need not look at thousands of
    them a page: that would take an eighth of the time.
    """
    relationships = _relationships(include.relationship for include in includes)
    item = msgspec.defstruct(
        "Item",
        [
            ("id", str),
            ("attributes", resource.attributes_type, _default(resource.attributes_type)),
            ("relationships", relationships, _default(relationships)),
        ],
        gc=False,
    )
    embedded = [
        msgspec.defstruct(
            "Included",
            [
                ("id", str),
                ("attributes", part.attributes_type, _default(part.attributes_type)),
                ("relationships", part.relationships_type, _default(part.relationships_type)),
            ],
            tag_field="type",
            tag=kind,
            gc=False,
        )
        for kind, part in included.items()
    ]
    kinds = Union[tuple(embedded)] if embedded else Raw
    return msgspec.defstruct(
        "Document",
        [
            ("data", list[item]),  # type: ignore[valid-type]
            ("included", list[kinds], _default(list)),  # type: ignore[valid-type]
            ("links", _Links, _default(_Links)),
        ],
    )


def _default(factory: Any) -> Any:
    return msgspec.field(default_factory=factory)
