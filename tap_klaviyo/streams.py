"""The registry: one row of data per stream, by area.

A row says where a stream's records come from and what they are; nothing else in the tap knows a
stream by name. A stream of a kind that exists (see :mod:`tap_klaviyo.kinds`) is added with a row
and a schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from tap_klaviyo.events import EVENTS
from tap_klaviyo.kinds import (
    PARENT,
    Cut,
    Include,
    Parent,
    Source,
    Stream,
    children,
    id_of,
    listed,
    members,
)
from tap_klaviyo.reports import REPORTS

EVENT_PAGE_SIZE_FALLBACK = 200
"""The most events a page could hold before Klaviyo's revision 2026-01-15."""

_SUPPRESSION = "subscriptions.email.marketing.suppression"
_EXCLUSION = "subscriptions.email.marketing.list_suppressions"
_ANY_TIME = "1970-01-01T00:00:00Z"

_PEOPLE = (
    listed(
        "profiles",
        "person",
        "Profiles, again whenever they change.",
        "L",
        100,
        "profiles:read",
        type="profile",
        sort="updated",
        cut=Cut("updated", lower="greater-than"),
        replication_key="updated",
        additional=("subscriptions", "predictive_analytics"),
        slow={"predictive_analytics": "M"},
        fields_not_by_default=("predictive_analytics",),
    ),
    Stream(
        name="global_exclusions",
        schema="global_exclusion",
        description="Profiles suppressed from email, each with all of its suppressions.",
        path="/api/profiles",
        type="profile",
        keys=("email",),
        scopes=("profiles:read",),
        page_size=100,
        sort=f"{_SUPPRESSION}.timestamp",
        variants=(f"greater-or-equal({_SUPPRESSION}.timestamp,{_ANY_TIME})",),
        sources={
            "suppressions": Source(_SUPPRESSION),
            "reason": Source(_SUPPRESSION, latest="reason"),
            "timestamp": Source(_SUPPRESSION, latest="timestamp"),
        },
        additional=("subscriptions", "predictive_analytics"),
        slow={"predictive_analytics": "M"},
        fields_not_by_default=("predictive_analytics",),
    ),
    listed(
        "list_exclusions",
        "list_exclusion",
        "Whom a list may not write to: a record for each exclusion of a profile.",
        "L",
        100,
        "profiles:read",
        path="/api/profiles",
        type="profile",
        keys=("list_id", "profile_id", "reason", "timestamp"),
        sort=f"{_EXCLUSION}.timestamp",
        variants=(
            f"equals({_EXCLUSION}.list_id,{PARENT}),"
            f"greater-or-equal({_EXCLUSION}.timestamp,{_ANY_TIME})",
        ),
        scopes=("profiles:read", "lists:read"),
        parent=Parent("lists", "list_id"),
        rows=_EXCLUSION,
        id_property="profile_id",
        sources={name: Source(f"{_EXCLUSION}.{name}") for name in ("reason", "timestamp")},
        additional=("subscriptions",),
    ),
    listed(
        "push_tokens",
        "push_token",
        "Devices that take push messages.",
        "M",
        100,
        "push-tokens:read",
        scopes=("push-tokens:read", "profiles:read"),
        includes=(id_of("profile_id", "profile", id_asked=True),),
    ),
)

_TAGS = Include("tags", "tags", "tag", "tags:read")

_GROUPS = (
    Stream(
        name="lists",
        schema="list",
        description="Lists with their tags.",
        path="/api/lists",
        type="list",
        scopes=("lists:read",),
        page_size=10,
        includes=(_TAGS,),
    ),
    members("list_members", "list_member", "lists", "list_id"),
    listed(
        "segments",
        "segment",
        "Segments with their definition and tags.",
        "L",
        10,
        "segments:read",
        includes=(_TAGS,),
    ),
    members("segment_members", "segment_member", "segments", "segment_id"),
    listed(
        "tags",
        "tag_record",
        "Tags and the group of each.",
        "S",
        50,
        "tags:read",
        type="tag",
        includes=(id_of("tag_group_id", "tag-group", id_asked=True),),
    ),
    listed("tag_groups", "tag_group", "Groups of tags.", "S", 25, "tags:read"),
)

_IN_DEFINITION = {
    name: Source(f"definition.{name}")
    for name in (
        "label",
        "channel",
        "content",
        "render_options",
        "notification_type",
        "kv_pairs",
        "options",
    )
}

_CAMPAIGNS_AND_FLOWS = (
    Stream(
        name="campaigns",
        schema="campaign",
        description="Campaigns of all channels, live and archived, with messages and tags.",
        path="/api/campaigns",
        type="campaign",
        scopes=("campaigns:read",),
        tier="M",
        page_size=100,
        variants=tuple(
            f"equals(messages.channel,'{channel}'),equals(archived,{archived})"
            for channel, archived in product(("email", "sms", "mobile_push"), ("false", "true"))
        ),
        includes=(
            Include(
                "campaign-messages",
                "campaign-messages",
                "campaign-message",
                "campaigns:read",
                sources=_IN_DEFINITION,
            ),
            _TAGS,
        ),
    ),
    children(
        "campaign_messages",
        "campaign_message_record",
        "Messages of campaigns, each with its template.",
        "M",
        None,
        "campaigns:read",
        type="campaign-message",
        parent=Parent("campaigns", "campaign_id"),
        includes=(
            id_of("template_id", "template", scope="templates:read", id_asked=True),
            id_of("image_id", "image", scope="images:read", id_asked=True),
        ),
        sources=_IN_DEFINITION,
    ),
    listed(
        "flows",
        "flow",
        "Flows, live and archived, with their tags.",
        "S",
        50,
        "flows:read",
        variants=("equals(archived,false)", "equals(archived,true)"),
        includes=(_TAGS,),
    ),
    children(
        "flow_actions",
        "flow_action",
        "Steps of flows.",
        "S",
        50,
        "flows:read",
        parent=Parent("flows", "flow_id"),
    ),
    children(
        "flow_messages",
        "flow_message",
        "Messages that flows send.",
        "S",
        50,
        "flows:read",
        parent=Parent("flow_actions", "flow_action_id"),
        includes=(id_of("template_id", "template"),),
    ),
)

_CONTENT = (
    listed(
        "templates",
        "template",
        "Templates of emails.",
        "L",
        10,
        "templates:read",
        additional=("definition",),
        fields_not_by_default=("definition",),
    ),
    listed(
        "universal_content",
        "universal_content",
        "Blocks that templates share.",
        "L",
        100,
        "templates:read",
        path="/api/template-universal-content",
        type="template-universal-content",
    ),
    listed("images", "image", "Uploaded images.", "M", 100, "images:read"),
    listed("forms", "form", "Sign-up forms.", "S", 100, "forms:read"),
    children(
        "form_versions",
        "form_version",
        "Versions of sign-up forms.",
        "S",
        100,
        "forms:read",
        parent=Parent("forms", "form_id"),
    ),
    listed("web_feeds", "web_feed", "Feeds that templates use.", "XS", 20, "web-feeds:read"),
)

_COMMERCE = (
    listed("catalog_items", "catalog_item", "Products.", "XL", 100, "catalogs:read"),
    listed(
        "catalog_variants",
        "catalog_variant",
        "Variants of products, such as sizes.",
        "XL",
        100,
        "catalogs:read",
        includes=(id_of("item_id", "item", "catalog-item"),),
    ),
    listed(
        "catalog_categories",
        "catalog_category",
        "Categories of products.",
        "XL",
        100,
        "catalogs:read",
    ),
    listed("coupons", "coupon", "Coupons.", "L", 100, "coupons:read"),
    listed(
        "coupon_codes",
        "coupon_code",
        "Codes of coupons, and who has them.",
        "XL",
        100,
        "coupon-codes:read",
        variants=(f"equals(coupon.id,{PARENT})",),
        scopes=("coupon-codes:read", "coupons:read"),
        parent=Parent("coupons", "coupon_id"),
        includes=(id_of("profile_id", "profile"),),
    ),
    listed(
        "reviews",
        "review",
        "Reviews of products.",
        "M",
        100,
        "reviews:read",
        sort="created",
        cut=Cut("created", upper="less-or-equal"),
        includes=(id_of("item_id", "item", "catalog-item"),),
    ),
)

_ACCOUNT = (
    listed("accounts", "account", "The account itself.", "XS", None, "accounts:read"),
    listed("metrics", "metric", "Metrics: the kinds of events.", "M", None, "metrics:read"),
    children(
        "metric_properties",
        "metric_property",
        "Properties that events of a metric have, with samples.",
        "XS",
        None,
        "metrics:read",
        parent=Parent("metrics", "metric_id"),
        additional=("sample_values",),
    ),
    listed(
        "custom_metrics",
        "custom_metric",
        "Metrics that the account has made of others.",
        "S",
        None,
        "metrics:read",
    ),
    listed(
        "mapped_metrics",
        "mapped_metric",
        "Which metric stands for revenue, for orders and so on.",
        "S",
        None,
        "metrics:read",
        includes=(
            id_of("metric_id", "metric", id_asked=True),
            id_of("custom_metric_id", "custom-metric", id_asked=True),
        ),
    ),
    listed("webhooks", "webhook", "Webhooks.", "XS", None, "webhooks:read"),
    listed(
        "webhook_topics",
        "webhook_topic",
        "What a webhook can be called for.",
        "XS",
        None,
        "webhooks:read",
    ),
    listed(
        "tracking_settings",
        "tracking_setting",
        "Parameters that links in messages get.",
        "M",
        1,
        "tracking-settings:read",
    ),
    listed(
        "data_sources",
        "data_source",
        "Where custom objects come from.",
        "S",
        100,
        "custom-objects:read",
    ),
    listed(
        "object_types", "object_type", "Types of custom objects.", "S", None, "custom-objects:read"
    ),
    children(
        "object_records",
        "object_record",
        "Custom objects.",
        "S",
        100,
        "custom-objects:read",
        parent=Parent("object_types", "object_type_id"),
    ),
)

AREAS: Mapping[str, tuple[Stream, ...]] = {
    "Events": EVENTS,
    "People": _PEOPLE,
    "Groups": _GROUPS,
    "Campaigns and flows": _CAMPAIGNS_AND_FLOWS,
    "Content": _CONTENT,
    "Commerce": _COMMERCE,
    "Account": _ACCOUNT,
    "Reports": REPORTS,
}
"""All streams, by what they are about."""

STREAMS = tuple(stream for streams in AREAS.values() for stream in streams)


def by_name(streams: Iterable[Stream]) -> dict[str, Stream]:
    """Every stream under its own name and under each of its aliases."""
    return {name: stream for stream in streams for name in (stream.name, *stream.aliases)}


BY_NAME = by_name(STREAMS)
DEFAULT = tuple(stream for stream in STREAMS if stream.selected_by_default)
