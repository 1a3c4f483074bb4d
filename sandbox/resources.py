"""JSON:API resources and the collections that list them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sandbox.endpoints.model import Endpoint
from sandbox.filters import LOWER_BOUNDS, Condition, matcher, resolve_path, unix_seconds
from sandbox.pagination import Selection, SortKey


@dataclass(eq=False, slots=True)
class Resource:
    """A resource of any type except events, which `EventLog` stores.

    `relationships` holds the related resources by name; empty relationships may be left out.
    `hidden` holds values that can be filtered and sorted by but are not attributes. `json_cache`
    holds the serialized resource; `change` clears it.
    """

    type: str
    id: str
    attributes: dict[str, Any]
    relationships: "dict[str, list[Resource]]" = field(default_factory=dict)
    hidden: Mapping[str, Any] = field(default_factory=dict)
    deleted: bool = False
    json_cache: dict[object, bytes] = field(default_factory=dict)

    def change(self, **attributes: Any) -> None:
        """Set top-level attributes."""
        self.attributes.update(attributes)
        self.json_cache.clear()

    def related(self, relationship: str) -> "list[Resource]":
        """The related resources, deleted ones included."""
        return self.relationships.get(relationship, [])

    def at(self, path: str) -> list[Any]:
        """The values at a dotted path, without nulls; several for an array."""
        parent, _, last = path.rpartition(".")
        found = [part.get(last) for part in resolve_path(self.values(), parent)]
        return [value for value in found if value is not None]

    def values(self) -> dict[str, Any]:
        """Everything that can be filtered and sorted by."""
        return {**self.attributes, **self.hidden, "id": self.id}


class Collection:
    """The existing resources of one type, in order of creation."""

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
        """Append a resource."""
        self._by_id[resource.id] = resource

    def remove(self, id: str) -> Resource:
        """Delete a resource; other resources keep their references. Raises KeyError."""
        resource = self._by_id.pop(id)
        resource.deleted = True
        return resource


class _Order(NamedTuple):
    """Resources sorted ascending, and their sort keys."""

    rows: list[Resource]
    keys: dict[Resource, SortKey]


class Snapshot:
    """Resources that do not change, so that each way to sort them is computed only once."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._resources = [*resources]
        self._orders: dict[str, _Order] = {}
        self._latest: dict[str, dict[Resource, float]] = {}

    def select(
        self, endpoint: Endpoint, conditions: Sequence[Condition], sort: str
    ) -> Selection[Resource]:
        """The resources that satisfy all conditions, sorted; nulls last in both directions."""
        if sort not in self._orders:
            self._orders[sort] = self._order(endpoint, sort)
        order = self._orders[sort]
        rows = self._matching(order.rows, conditions)
        return Selection(rows, order.keys.__getitem__, 0, len(rows), sort.startswith("-"))

    def _order(self, endpoint: Endpoint, sort: str) -> _Order:
        name = sort.removeprefix("-")
        descending = sort.startswith("-")
        filter_field = endpoint.filters.get(name)
        is_date = filter_field is not None and filter_field.type == "datetime"

        def key(resource: Resource) -> SortKey:
            if name in ("", "id"):
                return (resource.id,)
            present = [unix_seconds(value) if is_date else value for value in resource.at(name)]
            if not present:
                return (not descending, 0, resource.id)
            return (descending, max(present) if descending else min(present), resource.id)

        keys = {resource: key(resource) for resource in self._resources}
        return _Order(sorted(keys, key=keys.__getitem__), keys)

    def _matching(self, rows: list[Resource], conditions: Sequence[Condition]) -> list[Resource]:
        if len(conditions) == 1 and conditions[0].operator in LOWER_BOUNDS:
            (condition,) = conditions
            if isinstance(condition.value, datetime):
                return self._since(rows, condition, condition.value.timestamp())
        matches = matcher(conditions)
        return [resource for resource in rows if matches(resource.values())]

    def _since(self, rows: list[Resource], condition: Condition, seconds: float) -> list[Resource]:
        """The resources with a value after a moment: those whose latest value is."""
        latest = self._latest.setdefault(condition.field, {})
        if not latest:
            for resource in self._resources:
                values = map(unix_seconds, resource.at(condition.field))
                latest[resource] = max(values, default=-math.inf)
        if condition.operator == "greater-than":
            return [resource for resource in rows if latest[resource] > seconds]
        return [resource for resource in rows if latest[resource] >= seconds]
