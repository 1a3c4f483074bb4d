"""What happened in the account: events with the rhythm of a shop that writes to its customers.

Messages go out in bursts, opens follow within hours and clicks within minutes; the rest comes by
day more than by night. One message in eight is that of a flow instead of a campaign. One event in a
few hundred arrives late, lies in the future, or has lost its profile or its properties, unless the
account is `tame`; a few are of no metric in any case.
"""

import json
import math
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from itertools import accumulate
from typing import Any, NamedTuple

from sandbox.events import NOBODY, EventLog, Payload, Row
from sandbox.resources import Resource
from sandbox.seeding.campaigns import quiet
from sandbox.seeding.flows import TOLD

# Parts of all events, in thousandths.
_SHARES = {
    "receive": 400, "open": 240, "click": 80, "bounce": 8, "drop": 4, "unsubscribe": 5,
    "mark_as_spam": 2, "unsubscribe_list": 3, "subscribe_list": 20, "update_preferences": 4,
    "receive_sms": 60, "click_sms": 12, "consent_sms": 8, "fail_sms": 3, "fail_automated_sms": 2,
    "receive_automated_sms": 3, "send_sms": 6, "unsubscribe_sms": 3, "order": 25,
    "order_product": 25, "view_product": 31, "visit": 20, "decoy_open": 4, "decoy_receive_sms": 3,
    "decoy_open_api": 3, "orphan": 2, "custom": 3, "unresolvable": 2, "subscribe_email": 15,
    "subscribe_transactional": 2, "unsubscribe_transactional": 2,
}  # fmt: skip

# Events of a message: those it is sent with, and those that follow an earlier one after a delay,
# whose median is given in seconds.
_SENT_WITH = {"receive": "email", "receive_sms": "sms"}
_FOLLOWS = {
    "open": ("receive", 5 * 3600), "bounce": ("receive", 4), "drop": ("receive", 2),
    "unsubscribe": ("receive", 9 * 3600), "mark_as_spam": ("receive", 20 * 3600),
    "unsubscribe_list": ("receive", 9 * 3600), "click": ("open", 90),
    "click_sms": ("receive_sms", 600), "unsubscribe_sms": ("receive_sms", 1200),
    "fail_sms": ("receive_sms", 3), "order": ("click", 1800),
    "subscribe_email": ("subscribe_list", 2),
}  # fmt: skip
_OF_LISTS = frozenset({"subscribe_list", "unsubscribe_list"})
_ON_SITE = frozenset({"view_product", "visit", "custom", "orphan", "unresolvable"})
_BIGGEST_BURST, _MOST_AT_ONCE = 0.25, 50_000
_WITHIN_ONE_SECOND = 0.7
_BY_WEEKDAY = (1.0, 1.1, 1.0, 1.2, 1.3, 1.6, 1.8)
_IN_QUIET_MONTHS = 0.15
_DOMAINS = ("gmail.com", "icloud.com", "example.org", "пример.example")
_LATEST = 17 * 86_400
_NO_PROPERTIES = 0
_ONE_OF_A_FLOW_IN = 8


class _Happening(NamedTuple):
    """An event before it is stored: Unix seconds, profile and campaign by number."""

    timestamp: int
    profile: int
    campaign: int


class Story:
    """Writes the events of `days` before `now` into a log."""

    def __init__(
        self,
        rng: random.Random,
        log: EventLog,
        roles: dict[str, list[Resource]],
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
        self._campaigns, self._flows, self._lists = campaigns, flows, lists
        # What is sent: the messages of campaigns, and those of flows after them.
        self._messages = [one.related("campaign-messages")[0] for one in campaigns]
        self._of_flows: dict[str, list[int]] = {}
        for message in _sent_by(flows):
            channel = message.attributes["channel"]
            self._of_flows.setdefault(channel, []).append(len(self._messages))
            self._messages.append(message)
        self._end = int(now.timestamp())
        self._start = self._end - int(days * 86_400)
        numbers = {metric.id: number for number, metric in enumerate(log.metrics)}
        self._metrics = {role: [numbers[one.id] for one in ones] for role, ones in roles.items()}
        self._metrics["unresolvable"] = [NOBODY]
        self._hours = list(accumulate(self._rhythm()))
        self._written: dict[tuple[str, int, int], int] = {}
        log.payloads.append(Payload(None))

    def write(self, events: int) -> None:
        """Write exactly `events` events, in the order of their arrival."""
        told: dict[str, list[_Happening]] = {}
        arrivals: list[tuple[int, Row]] = []
        for role, count in self._quotas(events).items():
            told[role] = self._happenings(role, count, told)
            arrivals += self._arrivals(role, told[role])
        arrivals.sort()
        self._log.fill(row for _, row in arrivals)

    def _quotas(self, events: int) -> dict[str, int]:
        shares = {role: share for role, share in _SHARES.items() if self._metrics.get(role)}
        least = 2 if events >= 4 * len(shares) else 0
        whole = sum(shares.values())
        quotas = {role: max(least, events * share // whole) for role, share in shares.items()}
        # What rounding leaves over, or has taken too much, is made good by views of products.
        quotas["view_product"] += events - sum(quotas.values())
        return quotas

    def _happenings(
        self, role: str, count: int, told: dict[str, list[_Happening]]
    ) -> list[_Happening]:
        cause, delay = _FOLLOWS.get(role, ("", 0))
        sent = self._sent(_SENT_WITH[role]) if role in _SENT_WITH else []
        if sent:
            happenings = list(self._bursts(sent, count))
        elif told.get(cause):
            happenings = list(self._followers(told[cause], delay, count))
        else:
            happenings = list(self._by_daylight(count))
        return sorted(happenings)

    def _bursts(self, sent: list[int], count: int) -> Iterator[_Happening]:
        """Every campaign reaches its audience at once; one of them reaches a quarter of all."""
        weights = [self._rng.uniform(0.3, 1) for _ in sent]
        biggest = len(sent) // 2
        share = min(_BIGGEST_BURST, _MOST_AT_ONCE / max(1, count))
        weights[biggest] = max(1, (sum(weights) - weights[biggest]) * share / (1 - share))
        reach = [int(count * weight / sum(weights)) for weight in weights]
        reach[biggest] += count - sum(reach)
        for campaign, recipients in zip(sent, reach, strict=True):
            moment = _seconds(self._campaigns[campaign].attributes["send_time"])
            for profile in self._audience(recipients):
                at_once = self._rng.random() < _WITHIN_ONE_SECOND
                later = 0 if at_once else self._rng.randrange(1, 30)
                yield _Happening(min(moment + later, self._end - 1), profile, campaign)

    def _followers(
        self, causes: list[_Happening], delay: float, count: int
    ) -> Iterator[_Happening]:
        for cause in self._rng.choices(causes, k=count):
            moment = cause.timestamp + int(self._rng.lognormvariate(math.log(delay), 1.0))
            if moment >= self._end:
                moment = self._rng.randrange(cause.timestamp, self._end)
            yield cause._replace(timestamp=moment)

    def _by_daylight(self, count: int) -> Iterator[_Happening]:
        hours = range(len(self._hours))
        for hour in self._rng.choices(hours, cum_weights=self._hours, k=count):
            moment = self._start + hour * 3600 + self._rng.randrange(3600)
            profile = self._rng.randrange(len(self._log.profiles))
            yield _Happening(min(moment, self._end - 1), profile, NOBODY)

    def _arrivals(self, role: str, happenings: list[_Happening]) -> Iterator[tuple[int, Row]]:
        """Rows with the moments of their arrival.

        Of two metrics for one thing the older one ends where the newer one begins.
        """
        metrics = self._metrics[role]
        # However the odds fall, one open lies in the future.
        ahead = len(happenings) // 3 if role == "open" else None
        for number, (timestamp, profile, campaign) in enumerate(happenings):
            row = Row(
                timestamp,
                metrics[number * len(metrics) // len(happenings)],
                profile,
                self._payload(role, self._message(profile, campaign)),
            )
            yield (timestamp, row) if self._tame else self._odd(row, ahead=number == ahead)

    def _odd(self, row: Row, *, ahead: bool) -> tuple[int, Row]:
        """A row and the moment of its arrival; each oddity befalls one in a few hundred."""
        rng, arrival = self._rng, row.timestamp
        odd = rng.randrange(2000)
        if odd < 6:
            row = row._replace(profile=NOBODY)
        elif odd < 12:
            row = row._replace(payload=_NO_PROPERTIES)
        elif odd < 22:
            arrival += rng.randrange(60, _LATEST)
        elif odd < 23 or ahead:
            arrival = self._end
            row = row._replace(timestamp=self._end + rng.randrange(3600, 20 * 86_400))
        return arrival, row

    def _sent(self, channel: str) -> list[int]:
        return [
            number
            for number, campaign in enumerate(self._campaigns)
            if campaign.hidden["messages"]["channel"] == channel
            and campaign.attributes["send_time"]
            and _seconds(campaign.attributes["send_time"]) >= self._start
        ]

    def _audience(self, size: int) -> list[int]:
        profiles = range(len(self._log.profiles))
        if size <= len(profiles):
            return self._rng.sample(profiles, size)
        return self._rng.choices(profiles, k=size)

    def _rhythm(self) -> Iterator[float]:
        """The weight of every hour: evenings and weekends are busy, nights and some months not."""
        for hour in range(max(1, (self._end - self._start) // 3600)):
            moment = datetime.fromtimestamp(self._start + hour * 3600, timezone.utc)
            day = 1.2 - math.cos((moment.hour - 5) / 24 * 2 * math.pi)
            season = _IN_QUIET_MONTHS if quiet(moment, self._now) else 1.0
            yield day * season * _BY_WEEKDAY[moment.weekday()]

    def _message(self, profile: int, campaign: int) -> int:
        """The number of what a profile was sent: for most, the campaign's message."""
        if campaign == NOBODY or (7 * profile + campaign) % _ONE_OF_A_FLOW_IN:
            return campaign
        sent = self._of_flows[self._campaigns[campaign].hidden["messages"]["channel"]]
        return sent[campaign % len(sent)]

    def _payload(self, role: str, message: int) -> int:
        """The number of a payload, written on first use and shared from then on."""
        variant = self._rng.randrange(64 if role.startswith("order") else len(_DOMAINS))
        key = (role, message, variant)
        if key not in self._written:
            self._written[key] = len(self._log.payloads)
            self._log.payloads.append(self._compose(role, message, variant))
        return self._written[key]

    def _compose(self, role: str, number: int, variant: int) -> Payload:
        message = self._messages[number] if number != NOBODY else None
        if role.startswith("order"):
            properties = self._about_order(variant)
        elif role in _ON_SITE:
            properties = _about_page(variant)
        else:
            properties = self._about_message(message, variant)
        if role in _OF_LISTS:
            properties["List"] = self._lists[variant].attributes["name"]
        if "click" in role:
            properties["URL"] = f"https://shop.example.com/p/{variant}?utm_medium=email&q=a+b"
        rest = json.dumps(properties, ensure_ascii=False, separators=(",", ":"))[1:]
        return Payload(rest.encode(), message if role == "order" else None)

    def _about_message(self, message: Resource | None, variant: int) -> dict[str, Any]:
        known: dict[str, Any] = {"$flow": self._flows[variant % 2].id, "$message": f"FmS{variant}"}
        if message:
            known = _ABOUT[message.kind](message)
        return known | {
            "Email Domain": _DOMAINS[variant],
            "Inbox Provider": "Gmail" if variant < 2 else "Other 📮",
            "Client Name": ("Apple Mail", "Gmail", "Outlook", None)[variant],
            "Client Type": "mobile" if variant % 2 else "desktop",
            "machine_open": variant == 1,
            "$ESP": variant,
            "tags": ["a", 1, None],
            "$extra": {"depth": {"of": [{"three": variant}]}, "länge": 1.5},
        }

    def _about_order(self, variant: int) -> dict[str, Any]:
        value = round(self._rng.uniform(5, 300), 2)
        return {
            "$value": str(value) if variant % 7 == 0 else value,
            "Items": [
                {"SKU": f"SKU-{variant}-{line}", "Name": "Blume 🌷", "Quantity": line + 1}
                for line in range(1 + variant % 3)
            ],
            "Discount Codes": ["SPRING", None] if variant % 4 == 0 else [],
            "Source Name": "web",
            "$currency_code": "EUR",
            "Billing Address": {"City": "São Paulo", "Zip": None, "Lines": ["1 Main Street"]},
            "note": 'He said "now"\nand left\t— ok',
        }


def _sent_by(flows: Sequence[Resource]) -> Iterator[Resource]:
    for flow in flows[: len(TOLD)]:
        for action in flow.related("flow-actions"):
            yield from action.related("flow-messages")


def _about_campaign(message: Resource) -> dict[str, Any]:
    (campaign,) = message.related("campaign")
    content = message.attributes["definition"].get("content", {})
    return {
        "Campaign Name": campaign.attributes["name"],
        "Subject": content.get("subject") or content.get("body"),
        "$message": message.id,
        "$_cohort$message_send_cohort": f"{_seconds(campaign.attributes['created_at'])}:x",
    }


def _about_flow(message: Resource) -> dict[str, Any]:
    (action,) = message.related("flow-action")
    (flow,) = action.related("flow")
    definition = message.attributes["definition"]
    return {
        "Campaign Name": definition["name"],
        "Subject": definition.get("subject_line") or definition.get("body"),
        "$flow": flow.id,
        "$message": message.id,
    }


_ABOUT = {"campaign-message": _about_campaign, "flow-message": _about_flow}


def _about_page(variant: int) -> dict[str, Any]:
    return {
        "Title": ("Tulpe", "Rose", "牡丹", "")[variant],
        "URL": f"https://shop.example.com/products/{variant}",
        "Price": (12, 12.5, "12.50", None)[variant],
        "Browser": {"name": "Firefox", "languages": ["de", "en-US"]},
        "Categories": [] if variant else ["Flowers", "Sale"],
        "is_returning": variant % 2 == 0,
    }


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())
