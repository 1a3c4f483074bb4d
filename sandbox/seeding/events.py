"""Seeds events with the rhythm of a shop that sends campaigns.

Messages are sent in bursts; opens follow within hours and clicks within minutes. Other events
follow the time of day. One message in eight is of a flow instead of a campaign. Unless the account
is `tame`, one event in a few hundred arrives late, lies in the future, or lacks its profile or its
properties. A few events have an unknown metric in any case.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import accumulate
from typing import NamedTuple

from sandbox.events import MISSING, EventLog, EventRow
from sandbox.resources import Resource
from sandbox.seeding.campaigns import in_quiet_month
from sandbox.seeding.event_payloads import NO_PROPERTIES, EventPayloads

# Relative numbers of events by role (the keys of `NATIVE` and `FOREIGN`).
_SHARES = {
    "receive": 400, "open": 240, "click": 80, "bounce": 8, "drop": 4, "unsubscribe": 5,
    "mark_as_spam": 2, "unsubscribe_list": 3, "subscribe_list": 20, "update_preferences": 4,
    "receive_sms": 60, "click_sms": 12, "consent_sms": 8, "fail_sms": 3, "fail_automated_sms": 2,
    "receive_automated_sms": 3, "send_sms": 6, "unsubscribe_sms": 3, "order": 25,
    "order_product": 25, "view_product": 31, "visit": 20, "decoy_open": 4, "decoy_receive_sms": 3,
    "decoy_open_api": 3, "orphan": 2, "custom": 3, "unresolvable": 2, "subscribe_email": 15,
    "subscribe_transactional": 2, "unsubscribe_transactional": 2,
}  # fmt: skip

# Roles of events when a campaign is sent, with its channel.
_SENT_ON_CHANNEL = {"receive": "email", "receive_sms": "sms"}

# Roles that follow an event of another role, and the median delay in seconds.
_FOLLOWS = {
    "open": ("receive", 5 * 3600), "bounce": ("receive", 4), "drop": ("receive", 2),
    "unsubscribe": ("receive", 9 * 3600), "mark_as_spam": ("receive", 20 * 3600),
    "unsubscribe_list": ("receive", 9 * 3600), "click": ("open", 90),
    "click_sms": ("receive_sms", 600), "unsubscribe_sms": ("receive_sms", 1200),
    "fail_sms": ("receive_sms", 3), "order": ("click", 1800),
    "subscribe_email": ("subscribe_list", 2),
}  # fmt: skip
_LARGEST_CAMPAIGN_SHARE, _LARGEST_CAMPAIGN_EVENTS = 0.25, 50_000
_FIRST_SECOND_SHARE = 0.7  # of a campaign's events; the others follow within 30 seconds
_WEEKDAY_WEIGHTS = (1.0, 1.1, 1.0, 1.2, 1.3, 1.6, 1.8)
_QUIET_MONTH_WEIGHT = 0.15
_MAX_LATENESS = 17 * 86_400


class _SeedEvent(NamedTuple):
    """An event before it is stored: Unix seconds, and indexes of profile and campaign."""

    timestamp: int
    profile: int
    campaign: int


class EventGenerator:
    """Generates the events of the `days` before `now`; `metrics` are given by role."""

    def __init__(
        self,
        rng: random.Random,
        log: EventLog,
        metrics: dict[str, list[Resource]],
        campaigns: Sequence[Resource],
        flows: Sequence[Resource],
        lists: Sequence[Resource],
        now: datetime,
        days: float,
        *,
        tame: bool = False,
    ) -> None:
        self._rng, self._log, self._now = rng, log, now
        self._tame = tame
        self._campaigns = campaigns
        self._payloads = EventPayloads(rng, log, campaigns, flows, lists)
        self._end = int(now.timestamp())
        self._start = self._end - int(days * 86_400)
        indexes = {metric.id: index for index, metric in enumerate(log.metrics)}
        self._metrics = {role: [indexes[one.id] for one in some] for role, some in metrics.items()}
        self._metrics["unresolvable"] = [MISSING]
        self._hour_weights = list(accumulate(self._weights_by_hour()))

    def add_events(self, count: int, times: Mapping[str, Sequence[int]]) -> None:
        """Add exactly `count` events to the log, in order of arrival, and one at each of `times`.

        `times` holds Unix seconds by role.
        """
        events: dict[str, list[_SeedEvent]] = {}
        arrivals: list[tuple[int, EventRow]] = []
        for role, quota in self._quotas(count).items():
            events[role] = self._events(role, quota, events)
            arrivals += self._arrivals(role, events[role])
        for role, seconds in times.items():
            arrivals += self._arrivals(role, [*self._events_at(sorted(seconds))])
        arrivals.sort()
        self._log.fill(row for _, row in arrivals)

    def _quotas(self, count: int) -> dict[str, int]:
        """Numbers of events by role, which add up to `count`."""
        shares = {role: share for role, share in _SHARES.items() if self._metrics.get(role)}
        minimum = 2 if count >= 4 * len(shares) else 0
        total = sum(shares.values())
        quotas = {role: max(minimum, count * share // total) for role, share in shares.items()}
        quotas["view_product"] += count - sum(quotas.values())
        return quotas

    def _events(
        self, role: str, count: int, previous: dict[str, list[_SeedEvent]]
    ) -> list[_SeedEvent]:
        cause, delay = _FOLLOWS.get(role, ("", 0))
        sent = self._sent_campaigns(_SENT_ON_CHANNEL[role]) if role in _SENT_ON_CHANNEL else []
        if sent:
            events = list(self._campaign_events(sent, count))
        elif previous.get(cause):
            events = list(self._following_events(previous[cause], delay, count))
        else:
            events = list(self._other_events(count))
        return sorted(events)

    def _campaign_events(self, sent: list[int], count: int) -> Iterator[_SeedEvent]:
        """Events of campaigns at their send times; one campaign has a quarter of all."""
        weights = [self._rng.uniform(0.3, 1) for _ in sent]
        largest = len(sent) // 2
        share = min(_LARGEST_CAMPAIGN_SHARE, _LARGEST_CAMPAIGN_EVENTS / max(1, count))
        weights[largest] = max(1, (sum(weights) - weights[largest]) * share / (1 - share))
        sizes = [int(count * weight / sum(weights)) for weight in weights]
        sizes[largest] += count - sum(sizes)
        for campaign, size in zip(sent, sizes, strict=True):
            send_time = _seconds(self._campaigns[campaign].attributes["send_time"])
            for profile in self._audience(size):
                in_first_second = self._rng.random() < _FIRST_SECOND_SHARE
                delay = 0 if in_first_second else self._rng.randrange(1, 30)
                yield _SeedEvent(min(send_time + delay, self._end - 1), profile, campaign)

    def _following_events(
        self, causes: list[_SeedEvent], delay: float, count: int
    ) -> Iterator[_SeedEvent]:
        for cause in self._rng.choices(causes, k=count):
            timestamp = cause.timestamp + int(self._rng.lognormvariate(math.log(delay), 1.0))
            if timestamp >= self._end:
                timestamp = self._rng.randrange(cause.timestamp, self._end)
            yield cause._replace(timestamp=timestamp)

    def _other_events(self, count: int) -> Iterator[_SeedEvent]:
        hours = range(len(self._hour_weights))
        for hour in self._rng.choices(hours, cum_weights=self._hour_weights, k=count):
            timestamp = self._start + hour * 3600 + self._rng.randrange(3600)
            profile = self._rng.randrange(len(self._log.profiles))
            yield _SeedEvent(min(timestamp, self._end - 1), profile, MISSING)

    def _events_at(self, times: Sequence[int]) -> Iterator[_SeedEvent]:
        for timestamp in times:
            yield _SeedEvent(timestamp, self._rng.randrange(len(self._log.profiles)), MISSING)

    def _arrivals(self, role: str, events: list[_SeedEvent]) -> Iterator[tuple[int, EventRow]]:
        """Rows with the Unix second of their arrival.

        If a role has two metrics, the older one ends where the newer one begins.
        """
        metrics = self._metrics[role]
        # At least one open lies in the future, whatever the random numbers.
        future = len(events) // 3 if role == "open" else None
        for number, (timestamp, profile, campaign) in enumerate(events):
            row = EventRow(
                timestamp,
                metrics[number * len(metrics) // len(events)],
                profile,
                self._payloads.index(role, profile, campaign),
            )
            if self._tame:
                yield timestamp, row
            else:
                yield self._with_anomaly(row, in_future=number == future)

    def _with_anomaly(self, row: EventRow, *, in_future: bool) -> tuple[int, EventRow]:
        """A row, rarely made incomplete, late or future, and the Unix second of its arrival."""
        rng, arrival = self._rng, row.timestamp
        chance = rng.randrange(2000)
        if chance < 6:
            row = row._replace(profile=MISSING)
        elif chance < 12:
            row = row._replace(payload=NO_PROPERTIES)
        elif chance < 22:
            arrival += rng.randrange(60, _MAX_LATENESS)
        elif chance < 23 or in_future:
            arrival = self._end
            row = row._replace(timestamp=self._end + rng.randrange(3600, 20 * 86_400))
        return arrival, row

    def _sent_campaigns(self, channel: str) -> list[int]:
        """Indexes of a channel's campaigns that were sent within the days to seed."""
        return [
            index
            for index, campaign in enumerate(self._campaigns)
            if campaign.hidden["messages"]["channel"] == channel
            and campaign.attributes["send_time"]
            and _seconds(campaign.attributes["send_time"]) >= self._start
        ]

    def _audience(self, size: int) -> list[int]:
        """Indexes of random profiles, without repetition if there are enough."""
        profiles = range(len(self._log.profiles))
        if size <= len(profiles):
            return self._rng.sample(profiles, size)
        return self._rng.choices(profiles, k=size)

    def _weights_by_hour(self) -> Iterator[float]:
        """The weight of each hour: high in the evening and at weekends, low in quiet months."""
        for hour in range(max(1, (self._end - self._start) // 3600)):
            moment = datetime.fromtimestamp(self._start + hour * 3600, timezone.utc)
            hour_weight = 1.2 - math.cos((moment.hour - 5) / 24 * 2 * math.pi)
            month_weight = _QUIET_MONTH_WEIGHT if in_quiet_month(moment, self._now) else 1.0
            yield hour_weight * month_weight * _WEEKDAY_WEIGHTS[moment.weekday()]


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
