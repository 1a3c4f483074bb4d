"""What revision 2026-10-15 of Klaviyo's API changes in the registry.

A campaign has audiences, messages and variations there, which are resources of their own. The
tables ``campaigns`` and ``campaign_messages`` keep their columns, which are filled from the new
places; docs/revisions.md lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tap_klaviyo.streams.builders import TAGS, by_id, children, id_of, listed
from tap_klaviyo.streams.model import NOWHERE, PARENT, FieldPath, Parent, Relationship, Stream

_STATUSES = {
    "cancelled": "Cancelled",
    "draft": "Draft",
    "scheduled": "Scheduled",
    "sending": "Sending",
    "sent": "Sent",
}
"""The status of a campaign in revision 2026-07-15, by that of its message."""

_TRACKING_OPTIONS = FieldPath(
    "definition.tracking_options",
    fields={
        "is_add_utm": "add_tracking_params",
        "is_tracking_clicks": "is_tracking_clicks",
        "is_tracking_opens": "is_tracking_opens",
    },
)

_MESSAGE = {
    "label": FieldPath("definition.name"),
    **dict.fromkeys(
        ("channel", "content", "render_options", "notification_type", "kv_pairs", "options"),
        NOWHERE,
    ),
    "send_times": FieldPath(
        "definition.send_options", fields={"send_time": "datetime"}, in_array=True
    ),
    "created_at": FieldPath("created"),
    "updated_at": FieldPath("updated"),
    **{
        name: FieldPath(f"definition.{name}")
        for name in ("status", "send_options", "tracking_options", "ab_test")
    },
}
"""Where the properties of a message are, in ``campaign_messages`` and in ``campaigns``."""

_AUDIENCE = {
    name: FieldPath(f"definition.{name}") for name in ("name", "included", "excluded", "priority")
}

_OF_ONE_MESSAGE = {
    "campaign_status": FieldPath("definition.status", values=_STATUSES),
    "campaign_send_options": FieldPath(
        "definition.send_options", fields={"is_ignoring_unsubscribes": "ignore_unsubscribes"}
    ),
    "campaign_tracking_options": _TRACKING_OPTIONS,
    "send_time": FieldPath("definition.send_options.send_time"),
}
"""Properties of a campaign that are known if it has one message."""

_CAMPAIGNS: Mapping[str, Any] = {
    "description": "Campaigns, including archived ones, with their audiences, messages and tags.",
    "filters": ("equals(archived,false)", "equals(archived,true)"),
    "relationships": (
        Relationship(
            "campaign-messages",
            "campaign-messages",
            "campaign-message",
            "campaigns:read",
            lifted={
                "status": "campaign_status",
                "send_options": "campaign_send_options",
                "tracking_options": "campaign_tracking_options",
                "send_time": "send_time",
            },
            field_paths={**_MESSAGE, **_OF_ONE_MESSAGE},
        ),
        Relationship(
            "campaign-audiences",
            "campaign-audiences",
            "campaign-audience",
            "campaigns:read",
            lifted={"audiences": "audiences"},
            field_paths={
                **_AUDIENCE,
                "audiences": FieldPath(
                    "definition", fields={"included": "included", "excluded": "excluded"}
                ),
            },
        ),
        TAGS,
    ),
    "field_paths": {
        **{
            name: FieldPath(f"definition.{name}")
            for name in ("name", "archived", "builder", "color", "description", "send_settings")
        },
        "send_strategy": NOWHERE,
        "scheduled_at": NOWHERE,
    },
    "added_schema": "2026-10-15/campaign",
}

_CAMPAIGN_MESSAGES: Mapping[str, Any] = {
    "description": "Campaign messages with the IDs of their campaign and their audience.",
    "path": "/api/campaign-messages",
    "page_size": 100,
    "parent": None,
    "relationships": (
        id_of("campaign_id", "campaign", id_needs_include=True),
        id_of("campaign_audience_id", "campaign-audience"),
    ),
    "field_paths": {**_MESSAGE, "template_id": NOWHERE, "image_id": NOWHERE},
    "added_schema": "2026-10-15/campaign_message_record",
}

CHANGED: Mapping[str, Mapping[str, Any]] = {
    "profiles": {"added_schema": "2026-10-15/subscriptions"},
    "global_exclusions": {"added_schema": "2026-10-15/subscriptions"},
    "campaigns": _CAMPAIGNS,
    "campaign_messages": _CAMPAIGN_MESSAGES,
    "templates": {
        "added_schema": "2026-10-15/template",
        "fields_not_by_default": ("definition", "screenshot_url"),
    },
    "coupons": {"added_schema": "2026-10-15/coupon"},
}
"""The fields of rows that are replaced, by the name of the stream."""


def _listed(
    name: str, schema: str, description: str, tier: str, size: int | None, scope: str, **more: Any
) -> Stream:
    """A row for a list that only this revision has."""
    row = {"type": schema.replace("_", "-"), **more}
    return listed(name, f"2026-10-15/{schema}", description, tier, size, scope, **row)


def _brand(name: str, schema: str, description: str, **more: Any) -> Stream:
    """A row for a list of the brand library."""
    return _listed(name, schema, description, "M", None, "brands:read", **more)


ADDED: Mapping[str, tuple[Stream, ...]] = {
    "Campaigns and flows": (
        children(
            "campaign_audiences",
            "2026-10-15/campaign_audience",
            "Audiences of campaigns: the lists and segments that a campaign is sent to.",
            "M",
            None,
            "campaigns:read",
            type="campaign-audience",
            parent=Parent("campaigns", "campaign_id", updated="updated_at"),
            field_paths=_AUDIENCE,
        ),
        children(
            "campaign_variations",
            "2026-10-15/campaign_variation",
            "Variations of campaign messages, with the content for their channel.",
            "M",
            None,
            "campaigns:read",
            type="campaign-variation",
            parent=Parent("campaign_messages", "campaign_message_id", updated="updated_at"),
            field_paths={
                "name": FieldPath("definition.name"),
                "channel": FieldPath("definition.details.channel"),
                "template_id": FieldPath("definition.details.template_id"),
                "details": FieldPath("definition.details"),
            },
        ),
        children(
            "campaign_message_tags",
            "2026-10-15/campaign_message_tag",
            "Tags of each campaign message.",
            "S",
            None,
            "campaigns:read",
            path=f"/api/campaign-messages/{PARENT}/tags",
            type="tag",
            keys=("campaign_message_id", "tag_id"),
            scopes=("campaigns:read", "tags:read"),
            parent=Parent("campaign_messages", "campaign_message_id"),
            id_property="tag_id",
        ),
        children(
            "campaign_variation_images",
            "2026-10-15/campaign_variation_image",
            "Image of each campaign variation that has one.",
            "M",
            None,
            "campaigns:read",
            path=f"/api/campaign-variations/{PARENT}/image",
            type="image",
            keys=("campaign_variation_id",),
            parent=Parent("campaign_variations", "campaign_variation_id"),
            id_property="image_id",
            single=True,
            optional=True,
        ),
    ),
    "Content": (
        _listed(
            "translations",
            "translation",
            "Translations: which message or template is translated into which languages.",
            "M",
            100,
            "translations:read",
            relationships=(
                id_of(
                    "campaign_variation_id",
                    "campaign-variation",
                    scope="campaigns:read",
                    id_needs_include=True,
                ),
                id_of("flow_message_id", "flow-message", scope="flows:read", id_needs_include=True),
                id_of("template_id", "template", scope="templates:read", id_needs_include=True),
                id_of(
                    "universal_content_id",
                    "template-universal-content",
                    scope="templates:read",
                    id_needs_include=True,
                ),
            ),
        ),
        by_id(
            "translation_values",
            "2026-10-15/translation_values",
            "Translated texts of each translation, by language.",
            "M",
            "translations:read",
            path=f"/api/translations/{PARENT}",
            type="translation",
            parent=Parent("translations", "translation_id", updated="updated"),
            additional_fields=("values",),
        ),
        by_id(
            "brand_voice",
            "2026-10-15/brand_voice",
            "Brand voice of the account: how texts for the brand are written.",
            "M",
            "brands:read",
            type="brand-voice",
            scopes=("brands:read", "accounts:read"),
            parent=Parent("accounts", "account_id"),
            optional=True,
        ),
        _brand("brand_buttons", "brand_button", "Buttons of the brand library."),
        _brand("brand_colors", "brand_color", "Groups of colors in the brand library."),
        _brand(
            "brand_email_defaults",
            "brand_email_default",
            "Default styles of emails in the brand library.",
            relationships=tuple(
                id_of(f"{name}_id", name.replace("_", "-"), id_needs_include=True)
                for name in ("brand_button", "brand_logo", "brand_social_group")
            ),
        ),
        _brand(
            "brand_logos",
            "brand_logo",
            "Logos in the brand library, with the ID of their image.",
            relationships=(id_of("image_id", "image", scope="images:read", id_needs_include=True),),
        ),
        _brand(
            "brand_social_groups",
            "brand_social_group",
            "Groups of links to social networks in the brand library.",
        ),
    ),
    "Account": (
        _listed(
            "text_messaging_senders",
            "text_messaging_sender",
            "Senders of text messages: phone numbers, short codes and names.",
            "S",
            20,
            "sender-config:read",
            relationships=(
                id_of(
                    "text_messaging_sender_registration_id",
                    "text-messaging-sender-registration",
                    id_needs_include=True,
                ),
            ),
        ),
        children(
            "text_messaging_sender_registrations",
            "2026-10-15/text_messaging_sender_registration",
            "Latest registration of each sender of text messages.",
            "S",
            None,
            "sender-config:read",
            path=f"/api/text-messaging-senders/{PARENT}/text-messaging-sender-registration",
            type="text-messaging-sender-registration",
            parent=Parent("text_messaging_senders", "text_messaging_sender_id"),
            single=True,
            optional=True,
        ),
        by_id(
            "text_messaging_configurations",
            "2026-10-15/text_messaging_configuration",
            "Text messaging configuration of the account.",
            "S",
            "sender-config:read",
            type="text-messaging-configuration",
            scopes=("sender-config:read", "accounts:read"),
            parent=Parent("accounts", "account_id"),
            optional=True,
        ),
        _listed(
            "billing_usage",
            "billing_usage",
            "Usage of the plan in each billing period, by type of usage.",
            "M",
            None,
            "usage:read",
            keys=("id", "period_start"),
        ),
    ),
}
"""The rows that only this revision has, by area."""
