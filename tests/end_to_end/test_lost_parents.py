"""Streams of children whose parent goes while they are read, or may not be read at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from expected_keys import FAMILIES, TRUTHS, assert_complete, parent_of
from sync_runner import NOW, Tap, catalog_of

from sandbox.account import Account, Selectable
from sandbox.endpoints.model import Endpoint
from tap_klaviyo.streams import BY_NAME, STREAMS
from tap_klaviyo.streams.model import PARENT

TapOn = Callable[..., Tap]
IN_PATH = [name for name, family in FAMILIES.items() if not family.filtered]
IN_FILTER = [name for name, family in FAMILIES.items() if family.filtered]

PAGES = [(name, at) for name in FAMILIES for at in (1, 2) if (name, at) != ("object_records", 2)]
"""Pages of parents; types of objects come on one."""


class Fleeting(Account):
    """An account in which some resources are deleted just before their children are asked for."""

    going: frozenset[str] = frozenset()

    def records(self, endpoint: Endpoint, id: str | None) -> Selectable:
        """Where an endpoint's records are listed from."""
        if endpoint.parent and id in self.going and id in self.collections[endpoint.parent]:
            self.remove(endpoint.parent, id)
        return super().records(endpoint, id)


def account() -> Fleeting:
    """A small account as of NOW."""
    shop = Fleeting.seeded(seed=7, events=400, now=datetime.fromtimestamp(NOW, timezone.utc))
    assert isinstance(shop, Fleeting)
    return shop


@pytest.mark.parametrize("with_parent", [True, False])
@pytest.mark.parametrize("name", IN_PATH)
def test_a_parent_that_goes_meanwhile(tap_on: TapOn, name: str, with_parent: bool) -> None:
    """A parent deleted behind the page that listed it costs its own children and no fault."""
    shop = account()
    family = FAMILIES[name]
    parents = shop.ids(family.kind)
    childless = [p for p in parents if not shop.ids_under(family.kind, p, family.relation)]
    ample = [p for p in parents if p not in childless]
    shop.going = frozenset([*ample[:1], *ample[-2:-1], *childless[:1]])
    names = (name, parent_of(name)) if with_parent else (name,)
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of(*names, "webhooks"))
    assert not shop.going & {*shop.ids(family.kind)}
    assert output.fault is None
    assert_complete(shop, output, name, "webhooks")
    if with_parent:
        assert {*output.ids[parent_of(name)]} == {*parents}


@pytest.mark.parametrize("name", IN_FILTER)
def test_a_parent_in_a_filter_that_goes_meanwhile(tap_on: TapOn, name: str) -> None:
    """Where Klaviyo finds nothing by the id of a parent, the others' children are read on."""
    tap = tap_on(account())
    parents = {key[0] for key in TRUTHS["list_exclusions"](tap.box.account)}
    gone = min(parents) if name == "list_exclusions" else tap.box.account.ids("coupon")[3]
    tap.box.faults.add("status", path=BY_NAME[name].path, query=f'"{gone}"', times=None, status=404)
    output = tap.sync(now=NOW, catalog=catalog_of(name))
    assert output.fault is None
    tap.box.account.remove(FAMILIES[name].kind, gone)
    assert {*output.keys(name)} == {k for k in TRUTHS[name](tap.box.account) if k[0] != gone}


def test_a_flow_and_an_action_that_go_meanwhile(tap_on: TapOn) -> None:
    """What goes on either floor takes with it only what is below it."""
    shop = account()
    flow = next(f for f in shop.ids("flow") if shop.ids_under("flow", f, "flow-actions"))
    below = {*shop.ids_under("flow", flow, "flow-actions")}
    action = next(a for a in shop.ids("flow-action") if a not in below)
    shop.going = frozenset([flow, action])
    output = tap_on(shop).sync(
        now=NOW, catalog=catalog_of("flows", "flow_actions", "flow_messages")
    )
    assert output.fault is None
    assert_complete(shop, output, "flow_messages")
    assert {*output.ids["flow_actions"]} - {*shop.ids("flow-action")} == {action}


@pytest.mark.parametrize("selected", [True, False])
@pytest.mark.parametrize(("name", "at"), PAGES)
def test_a_parent_that_is_refused(tap_on: TapOn, name: str, selected: bool, at: int) -> None:
    """Children end with the refusal of their parent, from the first page or a later one on."""
    tap = tap_on(account())
    above = BY_NAME[parent_of(name)]
    path = above.path.replace(PARENT, "*")
    tap.box.faults.add("status", path=path, at=at, times=None, status=403)
    pages = [above.name] if selected else []
    catalog = catalog_of(name, *pages, "webhooks", "tags")
    output = tap.sync(now=NOW, catalog=catalog, page_size=10)
    ended = [stream.name for stream in STREAMS if stream.name in (name, *pages)]
    text = str(output.fault)
    assert f"{len(ended)} of {len(ended) + 2} streams could not be read" in text
    assert all(one in text.partition(")")[0] for one in ended)
    assert above.scopes[0] in text
    assert_complete(tap.box.account, output, "webhooks", "tags")
    assert {*output.keys(name)} <= TRUTHS[name](tap.box.account)
    assert output.messages[-1]["type"] == "STATE"


@pytest.mark.parametrize(
    ("name", "scope", "missing"),
    [
        ("coupon_codes", "coupon-codes:read", "coupons:read"),
        ("list_members", "profiles:read", "lists:read"),
        ("segment_members", "profiles:read", "segments:read"),
        ("list_exclusions", "profiles:read", "lists:read"),
    ],
)
def test_a_scope_that_the_parent_lacks(tap_on: TapOn, name: str, scope: str, missing: str) -> None:
    """The error names the missing scope, though the stream that needs it is not selected."""
    tap = tap_on(account(), scopes=[scope, "webhooks:read"])
    output = tap.sync(now=NOW, catalog=catalog_of(name, "webhooks"))
    assert missing in str(output.fault)
    assert f"({name})" in str(output.fault)
    assert not output.ids[name]
    assert_complete(tap.box.account, output, "webhooks")


def test_a_refused_child_leaves_its_parent_alone(tap_on: TapOn) -> None:
    """A stream of children that is refused ends alone: its parent and its sibling are complete."""
    tap = tap_on(account())
    tap.box.faults.add("status", path="/api/lists/*/profiles", at=3, times=None, status=403)
    names = ("lists", "list_exclusions", "list_members")
    output = tap.sync(now=NOW, catalog=catalog_of(*names))
    assert "(list_members)" in str(output.fault)
    assert_complete(tap.box.account, output, "lists", "list_exclusions")


@pytest.mark.parametrize("names", [("flow_messages",), ("flow_actions", "flow_messages")])
def test_grandparents_that_are_refused(tap_on: TapOn, names: tuple[str, ...]) -> None:
    """Without the flows there are no actions, and so no messages either: all of them end."""
    tap = tap_on(account(), scopes=["webhooks:read"])
    output = tap.sync(now=NOW, catalog=catalog_of(*names, "webhooks"))
    assert f"({', '.join(names)})" in str(output.fault)
    assert "flows:read" in str(output.fault)
    assert_complete(tap.box.account, output, "webhooks")
