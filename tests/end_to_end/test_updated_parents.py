"""Slow child streams: between full reads, only the children of updated and new parents are read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any

import pytest
from expected_keys import assert_complete
from sync_runner import NOW, Tap, catalog_of

from sandbox.account import Account
from sandbox.resources import Collection

TapOn = Callable[..., Tap]

HOUR, DAY = 3600, 86_400
RECENT = NOW + HOUR - 60

CHILDREN = {"metric_properties": "metric", "flow_actions": "flow", "flow_messages": "flow"}
"""Each stream with the type of the parents whose update counts."""

ROOTS = {"metric": "metrics", "flow": "flows"}


@pytest.fixture
def tap(tap_on: TapOn) -> Tap:
    """A tap on a small account as of NOW, in which nothing was updated for a day."""
    account = Account.seeded(seed=8, events=400, now=datetime.fromtimestamp(NOW, timezone.utc))
    for kind in ROOTS:
        for identifier in account.ids(kind):
            account.update(kind, identifier, now=NOW - DAY)
    return tap_on(account)


def busy(account: Account, name: str) -> list[str]:
    """The IDs of parents that have children in a stream, in the order of the account."""
    kind = CHILDREN[name]
    return [one for one in account.ids(kind) if children(account, name, [one])]


def children(account: Account, name: str, roots: Iterable[str]) -> set[str]:
    """The IDs of the records of a stream below ``roots``."""
    relationships = {
        "metric_properties": ["metric-properties"],
        "flow_actions": ["flow-actions"],
        "flow_messages": ["flow-actions", "flow-messages"],
    }[name]
    found, kind = [*roots], CHILDREN[name]
    for relationship in relationships:
        found = [one for parent in found for one in account.ids_under(kind, parent, relationship)]
        kind = relationship.removesuffix("s")
    return {*found}


def requested(tap: Tap) -> set[str]:
    """The paths that were requested, without a slash at the end."""
    return {seen.path.rstrip("/") for seen in tap.box.requests}


@pytest.mark.parametrize("with_parent", [False, True])
@pytest.mark.parametrize("name", CHILDREN)
def test_only_children_of_updated_parents_are_read(tap: Tap, name: str, with_parent: bool) -> None:
    """After a full read, a run reads the children of the parents that were updated since."""
    account, kind = tap.box.account, CHILDREN[name]
    catalog = catalog_of(name, *[ROOTS[kind]] * with_parent)
    first = tap.sync(now=NOW, catalog=catalog)
    assert_complete(account, first, name)
    updated = busy(account, name)[:2]
    for identifier in updated:
        account.update(kind, identifier, now=RECENT)
    tap.box.requests.clear()
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog)
    assert {*second.ids[name]} == children(account, name, updated)
    roots = {path.split("/")[3] for path in requested(tap) if path.count("/") > 3}
    assert name == "flow_messages" or roots == {*updated}
    third = tap.sync(second.state, now=NOW + 3 * HOUR, catalog=catalog, lookback_window=0)
    assert not third.ids[name]


@pytest.mark.parametrize("name", CHILDREN)
def test_all_children_are_read_once_per_interval(tap: Tap, name: str) -> None:
    """All children are read again after seven days, or after what the setting says."""
    catalog = catalog_of(name)
    first = tap.sync(now=NOW, catalog=catalog)
    assert_complete(
        tap.box.account, tap.sync(first.state, now=NOW + 7 * DAY, catalog=catalog), name
    )
    early = tap.sync(first.state, now=NOW + 7 * DAY - 1, catalog=catalog)
    assert not early.ids[name]
    daily: dict[str, Any] = {"catalog": catalog, "full_table_interval": "P1D"}
    assert_complete(tap.box.account, tap.sync(first.state, now=NOW + DAY, **daily), name)


def test_zero_reads_all_children_in_each_run(tap: Tap) -> None:
    """With an interval of zero each run reads all."""
    options: dict[str, Any] = {"catalog": catalog_of(*CHILDREN), "full_table_interval": "P0D"}
    first = tap.sync(now=NOW, **options)
    assert not first.state["bookmarks"]
    assert_complete(tap.box.account, tap.sync(first.state, now=NOW + HOUR, **options), *CHILDREN)


@pytest.mark.parametrize("name", CHILDREN)
@pytest.mark.parametrize("updated", [NOW - 365 * DAY, None])
def test_children_of_a_new_parent_are_read(tap: Tap, name: str, updated: int | None) -> None:
    """A parent that was not there in the last run is read, whatever its date says."""
    account, kind = tap.box.account, CHILDREN[name]
    new = account.collections[kind][busy(account, name)[1]]
    account.collections[kind] = Collection(r for r in account.collections[kind] if r is not new)
    first = tap.sync(now=NOW, catalog=catalog_of(name))
    account.collections[kind].add(new)
    account.update(kind, new.id, now=updated or NOW)
    if updated is None:
        account.change(kind, new.id, updated=None)
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog_of(name))
    assert {*second.ids[name]} == children(account, name, [new.id])
    assert second.ids[name]


def test_a_parent_without_a_date_is_always_read(tap: Tap) -> None:
    """A metric of which Klaviyo does not say when it was updated may have been."""
    account, name = tap.box.account, "metric_properties"
    first = tap.sync(now=NOW, catalog=catalog_of(name))
    for identifier, updated in zip(busy(account, name), (None, "soon"), strict=False):
        account.change("metric", identifier, updated=updated)
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog_of(name))
    assert {*second.ids[name]} == children(account, name, busy(account, name)[:2])


@pytest.mark.parametrize(
    ("lookback", "age", "is_read"),
    [("PT1H", 1800, True), ("PT1H", 3600, True), ("PT1H", 3601, False), ("PT0S", 1800, False)],
)
def test_the_lookback_window_applies(tap: Tap, lookback: str, age: int, is_read: bool) -> None:
    """A parent counts as updated from lookback_window before the start of the last run."""
    account, name = tap.box.account, "metric_properties"
    first = tap.sync(now=NOW, catalog=catalog_of(name))
    account.update("metric", busy(account, name)[0], now=NOW - age)
    second = tap.sync(
        first.state, now=NOW + HOUR, catalog=catalog_of(name), lookback_window=lookback
    )
    assert bool(second.ids[name]) == is_read


def test_the_date_of_a_parent_need_not_be_selected(tap: Tap) -> None:
    """A selected parent without its date is requested with it, and its records are without."""
    account = tap.box.account
    catalog = catalog_of("metrics", "metric_properties", without=("updated",))
    first = tap.sync(now=NOW, catalog=catalog)
    updated = busy(account, "metric_properties")[:1]
    account.update("metric", updated[0], now=RECENT)
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog)
    assert {*second.ids["metric_properties"]} == children(account, "metric_properties", updated)
    assert_complete(account, second, "metrics")
    assert not any("updated" in record for record in second.records("metrics"))


def test_a_parent_that_is_not_due_is_listed_with_its_date(tap: Tap) -> None:
    """Of flows that are not due only IDs and dates are requested, and no record is written."""
    account = tap.box.account
    options: dict[str, Any] = {
        "catalog": catalog_of("flows", "flow_messages"),
        "full_table_interval": {"flows": "P1D"},
    }
    first = tap.sync(now=NOW, **options)
    updated = busy(account, "flow_messages")[:1]
    account.update("flow", updated[0], now=RECENT)
    tap.box.requests.clear()
    second = tap.sync(first.state, now=NOW + HOUR, **options)
    assert {*second.ids} == {"flow_messages"}
    assert {*second.ids["flow_messages"]} == children(account, "flow_messages", updated)
    flows = [seen for seen in tap.box.requests if seen.path.rstrip("/") == "/api/flows"]
    assert {dict(seen.query)["fields[flow]"] for seen in flows} == {"updated"}


def test_a_part_is_not_activated(tap: Tap) -> None:
    """Records of a part have the version of the last full read, which is not activated again."""
    account = tap.box.account
    options: dict[str, Any] = {
        "catalog": catalog_of("metrics", *CHILDREN),
        "activate_version": True,
    }
    first = tap.sync(now=NOW, **options)
    assert {m["stream"] for m in first.of("ACTIVATE_VERSION")} == {"metrics", *CHILDREN}
    for name in ("metric_properties", "flow_messages"):
        account.update(CHILDREN[name], busy(account, name)[0], now=RECENT)
    second = tap.sync(first.state, now=NOW + HOUR, **options)
    assert {m["stream"] for m in second.of("ACTIVATE_VERSION")} == {"metrics"}
    versions = {m["stream"]: m["version"] for m in second.of("RECORD")}
    assert versions == {"metrics": NOW + HOUR, **dict.fromkeys(CHILDREN, NOW)}
    last = tap.sync(second.state, now=NOW + 7 * DAY, **options)
    assert {m["stream"] for m in last.of("ACTIVATE_VERSION")} == {"metrics", *CHILDREN}


def test_children_that_are_due_make_their_parents_complete(tap: Tap) -> None:
    """If all flow_messages are due, flow_actions are read in full too."""
    catalog = catalog_of("flow_actions", "flow_messages")
    first = tap.sync(now=NOW, catalog=catalog)
    del first.state["bookmarks"]["flow_messages"]
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog, activate_version=False)
    assert_complete(tap.box.account, second, "flow_actions", "flow_messages")
    assert {b["full_table_read_at"] for b in second.state["bookmarks"].values()} == {NOW + HOUR}


def test_children_of_a_parent_that_is_due_stay_a_part(tap: Tap) -> None:
    """If flow_actions are read in full, only messages of updated flows are read."""
    account = tap.box.account
    options: dict[str, Any] = {
        "catalog": catalog_of("flow_actions", "flow_messages"),
        "full_table_interval": {"flow_actions": "PT1H"},
    }
    first = tap.sync(now=NOW, **options)
    updated = busy(account, "flow_messages")[:1]
    account.update("flow", updated[0], now=RECENT)
    second = tap.sync(first.state, now=NOW + HOUR, **options)
    assert_complete(account, second, "flow_actions")
    assert {*second.ids["flow_messages"]} == children(account, "flow_messages", updated)


def test_a_part_that_was_not_read_is_read_by_the_next_run(tap: Tap) -> None:
    """An update that a failed run has not read is not forgotten, nor by the streams above."""
    account = tap.box.account
    catalog = catalog_of("flow_actions", "flow_messages")
    first = tap.sync(now=NOW, catalog=catalog)
    updated = busy(account, "flow_messages")[:1]
    account.update("flow", updated[0], now=RECENT)
    tap.box.faults.add("status", path="/api/flow-actions/*/flow-messages", times=1, status=403)
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog)
    assert second.fault is not None
    third = tap.sync(second.state, now=NOW + 4 * HOUR, catalog=catalog)
    assert {*third.ids["flow_messages"]} == children(account, "flow_messages", updated)
    assert {*third.ids["flow_actions"]} == children(account, "flow_actions", updated)


def test_a_run_says_what_it_reads_in_part(tap: Tap, caplog: pytest.LogCaptureFixture) -> None:
    """One line names the streams, and until when."""
    first = tap.sync(now=NOW, catalog=catalog_of(*CHILDREN))
    caplog.set_level(logging.INFO, "tap_klaviyo")
    caplog.clear()
    tap.sync(first.state, now=NOW + HOUR, catalog=catalog_of(*CHILDREN))
    assert [line for line in caplog.messages if "not due" in line] == [
        "full_table_interval: only children of new and updated parents are read, all not due until "
        "2026-11-08T12:00:00Z (flow_actions, flow_messages, metric_properties)."
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"full_table_read_at": NOW + 2 * DAY},
        {"updated_read_at": NOW + 2 * DAY},
        {"updated_read_at": None},
        {"full_table_of": "other"},
        {"full_table_of": None},
        {"parents": None},
        {"parents": []},
    ],
    ids=str,
)
def test_a_state_that_does_not_hold_makes_all_due(tap: Tap, change: dict[str, Any]) -> None:
    """A state of the future, of another selection, or without its parts is not relied on."""
    catalog = catalog_of("metric_properties")
    first = tap.sync(now=NOW, catalog=catalog)
    first.state["bookmarks"]["metric_properties"].update(change)
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog)
    assert_complete(tap.box.account, second, "metric_properties")


def test_a_parent_that_no_longer_exists_is_forgotten(tap: Tap) -> None:
    """The state lists the parents that exist, so it does not grow."""
    account = tap.box.account
    first = tap.sync(now=NOW, catalog=catalog_of("flow_messages"))
    assert first.state["bookmarks"]["flow_messages"]["parents"] == sorted(account.ids("flow"))
    account.remove("flow", account.ids("flow")[0])
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog_of("flow_messages"))
    assert second.state["bookmarks"]["flow_messages"]["parents"] == sorted(account.ids("flow"))
