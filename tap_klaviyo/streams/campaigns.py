"""Campaigns and flows."""

from __future__ import annotations

from itertools import product

from tap_klaviyo.streams.builders import TAGS, children, id_of, listed
from tap_klaviyo.streams.model import Include, Parent, Source, Stream

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


CAMPAIGNS_AND_FLOWS = (
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
            TAGS,
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
        includes=(TAGS,),
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
