"""The expected keys of the streams that are not selected by default, from the account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sync_runner import NOW, Key, Output, truth

from sandbox.account import Account
from tap_klaviyo.streams import BY_NAME, REGISTRIES, STREAMS
from tap_klaviyo.streams.model import DEFAULT_REVISION

Truth = Callable[[Account], set[Key]]


def all_of(kind: str, revision: str = DEFAULT_REVISION) -> Truth:
    """The ids of all resources of a type."""
    return lambda account: {(identifier,) for identifier in account.ids(kind, revision)}


def related(kind: str, *relationships: str, revision: str = DEFAULT_REVISION) -> Truth:
    """The ids of all resources that the resources of a type are related to."""
    return lambda account: {
        (child,) for _, child in pairs(account, kind, *relationships, revision=revision)
    }


def pairs(
    account: Account, kind: str, *relationships: str, revision: str = DEFAULT_REVISION
) -> set[Key]:
    """The ids of parents and of their related resources, along one or more relationships."""
    parents, found = account.ids(kind, revision), set[Key]()
    for relationship in relationships:
        found = {
            (parent, child)
            for parent in parents
            for child in account.ids_under(kind, parent, relationship, revision)
        }
        parents, kind = [child for _, child in found], relationship.removesuffix("s")
    return found


def members_of(kind: str) -> Truth:
    """The ids of list or segment and profile of each membership."""
    return lambda account: {
        (group, profile) for group in account.ids(kind) for profile in account.members(group)
    }


def events_of(*names: str) -> Truth:
    """The events of Klaviyo's own metrics with these names, before NOW."""
    return lambda account: {(event,) for event in account.event_ids(names, end=NOW)}


def any_events(account: Account) -> set[Key]:
    """All events of any metric before NOW."""
    return {(event,) for event in account.event_ids_of(None, end=NOW)}


def list_exclusions(account: Account) -> set[Key]:
    """The keys of all suppressions of profiles for single lists."""
    return set(_list_exclusions(account))


def _list_exclusions(account: Account) -> Iterator[Key]:
    for profile in account.collections["profile"]:
        marketing = profile.attributes["subscriptions"]["email"]["marketing"]
        for entry in marketing["list_suppressions"]:
            moment = entry["timestamp"].replace("+00:00", "Z")
            yield entry["list_id"], profile.id, entry["reason"], moment


LISTS: dict[str, Truth] = {
    stream.name: all_of(stream.type)
    for stream in STREAMS
    if stream.keys == ("id",) and not (stream.metrics or stream.parent)
}
"""The streams that have all resources of a type."""

TRUTHS: dict[str, Truth] = {
    **{name: every for name, every in LISTS.items() if not BY_NAME[name].selected_by_default},
    "subscribed_to_email": events_of("Subscribed to Email Marketing"),
    "subscribed_to_text_message_transactional": events_of(
        "Subscribed to Text Messaging Transactional"
    ),
    "unsubscribed_from_text_message_transactional": events_of(
        "Unsubscribed from Text Messaging Transactional"
    ),
    "events": any_events,
    "list_exclusions": list_exclusions,
    "list_members": members_of("list"),
    "segment_members": members_of("segment"),
    "campaign_messages": related("campaign", "campaign-messages"),
    "flow_actions": related("flow", "flow-actions"),
    "flow_messages": related("flow", "flow-actions", "flow-messages"),
    "form_versions": related("form", "form-versions"),
    "coupon_codes": related("coupon", "coupon-codes"),
    "metric_properties": related("metric", "metric-properties"),
    "object_records": related("object-type", "object-records"),
    "object_type_relationships": all_of("object-type"),
    "object_schemas": related("object-type", "schema-versions"),
    "object_schema_relationships": all_of("object-schema"),
    "source_mappings": related("object-schema", "source-mapping"),
    "catalog_category_items": lambda account: pairs(account, "catalog-category", "items"),
    "list_profile_counts": all_of("list"),
    "segment_profile_counts": all_of("segment"),
    "campaign_recipient_estimations": all_of("campaign-recipient-estimation"),
    "flow_definitions": all_of("flow"),
    "form_definitions": all_of("form"),
}
"""The expected keys of each non-default stream in a run that began at NOW."""


def billing_usage(account: Account) -> set[Key]:
    """The type and the period of each usage."""
    return {
        (usage.id, usage.attributes["period_start"].replace("+00:00", "Z"))
        for usage in account.collections["billing-usage"]
    }


LATER = "2026-10-15"
"""The revision that changes campaigns and adds streams."""

TRUTHS_OF: dict[str, dict[str, Truth]] = {
    DEFAULT_REVISION: TRUTHS,
    LATER: {
        **TRUTHS,
        "campaigns": all_of("campaign", LATER),
        "campaign_messages": all_of("campaign-message", LATER),
        "campaign_audiences": related("campaign", "campaign-audiences", revision=LATER),
        "campaign_variations": related("campaign-message", "campaign-variations", revision=LATER),
        "campaign_message_tags": lambda account: pairs(
            account, "campaign-message", "tags", revision=LATER
        ),
        "campaign_variation_images": lambda account: {
            (variation,)
            for variation, _ in pairs(account, "campaign-variation", "image", revision=LATER)
        },
        **{
            name: all_of(kind)
            for name, kind in {
                "translations": "translation",
                "translation_values": "translation",
                "brand_voice": "brand-voice",
                "brand_buttons": "brand-button",
                "brand_colors": "brand-color",
                "brand_email_defaults": "brand-email-default",
                "brand_logos": "brand-logo",
                "brand_social_groups": "brand-social-group",
                "text_messaging_senders": "text-messaging-sender",
                "text_messaging_configurations": "text-messaging-configuration",
            }.items()
        },
        "text_messaging_sender_registrations": related(
            "text-messaging-sender", "text-messaging-sender-registration"
        ),
        "billing_usage": billing_usage,
    },
}
"""The same for each revision; that of campaigns too where it differs."""

REVISED = [
    stream.name
    for stream in REGISTRIES[LATER].streams
    if replace(stream, revision=DEFAULT_REVISION) != BY_NAME.get(stream.name)
]
"""The streams that the later revision changes or adds."""


@dataclass(frozen=True)
class ChildStream:
    """The parents of a child stream: their type and their relationship to the children.

    ``filtered`` means that the request names the parent in a filter, not in the path. Without a
    relationship, a child in the path is the parent itself, or has its ID.
    """

    kind: str
    relationship: str
    filtered: bool = False


CHILD_STREAMS = {
    "list_exclusions": ChildStream("list", "", filtered=True),
    "list_members": ChildStream("list", "profiles"),
    "segment_members": ChildStream("segment", "profiles"),
    "campaign_messages": ChildStream("campaign", "campaign-messages"),
    "flow_actions": ChildStream("flow", "flow-actions"),
    "flow_messages": ChildStream("flow-action", "flow-messages"),
    "form_versions": ChildStream("form", "form-versions"),
    "coupon_codes": ChildStream("coupon", "coupon-codes", filtered=True),
    "metric_properties": ChildStream("metric", "metric-properties"),
    "object_records": ChildStream("object-type", "object-records"),
    "object_type_relationships": ChildStream("object-type", ""),
    "object_schemas": ChildStream("object-type", "schema-versions"),
    "object_schema_relationships": ChildStream("object-schema", ""),
    "source_mappings": ChildStream("object-schema", "source-mapping"),
    "catalog_category_items": ChildStream("catalog-category", "items"),
    "list_profile_counts": ChildStream("list", ""),
    "segment_profile_counts": ChildStream("segment", ""),
    "campaign_recipient_estimations": ChildStream("campaign", ""),
    "flow_definitions": ChildStream("flow", ""),
    "form_definitions": ChildStream("form", ""),
}
"""All child streams."""


def parent_of(name: str) -> str:
    """The name of the parent stream."""
    parent = BY_NAME[name].parent
    assert parent is not None
    return parent.stream


def expected(shop: Account, name: str) -> set[Key]:
    """The expected keys of a stream."""
    if name in TRUTHS:
        return TRUTHS[name](shop)
    return {(identifier,) for identifier in truth(shop, BY_NAME[name], NOW)}


def assert_complete(shop: Account, output: Output, *names: str) -> None:
    """Checks that each of these streams has exactly the expected records, each once."""
    for name in names:
        assert sorted(output.keys(name)) == sorted(expected(shop, name)), name
