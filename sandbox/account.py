"""A Klaviyo account of one's own: seeded, changed by hand, and open about what it holds."""

import math
import random
import threading
import time
from collections.abc import Collection as Container
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any, Protocol

from sandbox.events import NOBODY, Event, EventLog, Row
from sandbox.filters import Condition
from sandbox.paging import Selection
from sandbox.resources import Collection, Resource, identifier
from sandbox.rules import Endpoint
from sandbox.seeding.mailings import make_campaigns, make_flows, make_lists, make_tags
from sandbox.seeding.metrics import Naming, make_metrics
from sandbox.seeding.people import make_profiles, suppress
from sandbox.seeding.story import Story

_FEWEST_PROFILES, _MOST_PROFILES, _EVENTS_PER_PROFILE = 640, 25_000, 8
_LATE = (3600, 7 * 86_400)


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

    def __init__(self, log: EventLog, collections: dict[str, Collection], seed: int) -> None:
        self.log = log
        self.collections = collections
        self.lock = threading.RLock()
        self.version = 0
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

        def rng(part: str) -> random.Random:
            return random.Random(f"{seed}/{part}")

        tags, flows = make_tags(rng("tags")), make_flows(rng("flows"), moment)
        lists = make_lists(rng("lists"), moment, tags, flows)
        roles = make_metrics(rng("metrics"), naming, without, moment)
        roles["order"][0].relations["flow-triggers"] = [flows[1]]
        metrics = [metric for metrics in roles.values() for metric in metrics]
        campaigns = make_campaigns(rng("campaigns"), moment, days, lists, tags, odd_dates=odd_dates)
        count = min(_MOST_PROFILES, max(_FEWEST_PROFILES, events // _EVENTS_PER_PROFILE))
        profiles = make_profiles(rng("profiles"), count, [one.id for one in lists], moment)
        log = EventLog(seed, metrics, profiles, [])
        story = Story(rng("story"), log, roles, campaigns, flows, moment, days, tame=tame)
        story.write(events)
        account = cls(
            log,
            {
                "account": Collection([_account_record(rng("account"))]),
                "campaign": Collection(campaigns),
                "list": Collection(lists),
                "metric": Collection(metrics),
                "profile": Collection(profiles),
            },
            seed,
        )
        for profile in profiles[:: count // 8]:
            if not suppressed(profile):
                account.remove("profile", profile.id)
        return account

    def source(self, kind: str) -> Source:
        """Where the records of a type are listed from."""
        return self.log if kind == "event" else self.collections[kind]

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

    def remove(self, kind: str, id: str) -> None:
        """Delete a campaign, list, metric or profile; its events stay. Raises KeyError."""
        with self.lock:
            self.collections[kind].remove(id)
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

    def event_ids_of(self, metric_id: str | None) -> list[str]:
        """Ids of a metric's events, by timestamp; None stands for all events, even of no metric."""
        with self.lock:
            metric = None if metric_id is None else self.collections["metric"][metric_id]
            return [self.log.id(position) for position in self.log.positions(metric)]

    def ids(self, kind: str) -> list[str]:
        """Ids of all living resources of a type."""
        with self.lock:
            return [resource.id for resource in self.collections[kind]]

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


def _account_record(rng: random.Random) -> Resource:
    public = identifier(rng, 6)
    return Resource(
        "account",
        public,
        {
            "test_account": True,
            "contact_information": {
                "default_sender_name": "The shop",
                "default_sender_email": "shop@example.com",
                "website_url": "https://shop.example.com",
                "organization_name": "The shop",
                "street_address": {
                    "address1": "1 Main Street",
                    "address2": None,
                    "city": "Amsterdam",
                    "region": None,
                    "country": "NL",
                    "zip": "1012 AB",
                },
            },
            "industry": "Software / SaaS",
            "timezone": "Europe/Amsterdam",
            "preferred_currency": "EUR",
            "public_api_key": public,
            "locale": "en-US",
        },
    )
