"""Child streams whose parent is deleted during the run or refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from expected_keys import CHILD_STREAMS, TRUTHS, assert_complete, parent_of
from sync_runner import NOW, Tap, catalog_of

from sandbox.account import Account, Selectable
from sandbox.endpoints.model import Endpoint
from tap_klaviyo.streams import BY_NAME, STREAMS
from tap_klaviyo.streams.model import PARENT

TapOn = Callable[..., Tap]
IN_ALL = [name for name in CHILD_STREAMS if not BY_NAME[name].optional]
IN_PATH = [name for name in IN_ALL if not CHILD_STREAMS[name].filtered]
IN_FILTER = [name for name, child in CHILD_STREAMS.items() if child.filtered]

BEGIN = int(datetime(2000, 1, 1, tzinfo=timezone.utc).timestamp())
"""The start_date of the tap."""

PAGES = [(name, at) for name in CHILD_STREAMS for at in (1, 2) if at == 1 or "object_" not in name]
"""The pages of parents; object types have one page only."""


class DeletingAccount(Account):
    """An account that deletes some resources just before their children are requested."""

    to_delete: frozenset[str] = frozenset()

    def records(self, endpoint: Endpoint, id: str | None) -> Selectable:
        """Returns the records of an endpoint, after deleting a parent in ``to_delete``."""
        kind = endpoint.resource_type if endpoint.single else endpoint.parent
        if kind and id in self.to_delete and id in self.collections[kind]:
            self.remove(kind, id)
        return super().records(endpoint, id)


def account() -> DeletingAccount:
    """A small account as of NOW."""
    shop = DeletingAccount.seeded(seed=7, events=400, now=datetime.fromtimestamp(NOW, timezone.utc))
    assert isinstance(shop, DeletingAccount)
    return shop


@pytest.mark.parametrize("with_parent", [True, False])
@pytest.mark.parametrize("name", IN_PATH)
def test_a_parent_that_is_deleted_during_the_run(
    tap_on: TapOn, name: str, with_parent: bool
) -> None:
    """A parent that is deleted during the run loses only its own children, without an error."""
    shop = account()
    child = CHILD_STREAMS[name]
    parents = shop.ids(child.kind)
    without_children = [
        parent
        for parent in parents
        if child.relationship and not shop.ids_under(child.kind, parent, child.relationship)
    ]
    with_children = [p for p in parents if p not in without_children]
    shop.to_delete = frozenset([*with_children[:1], *with_children[-2:-1], *without_children[:1]])
    names = (name, parent_of(name)) if with_parent else (name,)
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of(*names, "webhooks"))
    assert not shop.to_delete & {*shop.ids(child.kind)}
    assert output.fault is None
    assert_complete(shop, output, name, "webhooks")
    if with_parent:
        assert {*output.ids[parent_of(name)]} == {*parents}


@pytest.mark.parametrize("name", IN_FILTER)
def test_a_parent_in_a_filter_that_is_deleted_during_the_run(tap_on: TapOn, name: str) -> None:
    """A 404 for the id of a parent in a filter skips a parent that does not exist."""
    tap = tap_on(account())
    parents = {key[0] for key in TRUTHS["list_exclusions"](tap.box.account)}
    deleted = min(parents) if name == "list_exclusions" else tap.box.account.ids("coupon")[3]
    gone = {"times": None, "status": 404}
    tap.box.faults.add("status", path=BY_NAME[name].path, query=f'"{deleted}"', **gone)
    tap.box.faults.add("status", path=f"/api/{parent_of(name)}/{deleted}", **gone)
    output = tap.sync(now=NOW, catalog=catalog_of(name))
    assert output.fault is None
    tap.box.account.remove(CHILD_STREAMS[name].kind, deleted)
    assert {*output.keys(name)} == {k for k in TRUTHS[name](tap.box.account) if k[0] != deleted}


@pytest.mark.parametrize("name", IN_ALL)
def test_children_that_are_not_found_once(tap_on: TapOn, name: str) -> None:
    """A 404 for the children of a parent that exists is not taken for a deletion."""
    tap = tap_on(account())
    path = BY_NAME[name].path.replace(PARENT, "*")
    tap.box.faults.add("status", path=path, at=2, status=404)
    output = tap.sync(now=NOW, catalog=catalog_of(name))
    assert output.fault is None
    assert_complete(tap.box.account, output, name)


def test_children_that_stay_not_found(tap_on: TapOn) -> None:
    """The stream fails and its bookmark stays if children of an existing parent are not found."""
    tap = tap_on(account())
    catalog = catalog_of("list_members", method="INCREMENTAL")
    first = tap.sync(now=NOW - 86_400, catalog=catalog)
    (refused, *_) = tap.box.account.ids("list")
    tap.box.faults.add("status", path=f"/api/lists/{refused}/profiles", times=None, status=404)
    output = tap.sync(first.state, now=NOW, catalog=catalog)
    assert "list_members" in str(output.fault)
    assert output.state["bookmarks"] == first.state["bookmarks"]


@pytest.mark.parametrize("method", ["FULL_TABLE", "INCREMENTAL"])
def test_no_parent_is_found(tap_on: TapOn, method: str) -> None:
    """A child stream fails if Klaviyo knows none of the parents that it has just listed."""
    tap = tap_on(account())
    for path in ("/api/lists/*/profiles", "/api/lists/*"):
        tap.box.faults.add("status", path=path, times=None, status=404)
    catalog = catalog_of("list_members", method=method)
    output = tap.sync(now=NOW, catalog=catalog, activate_version=True)
    assert "knows none of the" in str(output.fault)
    assert not output.of("ACTIVATE_VERSION")
    bookmark = output.state["bookmarks"].get("list_members", {"timestamp": BEGIN})
    assert bookmark["timestamp"] == BEGIN


def test_a_flow_and_an_action_that_are_deleted_during_the_run(tap_on: TapOn) -> None:
    """A deleted flow or action loses only its own children."""
    shop = account()
    flow = next(f for f in shop.ids("flow") if shop.ids_under("flow", f, "flow-actions"))
    actions = {*shop.ids_under("flow", flow, "flow-actions")}
    action = next(a for a in shop.ids("flow-action") if a not in actions)
    shop.to_delete = frozenset([flow, action])
    output = tap_on(shop).sync(
        now=NOW, catalog=catalog_of("flows", "flow_actions", "flow_messages")
    )
    assert output.fault is None
    assert_complete(shop, output, "flow_messages")
    assert {*output.ids["flow_actions"]} - {*shop.ids("flow-action")} == {action}


@pytest.mark.parametrize("selected", [True, False])
@pytest.mark.parametrize(("name", "at"), PAGES)
def test_a_parent_that_is_refused(tap_on: TapOn, name: str, selected: bool, at: int) -> None:
    """A child stream ends if its parent is refused, on the first page or a later one."""
    tap = tap_on(account())
    parent = BY_NAME[parent_of(name)]
    path = parent.path.replace(PARENT, "*")
    tap.box.faults.add("status", path=path, at=at, times=None, status=403)
    pages = [parent.name] if selected else []
    catalog = catalog_of(name, *pages, "webhooks", "tags")
    output = tap.sync(now=NOW, catalog=catalog, page_size=10)
    ended = [stream.name for stream in STREAMS if stream.name in (name, *pages)]
    text = str(output.fault)
    assert f"{len(ended)} of {len(ended) + 2} streams could not be read" in text
    assert all(one in text.partition(")")[0] for one in ended)
    assert parent.scopes[0] in text
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
    """The error names the missing scope of the parent, also if the parent is not selected."""
    tap = tap_on(account(), scopes=[scope, "webhooks:read"])
    output = tap.sync(now=NOW, catalog=catalog_of(name, "webhooks"))
    assert missing in str(output.fault)
    assert f"({name})" in str(output.fault)
    assert not output.ids[name]
    assert_complete(tap.box.account, output, "webhooks")


def test_a_refused_child_leaves_its_parent_alone(tap_on: TapOn) -> None:
    """A refused child stream ends alone; its parent and its siblings are complete."""
    tap = tap_on(account())
    tap.box.faults.add("status", path="/api/lists/*/profiles", at=3, times=None, status=403)
    names = ("lists", "list_exclusions", "list_members")
    output = tap.sync(now=NOW, catalog=catalog_of(*names))
    assert "(list_members)" in str(output.fault)
    assert_complete(tap.box.account, output, "lists", "list_exclusions")


@pytest.mark.parametrize("names", [("flow_messages",), ("flow_actions", "flow_messages")])
def test_grandparents_that_are_refused(tap_on: TapOn, names: tuple[str, ...]) -> None:
    """A refused grandparent ends all streams below it."""
    tap = tap_on(account(), scopes=["webhooks:read"])
    output = tap.sync(now=NOW, catalog=catalog_of(*names, "webhooks"))
    assert f"({', '.join(names)})" in str(output.fault)
    assert "flows:read" in str(output.fault)
    assert_complete(tap.box.account, output, "webhooks")
