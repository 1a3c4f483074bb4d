"""Incremental runs of the streams that are not selected by default."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from expected_keys import TRUTHS
from sync_runner import NOW, Key, Output, Tap, catalog_of

from sandbox.account import Account
from tap_klaviyo.streams import BY_NAME

TapOn = Callable[..., Tap]
HOUR = 3600
NO_REREAD: dict[str, Any] = {"lookback_window": 0, "sweep_window": 0}
"""Settings with which no record is read again."""

MEMBERS = {"list_members": ("list", "lists"), "segment_members": ("segment", "segments")}
"""The membership streams: the type of their groups, and the stream of the groups."""

OWN_METRICS = {name: BY_NAME[name].metrics[0] for name in TRUTHS if BY_NAME[name].metrics}
"""The streams of one of Klaviyo's own metrics, with its name."""


def account(**options: Any) -> Account:
    """A small account as of NOW."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    return Account.seeded(**{"seed": 5, "events": 600, "now": moment, **options})


def incremental_catalog(*names: str) -> dict[str, Any]:
    """A catalog with these streams only, replicated incrementally."""
    return catalog_of(*names, method="INCREMENTAL")


def bookmark(output: Output, stream: str) -> int | None:
    """The bookmark of a stream."""
    found: int | None = output.state["bookmarks"].get(stream, {}).get("timestamp")
    return found


def test_changed_profiles_are_read_again(tap_on: TapOn) -> None:
    """The next run reads the profiles that were updated since the bookmark."""
    shop = account()
    tap = tap_on(shop)
    first = tap.sync(now=NOW, catalog=catalog_of("profiles"), **NO_REREAD)
    changed = dict(zip(shop.ids("profile"), (NOW, NOW, NOW + 1, NOW + 99, NOW + 100), strict=False))
    for identifier, moment in changed.items():
        shop.update("profile", identifier, now=moment, title="Director")
    second = tap.sync(first.state, now=NOW + 100, catalog=catalog_of("profiles"), **NO_REREAD)
    third = tap.sync(second.state, now=NOW + 300, catalog=catalog_of("profiles"), **NO_REREAD)
    assert (bookmark(first, "profiles"), bookmark(second, "profiles")) == (NOW, NOW + 100)
    assert sorted(second.ids["profiles"]) == sorted([*changed][:4])
    assert third.ids["profiles"] == [*changed][4:]
    assert {record["title"] for record in second.records("profiles")} == {"Director"}
    assert set(first.keys("profiles")) == TRUTHS["profiles"](shop)


def test_profiles_within_the_look_back_are_read_again(tap_on: TapOn) -> None:
    """Profiles updated within lookback_window are read again, older ones are not."""
    shop = account()
    tap = tap_on(shop)
    moments = (NOW - HOUR - 1, NOW - HOUR, NOW - 1, NOW)
    changed = dict(zip(shop.ids("profile"), moments, strict=False))
    for identifier, moment in changed.items():
        shop.update("profile", identifier, now=moment)
    first = tap.sync(now=NOW, catalog=catalog_of("profiles"))
    second = tap.sync(first.state, now=NOW + 100, catalog=catalog_of("profiles"))
    again = {*second.ids["profiles"]}
    assert again & changed.keys() == {*[*changed][1:]}
    assert again == {
        profile.id
        for profile in shop.collections["profile"]
        if datetime.fromisoformat(profile.attributes["updated"]).timestamp() >= NOW - HOUR
    }


@pytest.mark.parametrize("name", MEMBERS)
def test_new_members_are_read_and_the_bookmark_moves(tap_on: TapOn, name: str) -> None:
    """An incremental run reads exactly the members who joined since the bookmark."""
    shop = account()
    tap = tap_on(shop)
    kind, _ = MEMBERS[name]
    first = tap.sync(now=NOW, catalog=incremental_catalog(name), **NO_REREAD)
    assert first.of("SCHEMA")[0]["bookmark_properties"] == ["joined_group_at"]
    assert set(first.keys(name)) == TRUTHS[name](shop)
    groups, people = shop.ids(kind), shop.ids("profile")
    moments = (NOW, NOW + 1, NOW + 99)
    joined = {
        (group, person): moment
        for group in groups[:2] + groups[-1:]
        for person, moment in zip(people, moments, strict=False)
    }
    for (group, person), moment in joined.items():
        shop.join(group, person, timestamp=moment)
    shop.join(groups[0], people[3], timestamp=NOW + 100)
    second = tap.sync(first.state, now=NOW + 100, catalog=incremental_catalog(name), **NO_REREAD)
    third = tap.sync(second.state, now=NOW + 300, catalog=incremental_catalog(name), **NO_REREAD)
    assert (bookmark(first, name), bookmark(second, name)) == (NOW, NOW + 100)
    assert sorted(second.keys(name)) == sorted(joined)
    assert third.keys(name) == [(groups[0], people[3])]


def test_members_of_a_new_list_are_read(tap_on: TapOn) -> None:
    """All members of a list that was created after the last run are read."""
    shop = account()
    tap = tap_on(shop)
    first = tap.sync(now=NOW, catalog=incremental_catalog("list_members"), **NO_REREAD)
    made = shop.add_list("New")
    for number, person in enumerate(shop.ids("profile")[:150]):
        shop.join(made, person, timestamp=NOW + 20 + number // 10)
    second = tap.sync(
        first.state, now=NOW + 100, catalog=incremental_catalog("list_members"), **NO_REREAD
    )
    assert set(second.keys("list_members")) == {(made, person) for person in shop.members(made)}


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("name", ["profiles", *MEMBERS])
def test_a_run_that_is_killed_loses_nothing(tap_on: TapOn, name: str, concurrency: int) -> None:
    """The records before any STATE and those of a run from that STATE are complete."""
    shop = account()
    tap = tap_on(shop)
    options: dict[str, Any] = {"catalog": incremental_catalog(name), "page_size": 40, **NO_REREAD}
    complete = tap.sync(now=NOW, concurrency=concurrency, **options)
    states = [place for place, m in enumerate(complete.messages) if m["type"] == "STATE"]
    bookmarks = {str(complete.messages[place]["value"]["bookmarks"]): place for place in states}
    for place in bookmarks.values():
        before = Output(complete.messages[: place + 1])
        after = tap.sync(before.state, now=NOW + 60, **options)
        assert {*before.keys(name), *after.keys(name)} == TRUTHS[name](shop)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize(("path", "at"), [("/api/{}/*/profiles", 5), ("/api/{}", 2)])
def test_a_refusal_in_the_middle_of_a_run_loses_nothing(
    tap_on: TapOn, name: str, path: str, at: int
) -> None:
    """The bookmark does not move while members of a group are missing."""
    shop = account()
    tap = tap_on(shop)
    kind, stream = MEMBERS[name]

    def refused(state: dict[str, Any] | None, now: int) -> Output:
        tap.box.faults.add("status", path=path.format(stream), at=at, times=None, status=403)
        output = tap.sync(state, now=now, catalog=incremental_catalog(name), **NO_REREAD)
        tap.box.faults.clear()
        assert f"({name})" in str(output.fault)
        return output

    partial = refused(None, NOW)
    assert bookmark(partial, name) is None
    complete = tap.sync(partial.state, now=NOW + 10, catalog=incremental_catalog(name), **NO_REREAD)
    assert set(complete.keys(name)) == TRUTHS[name](shop)
    joined: set[Key] = {(group, shop.ids("profile")[0]) for group in shop.ids(kind)}
    for group, person in joined:
        shop.join(group, person, timestamp=NOW + 15)
    partial = refused(complete.state, NOW + 100)
    assert bookmark(partial, name) == NOW + 10
    after = tap.sync(partial.state, now=NOW + 200, catalog=incremental_catalog(name), **NO_REREAD)
    assert set(after.keys(name)) == joined
    assert bookmark(after, name) == NOW + 200


@pytest.mark.parametrize("name", ["profiles", *MEMBERS])
def test_a_run_that_is_stopped_loses_nothing(tap_on: TapOn, name: str) -> None:
    """The state of a run that was stopped by a signal covers only what was written."""
    shop = account()
    tap = tap_on(shop)
    options: dict[str, Any] = {"catalog": incremental_catalog(name), "page_size": 40, **NO_REREAD}
    part = tap.sync(now=NOW, stop_at=lambda message: message["type"] == "RECORD", **options)
    assert part.fault is None
    assert part.messages[-1]["type"] == "STATE"
    assert 0 < len(part.keys(name)) < len(TRUTHS[name](shop))
    rest = tap.sync(part.state, now=NOW + 60, **options)
    assert {*part.keys(name), *rest.keys(name)} == TRUTHS[name](shop)


def test_event_streams_are_incremental(tap_on: TapOn) -> None:
    """A second run reads the events that arrived since, each in the stream of its metric."""
    shop = account()
    tap = tap_on(shop)
    catalog = catalog_of("events", *OWN_METRICS)
    first = tap.sync(now=NOW, catalog=catalog, **NO_REREAD)
    arrived = {
        name: {event.id for event in shop.arrive(metric, timestamps=[NOW, NOW + 9], now=NOW + 90)}
        for name, metric in OWN_METRICS.items()
    }
    foreign = next(one["id"] for one in shop.metrics() if one["name"] == "Placed Order")
    orders = {event.id for event in shop.arrive(foreign, timestamps=[NOW + 50], now=NOW + 90)}
    second = tap.sync(first.state, now=NOW + 100, catalog=catalog, **NO_REREAD)
    for name, ids in arrived.items():
        assert set(second.ids[name]) == ids
        assert len(second.ids[name]) == len(ids)
    # Events of the account that were in the future may have become due.
    due = {*shop.event_ids_of(None, start=NOW, end=NOW + 100)}
    assert set(second.ids["events"]) == due >= orders.union(*arrived.values())
    assert {bookmark(second, name) for name in (*arrived, "events")} == {NOW + 100}
