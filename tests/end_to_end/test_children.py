"""Child streams, which are read for each record of a parent stream."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from expected_keys import CHILD_STREAMS, TRUTHS, assert_complete, members_of, pairs, parent_of
from sync_runner import NOW, Tap, catalog_of

from sandbox.account import Account
from tap_klaviyo.streams import BY_NAME, STREAMS

TapOn = Callable[..., Tap]


def account() -> Account:
    """A small account as of NOW."""
    return Account.seeded(seed=7, events=400, now=datetime.fromtimestamp(NOW, timezone.utc))


def test_every_child_stream_is_tested() -> None:
    """Every stream with a parent is in CHILD_STREAMS."""
    assert CHILD_STREAMS.keys() == {stream.name for stream in STREAMS if stream.parent}


@pytest.mark.parametrize("name", CHILD_STREAMS)
def test_children_without_their_parent_selected(tap_on: TapOn, name: str) -> None:
    """Only the ids of the parents are requested, and no record of them is written."""
    tap = tap_on(account())
    output = tap.sync(now=NOW, catalog=catalog_of(name))
    assert_complete(tap.box.account, output, name)
    assert {message["stream"] for message in output.of("SCHEMA")} == {name}
    assert {message["stream"] for message in output.of("RECORD")} == {name}
    parent = BY_NAME[parent_of(name)]
    queries = [
        dict(seen.query) for seen in tap.box.requests if seen.path.rstrip("/") == parent.path
    ]
    assert parent.parent or queries
    for query in queries:
        assert query[f"fields[{parent.type}]"] == "id"
        assert "include" not in query


@pytest.mark.parametrize("name", CHILD_STREAMS)
def test_children_with_their_parent_selected(tap_on: TapOn, name: str) -> None:
    """A selected parent is requested once, for its own records and for its children."""
    tap = tap_on(account())
    output = tap.sync(now=NOW, catalog=catalog_of(name, parent_of(name)))
    assert_complete(tap.box.account, output, name, parent_of(name))
    urls = [(seen.path, seen.query) for seen in tap.box.requests]
    assert len(urls) == len({*urls})


@pytest.mark.parametrize("name", CHILD_STREAMS)
def test_children_have_their_parents_id(tap_on: TapOn, name: str) -> None:
    """Each child record has the id of its parent."""
    shop = account()
    stream, child = BY_NAME[name], CHILD_STREAMS[name]
    assert stream.parent is not None
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of(name))
    found = {(one[stream.parent.property], one[stream.id_property]) for one in output.records(name)}
    if stream.single and not child.relationship:
        found = {(parent,) for parent, own in found if parent == own}
    if child.relationship == "profiles":
        assert found == members_of(child.kind)(shop)
    elif child.relationship:
        assert found == pairs(shop, child.kind, child.relationship)
    else:
        assert found == {key[:2] for key in TRUTHS[name](shop)}


def test_siblings_share_their_parent(tap_on: TapOn) -> None:
    """Two child streams of one parent request the parents once."""
    tap = tap_on(account())
    output = tap.sync(now=NOW, catalog=catalog_of("list_members", "list_exclusions"))
    assert_complete(tap.box.account, output, "list_members", "list_exclusions")
    pages = [seen for seen in tap.box.requests if seen.path.rstrip("/") == "/api/lists"]
    assert len(pages) == -(-len(tap.box.account.ids("list")) // 10)


@pytest.mark.parametrize("middle", [True, False])
@pytest.mark.parametrize("top", [True, False])
def test_grandchildren(tap_on: TapOn, top: bool, middle: bool) -> None:
    """Messages of flow actions are complete, whichever of their parents are selected."""
    tap = tap_on(account())
    names = ["flow_messages", *["flow_actions"] * middle, *["flows"] * top]
    output = tap.sync(now=NOW, catalog=catalog_of(*names))
    assert_complete(tap.box.account, output, *names)
    assert {message["stream"] for message in output.messages if "stream" in message} == {*names}


def test_one_worker(tap_on: TapOn) -> None:
    """One worker reads parents and children completely."""
    tap = tap_on(account())
    names = ("lists", "list_members", "form_versions", "flow_messages")
    output = tap.sync(now=NOW, catalog=catalog_of(*names), concurrency=1)
    assert_complete(tap.box.account, output, *names)
