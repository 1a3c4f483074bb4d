"""The streams that are not selected by default are complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from fnmatch import fnmatchcase

import jsonschema
import pytest
from expected_keys import REVISED, TRUTHS, TRUTHS_OF
from sync_runner import NOW, Output, Tap, catalog_of, tap_of

from sandbox.account import Account
from sandbox.events import iso
from tap_klaviyo.streams import REGISTRIES
from tap_klaviyo.streams.model import PARENT

TapOn = Callable[..., Tap]
MOMENT = datetime.fromtimestamp(NOW, timezone.utc)

each_revision = pytest.mark.parametrize("revision", TRUTHS_OF)
each_stream = pytest.mark.parametrize(
    ("revision", "name"),
    [(revision, name) for revision, truths in TRUTHS_OF.items() for name in truths],
)


@pytest.fixture(scope="module")
def tap() -> Iterator[Tap]:
    """A tap with an account that does not change."""
    with tap_of(Account.seeded(seed=1, events=1000, now=MOMENT)) as started:
        yield started


@pytest.fixture(scope="module")
def full_outputs(tap: Tap) -> Mapping[str, Output]:
    """The output of a run with all these streams and all their fields, by revision."""
    return {
        revision: tap.sync(
            now=NOW,
            catalog=catalog_of(*truths, all_fields=True, revision=revision),
            revision=revision,
        )
        for revision, truths in TRUTHS_OF.items()
    }


@each_revision
def test_every_stream_has_expected_keys(revision: str) -> None:
    """Every stream is tested here, as a default stream or as a report."""
    streams = REGISTRIES[revision].streams
    elsewhere = {one.name for one in streams if one.selected_by_default or one.report}
    assert {stream.name for stream in streams} - elsewhere <= TRUTHS_OF[revision].keys()
    assert {*TRUTHS_OF[revision]} - {*TRUTHS} <= {stream.name for stream in streams}


@each_revision
def test_all_are_read_in_one_run(full_outputs: Mapping[str, Output], revision: str) -> None:
    """The run succeeds, with a SCHEMA for each stream and a STATE at the end."""
    full_output = full_outputs[revision]
    assert full_output.fault is None
    assert [message["stream"] for message in full_output.of("SCHEMA")] == [
        one.name for one in REGISTRIES[revision].streams if one.name in TRUTHS_OF[revision]
    ]
    assert full_output.messages[-1]["type"] == "STATE"
    assert full_output.state["currently_syncing"] is None


@each_stream
def test_records_are_complete(
    tap: Tap, full_outputs: Mapping[str, Output], revision: str, name: str
) -> None:
    """Each stream has exactly the expected records, each once."""
    keys = full_outputs[revision].keys(name)
    assert keys
    assert len(keys) == len(set(keys))
    assert set(keys) == TRUTHS_OF[revision][name](tap.box.account)


@each_stream
def test_records_fit_their_schema(
    full_outputs: Mapping[str, Output], revision: str, name: str
) -> None:
    """Every record fits its SCHEMA, and every column has a value in some record."""
    full_output = full_outputs[revision]
    (schema,) = (m["schema"] for m in full_output.of("SCHEMA") if m["stream"] == name)
    validator = jsonschema.Draft4Validator(schema)
    for record in full_output.records(name):
        validator.validate(record)
    seen = {column for record in full_output.records(name) for column in record}
    assert seen == schema["properties"].keys()


@pytest.mark.parametrize(
    ("revision", "name"),
    [
        (revision, name)
        for revision, truths in TRUTHS_OF.items()
        for name in truths
        if truths is TRUTHS or name in REVISED
    ],
)
def test_only_selected_keys_are_requested(tap: Tap, revision: str, name: str) -> None:
    """Deselected fields are neither requested nor written."""
    stream = REGISTRIES[revision].by_name[name]
    optional = {*columns(name, revision)} - {*stream.automatic}
    tap.box.requests.clear()
    catalog = catalog_of(name, without=optional, all_fields=True, revision=revision)
    output = tap.sync(now=NOW, catalog=catalog, revision=revision)
    queries = [
        dict(seen.query)
        for seen in tap.box.requests
        if fnmatchcase(seen.path.rstrip("/"), stream.path.replace(PARENT, "*"))
        and f"fields[{stream.type}]" in dict(seen.query)
    ]
    assert queries
    for query in queries:
        assert not optional & {*query[f"fields[{stream.type}]"].split(",")} - {"id"}
        assert "include" not in query
    assert {column for record in output.records(name) for column in record} == {*stream.automatic}
    assert set(output.keys(name)) == TRUTHS_OF[revision][name](tap.box.account)


@pytest.mark.parametrize(
    ("name", "field", "parameter", "value"),
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
        ("profiles", "conversations", "include", "conversations"),
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
def test_a_deselected_field(tap: Tap, name: str, field: str, parameter: str, value: str) -> None:
    """A deselected field is omitted from the query parameter that requests it."""

    def requested(*without: str) -> set[str]:
        tap.box.requests.clear()
        tap.sync(now=NOW, catalog=catalog_of(name, without=without, all_fields=True))
        queries = [dict(seen.query) for seen in tap.box.requests]
        return {part for query in queries for part in query.get(parameter, "").split(",")}

    assert value in requested()
    assert value not in requested(field)


def test_a_lifted_field_requests_only_itself(tap: Tap) -> None:
    """The column metric_name requests only the name of the metric."""
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
def test_small_pages_lose_and_repeat_nothing(
    tap: Tap, name: str, method: str, concurrency: int
) -> None:
    """Records are read exactly once, by windows or by cursor, with small pages."""
    catalog = catalog_of(name, method=method)
    output = tap.sync(now=NOW, catalog=catalog, page_size=9, concurrency=concurrency)
    keys = output.keys(name)
    assert output.fault is None
    assert len(keys) == len(set(keys))
    assert set(keys) == TRUTHS[name](tap.box.account)


@pytest.mark.parametrize("page_size", [3, 10, 100])
@pytest.mark.parametrize("per_second", [2, 20])
@pytest.mark.parametrize(
    ("name", "kind", "field"),
    [("reviews", "review", "created"), ("profiles", "profile", "updated")],
)
def test_records_at_window_bounds_are_read_once(
    tap_on: TapOn, name: str, kind: str, field: str, per_second: int, page_size: int
) -> None:
    """Records at the bound of two windows are read in one of them."""
    shop = Account.seeded(seed=4, events=300, now=MOMENT)
    for number, identifier in enumerate(shop.ids(kind)):
        shop.change(kind, identifier, **{field: iso(NOW - 1 - number // per_second)})
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of(name), page_size=page_size)
    keys = output.keys(name)
    assert len(keys) == len(set(keys))
    assert set(keys) == TRUTHS[name](shop)


def columns(name: str, revision: str) -> list[str]:
    """The columns of a stream."""
    (entry,) = catalog_of(name, revision=revision)["streams"]
    return list(entry["schema"]["properties"])
