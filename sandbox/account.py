"""A Klaviyo account: seeded with data, and changed by tests."""

import random
import time
from collections import Counter
from collections.abc import Collection as Container
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from sandbox.account_data import AccountData, Selectable, integration_name, suppressed
from sandbox.event_counts import CountingRules
from sandbox.events import MISSING, Event, EventLog, EventRow, iso
from sandbox.memberships import Memberships
from sandbox.omnichannel import added
from sandbox.resources import Collection, Resource
from sandbox.seeding.metrics import Naming
from sandbox.seeding.profiles import suppress
from sandbox.seeding.random_values import random_id
from sandbox.seeding.seeded_account import seed_account

__all__ = ["Account", "Selectable", "suppressed"]

_DAY = 86_400  # seconds
_LATENESS = (3600, 7 * _DAY)  # seconds that late events are late by default
_DELETED_PROFILES = 8  # so that some events refer to deleted profiles
_UPDATED = ("updated", "updated_at")

# Relationships whose resources are deleted together with their parent.
_OWNED = {
    "campaign": ("campaign-messages", "campaign-audiences", "campaign-recipient-estimation"),
    "campaign-message": ("campaign-variations",),
    "catalog-item": ("variants",),
    "coupon": ("coupon-codes",),
    "flow": ("flow-actions",),
    "flow-action": ("flow-messages",),
    "form": ("form-versions",),
    "metric": ("metric-properties",),
    "object-type": ("schema-versions", "object-records", "object-ingestion-logs"),
    "profile": ("push-tokens",),
}


class Account(AccountData):
    """An account whose data can be changed. Thread-safe, also while a server uses it."""

    def __init__(
        self,
        log: EventLog,
        collections: dict[str, Collection],
        seed: int,
        members: Memberships | None = None,
    ) -> None:
        super().__init__(log, collections, members)
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
        times: Mapping[str, Sequence[int]] | None = None,
        suppressions: Sequence[Sequence[int]] | None = None,
    ) -> "Account":
        """An account with `events` events in the `days` before `now` (aware; default: the clock).

        The same arguments give the same account, byte for byte. `naming` chooses the old or new
        names of renamed metrics, or both. `without` names metrics of Klaviyo to leave out.
        `odd_dates` writes some campaign dates with a space instead of the `T`. `tame` leaves out
        late, future and incomplete events, which other clients cannot handle. `times` holds Unix
        seconds of further events by role, the key of a metric in `sandbox.seeding.metrics`.
        `suppressions` holds the Unix seconds of the suppressions of each suppressed profile.
        """
        moment = (now or datetime.now(timezone.utc)).astimezone(timezone.utc)
        moment = moment.replace(microsecond=0)
        data = seed_account(
            seed,
            events,
            naming,
            moment,
            days,
            without=without,
            odd_dates=odd_dates,
            tame=tame,
            times=times or {},
            suppressions=suppressions,
        )
        account = cls(data.log, data.collections, seed, data.members)
        profiles = data.log.profiles
        for profile in profiles[:: len(profiles) // _DELETED_PROFILES]:
            if not suppressed(profile):
                account.remove("profile", profile.id, moment=moment)
        return account

    def arrive(
        self,
        metric: str = "Opened Email",
        count: int = 10,
        *,
        late: int | None = None,
        timestamps: Iterable[float] | None = None,
        now: float | None = None,
    ) -> list[Event]:
        """Add events of a metric, given by its id or, for Klaviyo's metrics, its name.

        `timestamps` are Unix seconds. Without them there are `count` events: `late` of them (by
        default one in ten) happened hours or days ago, the others within the last minute. `now`
        replaces the clock. Raises KeyError for an unknown metric.
        """
        moment = time.time() if now is None else now
        with self.lock:
            index = self._metric_index(metric)
            if timestamps is None:
                late = count // 10 if late is None else late
                ages = [self._rng.randrange(1, 60) for _ in range(count - late)]
                ages += [self._rng.randrange(*_LATENESS) for _ in range(late)]
                timestamps = [moment - age for age in ages]
            self.version += 1
            return [
                self.log.add(
                    EventRow(
                        int(seconds),
                        index,
                        self._random_profile_index(),
                        self.log.sample_payload(index),
                    ),
                    moment,
                )
                for seconds in timestamps
            ]

    def set_counting(self, metric: str | None = None, **rules: Any) -> None:
        """Replace the rules by which a metric's events are counted and listed.

        The metric is given as in `arrive`; None stands for all metrics without rules of their own.
        `rules` are the fields of `CountingRules`. Raises KeyError for an unknown metric, TypeError
        for an unknown rule and ValueError for an invalid value.
        """
        with self.lock:
            index = None if metric is None else self._metric_index(metric)
            id = None if index is None else self.log.metrics[index].id
            self.counting.set(id, CountingRules(**rules))

    def clear_counting(self) -> None:
        """Remove all rules of `set_counting`: all events are counted and listed at once."""
        with self.lock:
            self.counting.clear()

    def delete_events(self, ids: Iterable[str]) -> None:
        """Delete events, as Klaviyo does with those of a deleted profile.

        They are neither listed nor counted any more. Raises KeyError for an unknown id.
        """
        with self.lock:
            for id in ids:
                self.log.remove(id)
            self.version += 1

    def counts(self, metric: str) -> dict[str, int]:
        """The true number of events of a metric by UTC day (ISO 8601), without empty days.

        The metric is given as in `arrive`. Raises KeyError for an unknown one.
        """
        with self.lock:
            timestamps = self.log.timestamps(self.log.metrics[self._metric_index(metric)])
        days = Counter(seconds // _DAY for seconds in timestamps)
        return {iso(day * _DAY)[:10]: count for day, count in days.items()}

    def suppress(
        self,
        profile_id: str,
        reason: str = "USER_SUPPRESSED",
        *,
        timestamp: float | None = None,
        list_id: str | None = None,
    ) -> None:
        """Suppress a profile's email globally or for one list, at a Unix second or now."""
        moment = datetime.fromtimestamp(
            time.time() if timestamp is None else timestamp, timezone.utc
        )
        with self.lock:
            suppress(self.collections["profile"][profile_id], reason, moment, list_id)
            self.version += 1

    def change(self, resource_type: str, id: str, **attributes: Any) -> None:
        """Set attributes of a resource. Raises KeyError if it is unknown."""
        with self.lock:
            self._collection(resource_type, id)[id].change(**attributes)
            self.version += 1

    def update(
        self, resource_type: str, id: str, *, now: float | None = None, **attributes: Any
    ) -> None:
        """Set attributes of a resource, and its `updated` or `updated_at` to `now`.

        `now` is in Unix seconds (default: the clock). Raises KeyError for an unknown resource.
        """
        with self.lock:
            known = self._collection(resource_type, id)[id].attributes
            updated = {name: iso(_seconds(now)) for name in _UPDATED if name in known}
            self.change(resource_type, id, **updated, **attributes)

    def join(self, group_id: str, profile_id: str, *, timestamp: float | None = None) -> None:
        """Add a profile to a list or segment, at a Unix second or now.

        If it is a member already, its time of joining changes. Raises KeyError for unknown ids.
        """
        with self.lock:
            profile = self.collections["profile"][profile_id]
            self.memberships.join(self._group(group_id), {profile.id: _seconds(timestamp)})
            self.version += 1

    def leave(self, group_id: str, profile_id: str, *, timestamp: float | None = None) -> None:
        """Remove a profile from a list or segment. Raises KeyError if it is not a member."""
        with self.lock:
            self.memberships.leave(self._group(group_id), {profile_id: _seconds(timestamp)})
            self.version += 1

    def add_list(self, name: str, moment: datetime | None = None) -> str:
        """Create a list and return its id."""
        created = (moment or datetime.now(timezone.utc)).replace(microsecond=0).isoformat()
        attributes = {
            "name": name,
            "created": created,
            "updated": created,
            "opt_in_process": "single_opt_in",
        }
        resource = Resource("list", random_id(self._rng, 6), attributes)
        with self.lock:
            self.collections["list"].add(resource)
            self.version += 1
        return resource.id

    def remove(self, resource_type: str, id: str, *, moment: datetime | None = None) -> None:
        """Delete a resource and the resources it owns, at a moment or now; events are kept.

        Raises KeyError for an unknown resource.
        """
        with self.lock:
            resource = self._collection(resource_type, id).remove(id)
            for relationship in _OWNED.get(resource_type, ()):
                for child in resource.related(relationship):
                    if child.id in self._collection(child.type, child.id):
                        self.remove(child.type, child.id)
                    child.deleted = True
            if resource_type == "profile":
                seconds = _seconds(moment.timestamp() if moment else None)
                self.memberships.remove_profile(id, self._groups(), seconds)
            self.version += 1

    def _collection(self, resource_type: str, id: str) -> Collection:
        """The collection to look for a resource in."""
        later = added(self.collections, resource_type)
        if later is not None and id in later:
            return later
        return self.collections.get(resource_type, Collection())

    def _metric_index(self, wanted: str) -> int:
        """The index of a metric by id, or by the name of one of Klaviyo's."""
        for index, metric in enumerate(self.log.metrics):
            has_name = integration_name(metric) == "Klaviyo" and (
                metric.attributes["name"].casefold() == wanted.casefold()
            )
            if not metric.deleted and (metric.id == wanted or has_name):
                return index
        raise KeyError(wanted)

    def _random_profile_index(self) -> int:
        index = self._rng.randrange(len(self.log.profiles))
        return MISSING if self.log.profiles[index].deleted else index


def _seconds(timestamp: float | None) -> int:
    return int(time.time() if timestamp is None else timestamp)
