"""What each file of `schemas/` describes: the table that `check_schemas` goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """What one schema file describes.

    `models` are classes of the client; the schema has the attributes of all of them. A class of
    resources stands for `type`, `id` and what is in its `attributes`.
    `keys` are the attributes that may not be null.
    `only` names the attributes that are taken from the models, if not all are.
    `ours` maps a path to what the schema has there instead of the model's kind: for attributes
    that the tap adds, moves or leaves out (None), and for those the client declares too vaguely.
    Besides the kinds it knows the name of another schema file, for an embedded record, and
    `union`, for an object whose attributes the client does not tell because they come in several
    combinations; what is below a union is not compared.
    """

    models: tuple[str, ...]
    keys: tuple[str, ...] = ("id",)
    only: tuple[str, ...] = ()
    ours: Mapping[str, str | None] = field(default_factory=dict)


def _strings(*names: str) -> dict[str, str]:
    """Attributes of `ours` that hold text, mostly ids of related records."""
    return dict.fromkeys(names, "string")


# The client declares both as `Any`; Klaviyo documents a number or a string.
COORDINATES = {"location.latitude": "number|string", "location.longitude": "number|string"}
DEFINITION = {"definition": "free-form"}  # a union within unions, with dozens of members
TAGS = {"tags": "array", "tags[]": "tag.json"}

CAMPAIGN_MESSAGE: Mapping[str, str | None] = {
    # The attributes of the definition stand where the definition stood.
    "definition": None,
    "channel": "string",
    "content": "union",
    "kv_pairs": "free-form",
    "label": "string",
    "notification_type": "string",
    "options": "union",
    "render_options": "union",
}
EVENT = {
    "metric": "array",
    "metric[]": "metric.json",
    "metric_id": "string",
    "profile": "array",
    "profile[]": "profile.json",
    "profile_id": "string",
}
MEMBER = ("email", "phone_number", "external_id", "joined_group_at")

ROWS: Mapping[str, Row] = {
    "campaign.json": Row(
        ("CampaignResponseObjectResource",),
        ours={
            "send_options": "union",
            "send_strategy": "union",
            "tracking_options": "union",
            "campaign-messages": "array",
            "campaign-messages[]": "campaign_message.json",
            **TAGS,
        },
    ),
    "campaign_message.json": Row(("CampaignMessageResponseObjectResource",), ours=CAMPAIGN_MESSAGE),
    "campaign_message_record.json": Row(
        ("CampaignMessageResponseObjectResource",),
        ours={**CAMPAIGN_MESSAGE, **_strings("campaign_id", "template_id", "image_id")},
    ),
    "event.json": Row(("EventResponseObjectResource",), ours=EVENT),
    "flow.json": Row(("FlowResponseObjectResource",), ours=TAGS),
    "flow_action.json": Row(
        ("FlowActionEncodedResponseObjectResource",), ours=DEFINITION | _strings("flow_id")
    ),
    "flow_message.json": Row(
        ("FlowMessageEncodedResponseObjectResource",),
        ours=DEFINITION | _strings("flow_action_id", "template_id"),
    ),
    "form.json": Row(("FormResponseObjectResource",)),
    "form_version.json": Row(("FormVersionResponseObjectResource",), ours=_strings("form_id")),
    "global_exclusion.json": Row(
        ("ProfileResponsePluralConversationsObjectResourceExtended", "EmailMarketingSuppression"),
        keys=("id", "email"),
        ours={
            "suppressions": "array",
            "suppressions[]": "object",
            "suppressions[].reason": "string",
            "suppressions[].timestamp": "date-time",
            **COORDINATES,
        },
    ),
    "image.json": Row(("ImageResponseObjectResource",)),
    "list.json": Row(("ListListResponseObjectResource",), ours=TAGS),
    "list_exclusion.json": Row(
        ("EmailMarketingListSuppression",),
        keys=("list_id", "profile_id", "reason", "timestamp"),
        ours=_strings("profile_id", "email"),
    ),
    "list_member.json": Row(
        ("ListMemberResponseObjectResourceExtended",),
        keys=("list_id", "profile_id"),
        only=MEMBER,
        ours=_strings("list_id", "profile_id"),
    ),
    "metric.json": Row(
        ("MetricResponseObjectResource",),
        ours={"created": "date-time", "updated": "date-time"},  # plain strings in the client
    ),
    "person.json": Row(
        ("ProfileResponsePluralConversationsObjectResourceExtended",), ours=COORDINATES
    ),
    "predictive_analytics.json": Row(("PredictiveAnalytics",), keys=()),
    "profile.json": Row(("ProfileResponseObjectResource",), ours=COORDINATES),
    "push_token.json": Row(("PushTokenResponseObjectResource",), ours=_strings("profile_id")),
    "review.json": Row(
        ("ReviewResponseDTOObjectResource",), ours={"status": "union", **_strings("item_id")}
    ),
    "segment.json": Row(("SegmentListResponseObjectResource",), ours=DEFINITION | TAGS),
    "segment_member.json": Row(
        ("SegmentMemberResponseObjectResourceExtended",),
        keys=("segment_id", "profile_id"),
        only=MEMBER,
        ours=_strings("segment_id", "profile_id"),
    ),
    "subscriptions.json": Row(("Subscriptions",), keys=()),
    "tag.json": Row(("TagResponseObjectResource",)),
    "tag_group.json": Row(("TagGroupResponseObjectResource",)),
    "tag_record.json": Row(("TagResponseObjectResource",), ours=_strings("tag_group_id")),
    "template.json": Row(("TemplateDndResponseObjectResourceExtended",), ours=DEFINITION),
    "universal_content.json": Row(("UniversalContentResponseObjectResource",), ours=DEFINITION),
    "web_feed.json": Row(("WebFeedResponseObjectResource",)),
}
