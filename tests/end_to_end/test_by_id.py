"""Child streams whose records are requested one by one, by the IDs of their parents."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import pytest
from expected_keys import CHILD_STREAMS, LATER, assert_complete
from sync_runner import NOW, Tap, catalog_of

from sandbox.account import Account
from tap_klaviyo.streams import BY_NAME, STREAMS
from tap_klaviyo.streams.model import PARENT

TapOn = Callable[..., Tap]

HOUR = 3600

SINGLE = {
    "list_profile_counts": ("list", ["name", "profile_count"]),
    "segment_profile_counts": ("segment", ["name", "profile_count"]),
    "campaign_recipient_estimations": (
        "campaign-recipient-estimation",
        ["estimated_recipient_count"],
    ),
    "flow_definitions": ("flow", ["definition"]),
    "form_definitions": ("form", ["definition"]),
    "object_type_relationships": ("object-type", []),
    "object_schema_relationships": ("object-schema", []),
    "source_mappings": ("source-mapping", ["property_mappings", "relationship_mappings"]),
}
"""The type of the resources of each stream, and the attributes that are copied."""

OPTIONAL = [stream.name for stream in STREAMS if stream.optional]


@pytest.fixture
def tap(tap_on: TapOn) -> Tap:
    """A tap on a small account as of NOW."""
    return tap_on(Account.seeded(seed=7, events=400, now=datetime.fromtimestamp(NOW, timezone.utc)))


def requested(tap: Tap, name: str) -> list[str]:
    """The IDs that were requested of a stream, in order."""
    start, _, end = BY_NAME[name].path.partition(PARENT)
    paths = [seen.path.rstrip("/") for seen in tap.box.requests]
    ids = [
        path.removeprefix(start).removesuffix(end)
        for path in paths
        if path.startswith(start) and path.endswith(end)
    ]
    return [one for one in ids if "/" not in one]


def test_every_stream_by_id_is_tested() -> None:
    """Every stream of single resources is in SINGLE."""
    assert SINGLE.keys() == {stream.name for stream in STREAMS if stream.single}


@pytest.mark.parametrize("name", SINGLE)
def test_values_are_those_of_the_account(tap: Tap, name: str) -> None:
    """Each record has the values that the account has, and one request is made for each parent."""
    account, (kind, attributes) = tap.box.account, SINGLE[name]
    output = tap.sync(now=NOW, catalog=catalog_of(name))
    key = BY_NAME[name].id_property
    found = {
        record[key]: {attribute: record[attribute] for attribute in attributes}
        for record in output.records(name)
    }
    assert output.fault is None
    assert found == {
        one.id: {attribute: one.attributes[attribute] for attribute in attributes}
        for one in account.collections[kind]
    }
    assert sorted(requested(tap, name)) == sorted(account.ids(CHILD_STREAMS[name].kind))


@pytest.mark.parametrize("name", ["list_profile_counts", "segment_profile_counts"])
@pytest.mark.parametrize(("without", "sent"), [((), {"profile_count"}), (("profile_count",), {""})])
def test_a_count_that_is_not_selected_is_not_requested(
    tap: Tap, name: str, without: tuple[str, ...], sent: set[str]
) -> None:
    """The additional field, which has a lower rate limit, is requested only if it is selected."""
    tap.sync(now=NOW, catalog=catalog_of(name, without=without))
    parameter = f"additional-fields[{SINGLE[name][0]}]"
    start = BY_NAME[name].path.removesuffix(PARENT)
    queries = [dict(seen.query) for seen in tap.box.requests if seen.path.startswith(start)]
    assert {query.get(parameter, "") for query in queries if "page[size]" not in query} == sent


def test_a_parent_that_has_none(tap: Tap, caplog: pytest.LogCaptureFixture) -> None:
    """A 404 is no error where not each parent has a resource: one line counts them."""
    account, name = tap.box.account, "campaign_recipient_estimations"
    caplog.set_level(logging.INFO, "tap_klaviyo")
    output = tap.sync(now=NOW, catalog=catalog_of(name, "campaigns"), activate_version=True)
    assert output.fault is None
    assert_complete(account, output, name, "campaigns")
    assert name in {message["stream"] for message in output.of("ACTIVATE_VERSION")}
    campaigns, known = account.ids("campaign"), account.ids(SINGLE[name][0])
    assert len(requested(tap, name)) == len(campaigns) > len(known)
    lines = [record for record in caplog.records if name in record.getMessage()]
    counted = f"{len(campaigns) - len(known)} of {len(campaigns)} parents have no such resource"
    (line,) = [one for one in lines if "404" in one.getMessage()]
    assert counted in line.getMessage()
    assert line.levelno == logging.INFO
    assert not [one for one in lines if one.levelno > logging.INFO]


@pytest.mark.parametrize("name", OPTIONAL)
def test_no_parent_has_one(tap: Tap, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The table is empty, and complete, if no parent has one. A warning counts answers of 404."""
    kind, _ = SINGLE[name]
    for identifier in tap.box.account.ids(kind):
        tap.box.account.remove(kind, identifier)
    caplog.set_level(logging.INFO, "tap_klaviyo")
    output = tap.sync(now=NOW, catalog=catalog_of(name), activate_version=True)
    assert output.fault is None
    assert not output.records(name)
    assert output.of("ACTIVATE_VERSION")
    levels = [one.levelno for one in caplog.records if "no such resource" in one.getMessage()]
    is_by_id = BY_NAME[name].path.endswith(PARENT)  # Else the answer is null.
    assert levels == ([logging.WARNING] if is_by_id else [])


@pytest.mark.parametrize("name", SINGLE)
def test_a_resource_that_is_refused(tap: Tap, name: str) -> None:
    """Another status than 404 ends the stream, and its table is not activated."""
    path = BY_NAME[name].path.replace(PARENT, "*")
    tap.box.faults.add("status", path=path, times=None, status=403)
    output = tap.sync(now=NOW, catalog=catalog_of(name, "webhooks"), activate_version=True)
    assert f"({name})" in str(output.fault)
    assert {message["stream"] for message in output.of("ACTIVATE_VERSION")} == {"webhooks"}


def test_definitions_of_updated_flows(tap: Tap) -> None:
    """Between full reads, only the definitions of updated and new flows are read."""
    account = tap.box.account
    for identifier in account.ids("flow"):
        account.update("flow", identifier, now=NOW - 24 * HOUR)
    catalog = catalog_of("flow_definitions")
    first = tap.sync(now=NOW, catalog=catalog)
    assert_complete(account, first, "flow_definitions")
    changed = account.ids("flow")[4]
    definition: Mapping[str, Any] = {"triggers": [{"type": "list", "id": "NeW001"}], "actions": []}
    account.update("flow", changed, now=NOW + HOUR - 60, definition=definition)
    tap.box.requests.clear()
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog)
    (record,) = second.records("flow_definitions")
    assert (record["flow_id"], record["definition"]) == (changed, definition)
    assert requested(tap, "flow_definitions") == [changed]


def test_values_of_updated_translations(tap: Tap) -> None:
    """Between full reads, the values of updated translations are read, and of those without a date.

    The ID of a translation has colons.
    """
    account, catalog = tap.box.account, catalog_of("translation_values", revision=LATER)
    dated = [one for one in account.collections["translation"] if one.attributes["updated"]]
    for one in dated:
        account.update("translation", one.id, now=NOW - 24 * HOUR)
    first = tap.sync(now=NOW, catalog=catalog, revision=LATER)
    assert first.fault is None
    assert len(first.records("translation_values")) == len(account.ids("translation")) > len(dated)
    values = [{"id": "subject", "source": "New", "translations": {"de": "Neu"}}]
    account.update("translation", dated[0].id, now=NOW + HOUR - 60, values=values)
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog, revision=LATER)
    found = {one["translation_id"]: one for one in second.records("translation_values")}
    undated = {*account.ids("translation")} - {one.id for one in dated}
    assert found.keys() == {dated[0].id, *undated}
    assert found[dated[0].id]["values"] == values


def test_a_changed_count(tap: Tap) -> None:
    """A count is read in each run, also if the list itself was not updated."""
    account = tap.box.account
    catalog = catalog_of("list_profile_counts")
    first = tap.sync(now=NOW, catalog=catalog)
    group = account.ids("list")[-1]
    profile = next(one for one in account.ids("profile") if one not in account.members(group))
    account.join(group, profile, timestamp=NOW + 60)
    second = tap.sync(first.state, now=NOW + HOUR, catalog=catalog)
    before, after = (
        {one["list_id"]: one["profile_count"] for one in output.records("list_profile_counts")}
        for output in (first, second)
    )
    assert after == {**before, group: (before[group] or 0) + 1}
