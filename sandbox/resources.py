"""JSON:API resources and the collections that list them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sandbox.endpoints.model import Endpoint
from sandbox.filters import (
    LOWER_BOUNDS,
    Condition,
    matcher,
    resolve_path,
    satisfies,
    unix_seconds,
)
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


EntrySort = Literal["oldest", "newest", "matching"]
"""By which date of an array a resource is sorted upwards; `matching`: the oldest that matches.

Klaviyo does not document it.
"""


class Collection:
    """The existing resources of one type, in order of creation.

    `entry_sort` says by which date of an array resources are sorted.
    """

    entry_sort: EntrySort = "oldest"

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

    def __init__(self, resources: Iterable[Resource], entry_sort: EntrySort = "oldest") -> None:
        self._resources = [*resources]
        self._entry_sort = entry_sort
        self._orders: dict[object, _Order] = {}
        self._latest: dict[str, dict[Resource, float]] = {}

    def select(
        self, endpoint: Endpoint, conditions: Sequence[Condition], sort: str
    ) -> Selection[Resource]:
        """The resources that satisfy all conditions, sorted; nulls last in both directions."""
        on_sort = [one for one in conditions if one.field == sort.removeprefix("-")]
        key = (sort, *on_sort) if self._entry_sort == "matching" else sort
        if key not in self._orders:
            self._orders[key] = self._order(endpoint, sort, on_sort)
        order = self._orders[key]
        rows = self._matching(order.rows, conditions)
        return Selection(rows, order.keys.__getitem__, 0, len(rows), sort.startswith("-"))

    def _order(self, endpoint: Endpoint, sort: str, on_sort: Sequence[Condition]) -> _Order:
        name = sort.removeprefix("-")
        descending = sort.startswith("-")
        filter_field = endpoint.filters.get(name)
        is_date = filter_field is not None and filter_field.type == "datetime"

        def key(resource: Resource) -> SortKey:
            if name in ("", "id"):
                return (resource.id,)
            found = resource.at(name)
            if self._entry_sort == "matching":
                found = [one for one in found if all(satisfies(each, one) for each in on_sort)]
            present = [unix_seconds(value) if is_date else value for value in found]
            if not present:
                return (not descending, 0, resource.id)
            latest = descending != (self._entry_sort == "newest")
            return (descending, max(present) if latest else min(present), resource.id)

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
