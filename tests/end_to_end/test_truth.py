"""A sync writes exactly what the account has."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import jsonschema
import pytest
from sync_runner import EVENT_STREAMS, NOW, Tap, catalog_of, exclusions_with_email, truth

from sandbox.account import Account
from tap_klaviyo.config.loading import parse_metric_streams
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.schemas import load_schema
from tap_klaviyo.streams import DEFAULT_STREAMS, REGISTRIES, STREAMS

TapOn = Callable[..., Tap]


def account(**options: Any) -> Account:
    """A small account as of NOW."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    return Account.seeded(**{"seed": 1, "events": 3000, "naming": "new", "now": moment, **options})


@pytest.mark.parametrize("naming", ["old", "new", "both"])
def test_every_stream_is_complete(tap_on: TapOn, naming: str) -> None:
    """Every stream has exactly the expected ids, with old and new metric names."""
    shop = account(naming=naming)
    output = tap_on(shop).sync(now=NOW)
    assert output.fault is None
    for stream in DEFAULT_STREAMS:
        ids = output.ids[stream.name]
        assert len(ids) == len(set(ids)), stream.name
        assert set(ids) == truth(shop, stream, NOW), stream.name
        assert ids, stream.name


@pytest.mark.parametrize("concurrency", [1, 2, 32])
@pytest.mark.parametrize("page_size", [7, 100, 1000])
def test_dense_windows_are_split_without_loss(
    tap_on: TapOn, concurrency: int, page_size: int
) -> None:
    """Splitting windows neither loses nor repeats events, with any page size and concurrency."""
    shop = account(events=2000)
    output = tap_on(shop).sync(
        now=NOW, catalog=catalog_of("receive", "open"), concurrency=concurrency, page_size=page_size
    )
    for stream in DEFAULT_STREAMS:
        if stream.name in ("receive", "open"):
            ids = output.ids[stream.name]
            assert len(ids) == len(set(ids))
            assert set(ids) == truth(shop, stream, NOW)


def test_a_dense_second_is_read_completely(tap_on: TapOn) -> None:
    """A second with more events than a page is read completely, also next to other seconds."""
    shop = account(events=300)
    burst = [NOW - 5000] * 2500 + [NOW - 4999] * 300 + [NOW - 4000] * 1200
    shop.arrive("Received Email", timestamps=burst, now=NOW)
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of("receive"), page_size=1000)
    ids = output.ids["receive"]
    assert len(ids) == len(set(ids))
    assert set(ids) == truth(shop, DEFAULT_STREAMS[0], NOW)


def test_a_metric_of_another_integration_is_not_read(tap_on: TapOn) -> None:
    """Events of another integration's "Opened Email" are not in the stream `open`."""
    shop = account()
    foreign = set(shop.event_ids(["Opened Email"], integration=None)) - set(
        shop.event_ids(["Opened Email"])
    )
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of("open"))
    assert foreign
    assert not foreign & set(output.ids["open"])


def test_a_missing_metric(tap_on: TapOn, caplog: pytest.LogCaptureFixture) -> None:
    """A stream without a metric has a SCHEMA, no records and one warning with the names."""
    shop = account(without=("Clicked SMS", "Clicked Text Message"))
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of("clicked_sms", "lists"))
    assert output.fault is None
    assert [message["stream"] for message in output.of("SCHEMA")] == ["clicked_sms", "lists"]
    assert not output.ids["clicked_sms"]
    assert output.ids["lists"]
    warnings = [
        r.getMessage()
        for r in caplog.records
        if "clicked_sms" in r.getMessage() and r.levelname == "WARNING"
    ]
    assert len(warnings) == 1
    assert "'Clicked SMS' or 'Clicked Text Message'" in warnings[0]


def test_messages_follow_the_singer_specification(tap_on: TapOn) -> None:
    """SCHEMA precedes RECORD, records fit it, and a STATE ends the run."""
    output = tap_on(account(events=1000)).sync(now=NOW)
    schemas: dict[str, Any] = {}
    for message in output.messages:
        if message["type"] == "SCHEMA":
            schemas[message["stream"]] = jsonschema.Draft4Validator(message["schema"])
        elif message["type"] == "RECORD":
            schemas[message["stream"]].validate(message["record"])
    assert output.messages[-1]["type"] == "STATE"
    assert output.state["currently_syncing"] is None
    assert set(output.state["bookmarks"]) == set(EVENT_STREAMS)


def test_an_event_record_has_the_profile_and_the_metric(tap_on: TapOn) -> None:
    """An event record has its profile and its metric embedded, and their ids."""
    output = tap_on(account()).sync(now=NOW, catalog=catalog_of("open"))
    with_profile = [record for record in output.records("open") if record["profile"]]
    record = next(r for r in with_profile if "email" in r["profile"][0])
    assert record["type"] == "event"
    assert record["profile"][0]["id"] == record["profile_id"]
    assert record["metric"][0]["id"] == record["metric_id"]
    assert record["metric"][0]["name"].casefold() == "opened email"
    moment = datetime.fromtimestamp(record["timestamp"], timezone.utc)
    assert record["datetime"] == moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_attributions_of_a_user_defined_stream(tap_on: TapOn) -> None:
    """Events of a user-defined stream have their metric's name and, if selected, attributions."""
    shop = account()
    own = {"placed_order": {"metric": "Placed Order", "integration": "Shopify"}}
    streams = parse_metric_streams({"metric_streams": own})
    for selected in (False, True):
        catalog = build_catalog(streams)
        for entry in catalog["streams"][0]["metadata"]:
            if entry["breadcrumb"] == ["properties", "attributions"]:
                entry["metadata"]["selected"] = selected
        output = tap_on(shop).sync(now=NOW, catalog=catalog, metric_streams=own)
        records = output.records("placed_order")
        assert {record["id"] for record in records} == set(
            shop.event_ids(["Placed Order"], "Shopify", end=NOW)
        )
        assert {record["metric_name"] for record in records} == {"Placed Order"}
        assert {record["integration"]["name"] for record in records} == {"Shopify"}
        assert all(("attributions" in record) is selected for record in records)
    credited = {id for r in records for a in r["attributions"] if (id := a.get("flow_id"))}
    assert credited
    assert credited <= set(shop.ids("flow"))


def test_campaign_messages_are_flattened(tap_on: TapOn) -> None:
    """Label, channel, content and render options are top-level fields of a campaign message."""
    output = tap_on(account()).sync(now=NOW, catalog=catalog_of("campaigns"))
    messages = [m for record in output.records("campaigns") for m in record["campaign-messages"]]
    assert {message["channel"] for message in messages} == {"email", "sms", "mobile_push"}
    assert all(message["content"] for message in messages if message["channel"] == "email")
    assert any(message.get("render_options") for message in messages)
    assert any(message["label"] for message in messages)
    assert not any("definition" in message for message in messages)
    assert {record["archived"] for record in output.records("campaigns")} == {True, False}
    assert any(record["tags"] for record in output.records("campaigns"))


def test_object_schemas_are_those_of_the_account(tap_on: TapOn) -> None:
    """A schema has its object type, its properties and its status; a draft has no date."""
    shop = account()
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of("object_schemas"))
    found = {record["id"]: record for record in output.records("object_schemas")}
    for kind in shop.collections["object-type"]:
        for schema in kind.related("schema-versions"):
            record, attributes = found.pop(schema.id), schema.attributes
            assert record["object_type_id"] == kind.id
            for name in ("title", "description", "visibility", "status", "properties", "required"):
                assert record[name] == attributes[name]
            published = attributes["published_at"]
            assert record["published_at"] == (published and published.replace("+00:00", "Z"))
    assert not found


@pytest.mark.parametrize("of", ["object-type", "object-schema"])
def test_relationships_of_custom_objects_are_those_of_the_account(tap_on: TapOn, of: str) -> None:
    """An object type or schema has its relationships with their names; one without has none."""
    shop, column = account(), of.replace("-", "_")
    name = f"{column}_relationships"
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of(name))
    assert output.fault is None
    found = {one[f"{column}_id"]: one for one in output.records(name)}
    assert found == {
        one.id: {
            f"{column}_id": one.id,
            **{
                f"{kind}s".replace("-", "_"): [
                    {"type": kind, "id": related.id, **related.attributes["meta"]}
                    for related in one.related(f"{kind}s")
                ]
                for kind in (of, f"profile-{of}")
            },
        }
        for one in shop.collections[of]
    }
    assert {len(one[f"{column}s"]) for one in found.values()} == {0, 1, 2}
    assert {len(one[f"profile_{column}s"]) for one in found.values()} == {0, 1}


def test_conversations_are_those_of_the_account(tap_on: TapOn) -> None:
    """A profile has its conversations with their channels, and none if it has none."""
    shop = account()
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of("profiles", all_fields=True))
    found = {one["id"]: one["conversations"] for one in output.records("profiles")}
    assert found == {
        profile.id: [
            {"type": "conversation", "id": one.id, "channel": one.attributes["channel"]}
            for one in profile.related("conversations")
        ]
        for profile in shop.collections["profile"]
    }
    assert {len(conversations) for conversations in found.values()} == {0, 1}


@pytest.mark.parametrize("revision", REGISTRIES)
def test_conversations_need_a_scope_only_if_selected(tap_on: TapOn, revision: str) -> None:
    """Profiles are read without the scope of conversations unless these are selected."""
    tap = tap_on(account(), scopes={"profiles:read"})
    by_default = tap.sync(
        now=NOW, catalog=catalog_of("profiles", revision=revision), revision=revision
    )
    assert by_default.fault is None
    assert not any("conversations" in one for one in by_default.records("profiles"))
    catalog = catalog_of("profiles", all_fields=True, revision=revision)
    selected = tap.sync(now=NOW, catalog=catalog, revision=revision)
    assert "conversations:read" in str(selected.fault)


def test_unusual_dates_of_campaigns_become_utc(tap_on: TapOn) -> None:
    """Dates with a blank instead of the T, or with fractions, are converted to UTC."""
    output = tap_on(account(odd_dates=True)).sync(now=NOW, catalog=catalog_of("campaigns"))
    dates = [record["created_at"] for record in output.records("campaigns")]
    assert all(date.endswith("Z") and "T" in date for date in dates)


def test_an_exclusion_has_its_latest_suppression(tap_on: TapOn) -> None:
    """Reason and timestamp of an exclusion are those of its newest suppression."""
    shop = account()
    for identifier in sorted(exclusions_with_email(shop))[:3]:
        shop.suppress(identifier, "SPAM_COMPLAINT", timestamp=NOW - 60)
        shop.suppress(identifier, "HARD_BOUNCE", timestamp=NOW - 10**7)
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of("global_exclusions"))
    reasons = shop.suppressed_profiles()
    several = [r for r in output.records("global_exclusions") if len(r["suppressions"]) > 1]
    assert several
    for record in output.records("global_exclusions"):
        newest = max(record["suppressions"], key=lambda entry: entry["timestamp"])
        assert record["timestamp"] == newest["timestamp"]
        assert record["reason"] == newest["reason"]
        assert [entry["reason"] for entry in record["suppressions"]] == reasons[record["id"]]
        assert "predictive_analytics" not in record
        assert record["subscriptions"]["email"]["marketing"]["consent"]


def test_exclusions_without_an_email_are_named(
    tap_on: TapOn, caplog: pytest.LogCaptureFixture
) -> None:
    """A suppressed profile without an email has no key: it is counted and named by id."""
    shop = account()
    output = tap_on(shop).sync(now=NOW, catalog=catalog_of("global_exclusions"))
    missing = set(shop.suppressed_profiles()) - set(output.ids["global_exclusions"])
    warning = next(r.getMessage() for r in caplog.records if "left out" in r.getMessage())
    assert len(missing) >= 2
    assert f"{len(missing)} records left out" in warning
    assert all(identifier in warning for identifier in missing)


def test_deselecting_the_profile_saves_bytes(tap_on: TapOn) -> None:
    """Deselected fields are not requested."""
    tap = tap_on(account())
    catalog = json.loads(json.dumps(catalog_of("open")))
    tap.sync(now=NOW, catalog=catalog)
    all_fields = sum(seen.sent for seen in tap.box.requests if "events" in seen.path)
    tap.box.requests.clear()
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"][:2] in (["properties", "profile"], ["properties", "metric"]):
            entry["metadata"]["selected"] = False
    output = tap.sync(now=NOW, catalog=catalog)
    without = sum(seen.sent for seen in tap.box.requests if "events" in seen.path)
    assert without < 0.6 * all_fields
    assert "profile" not in output.records("open")[0]
    assert any(record["profile_id"] for record in output.records("open"))
    assert not any("include" in dict(seen.query) for seen in tap.box.requests)


def test_an_event_stream_has_one_replication_method(tap_on: TapOn) -> None:
    """An event stream with FULL_TABLE is read from its bookmark all the same."""
    tap = tap_on(account())
    catalog = catalog_of("open", method="FULL_TABLE")
    first = tap.sync(now=NOW, catalog=catalog)
    second = tap.sync(first.state, now=NOW + 60, catalog=catalog)
    assert first.state["bookmarks"]["open"]["timestamp"] == NOW
    assert first.of("SCHEMA")[0]["bookmark_properties"] == ["timestamp"]
    assert len(second.ids["open"]) < len(first.ids["open"])


def test_the_registry_is_complete() -> None:
    """Each stream has a schema with its keys, and a catalog entry."""
    entries = {entry["tap_stream_id"]: entry for entry in build_catalog()["streams"]}
    for stream in STREAMS:
        properties = load_schema(stream.schema)["properties"]
        assert {*stream.keys, stream.replication_key} - {""} <= properties.keys()
        assert entries[stream.name]["key_properties"] == list(stream.keys)
