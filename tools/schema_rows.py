"""What each file of `schemas/` describes: the table that `check_schemas` goes by.

A file that describes the one resource that it is named after, as it is, needs no row.
"""

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
    `choices` are for models of requests, of which they name lists: the schema has a property for
    each value that the client admits in such a list, of the kind that is given here.
    `ours` maps a path to what the schema has there instead of the model's kind: for attributes
    that the tap adds, moves or leaves out (None), and for those the client declares too vaguely.
    Besides the kinds it knows the name of another schema file, for an embedded record, and
    `union`, for an object whose attributes the client does not tell because they come in several
    combinations; what is below a union is not compared.
    """

    models: tuple[str, ...]
    keys: tuple[str, ...] = ("id",)
    only: tuple[str, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    ours: Mapping[str, str | None] = field(default_factory=dict)


def _strings(*names: str) -> dict[str, str]:
    """Attributes of `ours` that hold text, mostly ids of related records."""
    return dict.fromkeys(names, "string")


STATISTICS = {"statistics": "number"}
VALUES = {"report": "string", "start": "date-time", "end": "date-time"}
SERIES = {"report": "string", "date": "date-time", "interval": "string"}


def _report(model: str, span: Mapping[str, str], *groupings: str) -> Row:
    """A row for a report that is grouped by `groupings`, and by others if that is asked for."""
    return Row(
        (f"{model}RequestDTOResourceObjectAttributes",),
        keys=(*span, *groupings, "groupings_key"),
        choices={**STATISTICS, "group_by": "string"},
        ours={**span, **_strings("groupings_key")},
    )


def _segment_report(model: str, span: Mapping[str, str]) -> Row:
    """A row for a report on segments, which is grouped by segment without being asked."""
    return Row(
        (f"{model}RequestDTOResourceObjectAttributes",),
        keys=(*span, "segment_id"),
        choices=STATISTICS,
        ours={**span, "segment_id": "string"},
    )


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
ATTRIBUTION = (
    "id",
    "event_id",
    "attributed_event_id",
    "campaign_id",
    "campaign_message_id",
    "flow_id",
    "flow_message_id",
    "flow_message_variation_id",
)
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_id", "utm_term")
MEMBER = ("email", "phone_number", "external_id", "joined_group_at")

ROWS: Mapping[str, Row] = {
    "aggregate_statistics.json": Row(
        ("MetricAggregateQueryResourceObjectAttributes",),
        keys=(),
        choices={"measurements": "number"},
    ),
    "any_event.json": Row(
        ("EventResponseObjectResource",),
        ours={
            **EVENT,
            "metric_name": "string",
            "integration": "free-form",
            "attributions": "array",
            "attributions[]": "object",
            **_strings(*(f"attributions[].{name}" for name in ATTRIBUTION)),
        },
    ),
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
    "campaign_values_report.json": _report(
        "CampaignValues", VALUES, "campaign_id", "campaign_message_id", "send_channel"
    ),
    "catalog_variant.json": Row(
        ("CatalogVariantResponseObjectResource",), ours=_strings("item_id")
    ),
    "coupon_code.json": Row(
        ("CouponCodeResponseObjectResource",), ours=_strings("coupon_id", "profile_id")
    ),
    "custom_metric.json": Row(("CustomMetricResponseObjectResource",), ours=DEFINITION),
    "event.json": Row(("EventResponseObjectResource",), ours=EVENT),
    "flow.json": Row(("FlowResponseObjectResource",), ours=TAGS),
    "flow_action.json": Row(
        ("FlowActionEncodedResponseObjectResource",), ours=DEFINITION | _strings("flow_id")
    ),
    "flow_message.json": Row(
        ("FlowMessageEncodedResponseObjectResource",),
        ours=DEFINITION | _strings("flow_action_id", "template_id"),
    ),
    "flow_series_report.json": _report(
        "FlowSeries", SERIES, "flow_id", "flow_message_id", "send_channel"
    ),
    "flow_values_report.json": _report(
        "FlowValues", VALUES, "flow_id", "flow_message_id", "send_channel"
    ),
    "form_series_report.json": _report("FormSeries", SERIES, "form_id"),
    "form_statistics.json": Row(
        ("FormValuesRequestDTOResourceObjectAttributes",), keys=(), choices=STATISTICS
    ),
    "form_values_report.json": _report("FormValues", VALUES, "form_id"),
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
    "mapped_metric.json": Row(
        ("MappedMetricResponseObjectResource",), ours=_strings("metric_id", "custom_metric_id")
    ),
    "message_statistics.json": Row(
        ("CampaignValuesRequestDTOResourceObjectAttributes",), keys=(), choices=STATISTICS
    ),
    "metric.json": Row(
        ("MetricResponseObjectResource",),
        ours={"created": "date-time", "updated": "date-time"},  # plain strings in the client
    ),
    "metric_aggregate.json": Row(
        ("MetricAggregateQueryResourceObjectAttributes",),
        keys=("report", "metric_id", "date", "interval", "dimensions_key"),
        choices={"measurements": "number"},
        ours={**SERIES, **_strings("metric_id", "dimensions_key"), "dimensions": "free-form"},
    ),
    "metric_property.json": Row(
        ("MetricPropertyResponseObjectResourceExtended",),
        ours={"sample_values[]": "boolean|number|string", **_strings("metric_id")},
    ),
    "object_record.json": Row(
        ("ObjectRecordResponseObjectResource",), ours=_strings("object_type_id")
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
    "segment_series_report.json": _segment_report("SegmentSeries", SERIES),
    "segment_statistics.json": Row(
        ("SegmentValuesRequestDTOResourceObjectAttributes",), keys=(), choices=STATISTICS
    ),
    "segment_values_report.json": _segment_report("SegmentValues", VALUES),
    "subscriptions.json": Row(("Subscriptions",), keys=()),
    "tag_record.json": Row(("TagResponseObjectResource",), ours=_strings("tag_group_id")),
    "template.json": Row(("TemplateDndResponseObjectResourceExtended",), ours=DEFINITION),
    "tracking_setting.json": Row(
        ("TrackingSettingResponseObjectResource",),
        ours={
            f"{parameter}.{place}": "union"
            for parameter in (*UTM, "custom_parameters[]")
            for place in ("flow", "campaign")
        },
    ),
    "universal_content.json": Row(("UniversalContentResponseObjectResource",), ours=DEFINITION),
}


def row_of(name: str) -> Row:
    """The row of a schema file; that of the resource that it is named after if it has none."""
    model = "".join(part.capitalize() for part in name.removesuffix(".json").split("_"))
    return ROWS.get(name) or Row((f"{model}ResponseObjectResource",))
