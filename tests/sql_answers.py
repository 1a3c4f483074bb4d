"""What the queries of docs/sql have to return, computed from an account."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox.account import Account, suppressed
from sandbox.events import MISSING, Event, EventRow, Payload, flows_of
from sandbox.seeding.metrics import NATIVE
from tap_klaviyo.streams import DEFAULT_STREAMS

QUERIES = Path(__file__).resolve().parents[1] / "docs" / "sql"
NOW = 1_793_534_400
"""2026-11-01T12:00:00Z, the end of the run that fills the tables."""

DAY = 86_400
SUNDAY_NIGHT = int(datetime(2026, 10, 25, 23, 30, tzinfo=timezone.utc).timestamp())
CONSENT_TIME = NOW - 30 * DAY
"""The time for which the query of consents is run."""

Answer = dict[Any, tuple[Any, ...]]


def shop() -> Account:
    """An account with data that a careless query would count incorrectly."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    account = Account.seeded(5, 4000, "both", moment)
    campaign = next(
        one
        for one in account.collections["campaign"]
        if len(one.related("campaign-messages")) > 1 and one.attributes["send_time"]
    )
    first, second, *_ = (message.id for message in campaign.related("campaign-messages"))
    for message in (first, second, second):
        # Two messages of one campaign to one person, who opens and clicks repeatedly.
        for role in ("receive", "open", "click", "unsubscribe"):
            add_event(account, role, {"$message": message, "Email Domain": "Gmail.COM"}, 0)
    add_event(account, "bounce", {"$message": second, "Email Domain": "GMAIL.com"}, 1)
    # A flow message may have the name of a campaign.
    named = {"$flow": "FlW001", "$message": "FmS0", "Campaign Name": campaign.attributes["name"]}
    add_event(account, "receive", named, 8)
    add_event(account, "receive", {"$message": second}, 2)
    add_event(account, "receive", {"$message": second}, MISSING)
    add_event(account, "receive", {"$message": second}, MISSING)
    for _ in range(2):
        # These two events have no message and no profile.
        add_event(account, "receive", {"Email Domain": "example.org"}, 9)
    add_event(account, "subscribe_list", {}, 3)
    for role in ("subscribe_list", "unsubscribe_list"):
        for late in (0, 3600):
            add_event(account, role, {"List": "Night owls"}, 3, SUNDAY_NIGHT + late)
    add_event(account, "unsubscribe", {}, 4, CONSENT_TIME - 60)
    add_event(account, "subscribe_email", {}, 4, CONSENT_TIME - 60)
    add_event(account, "unsubscribe", {}, 5, CONSENT_TIME - 60)
    add_event(account, "subscribe_email", {}, 5, CONSENT_TIME - 59)
    add_event(account, "subscribe_email", {}, 6, CONSENT_TIME - 1)
    add_event(account, "unsubscribe", {}, 6, CONSENT_TIME)
    add_event(account, "consent_sms", {}, 4, CONSENT_TIME - 90)
    return account


def add_event(
    account: Account,
    role: str,
    properties: dict[str, Any],
    profile: int,
    timestamp: int = NOW - 40 * DAY,
) -> None:
    """Adds an event to the account."""
    names = [metric.attributes["name"].casefold() for metric in account.log.metrics]
    account.log.payloads.append(Payload(json.dumps({**properties, "by": "hand"}).encode()[1:]))
    number = names.index(NATIVE[role][-1].casefold())
    payload = len(account.log.payloads) - 1
    account.log.add(EventRow(timestamp, number, profile, payload))


def events(account: Account, role: str, owner: str = "Klaviyo") -> Iterator[Event]:
    """The events of a metric in the account before NOW."""
    names = {name.casefold() for name in NATIVE.get(role, (role,))}
    for metric in account.log.metrics:
        integration = metric.attributes["integration"] or {"name": None}
        if integration["name"] == owner and metric.attributes["name"].casefold() in names:
            order, low, high = account.log.between(metric, end=NOW)
            yield from map(account.log.event, order[low:high])


def person(event: Event) -> str:
    """The profile id of an event, or a unique name."""
    return event.profile.id if event.profile else f"unknown person of {event.id}"


def percent(part: int, total: int, digits: int) -> float | None:
    """A part of a total in percent."""
    return round(100 * part / total, digits) if total else None


def campaign_funnel(account: Account) -> Answer:
    """The expected rows of campaign_funnel."""
    campaign_of = {
        message.id: campaign
        for campaign in account.collections["campaign"]
        for message in campaign.related("campaign-messages")
    }
    did: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for role in ("receive", "open", "click", "unsubscribe", "bounce"):
        for event in events(account, role):
            if campaign := campaign_of.get(event.payload.properties.get("$message", "")):
                did[campaign.id][role].add(person(event))
    answer: Answer = {}
    for id, people in did.items():
        campaign = account.collections["campaign"][id]
        sent = len(people["receive"] | people["bounce"])
        delivered = len(people["receive"] - people["bounce"])
        opened, clicked, unsubscribed, bounced = (
            len(people[role]) for role in ("open", "click", "unsubscribe", "bounce")
        )
        answer[id] = (
            campaign.attributes["name"],
            date.fromisoformat(campaign.attributes["send_time"][:10]),
            *(sent, delivered, opened, clicked, unsubscribed, bounced),
            *(percent(part, delivered, 1) for part in (opened, clicked, unsubscribed)),
            percent(bounced, sent, 1),
        )
    return answer


def list_growth(account: Account) -> Answer:
    """The expected rows of list_growth."""
    changes: dict[str, Counter[Any]] = {}
    for role in ("subscribe_list", "unsubscribe_list"):
        changes[role] = Counter()
        for event in events(account, role):
            day = datetime.fromtimestamp(event.timestamp, timezone.utc).date()
            monday = day - timedelta(days=day.weekday())
            changes[role][event.payload.properties.get("List", "(unknown)"), monday] += 1
    joined, left = changes.values()
    return {key: (joined[key], left[key], joined[key] - left[key]) for key in {*joined, *left}}


def deliverability(account: Account) -> Answer:
    """The expected rows of deliverability."""
    found: dict[str, dict[str, set[tuple[str, str]]]] = defaultdict(lambda: defaultdict(set))
    for role in ("receive", "bounce", "drop", "mark_as_spam"):
        for event in events(account, role):
            properties = event.payload.properties
            known = event.profile is not None and not event.profile.deleted
            address = (event.profile.attributes["email"] or "") if known else ""
            domain = properties.get("Email Domain") or address.rpartition("@")[2] or "(unknown)"
            found[domain.lower()][role].add((person(event), properties.get("$message", event.id)))
    answer: Answer = {}
    for domain, emails in found.items():
        sent = len(emails["receive"] | emails["bounce"])
        delivered = len(emails["receive"] - emails["bounce"])
        bounced, complaints = len(emails["bounce"]), len(emails["mark_as_spam"])
        answer[domain] = (
            *(sent, delivered, bounced, len(emails["drop"]), complaints),
            *(
                percent(delivered, sent, 2),
                percent(bounced, sent, 2),
                percent(complaints, delivered, 2),
            ),
        )
    return answer


def consent_at(account: Account) -> Answer:
    """The expected rows of consent_at: the latest consent and suppression of each profile."""
    consents: dict[str, dict[str, tuple[int, str]]] = {"email": {}, "sms": {}}
    for channel, role, consent in (
        ("email", "subscribe_email", "SUBSCRIBED"),
        ("email", "unsubscribe", "UNSUBSCRIBED"),
        ("sms", "consent_sms", "SUBSCRIBED"),
        ("sms", "unsubscribe_sms", "UNSUBSCRIBED"),
    ):
        for event in events(account, role):
            if event.profile and event.timestamp < CONSENT_TIME:
                latest = (event.timestamp, consent)
                known = consents[channel].get(event.profile.id)
                consents[channel][event.profile.id] = max(latest, known or latest)
    reasons = {}
    for id in account.suppressed_profiles():
        if not account.collections["profile"][id].attributes["email"]:
            continue
        entries = [
            (datetime.fromisoformat(entry["timestamp"]).timestamp(), entry["reason"])
            for entry in suppressed(account.collections["profile"][id])
        ]
        if before := [entry for entry in entries if entry[0] < CONSENT_TIME]:
            reasons[id] = max(before)[1]
    return {
        id: (
            consents["email"].get(id, (0, None))[1],
            reasons.get(id),
            consents["sms"].get(id, (0, None))[1],
        )
        for id in {*consents["email"], *consents["sms"], *reasons}
    }


def revenue_by_flow(account: Account) -> Answer:
    """The expected rows of revenue_by_flow."""
    orders: dict[str, list[Decimal]] = defaultdict(list)
    for event in events(account, "Placed Order", "Shopify"):
        for flow in flows_of(event.payload.message) if event.payload.message else ():
            orders[flow.id].append(Decimal(str(event.payload.properties.get("$value", 0))))
    return {
        id: (
            account.collections["flow"][id].attributes["name"],
            len(values),
            sum(values),
            round(float(sum(values)) / len(values), 2),
        )
        for id, values in orders.items()
    }


def event_counts(account: Account) -> Answer:
    """The expected rows of event_counts: those of the streams that are selected by default."""
    counts = Counter(
        (stream.name, datetime.fromtimestamp(event.timestamp, timezone.utc).date())
        for stream in DEFAULT_STREAMS
        for name in stream.metrics
        for event in events(account, name)
    )
    return {key: (count,) for key, count in counts.items()}


TRUTHS: dict[str, tuple[Callable[[Account], Answer], tuple[str, ...]]] = {
    "campaign_funnel": (campaign_funnel, ("campaign_id",)),
    "list_growth": (list_growth, ("list", "week")),
    "deliverability": (deliverability, ("domain",)),
    "consent_at": (consent_at, ("profile_id",)),
    "revenue_by_flow": (revenue_by_flow, ("flow_id",)),
    "event_counts": (event_counts, ("stream", "day")),
}
"""For each query the function of its expected rows, and the key columns."""


def query_text(path: Path, time_type: str = "timestamptz") -> str:
    """The text of a query; the time of consent_at is set to CONSENT_TIME, as a ``time_type``."""
    query = path.read_text("utf-8")
    if path.stem == "consent_at":
        moment = datetime.fromtimestamp(CONSENT_TIME, timezone.utc).isoformat()
        query, changes = re.subn(
            "select .* as moment", f"select {time_type} '{moment}' as moment", query
        )
        assert changes == 1
    return query


def assert_answer(name: str, rows: Sequence[Mapping[str, Any]], account: Account) -> None:
    """Asserts that the rows of a query are the expected ones."""
    truth, keys = TRUTHS[name]
    answer = {}
    for row in rows:
        key = tuple(row[key] for key in keys)
        values = tuple(value for column, value in row.items() if column not in keys)
        answer[key if len(key) > 1 else key[0]] = values
    assert len(answer) == len(rows)
    expected = truth(account)
    assert answer.keys() == expected.keys()
    for key, values in expected.items():
        # Rates are rounded, and halves may be rounded either way.
        assert answer[key] == tuple(
            pytest.approx(value, abs=0.11) if isinstance(value, float) else value
            for value in values
        ), key
