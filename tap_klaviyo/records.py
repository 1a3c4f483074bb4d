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

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Annotated, Any, Union

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from tap_klaviyo import repair
from tap_klaviyo.discovery import Selected
from tap_klaviyo.jsonapi import OWN_PROPERTIES
from tap_klaviyo.streams import Include

Schema = Mapping[str, Any]

_INTEGER = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_SCALARS: dict[str, tuple[Any, ...]] = {
    "string": (str,),
    "integer": (_INTEGER,),
    "number": (_INTEGER, float),
    "boolean": (bool,),
    "null": (None,),
}
_FIRST_BYTES = {"object": b"{", "array": b"[", "null": b"n"}
"""How a free-form value of a kind begins in JSON."""


@dataclass
class Page:
    """One page of records.

    ``records`` are opaque, for :meth:`Shaper.encode`; ``times`` their replication values in Unix
    seconds, empty if the stream has none. ``next_url`` is Klaviyo's link to the next page.
    ``notes`` counts, by text, what the slow way had to change, and ``repaired`` tells whether the
    page took it because it did not fit. ``unkeyed`` are the ids of resources that lack a key
    property and so cannot be records.
    """

    records: list[Any]
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
        self._moves = bool(stream.sources) or any(i.sources for i in stream.includes)
        related = {
            **{i.property: _embedded(i) for i in stream.includes},
            **{i.id_property: _related_id(i) for i in stream.includes},
        }
        self._getters = [related[name] for name in properties if name in related]
        own = {name: child for name, child in properties.items() if name not in related}
        further = [name for name in properties if name in related]
        self._resource = _Resource(stream.type, own, further)
        self._included = {
            i.type: _Resource(i.type, properties[i.property]["items"]["properties"])
            for i in stream.includes
            if i.property in properties
        }
        self._decoder = msgspec.json.Decoder(
            _document_type(self._resource, self._included, stream.includes)
        )
        self._encoder = msgspec.json.Encoder()
        self._time = self._resource.field_of(stream.replication_key)
        self._message = msgspec.defstruct(
            "Message",
            [("stream", str), ("record", Any), ("time_extracted", str)],
            tag_field="type",
            tag="RECORD",
            gc=False,
        )

    def page(self, body: bytes) -> Page:
        """The records of one page. Raises ValueError if ``body`` is no page of Klaviyo's at all."""
        body = body.strip()
        if not self._moves and _is_clean(body):
            try:
                return self._page(self._decoder.decode(body))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass  # Whatever is wrong, the slow way finds out and says so.
        repaired = repair.page(body, self._selected)
        page = self._page(self._decoder.decode(repaired.body))
        page.notes, page.unkeyed = repaired.notes, repaired.unkeyed
        page.repaired = not self._moves
        return page

    def encode(self, records: Iterable[Any], time_extracted: str) -> bytes:
        """The RECORD lines of ``records``, in one call."""
        message, name = self._message, self._selected.name
        return self._encoder.encode_lines(
            [message(name, record, time_extracted) for record in records]
        )

    def _page(self, document: Any) -> Page:
        encode = self._encoder.encode
        found = {kind: _Found(resource) for kind, resource in self._included.items()}
        for item in document.included if found else ():
            kind = item.__struct_config__.tag
            # Encoded here once, however many records embed it.
            found[kind][item.id] = Raw(encode(self._included[kind].shape(item)))
        shape, getters = self._resource.shape, self._getters
        records = [
            shape(item, [get(item.relationships, found) for get in getters])
            for item in document.data
        ]
        name = self._time
        times = [getattr(item.attributes, name) or None for item in document.data] if name else []
        return Page(records, times, document.links.next)


class _Resource:
    """The Structs of one resource type: what is decoded and what is written.

    ``properties`` are its own, the attributes and perhaps id and type; ``further`` names what a
    record holds after them.
    """

    def __init__(
        self, kind: str, properties: Mapping[str, Schema], further: Iterable[str] = ()
    ) -> None:
        self._names = [name for name in properties if name not in OWN_PROPERTIES]
        self.attributes_type = _struct({name: properties[name] for name in self._names})
        own = [name for name in ("type", "id") if name in properties]
        self._identity = _IDENTITIES[tuple(own)](kind)
        names = [*own, *self._names, *further]
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
        values = msgspec.structs.astuple(item.attributes)
        return self._record(*self._identity(item.id), *values, *further)

    def stub(self, identifier: str) -> Any:
        """A record of which nothing but its id is known."""
        return self._record(*self._identity(identifier))


_IDENTITIES: dict[tuple[str, ...], Callable[[str], Callable[[str], tuple[str, ...]]]] = {
    (): lambda kind: lambda identifier: (),
    ("id",): lambda kind: lambda identifier: (identifier,),
    ("type",): lambda kind: lambda identifier: (kind,),
    ("type", "id"): lambda kind: lambda identifier: (kind, identifier),
}
"""For each selection of a resource's own properties, their values from type and id."""


class _Found(dict[str, Any]):
    """The resources of one type that a page includes, by id; a stub for one that it lacks."""

    def __init__(self, resource: _Resource) -> None:
        super().__init__()
        self._resource = resource

    def __missing__(self, identifier: str) -> Any:
        return self._resource.stub(identifier)


def _embedded(include: Include) -> Callable[[Any, Mapping[str, _Found]], list[Any]]:
    """Reads the resources that a relation refers to: an array, empty if there is none."""
    name, kind = _relation_field(include), include.type

    def get(relationships: Any, found: Mapping[str, _Found]) -> list[Any]:
        data, known = getattr(relationships, name).data, found[kind]
        if data is None:
            return []
        return [known[ref.id] for ref in data] if type(data) is list else [known[data.id]]

    return get


def _related_id(include: Include) -> Callable[[Any, Mapping[str, _Found]], str | None]:
    """Reads the id that a to-one relation refers to."""
    name = _relation_field(include)

    def get(relationships: Any, found: Mapping[str, _Found]) -> str | None:
        data = getattr(relationships, name).data
        return getattr(data, "id", None)

    return get


def _relation_field(include: Include) -> str:
    return include.relationship.replace("-", "_")


class _Reference(msgspec.Struct, gc=False):
    id: str


class _Relation(msgspec.Struct, gc=False):
    data: _Reference | list[_Reference] | None = None


class _Links(msgspec.Struct, gc=False):
    next: str | None = None


def _document_type(
    resource: _Resource, included: Mapping[str, _Resource], includes: Iterable[Include]
) -> Any:
    """The Struct of a whole page, from the Structs of its resources.

    None of them can be part of a cycle, so Python's garbage collector need not look at thousands of
    them a page: that would take an eighth of the time.
    """
    relations = [(i, _relation_field(i)) for i in includes]
    relationships = msgspec.defstruct(
        "Relationships",
        [(name, _Relation, msgspec.field(default_factory=_Relation)) for _, name in relations],
        rename={name: include.relationship for include, name in relations},
        gc=False,
    )
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
            [("id", str), ("attributes", part.attributes_type, _default(part.attributes_type))],
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


def _struct(properties: Mapping[str, Schema]) -> Any:
    """A Struct of ``properties``, fields f0, f1 and so on, that checks what types cannot say."""
    names = {f"f{index}": name for index, name in enumerate(properties)}
    types = {name: _type(properties[source]) for name, source in names.items()}
    checks = [
        (name, check)
        for name, source in names.items()
        if (check := _check(properties[source])) is not None
    ]

    def check_all(self: Any) -> None:
        for name, check in checks:
            if not check(getattr(self, name)):
                raise ValueError(names[name])

    return msgspec.defstruct(
        "Attributes",
        [
            (name, types[name])
            if _required(properties[source])
            else (name, types[name] | UnsetType, UNSET)
            for name, source in names.items()
        ],
        rename=names,
        kw_only=True,
        namespace={"__post_init__": check_all} if checks else {},
        gc=False,
    )


def _kinds(schema: Schema) -> list[str]:
    kinds = schema["type"]
    return kinds if isinstance(kinds, list) else [kinds]


def _required(schema: Schema) -> bool:
    return "null" not in _kinds(schema)


def _is_free(schema: Schema) -> bool:
    """Whether a value of the schema is passed on as it came."""
    kinds = _kinds(schema)
    return ("object" in kinds and not schema.get("properties")) or (
        "array" in kinds and not schema.get("items")
    )


def _type(schema: Schema) -> Any:
    """The msgspec type that accepts what the schema does; ``Raw`` for what is free-form."""
    if _is_free(schema):
        return Raw
    return Union[tuple(part for kind in _kinds(schema) for part in _types(kind, schema))]


def _types(kind: str, schema: Schema) -> tuple[Any, ...]:
    if kind == "object":
        return (_struct(schema["properties"]),)
    if kind == "array":
        return (list[_type(schema["items"])],)  # type: ignore[misc]
    if kind == "string" and schema.get("format") == "date-time":
        return (datetime,)
    return _SCALARS[kind]


def _check(schema: Schema) -> Callable[[Any], bool] | None:
    """What the schema demands of a decoded value beyond its type, if anything."""
    if _is_free(schema):
        first = b"".join(_FIRST_BYTES[kind] for kind in _kinds(schema))
        return lambda value: value is UNSET or memoryview(value)[0] in first
    if schema.get("format") == "date-time":
        return lambda value: type(value) is not datetime or value.tzinfo is timezone.utc
    return None


def _is_clean(body: bytes) -> bool:
    """Whether slices of the page may be copied as they are."""
    return b"\n" not in body and b"\r" not in body and not _NUL.search(body) and _is_utf8(body)


_NUL = re.compile(rb"\\u0000")


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    # In pieces: as a whole, one emoji would make every character take four bytes.
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        for start in range(0, len(body), _PIECE):
            decode(body[start : start + _PIECE])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


_PIECE = 32_768
