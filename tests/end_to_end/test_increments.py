"""Streams beyond the default ones that are read on from a bookmark: what a later run brings."""

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
AS_IT_COMES: dict[str, Any] = {"lookback_window": 0, "sweep_window": 0}
"""Settings with which nothing is read a second time."""

MEMBERS = {"list_members": ("list", "lists"), "segment_members": ("segment", "segments")}
"""The streams of members: the type of their groups, and the stream of these."""

OWN_METRICS = {name: BY_NAME[name].metrics[0] for name in TRUTHS if BY_NAME[name].metrics}
"""The streams of one of Klaviyo's own metrics, and its name."""


def account(**options: Any) -> Account:
    """A small account as of NOW."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    return Account.seeded(**{"seed": 5, "events": 600, "now": moment, **options})


def incrementally(*names: str) -> dict[str, Any]:
    """The catalog with just these streams, read on from their bookmarks."""
    return catalog_of(*names, method="INCREMENTAL")


def mark(output: Output, stream: str) -> int | None:
    """Where the bookmark of a stream stands."""
    found: int | None = output.state["bookmarks"].get(stream, {}).get("timestamp")
    return found


def test_profiles_come_again_when_they_change(tap_on: TapOn) -> None:
    """The next run brings the profiles updated from the bookmark's second on, as they are now."""
    shop = account()
    tap = tap_on(shop)
    first = tap.sync(now=NOW, catalog=catalog_of("profiles"), **AS_IT_COMES)
    changed = dict(zip(shop.ids("profile"), (NOW, NOW, NOW + 1, NOW + 99, NOW + 100), strict=False))
    for identifier, moment in changed.items():
        shop.update("profile", identifier, now=moment, title="Director")
    second = tap.sync(first.state, now=NOW + 100, catalog=catalog_of("profiles"), **AS_IT_COMES)
    third = tap.sync(second.state, now=NOW + 300, catalog=catalog_of("profiles"), **AS_IT_COMES)
    assert (mark(first, "profiles"), mark(second, "profiles")) == (NOW, NOW + 100)
    assert sorted(second.ids["profiles"]) == sorted([*changed][:4])
    assert third.ids["profiles"] == [*changed][4:]
    assert {record["title"] for record in second.records("profiles")} == {"Director"}
    assert set(first.keys("profiles")) == TRUTHS["profiles"](shop)


def test_profiles_of_the_look_back_come_twice(tap_on: TapOn) -> None:
    """What was updated within the look-back is read again, and nothing from before it."""
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
def test_members_who_joined_come_and_the_bookmark_moves(tap_on: TapOn, name: str) -> None:
    """Read incrementally, a later run brings who has joined any group since, and nobody else."""
    shop = account()
    tap = tap_on(shop)
    kind, _ = MEMBERS[name]
    first = tap.sync(now=NOW, catalog=incrementally(name), **AS_IT_COMES)
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
    second = tap.sync(first.state, now=NOW + 100, catalog=incrementally(name), **AS_IT_COMES)
    third = tap.sync(second.state, now=NOW + 300, catalog=incrementally(name), **AS_IT_COMES)
    assert (mark(first, name), mark(second, name)) == (NOW, NOW + 100)
    assert sorted(second.keys(name)) == sorted(joined)
    assert third.keys(name) == [(groups[0], people[3])]


def test_a_new_list_brings_all_its_members(tap_on: TapOn) -> None:
    """Members of a list that was made after the last run have all joined since."""
    shop = account()
    tap = tap_on(shop)
    first = tap.sync(now=NOW, catalog=incrementally("list_members"), **AS_IT_COMES)
    made = shop.add_list("New")
    for number, person in enumerate(shop.ids("profile")[:150]):
        shop.join(made, person, timestamp=NOW + 20 + number // 10)
    second = tap.sync(
        first.state, now=NOW + 100, catalog=incrementally("list_members"), **AS_IT_COMES
    )
    assert set(second.keys("list_members")) == {(made, person) for person in shop.members(made)}


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("name", ["profiles", *MEMBERS])
def test_a_run_that_is_killed_loses_nothing(tap_on: TapOn, name: str, concurrency: int) -> None:
    """Cut at any STATE line, what came before it and what a new run reads is everything."""
    shop = account()
    tap = tap_on(shop)
    options: dict[str, Any] = {"catalog": incrementally(name), "page_size": 40, **AS_IT_COMES}
    whole = tap.sync(now=NOW, concurrency=concurrency, **options)
    states = [place for place, m in enumerate(whole.messages) if m["type"] == "STATE"]
    bookmarks = {str(whole.messages[place]["value"]["bookmarks"]): place for place in states}
    for place in bookmarks.values():
        before = Output(whole.messages[: place + 1])
        after = tap.sync(before.state, now=NOW + 60, **options)
        assert {*before.keys(name), *after.keys(name)} == TRUTHS[name](shop)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize(("path", "at"), [("/api/{}/*/profiles", 5), ("/api/{}", 2)])
def test_a_run_that_is_refused_half_way_loses_nothing(
    tap_on: TapOn, name: str, path: str, at: int
) -> None:
    """While some group's members are missing the bookmark stays, in a first run and in a later."""
    shop = account()
    tap = tap_on(shop)
    kind, stream = MEMBERS[name]

    def refused(state: dict[str, Any] | None, now: int) -> Output:
        tap.box.faults.add("status", path=path.format(stream), at=at, times=None, status=403)
        output = tap.sync(state, now=now, catalog=incrementally(name), **AS_IT_COMES)
        tap.box.faults.clear()
        assert f"({name})" in str(output.fault)
        return output

    half = refused(None, NOW)
    assert mark(half, name) is None
    whole = tap.sync(half.state, now=NOW + 10, catalog=incrementally(name), **AS_IT_COMES)
    assert set(whole.keys(name)) == TRUTHS[name](shop)
    joined: set[Key] = {(group, shop.ids("profile")[0]) for group in shop.ids(kind)}
    for group, person in joined:
        shop.join(group, person, timestamp=NOW + 15)
    half = refused(whole.state, NOW + 100)
    assert mark(half, name) == NOW + 10
    after = tap.sync(half.state, now=NOW + 200, catalog=incrementally(name), **AS_IT_COMES)
    assert set(after.keys(name)) == joined
    assert mark(after, name) == NOW + 200


@pytest.mark.parametrize("name", ["profiles", *MEMBERS])
def test_a_run_that_is_stopped_loses_nothing(tap_on: TapOn, name: str) -> None:
    """After a signal in the middle of a stream the state speaks of what was written, no more."""
    shop = account()
    tap = tap_on(shop)
    options: dict[str, Any] = {"catalog": incrementally(name), "page_size": 40, **AS_IT_COMES}
    part = tap.sync(now=NOW, stop_at=lambda message: message["type"] == "RECORD", **options)
    assert part.fault is None
    assert part.messages[-1]["type"] == "STATE"
    assert 0 < len(part.keys(name)) < len(TRUTHS[name](shop))
    rest = tap.sync(part.state, now=NOW + 60, **options)
    assert {*part.keys(name), *rest.keys(name)} == TRUTHS[name](shop)


def test_further_event_streams_go_on(tap_on: TapOn) -> None:
    """A second run brings the events that came since, each to the stream of its metric."""
    shop = account()
    tap = tap_on(shop)
    catalog = catalog_of("events", *OWN_METRICS)
    first = tap.sync(now=NOW, catalog=catalog, **AS_IT_COMES)
    came = {
        name: {event.id for event in shop.arrive(metric, timestamps=[NOW, NOW + 9], now=NOW + 90)}
        for name, metric in OWN_METRICS.items()
    }
    foreign = next(one["id"] for one in shop.metrics() if one["name"] == "Placed Order")
    orders = {event.id for event in shop.arrive(foreign, timestamps=[NOW + 50], now=NOW + 90)}
    second = tap.sync(first.state, now=NOW + 100, catalog=catalog, **AS_IT_COMES)
    for name, ids in came.items():
        assert set(second.ids[name]) == ids
        assert len(second.ids[name]) == len(ids)
    # An event of the future that the account began with may have become due, too.
    due = {*shop.event_ids_of(None, start=NOW, end=NOW + 100)}
    assert set(second.ids["events"]) == due >= orders.union(*came.values())
    assert {mark(second, name) for name in (*came, "events")} == {NOW + 100}
