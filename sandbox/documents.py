"""JSON:API documents, written from pieces of bytes that are kept for the next request.

Every link is absolute and ends its path with a slash, as Klaviyo's do.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sandbox.events import Event, iso
from sandbox.resource_types import KINDS
from sandbox.resources import Resource

Written: TypeAlias = bytes | memoryview
"""A piece of a document."""


@dataclass(frozen=True)
class Shape:
    """What a request wants to see of one type.

    `fields` is a sparse fieldset (None: all); `additional` the attributes that only show when
    asked for; `included` the relationships that are included.
    """

    fields: frozenset[str] | None
    additional: frozenset[str] = frozenset()
    included: frozenset[str] = frozenset()


def dumps(value: object) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Writer:
    """Writes resources whose links begin with `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[Shape, object] = {}

    def document(
        self,
        data: Sequence[Written],
        included: Iterable[bytes] | None,
        links: Mapping[str, str | None],
    ) -> bytes:
        """A whole collection document; `included` is left out if None."""
        return _document([b"[", *_separated(data), b"]"], included, links)

    def single(
        self,
        data: Written | None,
        included: Iterable[bytes] | None,
        links: Mapping[str, str | None],
    ) -> bytes:
        """A whole document about one resource or, if None, about none."""
        return _document([data or b"null"], included, links)

    def resources(self, resources: Sequence[Resource], shape: Shape) -> list[bytes]:
        """Resources other than events; what has been written is kept with them."""
        # A key that is compared by identity: to hash a shape for each resource would take longer.
        key = self._keys.setdefault(shape, object())
        return [
            resource.written.get(key) or self._written(resource, shape, key)
            for resource in resources
        ]

    def events(self, events: Sequence[Event], shape: Shape) -> list[bytes]:
        """Events. A page may hold a thousand: one form is written once, and filled for each."""
        form = self._event_form(shape)
        columns = {name: [*map(_SLOTS[name], events)] for name in {*_SLOT.findall(form)}}
        rows = zip(*(columns[name] for name in _SLOT.findall(form)), strict=True)
        blank = _SLOT.sub(b"%b", form)
        return [blank % row for row in rows]

    def _written(self, resource: Resource, shape: Shape, key: object) -> bytes:
        resource.written[key] = dumps(self._resource(resource, shape))
        return resource.written[key]

    def _resource(self, resource: Resource, shape: Shape) -> dict[str, Any]:
        kind = KINDS[resource.kind]
        home = self._home(resource.kind, resource.id)
        document: dict[str, Any] = {"type": resource.kind, "id": resource.id}
        if kind.attributes:
            document["attributes"] = _attributes(resource, shape)
        relationships = {}
        for name, relation in kind.relationships.items():
            relationships[name] = _links(home, name)
            if relation.always or name in shape.included:
                pointers = [_pointer(other) for other in resource.related(name)]
                found = pointers if relation.many else next(iter(pointers), None)
                relationships[name] = {"data": found, **relationships[name]}
        if relationships:
            document["relationships"] = relationships
        return {**document, "links": {"self": home}}

    def _event_form(self, shape: Shape) -> bytes:
        """An event with a slot for every value: `%(name)b`."""
        shown = {
            "timestamp": b'"timestamp":%(timestamp)b',
            "event_properties": b'"event_properties":%(event_properties)b',
            "datetime": b'"datetime":"%(datetime)b"',
            "uuid": b'"uuid":%(uuid)b',
        }
        attributes = [
            slot for name, slot in shown.items() if shape.fields is None or name in shape.fields
        ]
        home = self._home("event", "%(id)b")
        relationships = []
        for name, relation in KINDS["event"].relationships.items():
            data = b'"data":%%(%b)b,' % name.encode()
            relationships.append(
                b'"%b":{%b%b'
                % (
                    name.encode(),
                    data if relation.always or name in shape.included else b"",
                    dumps(_links(home, name))[1:],
                )
            )
        return (
            b'{"type":"event","id":"%(id)b","attributes":{'
            + b",".join(attributes)
            + b'},"relationships":{'
            + b",".join(relationships)
            + b'},"links":'
            + dumps({"self": home})
            + b"}"
        )

    def _home(self, kind: str, id: str) -> str:
        return f"{self._url}/api/{KINDS[kind].path}/{id}/"


def _document(
    data: Iterable[Written], included: Iterable[bytes] | None, links: Mapping[str, str | None]
) -> bytes:
    # Joined once: to copy megabytes takes longer than to write them.
    parts: list[Written] = [b'{"data":', *data]
    if included is not None:
        parts += [b',"included":[', *_separated(included), b"]"]
    return b"".join([*parts, b',"links":', dumps(links), b"}"])


def _links(home: str, name: str) -> dict[str, Any]:
    return {"links": {"self": f"{home}relationships/{name}/", "related": f"{home}{name}/"}}


def _pointer(resource: Resource | None) -> dict[str, str] | None:
    return {"type": resource.kind, "id": resource.id} if resource else None


def _separated(written: Iterable[Written]) -> list[Written]:
    return [part for one in written for part in (b",", one)][1:]


def _written_pointer(resource: Resource | None) -> bytes:
    if resource is None:
        return b"null"
    if "pointer" not in resource.written:
        resource.written["pointer"] = dumps(_pointer(resource))
    return resource.written["pointer"]


def _quoted(text: str | None) -> bytes:
    return b'"%b"' % text.encode() if text else b"null"


def _properties(event: Event) -> bytes:
    rest = event.payload.rest
    return b'{"$event_id":"%b",%b' % (event.id.encode(), rest) if rest else b"null"


_SLOT = re.compile(rb"%\((\w+)\)b")
_SLOTS: Mapping[bytes, Callable[[Event], bytes]] = {
    b"id": lambda event: event.id.encode(),
    b"timestamp": lambda event: b"%d" % event.timestamp,
    b"datetime": lambda event: iso(event.timestamp).encode(),
    b"uuid": lambda event: _quoted(event.uuid),
    b"event_properties": _properties,
    b"profile": lambda event: _written_pointer(event.profile),
    b"metric": lambda event: _written_pointer(event.metric),
    b"attributions": lambda event: dumps([_pointer(one) for one in event.related("attributions")]),
}


def _attributes(resource: Resource, shape: Shape) -> dict[str, Any]:
    hidden = set(KINDS[resource.kind].additional) - shape.additional
    shown = {name: value for name, value in resource.attributes.items() if name not in hidden}
    return shown if shape.fields is None else _pruned(shown, shape.fields)


def _pruned(attributes: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Keep the attributes that dotted names lead to; a shorter name keeps all that lies below."""
    below: dict[str, list[str]] = {}
    for name in fields:
        head, _, tail = name.partition(".")
        below.setdefault(head, []).append(tail)
    return {
        name: _pruned(value, below[name])
        if isinstance(value, Mapping) and "" not in below[name]
        else value
        for name, value in attributes.items()
        if name in below
    }
