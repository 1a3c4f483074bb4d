"""--test against an account: every stream, and what the key lacks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from syncs import Tap

from sandbox.account import Account
from tap_klaviyo.about.metadata import facts
from tap_klaviyo.check import check
from tap_klaviyo.config.loading import parse
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import Selected, read_catalog
from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.streams import STREAMS

TapOn = Callable[..., Tap]

SCOPES = {scope for stream in facts()["streams"] for scope in stream["scopes"]}
NEEDS = {stream["name"]: set(stream["scopes"]) for stream in facts()["streams"]}


@pytest.fixture(scope="module")
def account() -> Account:
    """A small account."""
    return Account.seeded(seed=1, events=500)


def everything() -> list[Selected]:
    """All streams, as they are by default."""
    catalog = build_catalog()
    for entry in catalog["streams"]:
        entry["metadata"][0]["metadata"]["selected"] = True
    return read_catalog(catalog)


def checked(tap: Tap) -> None:
    """Checks all streams, with no time lost at the gates."""
    settings = parse(tap.settings)
    client = Client(settings, clock=lambda: tap.clock.now, sleep=tap.clock.sleep)
    check(settings, client, everything())


def test_every_stream(tap_on: TapOn, account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Children, reports and all others are asked for something that the account has."""
    tap = tap_on(account)
    checked(tap)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", stream.name] for stream in STREAMS]
    assert all(seen.status == 200 for seen in tap.box.requests)


@pytest.mark.parametrize(
    "scope", ["flows:read", "metrics:read", "accounts:read", "custom-objects:read", "coupons:read"]
)
def test_a_scope_that_is_missing(
    tap_on: TapOn, account: Account, capsys: pytest.CaptureFixture[str], scope: str
) -> None:
    """Each stream that needs the scope is named, and no other; so is the scope."""
    with pytest.raises(TapError, match=scope):
        checked(tap_on(account, scopes=SCOPES - {scope}))
    lines = (line.split() for line in capsys.readouterr().err.splitlines())
    refused = {name for answer, name, *_ in lines if answer == "no"}
    assert refused == {name for name, scopes in NEEDS.items() if scope in scopes}


def test_an_empty_account(tap_on: TapOn, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a parent has no records there is nothing to be refused below it."""
    empty = Account.seeded(seed=1, events=50)
    for kind in ("flow", "form", "coupon", "object-type"):
        for identifier in empty.ids(kind):
            empty.remove(kind, identifier)
    checked(tap_on(empty))
    assert "no " not in capsys.readouterr().err
