"""JSON:API resources compiled to msgspec Structs, and records made of them column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeAlias, Union

import msgspec
from msgspec import UNSET, Raw

from tap_klaviyo.records.structs import Attributes, Schema
from tap_klaviyo.streams.model import PARENT, Include, Stream


class Resource:
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


class _Included(Resource):
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


def included_resources(
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


def related_columns(stream: Stream) -> dict[str, _Column]:
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


def document_type(resource: Resource, included: Iterable[Resource]) -> Any:
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
