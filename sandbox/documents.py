"""Writes JSON:API documents, assembled from serialized resources that are cached.

Links are absolute and their paths end with a slash, like Klaviyo's.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sandbox.events import Event, iso
from sandbox.resource_types import RESOURCE_TYPES_OF, later_attributes
from sandbox.resources import Resource

JsonFragment: TypeAlias = bytes | memoryview
"""A serialized part of a document."""


@dataclass(frozen=True)
class Fieldset:
    """What to write of the resources of one type.

    `fields` is the sparse fieldset (None: all attributes). `additional` are the additional
    attributes to write. `included` are the included relationships.
    """

    fields: frozenset[str] | None
    additional: frozenset[str] = frozenset()
    included: frozenset[str] = frozenset()


def dumps(value: object) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class DocumentWriter:
    """Writes documents of a revision; `url` is the base URL of all links."""

    def __init__(self, url: str, revision: str) -> None:
        self._url = url
        self._types = RESOURCE_TYPES_OF[revision]
        self._later = later_attributes(revision)
        self._keys: dict[Fieldset, object] = {}

    def collection(
        self,
        data: Sequence[JsonFragment],
        included: Iterable[bytes] | None,
        links: Mapping[str, str | None],
    ) -> bytes:
        """The document of a collection; without `included` if that is None."""
        return _document([b"[", *_comma_separated(data), b"]"], included, links)

    def single(
        self,
        data: JsonFragment | None,
        included: Iterable[bytes] | None,
        links: Mapping[str, str | None],
    ) -> bytes:
        """The document of one resource; `data` None is written as null."""
        return _document([data or b"null"], included, links)

    def resources(self, resources: Sequence[Resource], fieldset: Fieldset) -> list[bytes]:
        """Serialize resources other than events; the result is cached in each resource."""
        # An object hashes faster than a fieldset, which would be hashed for every resource.
        key = self._keys.setdefault(fieldset, object())
        return [
            resource.json_cache.get(key) or self._serialized(resource, fieldset, key)
            for resource in resources
        ]

    def events(self, events: Sequence[Event], fieldset: Fieldset) -> list[bytes]:
        """Serialize events: one template per fieldset, filled in for each event."""
        template = self.event_template(fieldset)
        columns = {name: [*map(_SLOT_VALUES[name], events)] for name in {*_SLOT.findall(template)}}
        rows = zip(*(columns[name] for name in _SLOT.findall(template)), strict=True)
        positional = _SLOT.sub(b"%b", template)
        return [positional % row for row in rows]

    def _serialized(self, resource: Resource, fieldset: Fieldset, key: object) -> bytes:
        resource.json_cache[key] = dumps(self._resource(resource, fieldset))
        return resource.json_cache[key]

    def _resource(self, resource: Resource, fieldset: Fieldset) -> dict[str, Any]:
        resource_type = self._types[resource.type]
        url = self._resource_url(resource.type, resource.id)
        document: dict[str, Any] = {"type": resource.type, "id": resource.id}
        if resource_type.attributes:
            document["attributes"] = self._attributes(resource, fieldset)
        relationships = {}
        for name, relationship in resource_type.relationships.items():
            relationships[name] = _links(url, name)
            if relationship.always or name in fieldset.included:
                identifiers = [_identifier(other) for other in resource.related(name)]
                data = identifiers if relationship.many else next(iter(identifiers), None)
                relationships[name] = {"data": data, **relationships[name]}
        if relationships:
            document["relationships"] = relationships
        return {**document, "links": {"self": url}}

    def event_template(self, fieldset: Fieldset) -> bytes:
        """The JSON of an event with a slot `%(name)b` for every value."""
        shown = {
            "timestamp": b'"timestamp":%(timestamp)b',
            "event_properties": b'"event_properties":%(event_properties)b',
            "datetime": b'"datetime":"%(datetime)b"',
            "uuid": b'"uuid":%(uuid)b',
        }
        attributes = [
            slot
            for name, slot in shown.items()
            if fieldset.fields is None or name in fieldset.fields
        ]
        url = self._resource_url("event", "%(id)b")
        relationships = []
        for name, relationship in self._types["event"].relationships.items():
            data = b'"data":%%(%b)b,' % name.encode()
            relationships.append(
                b'"%b":{%b%b'
                % (
                    name.encode(),
                    data if relationship.always or name in fieldset.included else b"",
                    dumps(_links(url, name))[1:],
                )
            )
        return (
            b'{"type":"event","id":"%(id)b","attributes":{'
            + b",".join(attributes)
            + b'},"relationships":{'
            + b",".join(relationships)
            + b'},"links":'
            + dumps({"self": url})
            + b"}"
        )

    def _resource_url(self, resource_type: str, id: str) -> str:
        return f"{self._url}/api/{self._types[resource_type].path}/{id}/"

    def _attributes(self, resource: Resource, fieldset: Fieldset) -> dict[str, Any]:
        hidden = set(self._types[resource.type].additional) - fieldset.additional
        shown = {name: value for name, value in resource.attributes.items() if name not in hidden}
        if resource.type in self._later:
            shown = _without(shown, self._later[resource.type])
        return shown if fieldset.fields is None else _pruned(shown, fieldset.fields)


def _document(
    data: Iterable[JsonFragment], included: Iterable[bytes] | None, links: Mapping[str, str | None]
) -> bytes:
    # One join: copying megabytes of parts repeatedly would dominate the run time.
    parts: list[JsonFragment] = [b'{"data":', *data]
    if included is not None:
        parts += [b',"included":[', *_comma_separated(included), b"]"]
    return b"".join([*parts, b',"links":', dumps(links), b"}"])


def _links(url: str, name: str) -> dict[str, Any]:
    return {"links": {"self": f"{url}relationships/{name}/", "related": f"{url}{name}/"}}


def _identifier(resource: Resource | None) -> dict[str, str] | None:
    return {"type": resource.type, "id": resource.id} if resource else None


def _comma_separated(fragments: Iterable[JsonFragment]) -> list[JsonFragment]:
    return [part for fragment in fragments for part in (b",", fragment)][1:]


def _serialized_identifier(resource: Resource | None) -> bytes:
    if resource is None:
        return b"null"
    if "identifier" not in resource.json_cache:
        resource.json_cache["identifier"] = dumps(_identifier(resource))
    return resource.json_cache["identifier"]


def _quoted(text: str | None) -> bytes:
    return b'"%b"' % text.encode() if text else b"null"


def _properties(event: Event) -> bytes:
    tail = event.payload.json_tail
    return b'{"$event_id":"%b",%b' % (event.id.encode(), tail) if tail else b"null"


_SLOT = re.compile(rb"%\((\w+)\)b")
_SLOT_VALUES: Mapping[bytes, Callable[[Event], bytes]] = {
    b"id": lambda event: event.id.encode(),
    b"timestamp": lambda event: b"%d" % event.timestamp,
    b"datetime": lambda event: iso(event.timestamp).encode(),
    b"uuid": lambda event: _quoted(event.uuid),
    b"event_properties": _properties,
    b"profile": lambda event: _serialized_identifier(event.profile),
    b"metric": lambda event: _serialized_identifier(event.metric),
    b"attributions": lambda event: dumps(
        [_identifier(one) for one in event.related("attributions")]
    ),
}


def _pruned(attributes: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """The attributes selected by dotted names; the name of an object selects all of it."""
    nested: dict[str, list[str]] = {}
    for name in fields:
        head, _, tail = name.partition(".")
        nested.setdefault(head, []).append(tail)
    return {
        name: _pruned(value, nested[name])
        if isinstance(value, Mapping) and "" not in nested[name]
        else value
        for name, value in attributes.items()
        if name in nested
    }


def _without(attributes: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The attributes without those with these dotted names."""
    nested: dict[str, set[str]] = {}
    for name in names:
        head, _, tail = name.partition(".")
        nested.setdefault(head, set()).add(tail)
    return {
        name: _without(value, frozenset(nested[name]))
        if name in nested and isinstance(value, Mapping)
        else value
        for name, value in attributes.items()
        if "" not in nested.get(name, ())
    }
