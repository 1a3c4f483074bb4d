"""JSON:API resources compiled to msgspec Structs, and records made of them column by column."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias, Union

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from tap_klaviyo.records.columns import Attributes
from tap_klaviyo.records.unknown_attributes import Schema, Unread, keeps_unknown
from tap_klaviyo.streams.model import PARENT, FieldPath, Relationship, Stream
from tap_klaviyo.streams.relationships import RELATIONSHIPS


class Resource:
    """The Structs of one resource type: what is decoded, and what is written.

    ``properties`` are the attributes, and ``id`` and ``type`` if selected. ``leading`` names the
    properties that precede them in a record, ``related`` those that follow. ``relationships`` and
    ``extra_attributes`` are decoded without being written, and so are ``entry_dates``, the dates of
    an array's entries.
    ``field_paths`` says where moved attributes are. With ``tagged``, the Struct decodes only
    resources of this type. With ``refuse_unknown``, it refuses attributes that are none of these
    and not of the names ``ignored``. Relationships are refused that are neither decoded nor known,
    unless they are ``unread``.
    """

    def __init__(
        self,
        type_name: str,
        properties: Mapping[str, Schema],
        relationships: Iterable[str] = (),
        related: Iterable[str] = (),
        *,
        leading: Sequence[str] = (),
        id_property: str = "id",
        extra_attributes: Mapping[str, Schema] = MappingProxyType({}),
        field_paths: Mapping[str, FieldPath] = MappingProxyType({}),
        entry_dates: str = "",
        ignored: Iterable[str] = (),
        unread: Iterable[Unread] = (),
        tagged: bool = False,
        refuse_unknown: bool = False,
    ) -> None:
        own = [(where, name) for where, type_, name in unread if type_ == type_name]
        self._unread_attributes = [name for where, name in own if where == "attribute"]
        self._unread_relationships = [name for where, name in own if where == "relationship"]
        self._type = type_name
        shown = {n: child for n, child in properties.items() if n not in ("type", id_property)}
        self._shown = list(shown)
        self._attributes = Attributes(
            {**extra_attributes, **shown},
            field_paths,
            entry_dates=entry_dates,
            ignored=[*ignored, *self._unread_attributes],
            refuse_unknown=refuse_unknown,
        )
        self._has_id = id_property in properties
        self.item_type = _item_type(
            self._attributes.struct,
            relationships,
            [*RELATIONSHIPS.get(type_name, ()), *self._unread_relationships],
            type_name if tagged else "",
        )
        written = {f"f{at}": n for at, n in enumerate([*leading, id_property, *shown, *related])}
        self._record = msgspec.defstruct(
            "Record",
            [(field, Any, UNSET) for field in written],
            rename=written,
            tag_field="type" if "type" in properties else None,
            tag=type_name if "type" in properties else None,
            gc=False,
        )

    def attributes(self, items: Sequence[Any]) -> dict[str, list[Any]]:
        """The attributes of decoded resources, by name, each as a column of values.

        Raises ValueError or MsgspecError for a value that does not fit its schema.
        """
        return self._attributes.columns([item.attributes for item in items])

    def unread(self, items: Sequence[Any]) -> Iterator[tuple[Unread, int]]:
        """What decoded resources have that is not read, and how many of them."""
        attributes = [item.attributes for item in items] if self._unread_attributes else []
        for name in self._unread_attributes:
            yield ("attribute", self._type, name), self._attributes.count(name, attributes)
        for name in self._unread_relationships:
            get = attrgetter(f"relationships.{_field_name(name)}")
            found = sum(get(item) is not UNSET for item in items)
            yield ("relationship", self._type, name), found

    def records(
        self,
        ids: Sequence[str],
        attributes: Mapping[str, Iterable[Any]],
        related: Iterable[Iterable[Any]] = (),
        leading: Iterable[Iterable[Any]] = (),
    ) -> list[Any]:
        """Records of resources that are given column by column."""
        known = ids if self._has_id else repeat(UNSET, len(ids))
        own = (attributes[name] for name in self._shown)
        return list(map(self._record, *leading, known, *own, *related))

    def stub(self, identifier: str) -> Any:
        """A record of a resource of which only the ID is known."""
        return self._record(identifier if self._has_id else UNSET)


class _Included(Resource):
    """The Structs of a related resource. Its own relationships are IDs."""

    def __init__(
        self,
        relationship: Relationship,
        properties: Mapping[str, Schema],
        unread: Iterable[Unread],
        *,
        as_sent: bool,
    ) -> None:
        embedded = relationship.embedded(properties)
        references = {p: r for p, r in relationship.references.items() if p in embedded}
        self._lifted = relationship.lifted_out(properties)
        super().__init__(
            relationship.type,
            {name: child for name, child in embedded.items() if name not in references},
            references.values(),
            references,
            extra_attributes=self._lifted,
            field_paths=relationship.field_paths if as_sent else {},
            unread=unread,
            tagged=True,
            refuse_unknown=keeps_unknown(
                properties.get(relationship.property, {}).get("items", {})
            ),
        )
        self._references = [_ids(relationship) for relationship in references.values()]

    def items(self, included: Iterable[Any]) -> list[Any]:
        """The decoded resources of this type."""
        return [item for item in included if type(item) is self.item_type]

    def found(self, items: Sequence[Any], encoder: msgspec.json.Encoder) -> _Found:
        """The included resources of this type, which :meth:`items` has picked."""
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
    """The included resources of one type by ID, encoded; a ``stub`` for those that are missing.

    Each is in a list of its own, as records hold a to-one relationship. ``lifted`` maps the name of
    an attribute to its values by ID.
    """

    stub: Callable[[str], Any]
    lifted: Mapping[str, Mapping[str, Any]]

    def __missing__(self, identifier: str) -> list[Any]:
        return [self.stub(identifier)]


def included_resources(
    relationships: Iterable[Relationship],
    properties: Mapping[str, Schema],
    unread: Collection[Unread],
    *,
    as_sent: bool,
) -> dict[str, _Included]:
    """The related resources of which attributes are selected, by type.

    Those that arrive ``as_sent`` by Klaviyo have moved attributes still in their places.
    """
    return {
        relationship.type: _Included(relationship, properties, unread, as_sent=as_sent)
        for relationship in relationships
        if relationship.is_wanted(properties)
    }


_Column: TypeAlias = Callable[[Sequence[Any], Mapping[str, Any]], Iterable[Any]]
"""Reads one property of all resources of a page, from them and the included resources."""


def related_columns(stream: Stream) -> dict[str, _Column]:
    """For each property that is not an attribute of its resource, the function that reads it."""
    columns: dict[str, _Column] = {}
    if stream.parent and stream.parent.property != stream.id_property:
        columns[stream.parent.property] = _parent
    for relationship in stream.relationships:
        columns[relationship.property] = _embedded(relationship)
        columns[relationship.id_property] = _ids(relationship.name)
        for name, attribute in relationship.lifted.items():
            columns[name] = _lifted(relationship, attribute)
    return columns


def _parent(items: Sequence[Any], found: Mapping[str, Any]) -> Iterable[Any]:
    return repeat(found[PARENT], len(items))


def _embedded(relationship: Relationship) -> _Column:
    """Reads the resources that a relationship refers to, as an array."""
    data_of, type_name = _data_of(relationship.name), relationship.type

    def read(items: Sequence[Any], found: Mapping[str, Any]) -> list[Any]:
        known = found[type_name]
        return [
            known[data.id]
            if type(data) is _Reference
            else [one for reference in data or () for one in known[reference.id]]
            for data in map(data_of, items)
        ]

    return read


def _lifted(relationship: Relationship, attribute: str) -> _Column:
    """Reads one attribute of the only resource that a relationship refers to."""
    data_of, type_name = _data_of(relationship.name), relationship.type

    def read(items: Sequence[Any], found: Mapping[str, Any]) -> Iterable[Any]:
        ids = (getattr(_only(data), "id", None) for data in map(data_of, items))
        return map(found[type_name].lifted[attribute].get, ids)

    return read


def _only(data: Any) -> Any:
    """The only reference of a relationship; None if there are several or none."""
    if type(data) is list:
        return data[0] if len(data) == 1 else None
    return data


def _ids(relationship: str) -> _Column:
    """Reads the ID that a to-one relationship refers to."""
    data_of = _data_of(relationship)
    return lambda items, found: [getattr(data, "id", None) for data in map(data_of, items)]


def _data_of(relationship: str) -> Callable[[Any], Any]:
    """Reads the references of one relationship of a resource."""
    return attrgetter(f"relationships.{_field_name(relationship)}.data")


def _field_name(relationship: str) -> str:
    """The name of a Struct's field for a relationship, which may have any name."""
    return f"r{relationship.encode('utf-8', 'replace').hex()}"


class _Reference(msgspec.Struct, gc=False):
    id: str


class _Relation(msgspec.Struct, gc=False):
    data: _Reference | list[_Reference] | None = None


class _Links(msgspec.Struct, gc=False):
    next: str | None = None


# The Structs of a page cannot be part of a cycle. gc=False keeps thousands of them from the garbage
# collector, which would take an eighth of the time.


def _item_type(
    attributes: Any, relationships: Iterable[str], ignored: Iterable[str], tag: str
) -> Any:
    """The Struct of a resource; with a ``tag``, of that type only.

    It refuses relationships that are neither among ``relationships`` nor ``ignored``.
    """
    fields = {_field_name(name): name for name in relationships}
    others = {_field_name(name): name for name in ignored if name not in fields.values()}
    related = msgspec.defstruct(
        "Relationships",
        [(field, _Relation, _default(_Relation)) for field in fields]
        + [(field, Raw | UnsetType, UNSET) for field in others],
        rename={**fields, **others},
        forbid_unknown_fields=True,
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


def unread_type(name: str) -> Any:
    """The Struct of an included resource of which nothing is read."""
    return msgspec.defstruct("Unread", [], tag_field="type", tag=name, gc=False)


def document_type(resource: Resource, included: Iterable[Any]) -> Any:
    """The Struct of a page, with Structs of all types that it may include."""
    types = tuple(included)
    resources: Any = Annotated[list[Raw], Meta(max_length=0)]
    if types:
        resources = list[Union[types]]  # type: ignore[valid-type]
    return msgspec.defstruct(
        "Document",
        [
            ("data", list[resource.item_type]),  # type: ignore[name-defined]
            ("included", resources, _default(list)),
            ("links", _Links, _default(_Links)),
        ],
    )


def _default(factory: Any) -> Any:
    return msgspec.field(default_factory=factory)
