"""The queries of docs/sql, on the demo's tables, tell what the account holds."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sync_runner import NOW, Tap, keyed_exclusions

from demo.__main__ import OWN_STREAMS, select
from demo.tables import make_views, table_names
from sandbox.account import Account, suppressed
from sandbox.events import MISSING, Event, EventRow, Payload, flows_of
from sandbox.seeding.metrics import NATIVE
from sandbox.server import Sandbox
from tap_klaviyo.config.loading import parse_metric_streams
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.streams import STREAMS

QUERIES = Path(__file__).resolve().parents[2] / "docs" / "sql"
DAY = 86_400
SUNDAY_NIGHT = int(datetime(2026, 10, 25, 23, 30, tzinfo=timezone.utc).timestamp())
ASKED = NOW - 30 * DAY
"""The moment for which consent is asked."""

Answer = dict[Any, tuple[Any, ...]]


@pytest.fixture(scope="module")
def shop() -> Account:
    """An account with everything that a careless query would count wrong."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    account = Account.seeded(5, 4000, "both", moment)
    campaign = next(
        one
        for one in account.collections["campaign"]
        if len(one.related("campaign-messages")) > 1 and one.attributes["send_time"]
    )
    first, second, *_ = (message.id for message in campaign.related("campaign-messages"))
    for message in (first, second, second):
        # Two messages of one campaign to the same person, who opens and clicks again and again.
        for role in ("receive", "open", "click", "unsubscribe"):
            tell(account, role, {"$message": message, "Email Domain": "Gmail.COM"}, 0)
    tell(account, "bounce", {"$message": second, "Email Domain": "GMAIL.com"}, 1)
    # A message of a flow may be called like a campaign.
    named = {"$flow": "FlW001", "$message": "FmS0", "Campaign Name": campaign.attributes["name"]}
    tell(account, "receive", named, 8)
    tell(account, "receive", {"$message": second}, 2)
    tell(account, "receive", {"$message": second}, MISSING)
    tell(account, "receive", {"$message": second}, MISSING)
    for _ in range(2):
        # What is known of these is no more than that they were two.
        tell(account, "receive", {"Email Domain": "example.org"}, 9)
    tell(account, "subscribe_list", {}, 3)
    for role in ("subscribe_list", "unsubscribe_list"):
        for late in (0, 3600):
            tell(account, role, {"List": "Night owls"}, 3, SUNDAY_NIGHT + late)
    tell(account, "unsubscribe", {}, 4, ASKED - 60)
    tell(account, "subscribe_email", {}, 4, ASKED - 60)
    tell(account, "unsubscribe", {}, 5, ASKED - 60)
    tell(account, "subscribe_email", {}, 5, ASKED - 59)
    tell(account, "subscribe_email", {}, 6, ASKED - 1)
    tell(account, "unsubscribe", {}, 6, ASKED)
    tell(account, "consent_sms", {}, 4, ASKED - 90)
    return account


def tell(
    account: Account,
    role: str,
    properties: dict[str, Any],
    profile: int,
    timestamp: int = NOW - 40 * DAY,
) -> None:
    """An event happens."""
    names = [metric.attributes["name"].casefold() for metric in account.log.metrics]
    account.log.payloads.append(Payload(json.dumps({**properties, "by": "hand"}).encode()[1:]))
    number = names.index(NATIVE[role][-1].casefold())
    payload = len(account.log.payloads) - 1
    account.log.add(EventRow(timestamp, number, profile, payload))


@pytest.fixture(scope="module")
def database(
    shop: Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The demo's tables of the account, and beside them those of a target that only appends."""
    own = parse_metric_streams({"metric_streams": OWN_STREAMS})
    catalog = build_catalog([*STREAMS, *own])
    select(catalog)
    with Sandbox(shop) as box:
        settings = {"api_key": box.key, "base_url": box.url, "start_date": "2000-01-01"}
        output = Tap(box, settings).sync(now=NOW, catalog=catalog, metric_streams=OWN_STREAMS)
    assert output.fault is None
    data = tmp_path_factory.mktemp("data")
    for message in output.of("RECORD"):
        with (data / f"{message['stream']}.jsonl").open("a") as file:
            file.write(2 * f"{json.dumps(message['record'])}\n")
    with duckdb.connect() as connection:
        # Far from UTC, so that no day is right by chance.
        connection.execute("set timezone = 'Pacific/Kiritimati'")
        make_views(connection, data, catalog)
        connection.execute("create schema appended")
        for name in table_names(data, catalog):
            twice = f'select * from main."{name}"'
            connection.execute(f'create view appended."{name}" as {twice} union all {twice}')
        yield connection


def events(account: Account, role: str, owner: str = "Klaviyo") -> Iterator[Event]:
    """What a run at NOW can know of the events of a metric, in the account's own words."""
    names = {name.casefold() for name in NATIVE.get(role, (role,))}
    for metric in account.log.metrics:
        integration = metric.attributes["integration"] or {"name": None}
        if integration["name"] == owner and metric.attributes["name"].casefold() in names:
            order, low, high = account.log.between(metric, end=NOW)
            yield from map(account.log.event, order[low:high])


def person(event: Event) -> str:
    """Whom an event is about."""
    return event.profile.id if event.profile else f"nobody but {event.id}"


def share(part: int, whole: int, digits: int) -> float | None:
    """A part in percent."""
    return round(100 * part / whole, digits) if whole else None


def campaign_funnel(account: Account) -> Answer:
    """People by campaign and by what they did."""
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
            *(share(part, delivered, 1) for part in (opened, clicked, unsubscribed)),
            share(bounced, sent, 1),
        )
    return answer


def list_growth(account: Account) -> Answer:
    """Who joined and who left, by list and Monday."""
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
    """Emails by domain and by what became of them."""
    found: dict[str, dict[str, set[tuple[str, str]]]] = defaultdict(lambda: defaultdict(set))
    for role in ("receive", "bounce", "drop", "mark_as_spam"):
        for event in events(account, role):
            told = event.payload.properties
            known = event.profile is not None and not event.profile.deleted
            address = (event.profile.attributes["email"] or "") if known else ""
            domain = told.get("Email Domain") or address.rpartition("@")[2] or "(unknown)"
            found[domain.lower()][role].add((person(event), told.get("$message", event.id)))
    answer: Answer = {}
    for domain, emails in found.items():
        sent = len(emails["receive"] | emails["bounce"])
        delivered = len(emails["receive"] - emails["bounce"])
        bounced, complaints = len(emails["bounce"]), len(emails["mark_as_spam"])
        answer[domain] = (
            *(sent, delivered, bounced, len(emails["drop"]), complaints),
            *(share(delivered, sent, 2), share(bounced, sent, 2), share(complaints, delivered, 2)),
        )
    return answer


def consent_at(account: Account) -> Answer:
    """The last word of each person before ASKED, and the suppression that was in force."""
    words: dict[str, dict[str, tuple[int, str]]] = {"email": {}, "sms": {}}
    for channel, role, consent in (
        ("email", "subscribe_email", "SUBSCRIBED"),
        ("email", "unsubscribe", "UNSUBSCRIBED"),
        ("sms", "consent_sms", "SUBSCRIBED"),
        ("sms", "unsubscribe_sms", "UNSUBSCRIBED"),
    ):
        for event in events(account, role):
            if event.profile and event.timestamp < ASKED:
                word, known = (event.timestamp, consent), words[channel].get(event.profile.id)
                words[channel][event.profile.id] = max(word, known or word)
    reasons = {}
    for id in keyed_exclusions(account):
        entries = [
            (datetime.fromisoformat(entry["timestamp"]).timestamp(), entry["reason"])
            for entry in suppressed(account.collections["profile"][id])
        ]
        if before := [entry for entry in entries if entry[0] < ASKED]:
            reasons[id] = max(before)[1]
    return {
        id: (
            words["email"].get(id, (0, None))[1],
            reasons.get(id),
            words["sms"].get(id, (0, None))[1],
        )
        for id in {*words["email"], *words["sms"], *reasons}
    }


def revenue_by_flow(account: Account) -> Answer:
    """Orders and what they were worth, by the flow whose message is credited."""
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


TRUTHS: dict[str, tuple[Callable[[Account], Answer], tuple[str, ...]]] = {
    "campaign_funnel": (campaign_funnel, ("campaign_id",)),
    "list_growth": (list_growth, ("list", "week")),
    "deliverability": (deliverability, ("domain",)),
    "consent_at": (consent_at, ("profile_id",)),
    "revenue_by_flow": (revenue_by_flow, ("flow_id",)),
}
"""For each query the truth, and the columns that tell its rows apart."""


def ask(database: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    """The answer to a query, whose day, if it has one, is ASKED."""
    query = (QUERIES / f"{name}.sql").read_text("utf-8")
    if name == "consent_at":
        moment = datetime.fromtimestamp(ASKED, timezone.utc).isoformat()
        query, changes = re.subn(
            "select .* as moment", f"select timestamptz '{moment}' as moment", query
        )
        assert changes == 1
    found = database.execute(query)
    columns = [column[0] for column in found.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]


def test_every_query_is_held_to_the_truth() -> None:
    """No query is without a truth, and the list of queries names them all."""
    names = {file.stem for file in QUERIES.glob("*.sql")}
    assert names == TRUTHS.keys()
    listed = re.findall(r"\]\((\w+)\.sql\)", (QUERIES / "README.md").read_text("utf-8"))
    assert sorted(listed) == sorted(names)


@pytest.mark.parametrize("schema", ["main", "appended"])
@pytest.mark.parametrize("name", TRUTHS)
def test_a_query_tells_the_truth(
    database: duckdb.DuckDBPyConnection, shop: Account, name: str, schema: str
) -> None:
    """Its rows are what the account holds, even where each row has been loaded twice."""
    database.execute(f"set schema = '{schema}'")
    truth, keys = TRUTHS[name]
    rows = ask(database, name)
    answer = {}
    for row in rows:
        key = tuple(row.pop(key) for key in keys)
        answer[key if len(key) > 1 else key[0]] = tuple(row.values())
    assert len(answer) == len(rows)
    expected = truth(shop)
    assert answer.keys() == expected.keys()
    for key, values in expected.items():
        # Only rates are rounded, and a half may be rounded either way.
        assert answer[key] == tuple(
            pytest.approx(value, abs=0.11) if isinstance(value, float) else value
            for value in values
        ), key


def test_flows_have_messages_too(shop: Account) -> None:
    """The account could be counted wrong: part of its emails are those of flows."""
    told = [event.payload.properties for event in events(shop, "receive")]
    assert 0 < sum("$flow" in properties for properties in told) < len(told) / 2


def test_an_order_counts_once_for_each_flow() -> None:
    """Two messages of a flow may be credited with one order, and two flows with the same."""
    credits = [{"flow_id": "A"}, {"flow_id": "A"}, {"flow_id": "B"}, {"campaign_id": "C"}]
    with duckdb.connect() as connection:
        connection.execute("create table flows (id text, name text)")
        connection.execute("insert into flows values ('A', 'Welcome')")
        connection.execute(
            "create table placed_order (id text, event_properties json, attributions json)"
        )
        for id, value in (("1", '"12.50"'), ("2", "12.5"), ("3", "null"), ("4", '"a lot"')):
            properties = f'{{"$value": {value}}}'
            connection.execute(
                "insert into placed_order values (?, ?, ?)", [id, properties, json.dumps(credits)]
            )
        connection.execute("insert into placed_order values ('5', null, null), ('6', null, '[]')")
        rows = ask(connection, "revenue_by_flow")
    assert [(row["flow"], row["orders"], row["value"]) for row in rows] == [
        ("Welcome", 4, 25),
        ("(deleted)", 4, 25),
    ]
