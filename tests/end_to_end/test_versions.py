"""`activate_version`: targets can delete rows that a complete read did not contain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from expected_keys import assert_complete
from sync_runner import NOW, Message, Output, Tap, catalog_of

from sandbox.account import Account
from tap_klaviyo.streams import BY_NAME, STREAMS

TapOn = Callable[..., Tap]
ON: dict[str, Any] = {"now": NOW, "activate_version": True}


def account() -> Account:
    """A small account as of NOW."""
    return Account.seeded(seed=8, events=400, now=datetime.fromtimestamp(NOW, timezone.utc))


def versions(output: Output, stream: str) -> list[Any]:
    """The versions of a stream's records, None without a version."""
    records = [message for message in output.of("RECORD") if message["stream"] == stream]
    return [message.get("version") for message in records]


def activated(output: Output) -> dict[str, int]:
    """The activated version of each stream, checked to be once and after all its records."""
    messages = [message for message in output.messages if message["type"] != "STATE"]
    found: dict[str, int] = {}
    for place, message in enumerate(messages):
        if message["type"] == "ACTIVATE_VERSION":
            stream = message["stream"]
            assert stream not in found
            assert not any(later["stream"] == stream for later in messages[place + 1 :])
            found[stream] = message["version"]
    return found


def test_each_full_table_stream_has_one_version(tap_on: TapOn) -> None:
    """Records of full-table streams have the version that is activated; others have none."""
    catalog = catalog_of(*BY_NAME)
    output = tap_on(account()).sync(catalog=catalog, start_date="2026-06-01", **ON)
    full_table = {one.name for one in STREAMS if one.replication_method == "FULL_TABLE"}
    assert output.fault is None
    assert activated(output) == dict.fromkeys(full_table, NOW)
    for stream in STREAMS:
        expected = {NOW} if stream.name in full_table else {None}
        assert {*versions(output, stream.name)} == expected, stream.name


def test_without_the_setting_there_are_no_versions(tap_on: TapOn) -> None:
    """By default no message has a version."""
    output = tap_on(account()).sync(now=NOW, catalog=catalog_of("lists", "list_members", "open"))
    assert not activated(output)
    assert not any("version" in message for message in output.messages)


@pytest.mark.parametrize(
    ("name", "method", "has_version"),
    [
        ("open", "FULL_TABLE", False),
        ("open", "INCREMENTAL", False),
        ("events", "FULL_TABLE", False),
        ("profiles", "FULL_TABLE", True),
        ("profiles", "INCREMENTAL", False),
        ("list_members", "FULL_TABLE", True),
        ("list_members", "INCREMENTAL", False),
        ("segment_members", "INCREMENTAL", False),
    ],
)
def test_the_users_replication_method_decides(
    tap_on: TapOn, name: str, method: str, has_version: bool
) -> None:
    """Incremental streams have no version; event streams never have one."""
    output = tap_on(account()).sync(catalog=catalog_of(name, method=method), page_size=20, **ON)
    assert activated(output) == ({name: NOW} if has_version else {})
    assert {*versions(output, name)} == {NOW if has_version else None}


def test_an_empty_stream(tap_on: TapOn) -> None:
    """An empty stream is activated, so that the target can delete all rows."""
    shop = account()
    for kind in ("webhook", "coupon"):
        for identifier in shop.ids(kind):
            shop.remove(kind, identifier)
    output = tap_on(shop).sync(catalog=catalog_of("webhooks", "coupons", "coupon_codes"), **ON)
    assert not output.of("RECORD")
    assert activated(output) == dict.fromkeys(("webhooks", "coupons", "coupon_codes"), NOW)


@pytest.mark.parametrize(
    ("fault", "path", "at", "options", "partial"),
    [
        ("status", "/api/tags", 1, {"status": 403}, {"tags"}),
        ("status", "/api/tags", 2, {"status": 403}, {"tags"}),
        ("status", "/api/tags", 2, {"status": 400}, {"tags"}),
        ("next_host", "/api/tags", 1, {}, {"tags"}),
        ("next_loop", "/api/lists", 2, {}, {"lists", "list_members"}),
        ("invalid_cursor", "/api/lists", 2, {}, {"lists", "list_members"}),
        ("status", "/api/lists", 1, {"status": 403}, {"lists", "list_members"}),
        ("status", "/api/lists", 3, {"status": 403}, {"lists", "list_members"}),
        ("status", "/api/lists/*/profiles", 1, {"status": 403}, {"list_members"}),
        ("status", "/api/lists/*/profiles", 20, {"status": 403}, {"list_members"}),
        ("status", "/api/segments", 2, {"status": 403}, {"segment_members"}),
        ("status", "/api/flows", 2, {"status": 403}, {"flow_actions", "flow_messages"}),
        (
            "status",
            "/api/flows/*/flow-actions",
            9,
            {"status": 403},
            {"flow_actions", "flow_messages"},
        ),
        ("status", "/api/campaigns", 5, {"status": 403}, {"campaigns"}),
        ("status", "/api/reviews", 2, {"status": 403}, {"reviews"}),
    ],
)
def test_a_stream_that_is_refused_is_not_activated(
    tap_on: TapOn, fault: str, path: str, at: int, options: dict[str, Any], partial: set[str]
) -> None:
    """A partially read stream and its children are not activated; the others are."""
    names = {
        *("tags", "lists", "list_members", "segment_members", "flow_actions", "flow_messages"),
        *("campaigns", "reviews"),
    }
    tap = tap_on(account())
    tap.box.faults.add(fault, path=path, at=at, times=None, **options)
    output = tap.sync(catalog=catalog_of(*names), page_size=20, **ON)
    assert output.fault is not None
    assert activated(output).keys() == names - partial
    assert_complete(tap.box.account, output, *(names - partial))


@pytest.mark.parametrize(("path", "at"), [("/api/tags", 2), ("/api/lists/*/profiles", 5)])
@pytest.mark.parametrize("fault", [{"name": "status", "status": 503}, {"name": "reset"}])
def test_a_run_that_fails_activates_nothing_unfinished(
    tap_on: TapOn, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], path: str, at: int
) -> None:
    """Only complete streams are activated in a run that fails."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    tap = tap_on(account())
    tap.box.faults.add(path=path, at=at, times=None, **fault)
    name = "tags" if path == "/api/tags" else "list_members"
    output = tap.sync(catalog=catalog_of(name, "lists"), **ON)
    assert output.fault is not None
    assert name not in activated(output)
    assert_complete(tap.box.account, output, *activated(output))


@pytest.mark.parametrize("name", ["tags", "lists", "list_members", "campaigns", "reviews", "open"])
@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_run_that_is_stopped_activates_nothing_unfinished(
    tap_on: TapOn, name: str, concurrency: int
) -> None:
    """A stream that is stopped by a signal is not activated."""
    tap = tap_on(account())
    catalog = catalog_of(name, method="FULL_TABLE")
    output = tap.sync(
        catalog=catalog,
        concurrency=concurrency,
        page_size=10,
        stop_at=lambda message: message["type"] == "RECORD",
        **ON,
    )
    assert output.of("RECORD")
    assert not activated(output)
    assert output.messages[-1]["type"] == "STATE"


def test_a_complete_stream_is_activated_before_a_stop(tap_on: TapOn) -> None:
    """A stream that was complete before the signal is activated; an unfinished one is not."""

    def is_tag(message: Message) -> bool:
        return message["type"] == "RECORD" and message["stream"] == "tags"

    catalog = catalog_of("lists", "tags")
    output = tap_on(account()).sync(catalog=catalog, concurrency=1, stop_at=is_tag, **ON)
    assert activated(output) == {"lists": NOW}
    assert output.ids["tags"]


def test_children_of_a_deleted_parent(tap_on: TapOn) -> None:
    """Children are activated if a parent was deleted during the run."""
    shop = account()
    deleted = shop.ids("list")[0]
    tap = tap_on(shop)
    for path in (f"/api/lists/{deleted}/profiles", f"/api/lists/{deleted}"):
        tap.box.faults.add("status", path=path, times=None, status=404)
    output = tap.sync(catalog=catalog_of("list_members", "lists"), **ON)
    assert output.fault is None
    assert activated(output).keys() == {"list_members", "lists"}
    assert deleted not in {group for group, _ in output.keys("list_members")}


def test_children_wait_for_the_last_of_their_parents(tap_on: TapOn) -> None:
    """Children are not activated before the last page of their parents was read."""
    tap = tap_on(account())
    tap.box.faults.add("drip", path="/api/forms", times=None, pieces=2, seconds=0.05)
    output = tap.sync(catalog=catalog_of("form_versions"), page_size=5, **ON)
    assert activated(output) == {"form_versions": NOW}
    assert_complete(tap.box.account, output, "form_versions")


def test_records_without_a_key_do_not_prevent_activation(tap_on: TapOn) -> None:
    """A stream with records without a key is activated."""
    output = tap_on(account()).sync(catalog=catalog_of("global_exclusions"), **ON)
    assert activated(output) == {"global_exclusions": NOW}


def test_the_next_run_has_the_next_version(tap_on: TapOn) -> None:
    """Each run has a higher version than the one before."""
    tap = tap_on(account())
    catalog = catalog_of("webhooks")
    first = tap.sync(now=NOW, catalog=catalog, activate_version=True)
    second = tap.sync(first.state, now=NOW + 60, catalog=catalog, activate_version=True)
    assert activated(first) == {"webhooks": NOW}
    assert activated(second) == {"webhooks": NOW + 60}
