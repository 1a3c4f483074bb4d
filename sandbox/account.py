"""A Klaviyo account of one's own: seeded, changed by hand, and open about what it holds."""

import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Collection as Container
from datetime import datetime, timezone
from typing import Any, Protocol, TypeVar

from sandbox.endpoints.model import Endpoint
from sandbox.events import NOBODY, Event, EventLog, Row, iso
from sandbox.filters import Condition
from sandbox.memberships import Memberships, member
from sandbox.pagination import Selection
from sandbox.resources import Collection, Resource
from sandbox.seeding.metrics import Naming
from sandbox.seeding.profiles import suppress
from sandbox.seeding.random_values import identifier
from sandbox.seeding.seeded_account import assemble

Made = TypeVar("Made")

_LATE = (3600, 7 * 86_400)
_DELETED = 8  # of the profiles, so that some events have lost theirs
_UPDATED = ("updated", "updated_at")
_GROUPS = ("list", "segment")

# What goes with a resource when it is deleted, by its relationships.
_OWNS = {
    "campaign": ("campaign-messages",),
    "catalog-item": ("variants",),
    "coupon": ("coupon-codes",),
    "flow": ("flow-actions",),
    "flow-action": ("flow-messages",),
    "form": ("form-versions",),
    "metric": ("metric-properties",),
    "object-type": ("schema-versions", "object-records", "object-ingestion-logs"),
    "profile": ("push-tokens",),
}


class Source(Protocol):
    """Records that can be selected by an endpoint's conditions."""

    def select(
        self, endpoint: Endpoint, conditions: Sequence[Condition], sort: str
    ) -> Selection[Any]:
        """The records that satisfy all conditions, sorted by a field, descending after a `-`."""


class Account:
    """Everything the API can tell, and the truth to hold an extraction against.

    Safe to change while it is being served: readers and writers hold `lock`. `version` grows with
    every change.
    """

    def __init__(
        self,
        log: EventLog,
        collections: dict[str, Collection],
        seed: int,
        members: Memberships | None = None,
    ) -> None:
        self.log = log
        self.collections = collections
        self.memberships = members or Memberships()
        self.lock = threading.RLock()
        self.version = 0
        self._derived: dict[object, Any] = {}
        self._derived_of = self.version
        self._rng = random.Random(f"{seed}/changes")

    @classmethod
    def seeded(
        cls,
        seed: int = 1,
        events: int = 5000,
        naming: Naming = "new",
        now: datetime | None = None,
        days: float = 90,
        *,
        without: Container[str] = (),
        odd_dates: bool = False,
        tame: bool = False,
    ) -> "Account":
        """An account with `events` events in the `days` before `now` (aware; default: the clock).

        The same arguments give the same account, byte for byte. `naming` chooses how renamed
        metrics are called; `without` names metrics of Klaviyo's to leave out; `odd_dates` writes
        some dates of campaigns with a blank instead of the `T`; `tame` leaves out the oddities of
        single events, on which other clients stumble.
        """
        moment = (now or datetime.now(timezone.utc)).astimezone(timezone.utc)
        moment = moment.replace(microsecond=0)
        whole = assemble(
            seed,
            events,
            naming,
            moment,
            days,
            without=without,
            odd_dates=odd_dates,
            tame=tame,
        )
        account = cls(whole.log, whole.collections, seed, whole.members)
        profiles = whole.log.profiles
        for profile in profiles[:: len(profiles) // _DELETED]:
            if not suppressed(profile):
                account.remove("profile", profile.id, moment=moment)
        return account

    def source(self, endpoint: Endpoint, id: str | None) -> Source:
        """Where an endpoint's records are listed from; `id` is that in its path.

        Raises KeyError if there is nothing of that id.
        """
        if endpoint.kind == "event":
            return self.log
        if endpoint.parent:
            return Collection(self._children(endpoint.parent, id or "", endpoint.via))
        if endpoint.single:
            return Collection([self.collections[endpoint.kind][id or ""]])
        return self.collections[endpoint.kind]

    def derived(self, key: object, make: Callable[[], Made]) -> Made:
        """Something made of all that the account holds, kept until the account changes."""
        with self.lock:
            if self._derived_of != self.version:
                self._derived.clear()
                self._derived_of = self.version
            if key not in self._derived:
                self._derived[key] = make()
            found: Made = self._derived[key]
            return found

    # What happens to the account.

    def arrive(
        self,
        metric: str = "Opened Email",
        count: int = 10,
        *,
        late: int | None = None,
        timestamps: Iterable[float] | None = None,
        now: float | None = None,
    ) -> list[Event]:
        """Add events of a metric (its id, or its name if Klaviyo owns it) as arriving now.

        `timestamps` are Unix seconds. Without them there are `count` events, `late` of which (by
        default one in ten) happened hours or days ago and the others within the last minute. `now`
        stands for the clock. Raises KeyError for an unknown metric.
        """
        moment = time.time() if now is None else now
        with self.lock:
            number = self._metric_number(metric)
            if timestamps is None:
                late = count // 10 if late is None else late
                ages = [self._rng.randrange(1, 60) for _ in range(count - late)]
                ages += [self._rng.randrange(*_LATE) for _ in range(late)]
                timestamps = [moment - age for age in ages]
            self.version += 1
            return [
                self.log.add(Row(int(seconds), number, self._somebody(), self.log.sample(number)))
                for seconds in timestamps
            ]

    def suppress(
        self,
        profile_id: str,
        reason: str = "USER_SUPPRESSED",
        *,
        timestamp: float | None = None,
        list_id: str | None = None,
    ) -> None:
        """Suppress a profile's e-mail, everywhere or for one list, at a moment or now."""
        moment = datetime.fromtimestamp(
            time.time() if timestamp is None else timestamp, timezone.utc
        )
        with self.lock:
            suppress(self.collections["profile"][profile_id], reason, moment, list_id)
            self.version += 1

    def change(self, kind: str, id: str, **attributes: Any) -> None:
        """Set attributes of a resource. Raises KeyError for an unknown one."""
        with self.lock:
            self.collections[kind][id].change(**attributes)
            self.version += 1

    def update(self, kind: str, id: str, *, now: float | None = None, **attributes: Any) -> None:
        """Set attributes of a resource as its owner would: what tells of its last change moves.

        `now` is in Unix seconds and stands for the clock. Raises KeyError for an unknown resource.
        """
        with self.lock:
            known = self.collections[kind][id].attributes
            moved = {name: _written(now) for name in _UPDATED if name in known}
            self.change(kind, id, **moved, **attributes)

    def join(self, group_id: str, profile_id: str, *, timestamp: float | None = None) -> None:
        """A profile joins a list or segment, at a moment in Unix seconds or now; again, if need be.

        Raises KeyError for an unknown group or profile.
        """
        with self.lock:
            profile = self.collections["profile"][profile_id]
            self.memberships.join(self._group(group_id), {profile.id: _seconds(timestamp)})
            self.version += 1

    def leave(self, group_id: str, profile_id: str, *, timestamp: float | None = None) -> None:
        """A profile leaves a list or segment. Raises KeyError if it is not a member."""
        with self.lock:
            self.memberships.leave(self._group(group_id), {profile_id: _seconds(timestamp)})
            self.version += 1

    def add_list(self, name: str, moment: datetime | None = None) -> str:
        """Make a list; returns its id."""
        made = (moment or datetime.now(timezone.utc)).replace(microsecond=0).isoformat()
        attributes = {
            "name": name,
            "created": made,
            "updated": made,
            "opt_in_process": "single_opt_in",
        }
        resource = Resource("list", identifier(self._rng, 6), attributes)
        with self.lock:
            self.collections["list"].add(resource)
            self.version += 1
        return resource.id

    def remove(self, kind: str, id: str, *, moment: datetime | None = None) -> None:
        """Delete a resource with all that belongs to it, at a moment or now; its events stay.

        Raises KeyError for an unknown one.
        """
        with self.lock:
            resource = self.collections[kind].remove(id)
            for relation in _OWNS.get(kind, ()):
                for child in resource.related(relation):
                    if child.id in self.collections.get(child.kind, ()):
                        self.remove(child.kind, child.id)
                    child.deleted = True
            if kind == "profile":
                seconds = _seconds(moment.timestamp() if moment else None)
                self.memberships.forget(id, self._groups(), seconds)
            self.version += 1

    # The truth.

    def event_ids(
        self,
        names: Container[str] | None = None,
        integration: str | None = "Klaviyo",
        start: float = 0,
        end: float = math.inf,
    ) -> list[str]:
        """Ids of events in `[start, end)` Unix seconds, of metrics with one of these names.

        Names are compared without regard to letter case; None stands for any name or owner.
        """
        wanted = None if names is None else {name.casefold() for name in names}
        with self.lock:
            return [
                self.log.id(position)
                for metric in self.collections["metric"]
                if wanted is None or metric.attributes["name"].casefold() in wanted
                if integration in (None, _owner(metric))
                for position in self.log.positions(metric, start, end)
            ]

    def event_ids_of(
        self, metric_id: str | None, start: float = 0, end: float = math.inf
    ) -> list[str]:
        """Ids of a metric's events in `[start, end)` Unix seconds, by timestamp.

        None stands for all events, even of no metric.
        """
        with self.lock:
            metric = None if metric_id is None else self.collections["metric"][metric_id]
            return [self.log.id(position) for position in self.log.positions(metric, start, end)]

    def ids(self, kind: str) -> list[str]:
        """Ids of all living resources of a type."""
        with self.lock:
            return [resource.id for resource in self.collections[kind]]

    def ids_under(self, kind: str, id: str, relation: str) -> list[str]:
        """Ids of all that a resource relates to and that still exists, such as a flow's actions.

        Raises KeyError for an unknown resource.
        """
        with self.lock:
            return [child.id for child in self._children(kind, id, relation)]

    def members(self, group_id: str) -> dict[str, str]:
        """The members of a list or segment by id, and when each joined (ISO 8601).

        Raises KeyError for an unknown group.
        """
        with self.lock:
            joined = self.memberships.of(self._group(group_id))
            return {id: iso(moment) for id, moment in joined.items()}

    def campaign_ids(
        self, channels: Container[str] | None = None, archived: bool | None = None
    ) -> list[str]:
        """Ids of campaigns, of some channels or of all, archived or not or (None) both."""
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
        """Every profile with a suppression that is not of one list: id to reasons."""
        with self.lock:
            return {
                profile.id: [entry["reason"] for entry in suppressed(profile)]
                for profile in self.collections["profile"]
                if suppressed(profile)
            }

    def metrics(self) -> list[dict[str, Any]]:
        """Id, name and owner of every metric, and how many events it has."""
        with self.lock:
            return [
                {
                    "id": metric.id,
                    "name": metric.attributes["name"],
                    "integration": _owner(metric),
                    "events": len(self.log.positions(metric)),
                }
                for metric in self.collections["metric"]
            ]

    def _children(self, kind: str, id: str, relation: str) -> list[Resource]:
        parent = self.collections[kind][id]
        if relation == "profiles":
            profiles = self.collections["profile"]
            joined = self.memberships.of(parent)
            return [member(profiles[id], moment) for id, moment in joined.items()]
        return [child for child in parent.related(relation) if not child.deleted]

    def _groups(self) -> Iterator[Resource]:
        for kind in _GROUPS:
            yield from self.collections.get(kind, ())

    def _group(self, id: str) -> Resource:
        for kind in _GROUPS:
            if id in self.collections[kind]:
                return self.collections[kind][id]
        raise KeyError(id)

    def _metric_number(self, wanted: str) -> int:
        for number, metric in enumerate(self.log.metrics):
            named = _owner(metric) == "Klaviyo" and (
                metric.attributes["name"].casefold() == wanted.casefold()
            )
            if not metric.deleted and (metric.id == wanted or named):
                return number
        raise KeyError(wanted)

    def _somebody(self) -> int:
        number = self._rng.randrange(len(self.log.profiles))
        return NOBODY if self.log.profiles[number].deleted else number


def suppressed(profile: Resource) -> Sequence[dict[str, str]]:
    """The suppressions of a profile that are not of one list."""
    entries: list[dict[str, str]] = profile.attributes["subscriptions"]["email"]["marketing"][
        "suppression"
    ]
    return entries


def _owner(metric: Resource) -> str | None:
    integration = metric.attributes["integration"]
    return integration["name"] if integration else None


def _seconds(timestamp: float | None) -> int:
    """A moment in Unix seconds; the clock's without one."""
    return int(time.time() if timestamp is None else timestamp)


def _written(timestamp: float | None) -> str:
    return iso(_seconds(timestamp))
