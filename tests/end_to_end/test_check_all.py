"""--test against an account: every stream, and missing scopes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sync_runner import Tap

from sandbox.account import Account
from tap_klaviyo.about.metadata import tap_metadata
from tap_klaviyo.check import StreamCheck, check, check_error, pace_lines
from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import SelectedStream, read_catalog
from tap_klaviyo.streams import REGISTRIES
from tap_klaviyo.streams.model import DEFAULT_REVISION

TapOn = Callable[..., Tap]

NEEDS = {
    revision: {one["name"]: set(one["scopes"]) for one in tap_metadata(registry)["streams"]}
    for revision, registry in REGISTRIES.items()
}
SCOPES = {
    revision: {scope for scopes in needs.values() for scope in scopes}
    for revision, needs in NEEDS.items()
}

each_revision = pytest.mark.parametrize("revision", REGISTRIES)


@pytest.fixture(scope="module")
def account() -> Account:
    """A small account."""
    return Account.seeded(seed=1, events=500)


def all_streams(revision: str) -> list[SelectedStream]:
    """All streams with their default fields."""
    streams = REGISTRIES[revision].streams
    catalog = build_catalog(streams)
    for entry in catalog["streams"]:
        entry["metadata"][0]["metadata"]["selected"] = True
    return read_catalog(catalog, streams=streams)


def checked(tap: Tap, revision: str = DEFAULT_REVISION) -> list[StreamCheck]:
    """Checks all streams, without waiting for rate limits."""
    settings = parse_config({**tap.settings, "revision": revision})
    client = client_for(settings, clock=lambda: tap.clock.now, sleep=tap.clock.sleep)
    return list(check(settings, client, all_streams(revision)))


@each_revision
def test_every_stream(tap_on: TapOn, account: Account, revision: str) -> None:
    """Every stream, including children and reports, is checked with a valid request."""
    tap = tap_on(account)
    checks = checked(tap, revision)
    streams = REGISTRIES[revision].streams
    assert [(one.stream, one.ok) for one in checks] == [(s.name, True) for s in streams]
    assert all(request.status == 200 for request in tap.box.requests)
    known, unknown = pace_lines(checks)
    metrics = len(account.ids("metric"))
    assert f"({metrics} metrics, at most 15 requests a minute)" in known
    assert "flow_messages (a request for each of flow_actions, at most 60 a minute)" in unknown


@pytest.mark.parametrize(
    ("revision", "scope"),
    [
        *(
            (DEFAULT_REVISION, scope)
            for scope in (
                "flows:read",
                "metrics:read",
                "accounts:read",
                "custom-objects:read",
                "coupons:read",
            )
        ),
        *(
            ("2026-10-15", scope)
            for scope in (
                "accounts:read",
                "brands:read",
                "campaigns:read",
                "images:read",
                "sender-config:read",
                "templates:read",
                "translations:read",
                "usage:read",
            )
        ),
    ],
)
def test_a_scope_that_is_missing(
    tap_on: TapOn, account: Account, revision: str, scope: str
) -> None:
    """Exactly the streams that need the missing scope fail; the error names the scope."""
    checks = checked(tap_on(account, scopes=SCOPES[revision] - {scope}), revision)
    assert scope in str(check_error(checks))
    refused = {one.stream for one in checks if not one.ok}
    assert refused == {name for name, scopes in NEEDS[revision].items() if scope in scopes}


def test_a_parent_that_has_no_such_resource(tap_on: TapOn) -> None:
    """A stream of resources that not each parent has passes if the first parent has none."""
    shop = Account.seeded(seed=1, events=50)
    for identifier in shop.ids("campaign-recipient-estimation"):
        shop.remove("campaign-recipient-estimation", identifier)
    tap = tap_on(shop)
    assert all(one.ok for one in checked(tap))
    assert [seen.path for seen in tap.box.requests if seen.status != 200] == [
        seen.path for seen in tap.box.requests if "estimation" in seen.path
    ]


def test_an_empty_account(tap_on: TapOn) -> None:
    """A child stream without parent records passes."""
    empty = Account.seeded(seed=1, events=50)
    for kind in ("flow", "form", "coupon", "object-type"):
        for identifier in empty.ids(kind):
            empty.remove(kind, identifier)
    assert all(one.ok for one in checked(tap_on(empty)))
