"""A state and a catalog of one revision go on under the other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from expected_keys import LATER, assert_complete
from sync_runner import NOW, Output, Tap, catalog_of

from sandbox.account import Account

TapOn = Callable[..., Tap]

HOUR = 3600

SAME = (
    "open",
    "events",
    "profiles",
    "list_members",
    "flow_actions",
    "flow_messages",
    "metric_properties",
    "lists",
    "coupons",
    "templates",
    "campaign_values_report",
)
"""Streams whose rows do not depend on the revision."""

NAMES = (*SAME, "campaigns", "campaign_messages")

KEPT = ("id", "type", "name", "archived", "created_at", "updated_at", "tags")
"""The columns of a campaign that have the same values under both revisions."""

OF_ONE_MESSAGE = ("audiences", "send_time")
"""Those that have them if the campaign has one message and one audience."""

STATUSES = ("Cancelled", "Draft", "Scheduled", "Sending", "Sent")
"""The statuses that a campaign has under both revisions."""


@pytest.fixture
def tap(tap_on: TapOn) -> Tap:
    """A tap on a small account as of NOW."""
    return tap_on(Account.seeded(seed=6, events=800, now=datetime.fromtimestamp(NOW, timezone.utc)))


def catalog() -> dict[str, Any]:
    """A catalog of the default revision, with incremental members of lists."""
    entries = catalog_of(*NAMES)["streams"]
    for entry in entries:
        if entry["stream"] == "list_members":
            entry["metadata"][0]["metadata"]["replication-method"] = "INCREMENTAL"
    return {"streams": entries}


def change(shop: Account, now: int) -> set[str]:
    """Adds events and updates a profile before ``now``. Returns the IDs of the events."""
    events = shop.arrive("Opened Email", timestamps=[now - 60, now - 50], now=now)
    shop.update("profile", shop.ids("profile")[3], now=now - 40)
    return {event.id for event in events}


def by_key(output: Output, name: str) -> dict[Any, dict[str, Any]]:
    """The records of a stream by their keys."""
    return dict(zip(output.keys(name), output.records(name), strict=True))


def schemas(output: Output) -> dict[str, Any]:
    """The SCHEMA of each stream, without descriptions."""
    return {message["stream"]: undescribed(message) for message in output.of("SCHEMA")}


def undescribed(node: Any) -> Any:
    """A part of a schema without the descriptions in it."""
    if isinstance(node, dict):
        children = {name: undescribed(child) for name, child in node.items()}
        return {k: v for k, v in children.items() if not (k == "description" and type(v) is str)}
    return node


def test_to_the_later_revision_and_back(tap: Tap, caplog: pytest.LogCaptureFixture) -> None:
    """Bookmarks, keys, columns and rows stay as they are, and incremental streams go on."""
    shop = tap.box.account
    caplog.set_level(logging.WARNING)
    before = tap.sync(now=NOW, catalog=catalog())
    arrived = change(shop, NOW + HOUR)
    twin = tap.sync(before.state, catalog(), NOW + HOUR)
    after = tap.sync(before.state, catalog(), NOW + HOUR, revision=LATER)
    assert before.fault is twin.fault is after.fault is None

    assert schemas(after) == schemas(before)
    for name in SAME:
        assert by_key(after, name) == by_key(twin, name), name
    assert arrived <= set(after.ids["open"])
    assert 0 < len(after.ids["profiles"]) < len(before.ids["profiles"]) / 2
    assert len(after.ids["open"]) < len(before.ids["open"]) / 2
    assert after.state == twin.state

    old, new = by_key(before, "campaigns"), by_key(after, "campaigns")
    assert old.keys() <= new.keys() == {(one,) for one in shop.ids("campaign", LATER)}
    for key, record in old.items():
        assert [new[key][column] for column in KEPT] == [record[column] for column in KEPT]
        assert new[key].keys() == record.keys()
        if len(record["campaign-messages"]) == 1:
            for column in OF_ONE_MESSAGE:
                assert new[key][column] == record[column], column
            if record["status"] in STATUSES:
                assert new[key]["status"] == record["status"]
    messages = by_key(before, "campaign_messages")
    for key, record in by_key(after, "campaign_messages").items():
        if key in messages:
            assert record["campaign_id"] == messages[key]["campaign_id"]
            assert record["created_at"] == messages[key]["created_at"]
            assert record.keys() == messages[key].keys()
    assert messages.keys() <= by_key(after, "campaign_messages").keys()

    arrived = change(shop, NOW + 2 * HOUR)
    back = tap.sync(after.state, catalog(), NOW + 2 * HOUR)
    assert back.fault is None
    assert schemas(back) == schemas(before)
    assert arrived <= set(back.ids["open"])
    for name in ("campaigns", "campaign_messages", "lists", "coupons", "templates"):
        assert by_key(back, name) == by_key(before, name), name
    assert 0 < len(back.ids["profiles"]) < len(before.ids["profiles"]) / 2
    assert not caplog.records


def test_slow_children_go_on(tap: Tap) -> None:
    """Between full reads, the other revision too reads only children of updated parents."""
    shop = tap.box.account
    flow = next(one for one in shop.ids("flow") if shop.ids_under("flow", one, "flow-actions"))
    for each in shop.ids("flow"):
        shop.update("flow", each, now=NOW - 30 * 24 * HOUR)
    first = tap.sync(now=NOW, catalog=catalog_of("flow_actions"))
    shop.update("flow", flow, now=NOW + HOUR - 60)
    second = tap.sync(first.state, catalog_of("flow_actions"), NOW + HOUR, revision=LATER)
    assert {*second.ids["flow_actions"]} == {*shop.ids_under("flow", flow, "flow-actions")}
    third = tap.sync(second.state, catalog_of("flow_actions"), NOW + 2 * HOUR)
    assert len(third.ids["flow_actions"]) < len(first.ids["flow_actions"])


def test_variations_of_changed_messages(tap: Tap) -> None:
    """Between full reads, only variations of messages are read that are new or have changed."""
    shop = tap.box.account
    names = ("campaign_variations", "campaign_audiences")
    selected = catalog_of(*names, revision=LATER)
    first = tap.sync(now=NOW, catalog=selected, revision=LATER)
    assert len(first.ids["campaign_variations"]) == len(shop.ids("campaign-variation", LATER))
    tap.box.requests.clear()
    changed = next(one.id for one in shop.collections["campaign"] if not one.attributes["archived"])
    shop.update("campaign", changed, now=NOW + HOUR - 60)
    second = tap.sync(first.state, selected, NOW + HOUR, revision=LATER)
    messages = shop.ids_under("campaign", changed, "campaign-messages", LATER)
    variations = {
        variation
        for message in messages
        for variation in shop.ids_under("campaign-message", message, "campaign-variations", LATER)
    }
    assert variations <= {*second.ids["campaign_variations"]}
    assert len(second.ids["campaign_variations"]) < len(first.ids["campaign_variations"]) / 2
    assert {*shop.ids_under("campaign", changed, "campaign-audiences", LATER)} <= {
        *second.ids["campaign_audiences"]
    }
    later = tap.sync(second.state, selected, NOW + 8 * 24 * HOUR, revision=LATER)
    assert {*later.ids["campaign_variations"]} == {*first.ids["campaign_variations"]}


def test_a_state_of_the_later_revision(tap: Tap, caplog: pytest.LogCaptureFixture) -> None:
    """Under the default revision, what a state holds of other streams is kept, without a word."""
    caplog.set_level(logging.WARNING)
    settings = {"full_table_interval": "P1D"}
    selected = catalog_of("billing_usage", "translations", "open", revision=LATER)
    first = tap.sync(now=NOW, catalog=selected, revision=LATER, **settings)
    second = tap.sync(first.state, catalog_of("open", "lists"), NOW + HOUR, **settings)
    assert_complete(tap.box.account, second, "lists")
    third = tap.sync(second.state, selected, NOW + 2 * HOUR, revision=LATER, **settings)
    assert not third.ids["translations"]
    assert not caplog.records
