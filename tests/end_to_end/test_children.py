"""Streams that are read for each record of another stream, whether that is selected or not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from expected_keys import FAMILIES, TRUTHS, assert_complete, members_of, pairs, parent_of
from sync_runner import NOW, Tap, catalog_of

from sandbox.account import Account
from tap_klaviyo.streams import BY_NAME, STREAMS

TapOn = Callable[..., Tap]


def account() -> Account:
    """A small account as of NOW."""
    return Account.seeded(seed=7, events=400, now=datetime.fromtimestamp(NOW, timezone.utc))


def test_every_stream_of_children_is_here() -> None:
    """No stream with a parent is left out."""
    assert FAMILIES.keys() == {stream.name for stream in STREAMS if stream.parent}


@pytest.mark.parametrize("name", FAMILIES)
def test_children_without_their_parent_selected(tap_on: TapOn, name: str) -> None:
    """The parents are looked up, only by their ids, and nothing of them is written."""
    tap = tap_on(account())
    output = tap.sync(now=NOW, catalog=catalog_of(name))
    assert_complete(tap.box.account, output, name)
    assert {message["stream"] for message in output.of("SCHEMA")} == {name}
    assert {message["stream"] for message in output.of("RECORD")} == {name}
    above = BY_NAME[parent_of(name)]
    queries = [dict(seen.query) for seen in tap.box.requests if seen.path.rstrip("/") == above.path]
    assert above.parent or queries
    for query in queries:
        assert query[f"fields[{above.type}]"] == "id"
        assert "include" not in query


@pytest.mark.parametrize("name", FAMILIES)
def test_children_with_their_parent_selected(tap_on: TapOn, name: str) -> None:
    """Parents are read once for both purposes, and their records come once."""
    tap = tap_on(account())
    output = tap.sync(now=NOW, catalog=catalog_of(name, parent_of(name)))
    assert_complete(tap.box.account, output, name, parent_of(name))
    urls = [(seen.path, seen.query) for seen in tap.box.requests]
    assert len(urls) == len({*urls})


@pytest.mark.parametrize("name", FAMILIES)
def test_children_tell_their_parent(tap_on: TapOn, name: str) -> None:
    """Each record has the id of the resource that it was read below."""
    shop = account()
    stream, family = BY_NAME[name], FAMILIES[name]
    assert stream.parent is not None
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of(name))
    told = {(one[stream.parent.property], one[stream.id_property]) for one in output.records(name)}
    if family.relation == "profiles":
        assert told == members_of(family.kind)(shop)
    elif family.relation:
        assert told == pairs(shop, family.kind, family.relation)
    else:
        assert told == {key[:2] for key in TRUTHS[name](shop)}


def test_siblings_share_their_parent(tap_on: TapOn) -> None:
    """Two streams of children of one stream cost one walk over their parents."""
    tap = tap_on(account())
    output = tap.sync(now=NOW, catalog=catalog_of("list_members", "list_exclusions"))
    assert_complete(tap.box.account, output, "list_members", "list_exclusions")
    pages = [seen for seen in tap.box.requests if seen.path.rstrip("/") == "/api/lists"]
    assert len(pages) == -(-len(tap.box.account.ids("list")) // 10)


@pytest.mark.parametrize("middle", [True, False])
@pytest.mark.parametrize("top", [True, False])
def test_grandchildren(tap_on: TapOn, top: bool, middle: bool) -> None:
    """Messages of actions of flows come whichever of these streams is selected beside them."""
    tap = tap_on(account())
    names = ["flow_messages", *["flow_actions"] * middle, *["flows"] * top]
    output = tap.sync(now=NOW, catalog=catalog_of(*names))
    assert_complete(tap.box.account, output, *names)
    assert {message["stream"] for message in output.messages if "stream" in message} == {*names}


def test_one_worker_is_enough(tap_on: TapOn) -> None:
    """One worker reads parents and children as completely as many do."""
    tap = tap_on(account())
    names = ("lists", "list_members", "form_versions", "flow_messages")
    output = tap.sync(now=NOW, catalog=catalog_of(*names), concurrency=1)
    assert_complete(tap.box.account, output, *names)
