"""The data of an account, and queries that tests compare an extraction with."""

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Collection as Container
from typing import Any, Protocol, TypeVar

from sandbox.endpoints.model import Endpoint
from sandbox.event_counts import Counting
from sandbox.events import EventLog, iso
from sandbox.filters import Condition
from sandbox.memberships import Memberships, member_resource
from sandbox.omnichannel import omnichannel_collections
from sandbox.pagination import Selection
from sandbox.resources import Collection, Resource, Snapshot
from sandbox.revisions import REVISION, REVISION_2026_10_15

Cached = TypeVar("Cached")

_GROUPS = ("list", "segment")

# The collections that a revision replaces or adds, made from those of the account.
_COLLECTIONS_OF: Mapping[str, Callable[[Mapping[str, Collection]], dict[str, Collection]]] = {
    REVISION: lambda _: {},
    REVISION_2026_10_15: omnichannel_collections,
}


class Selectable(Protocol):
    """Records that can be filtered and sorted."""

    def select(
        self, endpoint: Endpoint, conditions: Sequence[Condition], sort: str
    ) -> Selection[Any]:
        """The records that satisfy all conditions, sorted by a field; `-` means descending."""


class AccountData:
    """Events, resources and memberships.

    `collections` holds the resources by type; campaigns have the attributes of revision 2026-07-15,
    and `collections_of` returns those of another one. `version` increases with every change. Hold
    `lock` while reading or changing the account in several steps. `whole_days` says how reports
    read a timeframe: with the whole days of its start and end, as observed, or up to the moment
    given. `counting` holds the rules by which events are counted and listed.
    """

    def __init__(
        self,
        log: EventLog,
        collections: dict[str, Collection],
        members: Memberships | None = None,
    ) -> None:
        self.log = log
        self.collections = collections
        self.memberships = members or Memberships()
        self.lock = threading.RLock()
        self.version = 0
        self.whole_days = True
        self.counting = Counting()
        self._cache: dict[object, Any] = {}
        self._cache_version = self.version

    def records(self, endpoint: Endpoint, id: str | None) -> Selectable:
        """The records of an endpoint; `id` is the id in its path.

        Raises KeyError if no resource has that id.
        """
        if endpoint.resource_type == "event":
            return self.log
        if endpoint.parent:
            return Snapshot(
                self._children(endpoint.parent, id or "", endpoint.relationship, endpoint.revision)
            )
        resources = self.collections_of(endpoint.revision)[endpoint.resource_type]
        if endpoint.single:
            return Snapshot([resources[id or ""]])
        return self.cached(
            (Snapshot, endpoint.revision, endpoint.resource_type, resources.entry_sort),
            lambda: Snapshot(resources, resources.entry_sort),
        )

    def collections_of(self, revision: str) -> dict[str, Collection]:
        """The resources by type as a revision shows them. Raises KeyError for an unknown one."""
        with self.lock:
            own = self.cached(
                ("collections", revision), lambda: _COLLECTIONS_OF[revision](self.collections)
            )
            return {**self.collections, **own}

    def cached(self, key: object, compute: Callable[[], Cached]) -> Cached:
        """The result of `compute`, cached by `key` until the account changes."""
        with self.lock:
            if self._cache_version != self.version:
                self._cache.clear()
                self._cache_version = self.version
            if key not in self._cache:
                self._cache[key] = compute()
            value: Cached = self._cache[key]
            return value

    def event_ids(
        self,
        names: Container[str] | None = None,
        integration: str | None = "Klaviyo",
        start: float = 0,
        end: float = math.inf,
    ) -> list[str]:
        """Ids of events in `[start, end)` Unix seconds, by metric name and integration.

        Names are case-insensitive. None stands for any name or any integration.
        """
        wanted = None if names is None else {name.casefold() for name in names}
        with self.lock:
            return [
                self.log.id(position)
                for metric in self.collections["metric"]
                if wanted is None or metric.attributes["name"].casefold() in wanted
                if integration in (None, integration_name(metric))
                for position in self.log.positions(metric, start, end)
            ]

    def event_ids_of(
        self, metric_id: str | None, start: float = 0, end: float = math.inf
    ) -> list[str]:
        """Ids of a metric's events in `[start, end)` Unix seconds, sorted by time.

        None stands for all events, including those without a metric.
        """
        with self.lock:
            metric = None if metric_id is None else self.collections["metric"][metric_id]
            return [self.log.id(position) for position in self.log.positions(metric, start, end)]

    def ids(self, resource_type: str, revision: str = REVISION) -> list[str]:
        """Ids of all existing resources of a type that a revision shows."""
        with self.lock:
            return [resource.id for resource in self.collections_of(revision)[resource_type]]

    def ids_under(
        self, resource_type: str, id: str, relationship: str, revision: str = REVISION
    ) -> list[str]:
        """Ids of a resource's existing related resources, such as the actions of a flow.

        Raises KeyError for an unknown resource.
        """
        with self.lock:
            children = self._children(resource_type, id, relationship, revision)
            return [child.id for child in children]

    def members(self, group_id: str) -> dict[str, str]:
        """The members of a list or segment: id to the time of joining (ISO 8601).

        Raises KeyError for an unknown list or segment.
        """
        with self.lock:
            joined = self.memberships.members(self._group(group_id))
            return {id: iso(timestamp) for id, timestamp in joined.items()}

    def campaign_ids(
        self, channels: Container[str] | None = None, archived: bool | None = None
    ) -> list[str]:
        """Ids of campaigns, optionally only of some channels, or only (un)archived ones."""
        with self.lock:
            return [
                campaign.id
                for campaign in self.collections["campaign"]
                if channels is None or campaign.hidden["messages"]["channel"] in channels
                if archived in (None, campaign.attributes["archived"])
            ]

    def list_ids(self) -> list[str]:
        """Ids of all lists."""
        return self.ids("list")

    def suppressed_profiles(self) -> dict[str, list[str]]:
        """Globally suppressed profiles: id to the reasons of the suppressions."""
        with self.lock:
            return {
                profile.id: [entry["reason"] for entry in suppressed(profile)]
                for profile in self.collections["profile"]
                if suppressed(profile)
            }

    def metrics(self) -> list[dict[str, Any]]:
        """Id, name, integration name and number of events of every metric."""
        with self.lock:
            return [
                {
                    "id": metric.id,
                    "name": metric.attributes["name"],
                    "integration": integration_name(metric),
                    "events": len(self.log.positions(metric)),
                }
                for metric in self.collections["metric"]
            ]

    def _children(
        self, resource_type: str, id: str, relationship: str, revision: str
    ) -> list[Resource]:
        parent = self.collections_of(revision)[resource_type][id]
        if relationship == "profiles":
            profiles = self.collections["profile"]
            joined = self.memberships.members(parent)
            return [member_resource(profiles[id], moment) for id, moment in joined.items()]
        return [child for child in parent.related(relationship) if not child.deleted]

    def _groups(self) -> Iterator[Resource]:
        """All lists and segments."""
        for resource_type in _GROUPS:
            yield from self.collections.get(resource_type, ())

    def _group(self, id: str) -> Resource:
        for resource_type in _GROUPS:
            if id in self.collections[resource_type]:
                return self.collections[resource_type][id]
        raise KeyError(id)


def suppressed(profile: Resource) -> Sequence[dict[str, str]]:
    """The global suppressions of a profile, without those of single lists."""
    entries: list[dict[str, str]] = profile.attributes["subscriptions"]["email"]["marketing"][
        "suppression"
    ]
    return entries


def integration_name(metric: Resource) -> str | None:
    """The name of a metric's integration, None if it has none."""
    integration = metric.attributes["integration"]
    return integration["name"] if integration else None
