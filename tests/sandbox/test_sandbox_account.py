"""Seeded accounts and changes to them."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from sandbox_client import NOW, SandboxClient

from sandbox import Account, Event
from sandbox.seeding.metrics import NATIVE
from sandbox.seeding.profiles import REASONS

END = int(NOW.timestamp())


@pytest.fixture(scope="session")
def large() -> Account:
    """An account with more than 1,000 events in one second."""
    return Account.seeded(events=20_000, now=NOW)


def _events(account: Account, name: str | None = None) -> list[Event]:
    metric = None
    if name:
        metric = next(
            one for one in account.collections["metric"] if one.attributes["name"] == name
        )
    order, lo, hi = account.log.between(metric)
    return [account.log.event(row) for row in order[lo:hi]]


@pytest.mark.parametrize("events", [0, 1, 50, 400, 3000])
def test_counts(events: int) -> None:
    """The account has exactly the requested number of events, with unique ids."""
    account = Account.seeded(events=events, now=NOW)
    ids = account.event_ids_of(None)
    assert len(ids) == len(set(ids)) == len(account.log) == events


@pytest.mark.parametrize("days", [0.5, 1, 7, 400])
def test_days(days: float) -> None:
    """Events happen in the requested days before now, except a few in the future."""
    account = Account.seeded(events=1000, now=NOW, days=days)
    moments = [event.timestamp for event in _events(account)]
    assert min(moments) >= END - days * 86_400
    assert 0 < sum(moment >= END for moment in moments) < 50
    assert account.event_ids(["Received Email"])


@pytest.mark.parametrize(("naming", "which"), [("old", [0]), ("new", [-1]), ("both", [0, -1])])
def test_naming(naming: str, which: list[int]) -> None:
    """All native metrics have events and the requested names."""
    account = Account.seeded(events=2000, now=NOW, naming=naming)  # type: ignore[arg-type]
    wanted = {names[place].casefold() for names in NATIVE.values() for place in which}
    native = {
        one["name"].casefold(): one for one in account.metrics() if one["integration"] == "Klaviyo"
    }
    assert native.keys() == wanted
    assert all(one["events"] for one in native.values())
    assert len({one["id"] for one in native.values()}) == len(wanted)


def test_both_names() -> None:
    """With both names, the old metric ends where the new one begins."""
    account = Account.seeded(events=4000, now=NOW, naming="both")
    old = [event.timestamp for event in _events(account, "Clicked SMS")]
    new = [event.timestamp for event in _events(account, "Clicked Text Message")]
    assert max(old) <= min(new)


def test_without() -> None:
    """A native metric can be left out by any of its names."""
    account = Account.seeded(events=2000, now=NOW, without=("clicked sms", "Bounced Email"))
    names = {one["name"] for one in account.metrics() if one["integration"] == "Klaviyo"}
    assert len(names) == len(NATIVE) - 2
    assert not names & {"Bounced Email", "Clicked Text Message"}


def test_metrics(account: Account) -> None:
    """Metric names are not unique, and integration categories are strings or objects."""
    metrics = account.metrics()
    owners = Counter(one["integration"] for one in metrics if one["name"] == "Opened Email")
    assert owners == {"Klaviyo": 1, "Shopify": 1, "API": 1}
    assert all(one["events"] for one in metrics if one["name"] in ("Opened Email", "Received SMS"))
    assert [one for one in metrics if one["integration"] is None]
    assert len(metrics) > 200
    categories = {
        type(one.attributes["integration"]["category"])
        for one in account.collections["metric"]
        if one.attributes["integration"]
    }
    assert categories == {str, dict}


def test_bursts(large: Account) -> None:
    """A campaign causes more than 1,000 events of one metric in a second."""
    seconds = Counter(event.timestamp for event in _events(large, "Received Email"))
    assert seconds.most_common(1)[0][1] > 1000
    assert sum(count > 100 for count in seconds.values()) > 5


def test_quiet_months(large: Account) -> None:
    """Every other month has few events."""
    months = Counter((END - event.timestamp) // (30 * 86_400) for event in _events(large))
    assert months[1] < 0.1 * min(months[0], months[2])


def test_opens_follow(large: Account) -> None:
    """Opens follow sent messages, and clicks follow opens."""
    first = {
        name: min(event.timestamp for event in _events(large, name))
        for name in ("Received Email", "Opened Email", "Clicked Email")
    }
    assert first["Received Email"] <= first["Opened Email"] <= first["Clicked Email"]
    hours = Counter(
        datetime.fromtimestamp(event.timestamp, timezone.utc).date()
        for event in _events(large, "Opened Email")
    )
    assert len(hours) > 20


def test_incomplete_events(large: Account) -> None:
    """Some events lack their UUID, properties, profile or metric."""
    events = _events(large)
    assert any(event.uuid is None for event in events)
    assert any(event.payload.json_tail is None for event in events)
    assert any(event.profile is None for event in events)
    assert any(event.profile and event.profile.deleted for event in events)
    assert any(event.metric is None for event in events)


def test_uuids_are_ordered(large: Account) -> None:
    """UUIDs are ordered by time."""

    def ticks(uuid: str) -> str:
        low, middle, high, _, _ = uuid.split("-")
        return high[1:] + middle + low

    events = [event for event in _events(large) if event.uuid]
    assert all(
        ticks(one.uuid or "") < ticks(next.uuid or "")
        for one, next in pairwise(events)
        if one.timestamp < next.timestamp
    )


def test_late_arrivals(large: Account) -> None:
    """Some events arrive after later ones."""
    order, _, _ = large.log.between(None)
    positions = large.log.positions(None)
    late = sum(one > next for one, next in pairwise(positions))
    assert len(order) / 1000 < late < len(order) / 20


def test_properties(account: Account) -> None:
    """Event properties vary in key names, types, nesting and scripts."""
    texts = [payload.json_tail for payload in account.log.payloads if payload.json_tail]
    properties = [json.loads(b"{" + text) for text in texts]
    keys = {key for one in properties for key in one}
    assert keys >= {"$value", "$message", "$flow", "Campaign Name", "Subject", "Email Domain"}
    values = {type(one["$value"]) for one in properties if "$value" in one}
    assert values == {str, float}
    assert any(None in one.get("tags", []) for one in properties)
    assert "📮".encode() in b"".join(texts)
    assert 300 < sum(map(len, texts)) / len(texts) < 1200


def test_profiles(account: Account) -> None:
    """Profiles have nulls, and coordinates are numbers or strings."""
    profiles = [one.attributes for one in account.collections["profile"]]
    assert any(one["email"] is None for one in profiles)
    latitudes = {type(one["location"]["latitude"]) for one in profiles}
    assert latitudes == {str, float, type(None)}


def test_suppressions(account: Account) -> None:
    """Suppressions have all reasons; some profiles have several, two have no email address."""
    reasons = account.suppressed_profiles()
    assert {reason for some in reasons.values() for reason in some} == set(REASONS)
    assert max(map(len, reasons.values())) > 1
    assert len(reasons) > 100
    profiles = account.collections["profile"]
    assert sum(profiles[id].attributes["email"] is None for id in reasons) >= 2


def test_campaigns(account: Account) -> None:
    """Campaigns vary in send strategy, tags, messages and date precision."""
    campaigns = list(account.collections["campaign"])
    methods = {one.attributes["send_strategy"]["method"] for one in campaigns}
    assert methods == {
        "static", "smart_send_time", "throttled", "immediate", "ab_test_campaign", "unsupported",
    }  # fmt: skip
    assert {len(one.related("campaign-messages")) for one in campaigns} == {1, 3}
    assert {len(one.related("tags")) for one in campaigns} == {0, 1, 2}
    assert any("." in one.attributes["created_at"] for one in campaigns)
    assert len(account.campaign_ids(["email"], archived=False)) > 100
    assert account.campaign_ids(archived=True)


@pytest.mark.parametrize("odd", [False, True])
def test_odd_dates(odd: bool, make_client: Callable[[Account], SandboxClient]) -> None:
    """With `odd_dates` some campaign dates have a space instead of the T, and sort correctly."""
    client = make_client(Account.seeded(events=0, now=NOW, odd_dates=odd))
    query = {"filter": "equals(messages.channel,'sms')", "sort": "created_at"}
    dates = [
        record["attributes"]["created_at"]
        for page in client.pages("/api/campaigns", **query)
        for record in page.document["data"]
    ]
    assert any(" " in date for date in dates) is odd
    assert dates == sorted(dates, key=datetime.fromisoformat)


def test_lists(account: Account) -> None:
    """There are three pages of lists; some have tags, one has only nulls."""
    lists = list(account.collections["list"])
    assert len(lists) >= 25
    assert any(one.related("tags") for one in lists)
    attributes = [{**one.attributes, "profile_count": None} for one in lists]
    assert any(set(one.values()) == {None} for one in attributes)


@pytest.mark.parametrize("metric", ["opened email", "Failed to Deliver Text Message", ""])
def test_arrive(mutable_account: Account, metric: str) -> None:
    """New events have the requested times and are found by id at once."""
    metric = metric or next(
        one["id"] for one in mutable_account.metrics() if one["name"] == "my_event"
    )
    before = set(mutable_account.event_ids_of(None))
    fresh = mutable_account.arrive(metric, 7, late=2, now=END)
    given = mutable_account.arrive(metric, timestamps=[END + 9000, END - 9000, END - 9000])
    ages = [END - event.timestamp for event in fresh]
    assert all(0 < age <= 60 for age in ages[:5])
    assert all(3600 <= age <= 7 * 86_400 for age in ages[5:])
    assert [event.timestamp - END for event in given] == [9000, -9000, -9000]
    arrived = {event.id for event in fresh + given}
    assert len(arrived) == 10
    assert set(mutable_account.event_ids_of(None)) == before | arrived
    assert arrived <= set(mutable_account.event_ids_of(given[0].metric_id))


def test_arrive_by_default(mutable_account: Account) -> None:
    """By default one new event in ten is late."""
    began = time.time()
    ages = [began - event.timestamp for event in mutable_account.arrive(count=20)]
    assert sum(age > 120 for age in ages) == 2
    assert len(ages) == 20


def test_arrive_unknown_metric(mutable_account: Account) -> None:
    """Adding events of an unknown metric raises KeyError."""
    with pytest.raises(KeyError):
        mutable_account.arrive("Opened Letter")


def test_suppress(
    mutable_account: Account, make_client: Callable[[Account], SandboxClient]
) -> None:
    """A suppression changes only one profile."""
    client = make_client(mutable_account)
    before = mutable_account.suppressed_profiles()
    id = next(id for id in mutable_account.ids("profile") if id not in before)
    mutable_account.suppress(id, "SPAM_COMPLAINT", timestamp=END)
    assert mutable_account.suppressed_profiles() == {**before, id: ["SPAM_COMPLAINT"]}
    field = "subscriptions.email.marketing.suppression.timestamp"
    assert client.ids(
        "/api/profiles", filter=f"greater-or-equal({field},2026-11-20T12:00:00Z)"
    ) == [id]


def test_removed_metric(
    mutable_account: Account, make_client: Callable[[Account], SandboxClient]
) -> None:
    """Events of a deleted metric remain, without a metric."""
    client = make_client(mutable_account)
    metric = next(one for one in mutable_account.metrics() if one["name"] == "Received Email")
    mutable_account.remove("metric", metric["id"])
    assert client.get("/api/events", filter=f"equals(metric_id,'{metric['id']}')").status == 400
    assert len(client.ids("/api/events")) == 400
    assert len(client.ids("/api/events", filter="has(metric)")) <= 400 - metric["events"]


@pytest.mark.parametrize("resource_type", ["campaign", "list", "profile"])
def test_removed(mutable_account: Account, resource_type: str) -> None:
    """A deleted resource is no longer listed."""
    id = mutable_account.ids(resource_type)[0]
    mutable_account.remove(resource_type, id)
    assert id not in mutable_account.ids(resource_type)
    with pytest.raises(KeyError):
        mutable_account.remove(resource_type, id)


def test_event_ids(account: Account) -> None:
    """`event_ids` selects by name, integration and time; letter case does not matter."""
    middle = END - 45 * 86_400
    everything = account.event_ids(["OPENED email"])
    parts = [
        account.event_ids(["Opened Email"], start=a, end=b) for a, b in ((0, middle), (middle, 9e9))
    ]
    assert sorted(everything) == sorted(parts[0] + parts[1])
    assert len(account.event_ids(["Opened Email"], integration=None)) > len(everything)
    assert len(account.event_ids(integration=None)) < len(account.event_ids_of(None))


def test_speed(make_client: Callable[[Account], SandboxClient], large: Account) -> None:
    """A page of 1,000 events has a realistic size and takes less than 0.5 s of CPU time."""
    client = make_client(large)
    id = next(one["id"] for one in large.metrics() if one["name"] == "Received Email")
    query = {"filter": f"equals(metric_id,'{id}')", "include": "profile,metric"}
    sizes = []
    began = time.process_time()
    for page in client.pages("/api/events", **query, sort="timestamp", page__size="1000"):
        sizes.append(len(json.dumps(page.document)))
    assert 1.5e6 < sizes[0] < 4e6
    assert (time.process_time() - began) / len(sizes) < 0.5


def test_days_of_week(large: Account) -> None:
    """Events that do not follow from campaigns are more frequent at weekends."""
    days = Counter(
        (NOW - timedelta(seconds=END - event.timestamp)).weekday()
        for event in _events(large, "Viewed Product")
    )
    assert days[6] > days[0]
