"""JSON:API resources and the collections that list them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.endpoints.model import Endpoint
from sandbox.filters import Condition, matcher, resolve_path, satisfies, unix_seconds
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

    def select(
        self, endpoint: Endpoint, conditions: Sequence[Condition], sort: str
    ) -> Selection[Resource]:
        """The resources that satisfy all conditions, sorted; nulls last in both directions."""
        name = sort.removeprefix("-")
        descending = sort.startswith("-")
        filter_field = endpoint.filters.get(name)
        is_date = filter_field is not None and filter_field.type == "datetime"
        matches = matcher(conditions)
        on_sort = [condition for condition in conditions if condition.field == name]

        def key(resource: Resource) -> SortKey:
            if name in ("", "id"):
                return (resource.id,)
            parent, _, last = name.rpartition(".")
            found = [part.get(last) for part in resolve_path(resource.values(), parent)]
            if self.entry_sort == "matching":
                found = [value for value in found if all(satisfies(one, value) for one in on_sort)]
            present = [
                unix_seconds(value) if is_date else value for value in found if value is not None
            ]
            if not present:
                return (not descending, 0, resource.id)
            latest = descending != (self.entry_sort == "newest")
            return (descending, max(present) if latest else min(present), resource.id)

        keyed = {resource: key(resource) for resource in self if matches(resource.values())}
        rows = sorted(keyed, key=keyed.__getitem__)
        return Selection(rows, keyed.__getitem__, 0, len(rows), descending)
