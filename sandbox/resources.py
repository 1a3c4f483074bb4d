"""Resources with attributes and relationships, and the collections they are listed from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.endpoints.model import Endpoint
from sandbox.filters import Condition, descend, instant, matcher
from sandbox.pagination import Key, Selection


@dataclass(eq=False, slots=True)
class Resource:
    """One record other than an event.

    `relations` holds its relationships that lead somewhere; `hidden` what can be filtered by but is
    no attribute. `written` caches the record's bytes: whoever changes it goes through `change`.
    """

    kind: str
    id: str
    attributes: dict[str, Any]
    relations: "dict[str, list[Resource]]" = field(default_factory=dict)
    hidden: Mapping[str, Any] = field(default_factory=dict)
    deleted: bool = False
    written: dict[object, bytes] = field(default_factory=dict)

    def change(self, **attributes: Any) -> None:
        """Set top-level attributes."""
        self.attributes.update(attributes)
        self.written.clear()

    def related(self, relation: str) -> "list[Resource]":
        """What it is related to."""
        return self.relations.get(relation, [])

    def values(self) -> dict[str, Any]:
        """Everything that can be filtered and sorted by."""
        return {**self.attributes, **self.hidden, "id": self.id}


class Collection:
    """The living resources of one type, in the order in which they were made."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._by_id = {resource.id: resource for resource in resources}

    def __iter__(self) -> Any:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, id: object) -> bool:
        return id in self._by_id

    def __getitem__(self, id: str) -> Resource:
        return self._by_id[id]

    def add(self, resource: Resource) -> None:
        """Put a resource at the end."""
        self._by_id[resource.id] = resource

    def remove(self, id: str) -> Resource:
        """Delete a resource; others that still refer to it keep its id. Raises KeyError."""
        resource = self._by_id.pop(id)
        resource.deleted = True
        return resource

    def select(
        self, endpoint: Endpoint, conditions: Sequence[Condition], sort: str
    ) -> Selection[Resource]:
        """The resources that satisfy all conditions, sorted; nulls come last either way."""
        name = sort.removeprefix("-")
        descending = sort.startswith("-")
        filtered = endpoint.filters.get(name)
        moments = filtered is not None and filtered.type == "datetime"
        matches = matcher(conditions)

        def key(resource: Resource) -> Key:
            if name in ("", "id"):
                return (resource.id,)
            parent, _, last = name.rpartition(".")
            found = [part.get(last) for part in descend(resource.values(), parent)]
            present = [instant(value) if moments else value for value in found if value is not None]
            if not present:
                return (not descending, 0, resource.id)
            return (descending, max(present) if descending else min(present), resource.id)

        keyed = {resource: key(resource) for resource in self if matches(resource.values())}
        rows = sorted(keyed, key=keyed.__getitem__)
        return Selection(rows, keyed.__getitem__, 0, len(rows), descending)
