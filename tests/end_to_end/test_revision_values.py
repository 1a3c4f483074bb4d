"""Under revision 2026-10-15, each record has the values of the account."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import pytest
from expected_keys import LATER, REVISED
from sync_runner import NOW, Output, catalog_of, tap_of

from sandbox.account import Account
from sandbox.resources import Resource
from tap_klaviyo.streams import REGISTRIES

Record = dict[str, Any]

OLD_STATUS = {
    "cancelled": "Cancelled",
    "draft": "Draft",
    "scheduled": "Scheduled",
    "sending": "Sending",
    "sent": "Sent",
}
IN_VARIATIONS = ("channel", "content", "kv_pairs", "notification_type", "options", "render_options")
WITH_SUBSCRIPTIONS = ("global_exclusions", "profiles")
PAIRS = {
    "campaign_message_tags": ("campaign-message", "tags"),
    "campaign_variation_images": ("campaign-variation", "image"),
}
"""The streams that relate resources: the type of the parents, and their relationship."""

DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def plain(resource: Resource, *lifted: str) -> Record:
    """The ID and the attributes, with those of a definition in its place."""
    attributes = {**resource.attributes}
    if lifted:
        definition = attributes.pop("definition")
        attributes |= {name: definition.get(name) for name in lifted}
    return {"type": resource.type, "id": resource.id, **attributes}


def only(resources: list[Resource]) -> Mapping[str, Any]:
    """The definition of the only resource; empty for several."""
    return resources[0].attributes["definition"] if len(resources) == 1 else {}


def renamed(value: Mapping[str, Any] | None, **names: str) -> Record | None:
    """An object with other names, None if it has no value."""
    found = {name: (value or {}).get(old) for name, old in names.items()}
    return found if any(one is not None for one in found.values()) else None


def related(resource: Resource, relationship: str) -> str | None:
    """The ID of a related resource."""
    return next((one.id for one in resource.related(relationship) if not one.deleted), None)


def message(resource: Resource) -> Record:
    """A message as it is embedded in a campaign."""
    definition = resource.attributes["definition"]
    send_time = definition["send_options"]["send_time"]
    return {
        "type": "campaign-message",
        "id": resource.id,
        "label": definition["name"],
        "send_times": [{"datetime": send_time}] if send_time else None,
        "created_at": resource.attributes["created"],
        "updated_at": resource.attributes["updated"],
        **{name: definition[name] for name in ("status", "send_options", "tracking_options")},
        "ab_test": definition["ab_test"],
        **dict.fromkeys(IN_VARIATIONS),
    }


def audience(resource: Resource) -> Record:
    """An audience as it is embedded in a campaign."""
    return plain(resource, "name", "included", "excluded", "priority")


def campaign(resource: Resource) -> Record:
    """A campaign: some columns are known if it has one message, or one audience."""
    messages = resource.related("campaign-messages")
    audiences = resource.related("campaign-audiences")
    of_message = only(messages)
    options = of_message.get("send_options") or {}
    names = ("name", "archived", "builder", "color", "description", "send_settings")
    return {
        **plain(resource, *names),
        "status": OLD_STATUS.get(of_message.get("status", "")),
        "send_time": options.get("send_time"),
        "send_options": renamed(options, ignore_unsubscribes="is_ignoring_unsubscribes"),
        "tracking_options": renamed(
            of_message.get("tracking_options"),
            add_tracking_params="is_add_utm",
            is_tracking_clicks="is_tracking_clicks",
            is_tracking_opens="is_tracking_opens",
        ),
        "audiences": renamed(only(audiences), included="included", excluded="excluded"),
        "send_strategy": None,
        "scheduled_at": None,
        "campaign-messages": [message(one) for one in messages],
        "campaign-audiences": [audience(one) for one in audiences],
        "tags": [plain(one) for one in resource.related("tags") if not one.deleted],
    }


def with_ids(**relationships: str) -> Callable[[Resource], Record]:
    """A record with the IDs of related resources, by column."""
    return lambda resource: {
        **plain(resource),
        **{name: related(resource, other) for name, other in relationships.items()},
    }


def variation(resource: Resource) -> Record:
    """A variation of a message."""
    details = resource.attributes["definition"]["details"]
    return {
        **plain(resource, "name", "details"),
        "channel": details["channel"],
        "template_id": details.get("template_id"),
        "campaign_message_id": related(resource, "campaign-message"),
    }


def translation(resource: Resource) -> Record:
    """A translation, without its values."""
    record = with_ids(
        campaign_variation_id="campaign-variation",
        flow_message_id="flow-message",
        template_id="template",
        universal_content_id="template-universal-content",
    )(resource)
    del record["values"]
    return record


def translation_values(resource: Resource) -> Record:
    """The values of a translation."""
    shown = {name: resource.attributes[name] for name in ("updated", "values")}
    return {**shown, "translation_id": resource.id}


def of_account(resource: Resource) -> Record:
    """The only resource of its type in an account."""
    return {**resource.attributes, "account_id": resource.id}


RECORDS: Mapping[str, tuple[str, Callable[[Resource], Record]]] = {
    "templates": ("template", plain),
    "coupons": ("coupon", plain),
    "campaigns": ("campaign", campaign),
    "campaign_messages": (
        "campaign-message",
        lambda one: {
            **message(one),
            "campaign_id": related(one, "campaign"),
            "campaign_audience_id": related(one, "campaign-audience"),
            "template_id": None,
            "image_id": None,
        },
    ),
    "campaign_audiences": (
        "campaign-audience",
        lambda one: {**audience(one), "campaign_id": related(one, "campaign")},
    ),
    "campaign_variations": ("campaign-variation", variation),
    "translations": ("translation", translation),
    "translation_values": ("translation", translation_values),
    "brand_voice": ("brand-voice", of_account),
    "brand_buttons": ("brand-button", plain),
    "brand_colors": ("brand-color", plain),
    "brand_email_defaults": (
        "brand-email-default",
        with_ids(
            brand_button_id="brand-button",
            brand_logo_id="brand-logo",
            brand_social_group_id="brand-social-group",
        ),
    ),
    "brand_logos": ("brand-logo", with_ids(image_id="image")),
    "brand_social_groups": ("brand-social-group", plain),
    "text_messaging_senders": (
        "text-messaging-sender",
        with_ids(text_messaging_sender_registration_id="text-messaging-sender-registration"),
    ),
    "text_messaging_sender_registrations": (
        "text-messaging-sender-registration",
        with_ids(text_messaging_sender_id="text-messaging-sender"),
    ),
    "text_messaging_configurations": ("text-messaging-configuration", of_account),
    "billing_usage": ("billing-usage", plain),
}
"""The type of the resources of each stream, and what a record of a resource is."""


KEYS = ("id", "account_id", "translation_id")
"""The columns that hold the ID of the resource."""


def normal(value: Any) -> Any:
    """A value with its dates as moments."""
    if isinstance(value, dict):
        return {name: normal(one) for name, one in value.items()}
    if isinstance(value, list):
        return [normal(one) for one in value]
    if isinstance(value, str) and DATE.fullmatch(value):
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    return value


@pytest.fixture(scope="module")
def account() -> Account:
    """An account that does not change."""
    return Account.seeded(seed=5, events=500, now=datetime.fromtimestamp(NOW, timezone.utc))


@pytest.fixture(scope="module")
def output(account: Account) -> Iterator[Output]:
    """The output of a run with all streams that the revision changes or adds."""
    catalog = catalog_of(*REVISED, all_fields=True, revision=LATER)
    with tap_of(account) as tap:
        yield tap.sync(now=NOW, catalog=catalog, revision=LATER)


def test_every_changed_stream_is_tested() -> None:
    """Each stream that the revision changes or adds is tested here."""
    assert {*REVISED} - {*WITH_SUBSCRIPTIONS, *PAIRS} == RECORDS.keys()


@pytest.mark.parametrize("name", WITH_SUBSCRIPTIONS)
def test_consent_to_click_tracking(account: Account, output: Output, name: str) -> None:
    """The consent of a profile is that of the account, click tracking included."""
    profiles = account.collections["profile"]
    records = output.records(name)
    assert any(record["subscriptions"]["email"]["click_tracking"] for record in records)
    for record in records:
        expected = profiles[record["id"]].attributes["subscriptions"]
        assert normal(record["subscriptions"]) == normal(expected)


@pytest.mark.parametrize("name", PAIRS)
def test_related_resources_are_those_of_the_account(
    account: Account, output: Output, name: str
) -> None:
    """There is a record for each related resource of each parent, with both IDs, and the name."""
    kind, relationship = PAIRS[name]
    parent = REGISTRIES[LATER].by_name[name].parent
    assert parent is not None
    records = output.records(name)
    expected = [
        {
            parent.property: each.id,
            f"{one.type}_id": one.id,
            **({"name": one.attributes["name"]} if one.type == "tag" else {}),
        }
        for each in account.collections_of(LATER)[kind]
        for one in each.related(relationship)
    ]
    assert len({record[parent.property] for record in records}) > 1
    assert sorted(sorted(one.items()) for one in records) == sorted(
        sorted(one.items()) for one in expected
    )


@pytest.mark.parametrize("name", RECORDS)
def test_records_have_the_values_of_the_account(
    account: Account, output: Output, name: str
) -> None:
    """Each record equals the resource, value by value, and columns without a value are null."""
    kind, record_of = RECORDS[name]
    records = output.records(name)
    columns = next(m["schema"]["properties"] for m in output.of("SCHEMA") if m["stream"] == name)
    resources = account.collections_of(LATER)[kind]
    assert output.fault is None
    assert len(records) >= 1
    for record in records:
        key = next(record[name] for name in KEYS if name in record)
        expected = record_of(resources[key])
        shown = {column: expected.get(column) for column in columns}
        assert normal({**dict.fromkeys(columns), **record}) == normal(shown)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("brand_voice", "brand-voice"),
        ("text_messaging_configurations", "text-messaging-configuration"),
        ("text_messaging_sender_registrations", "text-messaging-sender-registration"),
    ],
)
def test_what_an_account_need_not_have(name: str, kind: str) -> None:
    """Without such a resource there are no rows, and the stream is complete."""
    shop = Account.seeded(seed=5, events=50, now=datetime.fromtimestamp(NOW, timezone.utc))
    for identifier in shop.ids(kind):
        shop.remove(kind, identifier)
    with tap_of(shop) as tap:
        output = tap.sync(now=NOW, catalog=catalog_of(name, revision=LATER), revision=LATER)
    assert output.fault is None
    assert [message["stream"] for message in output.of("SCHEMA")] == [name]
    assert not output.records(name)


def test_a_message_that_is_deleted_during_the_run() -> None:
    """Variations of a message that no longer exists are passed over; the others are complete."""
    shop = Account.seeded(seed=5, events=50, now=datetime.fromtimestamp(NOW, timezone.utc))
    gone = shop.ids("campaign-message", LATER)[7]

    def delete(message: Mapping[str, Any]) -> bool:
        if message["type"] == "RECORD" and gone in shop.ids("campaign-message"):
            shop.remove("campaign-message", gone)
        return False

    names = ("campaign_messages", "campaign_variations")
    with tap_of(shop) as tap:
        output = tap.sync(
            now=NOW,
            catalog=catalog_of(*names, revision=LATER),
            revision=LATER,
            concurrency=1,
            stop_at=delete,
        )
        refused = {seen.path.rstrip("/") for seen in tap.box.requests if seen.status == 404}
    assert output.fault is None
    assert f"/api/campaign-messages/{gone}/campaign-variations" in refused
    assert {*output.ids["campaign_variations"]} == {*shop.ids("campaign-variation", LATER)}
