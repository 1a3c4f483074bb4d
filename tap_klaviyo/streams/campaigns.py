"""Rows of the registry: campaigns and flows."""

from __future__ import annotations

from itertools import product

from tap_klaviyo.streams.builders import TAGS, by_id, children, id_of, listed
from tap_klaviyo.streams.model import PARENT, FieldPath, Parent, Relationship, Stream

_IN_DEFINITION = {
    name: FieldPath(f"definition.{name}")
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

CAMPAIGNS_AND_FLOWS = (
    Stream(
        name="campaigns",
        schema="campaign",
        description=(
            "Campaigns of all channels, including archived ones, with their messages and tags."
        ),
        path="/api/campaigns",
        type="campaign",
        scopes=("campaigns:read",),
        tier="M",
        page_size=100,
        filters=tuple(
            f"equals(messages.channel,'{channel}'),equals(archived,{archived})"
            for channel, archived in product(("email", "sms", "mobile_push"), ("false", "true"))
        ),
        relationships=(
            Relationship(
                "campaign-messages",
                "campaign-messages",
                "campaign-message",
                "campaigns:read",
                field_paths=_IN_DEFINITION,
            ),
            TAGS,
        ),
    ),
    children(
        "campaign_messages",
        "campaign_message_record",
        "Campaign messages with the ID of their template.",
        "M",
        None,
        "campaigns:read",
        type="campaign-message",
        parent=Parent("campaigns", "campaign_id"),
        relationships=(
            id_of("template_id", "template", scope="templates:read", id_needs_include=True),
            id_of("image_id", "image", scope="images:read", id_needs_include=True),
        ),
        field_paths=_IN_DEFINITION,
    ),
    by_id(
        "campaign_recipient_estimations",
        "campaign_recipient_estimation",
        "Estimated number of recipients of each campaign for which Klaviyo has estimated it.",
        "M",
        "campaigns:read",
        parent=Parent("campaigns", "campaign_id"),
        optional=True,
    ),
    listed(
        "flows",
        "flow",
        "Flows, including archived ones, with their tags.",
        "S",
        50,
        "flows:read",
        filters=("equals(archived,false)", "equals(archived,true)"),
        relationships=(TAGS,),
    ),
    by_id(
        "flow_definitions",
        "flow_definition",
        "Definition of each flow: its triggers, entry filters, and actions with their order.",
        "S",
        "flows:read",
        path=f"/api/flows/{PARENT}",
        type="flow",
        parent=Parent("flows", "flow_id", updated="updated"),
        additional_fields=("definition",),
    ),
    children(
        "flow_actions",
        "flow_action",
        "Flow actions: the steps of each flow.",
        "S",
        50,
        "flows:read",
        parent=Parent("flows", "flow_id", updated="updated"),
    ),
    children(
        "flow_messages",
        "flow_message",
        "Flow messages: the messages sent by flow actions.",
        "S",
        50,
        "flows:read",
        parent=Parent("flow_actions", "flow_action_id"),
        relationships=(id_of("template_id", "template"),),
    ),
)
