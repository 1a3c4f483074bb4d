"""Streams beyond the default ones: what a sync writes of each is what the account holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from fnmatch import fnmatchcase

import jsonschema
import pytest
from expected_keys import TRUTHS
from sync_runner import NOW, Output, Tap, catalog_of, tap_of

from sandbox.account import Account
from sandbox.events import iso
from tap_klaviyo.streams import BY_NAME, DEFAULT_STREAMS, STREAMS
from tap_klaviyo.streams.model import PARENT

TapOn = Callable[..., Tap]
MOMENT = datetime.fromtimestamp(NOW, timezone.utc)


@pytest.fixture(scope="module")
def tap() -> Iterator[Tap]:
    """A tap on an account that stays as it is."""
    with tap_of(Account.seeded(seed=1, events=1000, now=MOMENT)) as started:
        yield started


@pytest.fixture(scope="module")
def whole(tap: Tap) -> Output:
    """All of these streams, with all of their fields, read side by side."""
    return tap.sync(now=NOW, catalog=catalog_of(*TRUTHS, whole=True))


def test_every_stream_has_a_truth() -> None:
    """A stream that is read neither here, nor by default, nor as a report has not been tried."""
    elsewhere = {one.name for one in DEFAULT_STREAMS} | {one.name for one in STREAMS if one.report}
    assert TRUTHS.keys() == {stream.name for stream in STREAMS} - elsewhere


def test_all_are_read_in_one_run(whole: Output) -> None:
    """The run ends without a fault, and has a SCHEMA for each stream and a STATE at its end."""
    assert whole.fault is None
    assert [message["stream"] for message in whole.of("SCHEMA")] == [
        stream.name for stream in STREAMS if stream.name in TRUTHS
    ]
    assert whole.messages[-1]["type"] == "STATE"
    assert whole.state["currently_syncing"] is None


@pytest.mark.parametrize("name", TRUTHS)
def test_records_are_the_truth(tap: Tap, whole: Output, name: str) -> None:
    """Each stream has just the records that it should, at least one, and each exactly once."""
    keys = whole.keys(name)
    assert keys
    assert len(keys) == len(set(keys))
    assert set(keys) == TRUTHS[name](tap.box.account)


@pytest.mark.parametrize("name", TRUTHS)
def test_records_fit_their_schema(whole: Output, name: str) -> None:
    """Every record is what the SCHEMA before it promises, and every column has a value in one."""
    (schema,) = (m["schema"] for m in whole.of("SCHEMA") if m["stream"] == name)
    validator = jsonschema.Draft4Validator(schema)
    for record in whole.records(name):
        validator.validate(record)
    seen = {column for record in whole.records(name) for column in record}
    assert seen == schema["properties"].keys()


@pytest.mark.parametrize("name", TRUTHS)
def test_only_keys_are_asked_for_if_no_more_is_selected(tap: Tap, name: str) -> None:
    """What is not selected is neither requested nor written, and the records are the same."""
    stream = BY_NAME[name]
    optional = {*columns(name)} - {*stream.automatic}
    tap.box.requests.clear()
    output = tap.sync(now=NOW, catalog=catalog_of(name, without=optional, whole=True))
    asked = [
        dict(seen.query)
        for seen in tap.box.requests
        if fnmatchcase(seen.path.rstrip("/"), stream.path.replace(PARENT, "*"))
        and f"fields[{stream.type}]" in dict(seen.query)
    ]
    assert asked
    for query in asked:
        assert not optional & {*query[f"fields[{stream.type}]"].split(",")} - {"id"}
        assert "include" not in query
    assert {column for record in output.records(name) for column in record} == {*stream.automatic}
    assert set(output.keys(name)) == TRUTHS[name](tap.box.account)


@pytest.mark.parametrize(
    ("name", "field", "parameter", "word"),
    [
        ("campaign_messages", "template_id", "include", "template"),
        ("campaign_messages", "image_id", "include", "image"),
        ("events", "profile", "include", "profile"),
        ("events", "profile.email", "fields[profile]", "email"),
        ("events", "attributions", "include", "attributions"),
        ("flows", "tags", "include", "tags"),
        ("mapped_metrics", "metric_id", "include", "metric"),
        ("mapped_metrics", "custom_metric_id", "include", "custom-metric"),
        (
            "metric_properties",
            "sample_values",
            "additional-fields[metric-property]",
            "sample_values",
        ),
        ("profiles", "predictive_analytics", "additional-fields[profile]", "predictive_analytics"),
        ("profiles", "subscriptions", "additional-fields[profile]", "subscriptions"),
        ("profiles", "location", "fields[profile]", "location"),
        ("push_tokens", "profile_id", "include", "profile"),
        ("segments", "tags", "include", "tags"),
        ("segments", "definition", "fields[segment]", "definition"),
        ("tags", "tag_group_id", "include", "tag-group"),
        ("templates", "definition", "additional-fields[template]", "definition"),
        ("web_feeds", "url", "fields[web-feed]", "url"),
    ],
)
def test_one_field_less(tap: Tap, name: str, field: str, parameter: str, word: str) -> None:
    """A field that is deselected is left out of just that parameter which asks for it."""

    def asked(*without: str) -> set[str]:
        tap.box.requests.clear()
        tap.sync(now=NOW, catalog=catalog_of(name, without=without, whole=True))
        queries = [dict(seen.query) for seen in tap.box.requests]
        return {part for query in queries for part in query.get(parameter, "").split(",")}

    assert word in asked()
    assert word not in asked(field)


def test_a_lifted_field_needs_but_itself(tap: Tap) -> None:
    """The name of the metric in a column costs the name of the metric, not all of it."""
    tap.box.requests.clear()
    catalog = catalog_of("events", without=["metric", "integration"])
    output = tap.sync(now=NOW, catalog=catalog)
    (fields,) = {dict(seen.query)["fields[metric]"] for seen in tap.box.requests}
    assert fields == "name"
    names = {one["id"]: one["name"] for one in tap.box.account.metrics()}
    for record in output.records("events"):
        assert record["metric_name"] == names.get(record["metric_id"])
        assert record.keys().isdisjoint({"metric", "integration"})


@pytest.mark.parametrize("concurrency", [1, 32])
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("events", ""),
        ("profiles", ""),
        ("profiles", "FULL_TABLE"),
        ("reviews", ""),
        ("list_members", ""),
        ("list_members", "INCREMENTAL"),
        ("segment_members", "INCREMENTAL"),
        ("list_exclusions", ""),
    ],
)
def test_small_pages_lose_and_double_nothing(
    tap: Tap, name: str, method: str, concurrency: int
) -> None:
    """However a list is cut by time or walked by cursor, its records come exactly once."""
    catalog = catalog_of(name, method=method)
    output = tap.sync(now=NOW, catalog=catalog, page_size=9, concurrency=concurrency)
    keys = output.keys(name)
    assert output.fault is None
    assert len(keys) == len(set(keys))
    assert set(keys) == TRUTHS[name](tap.box.account)


@pytest.mark.parametrize("page_size", [3, 10, 100])
@pytest.mark.parametrize("at_once", [2, 20])
@pytest.mark.parametrize(
    ("name", "kind", "field"),
    [("reviews", "review", "created"), ("profiles", "profile", "updated")],
)
def test_a_bound_between_windows_brings_nothing_twice(
    tap_on: TapOn, name: str, kind: str, field: str, at_once: int, page_size: int
) -> None:
    """Where every second has records, those at the edge of two windows come in one of them."""
    shop = Account.seeded(seed=4, events=300, now=MOMENT)
    for number, identifier in enumerate(shop.ids(kind)):
        shop.change(kind, identifier, **{field: iso(NOW - 1 - number // at_once)})
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of(name), page_size=page_size)
    keys = output.keys(name)
    assert len(keys) == len(set(keys))
    assert set(keys) == TRUTHS[name](shop)


def columns(name: str) -> list[str]:
    """The columns that a stream may have."""
    (entry,) = catalog_of(name)["streams"]
    return list(entry["schema"]["properties"])
