"""The seeded account: whether it is what it says, and as odd as a real one."""

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
    """An account large enough for a burst of more than a thousand events in a second."""
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
    """There are as many events as asked for, each with an id of its own."""
    account = Account.seeded(events=events, now=NOW)
    ids = account.event_ids_of(None)
    assert len(ids) == len(set(ids)) == len(account.log) == events


@pytest.mark.parametrize("days", [0.5, 1, 7, 400])
def test_days(days: float) -> None:
    """Events spread over the days before now, but for those of the future."""
    account = Account.seeded(events=1000, now=NOW, days=days)
    moments = [event.timestamp for event in _events(account)]
    assert min(moments) >= END - days * 86_400
    assert 0 < sum(moment >= END for moment in moments) < 50
    assert account.event_ids(["Received Email"])


@pytest.mark.parametrize(("naming", "which"), [("old", [0]), ("new", [-1]), ("both", [0, -1])])
def test_naming(naming: str, which: list[int]) -> None:
    """All native metrics have events, under the names asked for."""
    account = Account.seeded(events=2000, now=NOW, naming=naming)  # type: ignore[arg-type]
    wanted = {names[place].casefold() for names in NATIVE.values() for place in which}
    native = {
        one["name"].casefold(): one for one in account.metrics() if one["integration"] == "Klaviyo"
    }
    assert native.keys() == wanted
    assert all(one["events"] for one in native.values())
    assert len({one["id"] for one in native.values()}) == len(wanted)


def test_both_names_in_turn() -> None:
    """Of two metrics for one thing the older one ends where the newer one begins."""
    account = Account.seeded(events=4000, now=NOW, naming="both")
    old = [event.timestamp for event in _events(account, "Clicked SMS")]
    new = [event.timestamp for event in _events(account, "Clicked Text Message")]
    assert max(old) <= min(new)


def test_without() -> None:
    """A native metric can be left out, by any of its names."""
    account = Account.seeded(events=2000, now=NOW, without=("clicked sms", "Bounced Email"))
    names = {one["name"] for one in account.metrics() if one["integration"] == "Klaviyo"}
    assert len(names) == len(NATIVE) - 2
    assert not names & {"Bounced Email", "Clicked Text Message"}


def test_metrics(account: Account) -> None:
    """Names are not unique, owners differ, and categories come in two forms."""
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
    """A campaign brings more than a thousand events of a metric in one second."""
    seconds = Counter(event.timestamp for event in _events(large, "Received Email"))
    assert seconds.most_common(1)[0][1] > 1000
    assert sum(count > 100 for count in seconds.values()) > 5


def test_quiet_months(large: Account) -> None:
    """Every other month is quiet."""
    months = Counter((END - event.timestamp) // (30 * 86_400) for event in _events(large))
    assert months[1] < 0.1 * min(months[0], months[2])


def test_opens_follow(large: Account) -> None:
    """Opens follow what was received, and clicks follow opens."""
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


def test_gaps_in_events(large: Account) -> None:
    """Some events lack their uuid, their properties, their profile or their metric."""
    events = _events(large)
    assert any(event.uuid is None for event in events)
    assert any(event.payload.json_tail is None for event in events)
    assert any(event.profile is None for event in events)
    assert any(event.profile and event.profile.deleted for event in events)
    assert any(event.metric is None for event in events)


def test_uuids_are_ordered(large: Account) -> None:
    """A later event has a later uuid."""

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
    """Properties have what Klaviyo's have: odd keys, types that vary, nesting, every script."""
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
    """Profiles have gaps, and coordinates of either type."""
    people = [one.attributes for one in account.collections["profile"]]
    assert any(one["email"] is None for one in people)
    latitudes = {type(one["location"]["latitude"]) for one in people}
    assert latitudes == {str, float, type(None)}


def test_suppressions(account: Account) -> None:
    """Every reason occurs, some profiles have several, and two have no e-mail address."""
    reasons = account.suppressed_profiles()
    assert {reason for some in reasons.values() for reason in some} == set(REASONS)
    assert max(map(len, reasons.values())) > 1
    assert len(reasons) > 100
    people = account.collections["profile"]
    assert sum(people[id].attributes["email"] is None for id in reasons) >= 2


def test_suppressed_profiles_by_api(client: SandboxClient, account: Account) -> None:
    """One query by date finds every suppressed profile, and so do those by reason together."""
    field = "subscriptions.email.marketing.suppression"
    since = f"greater-or-equal({field}.timestamp,2000-01-01T00:00:00Z)"
    by_date = client.ids("/api/profiles", filter=since, sort=f"{field}.timestamp", page__size="100")
    assert len(by_date) == len(set(by_date))
    by_reason = {
        id
        for reason in REASONS
        for id in client.ids("/api/profiles", filter=f"equals({field}.reason,'{reason}')")
    }
    assert set(by_date) == by_reason == set(account.suppressed_profiles())


def test_list_suppressions(client: SandboxClient, account: Account) -> None:
    """Suppressions of a single list are found by that list."""
    field = "subscriptions.email.marketing.list_suppressions.list_id"
    found = {
        id
        for list_id in account.list_ids()
        for id in client.ids("/api/profiles", filter=f"equals({field},'{list_id}')")
    }
    assert found
    assert found - set(account.suppressed_profiles())


def test_campaigns(account: Account) -> None:
    """Campaigns have every send strategy, tags, several messages, and microseconds in a date."""
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
    """If asked for, some dates of campaigns have a blank instead of the T, and still sort."""
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
    """There are lists for three pages, some with tags, one with nothing but nulls."""
    lists = list(account.collections["list"])
    assert len(lists) >= 25
    assert any(one.related("tags") for one in lists)
    told = [{**one.attributes, "profile_count": None} for one in lists]
    assert any(set(one.values()) == {None} for one in told)


@pytest.mark.parametrize("metric", ["opened email", "Failed to Deliver Text Message", ""])
def test_arrive(mutable_account: Account, metric: str) -> None:
    """Events arrive fresh, late, or at given moments, and belong to the truth at once."""
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
    """By default one event in ten is late."""
    began = time.time()
    ages = [began - event.timestamp for event in mutable_account.arrive(count=20)]
    assert sum(age > 120 for age in ages) == 2
    assert len(ages) == 20


def test_arrive_nowhere(mutable_account: Account) -> None:
    """Nothing arrives for a metric that does not exist."""
    with pytest.raises(KeyError):
        mutable_account.arrive("Opened Letter")


def test_suppress(
    mutable_account: Account, make_client: Callable[[Account], SandboxClient]
) -> None:
    """A suppression changes one profile, not those that shared its consents."""
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
    """The events of a deleted metric remain, but can no longer be resolved."""
    client = make_client(mutable_account)
    metric = next(one for one in mutable_account.metrics() if one["name"] == "Received Email")
    mutable_account.remove("metric", metric["id"])
    assert client.get("/api/events", filter=f"equals(metric_id,'{metric['id']}')").status == 400
    assert len(client.ids("/api/events")) == 400
    assert len(client.ids("/api/events", filter="has(metric)")) <= 400 - metric["events"]


@pytest.mark.parametrize("resource_type", ["campaign", "list", "profile"])
def test_removed(mutable_account: Account, resource_type: str) -> None:
    """What is deleted is gone."""
    id = mutable_account.ids(resource_type)[0]
    mutable_account.remove(resource_type, id)
    assert id not in mutable_account.ids(resource_type)
    with pytest.raises(KeyError):
        mutable_account.remove(resource_type, id)


def test_truth_by_window(account: Account) -> None:
    """The truth can be asked for by name, owner and time; letter case does not matter."""
    middle = END - 45 * 86_400
    everything = account.event_ids(["OPENED email"])
    parts = [
        account.event_ids(["Opened Email"], start=a, end=b) for a, b in ((0, middle), (middle, 9e9))
    ]
    assert sorted(everything) == sorted(parts[0] + parts[1])
    assert len(account.event_ids(["Opened Email"], integration=None)) > len(everything)
    assert len(account.event_ids(integration=None)) < len(account.event_ids_of(None))


def test_speed(make_client: Callable[[Account], SandboxClient], large: Account) -> None:
    """A page of a thousand events with profiles is of a real size, and quickly made."""
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
    """What is not sent by the shop happens at weekends more than on Mondays."""
    days = Counter(
        (NOW - timedelta(seconds=END - event.timestamp)).weekday()
        for event in _events(large, "Viewed Product")
    )
    assert days[6] > days[0]
