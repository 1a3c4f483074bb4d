"""The content of each file in `schemas/`: the table that `check_schemas` compares them with.

Files that only a later revision of the API has are in `later_schema_rows`.

A file needs no row if it describes exactly the resource that it is named after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """The content of one schema file.

    `models` are classes of the client; the schema has the attributes of all of them. For the class
    of a resource, these are `type`, `id` and its `attributes`.
    `keys` are the attributes that cannot be null.
    `only` limits the schema to these attributes of the models.
    `choices` is for models of requests. It maps the name of a list in the model to a kind: the
    schema has a property of this kind for each value that the client accepts in the list.
    `ours` maps a path to a kind that replaces the model's: for attributes that the tap adds, moves
    or leaves out (None), and for attributes that the client declares too vaguely. The kind can also
    be the name of another schema file, for an embedded record, or `union`, for an object whose
    attributes come in several combinations; nothing below a union is compared.
    """

    models: tuple[str, ...]
    keys: tuple[str, ...] = ("id",)
    only: tuple[str, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    ours: Mapping[str, str | None] = field(default_factory=dict)


def strings(*names: str) -> dict[str, str]:
    """Return attributes for `ours` that hold text, mostly IDs of related records."""
    return dict.fromkeys(names, "string")


def _one_by_one(model: str, key: str, *only: str, **ours: str) -> Row:
    """Return a row for resources that are requested by the ID of a parent, which `key` holds."""
    return Row((model,), keys=(key,), only=only, ours={**ours, key: "string"})


def _object_relationships(model: str, of: str) -> Row:
    """Return a row for the relationships of each resource, which are embedded."""
    names = (f"{of}s", f"profile_{of}s")
    related = {f"{name}[]": "object_relationship.json" for name in names}
    return Row(
        (f"{model}ResponseObjectResource",),
        keys=(f"{of}_id",),
        only=("id",),
        ours={"id": None, f"{of}_id": "string", **dict.fromkeys(names, "array"), **related},
    )


STATISTICS = {"statistics": "number"}
VALUES = {"report": "string", "start": "date-time", "end": "date-time"}
SERIES = {"report": "string", "date": "date-time", "interval": "string"}


def _report(model: str, span: Mapping[str, str], *groupings: str) -> Row:
    """Return a row for a report grouped by `groupings` and optionally by other attributes."""
    return Row(
        (f"{model}RequestDTOResourceObjectAttributes",),
        keys=(*span, *groupings, "groupings_key"),
        choices={**STATISTICS, "group_by": "string"},
        ours={**span, **strings("groupings_key"), "local_date": "date"},
    )


def _segment_report(model: str, span: Mapping[str, str]) -> Row:
    """Return a row for a report on segments, which Klaviyo always groups by segment."""
    return Row(
        (f"{model}RequestDTOResourceObjectAttributes",),
        keys=(*span, "segment_id"),
        choices=STATISTICS,
        ours={**span, "segment_id": "string", "local_date": "date"},
    )


# The client declares the coordinates as `Any`; Klaviyo documents a number or a string. Its answers
# also have a county.
LOCATION = {
    "location.latitude": "number",
    "location.longitude": "number",
    "location.county": "string",
}
DEFINITION = {"definition": "free-form"}  # a union within unions, with dozens of members
TAGS = {"tags": "array", "tags[]": "tag.json"}

CAMPAIGN_MESSAGE: Mapping[str, str | None] = {
    # The attributes of the definition replace the definition.
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
            **strings(*(f"attributions[].{name}" for name in ATTRIBUTION)),
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
        ours={**CAMPAIGN_MESSAGE, **strings("campaign_id", "template_id", "image_id")},
    ),
    "campaign_recipient_estimation.json": _one_by_one(
        "CampaignRecipientEstimationResponseObjectResource",
        "campaign_id",
        "estimated_recipient_count",
    ),
    "campaign_values_report.json": _report(
        "CampaignValues", VALUES, "campaign_id", "campaign_message_id", "send_channel"
    ),
    "catalog_category_item.json": Row(
        ("CatalogItemResponseObjectResource",),
        keys=("category_id", "item_id"),
        only=("id",),
        ours={"id": None, **strings("category_id", "item_id")},
    ),
    "catalog_variant.json": Row(("CatalogVariantResponseObjectResource",), ours=strings("item_id")),
    "coupon_code.json": Row(
        ("CouponCodeResponseObjectResource",), ours=strings("coupon_id", "profile_id")
    ),
    "custom_metric.json": Row(("CustomMetricResponseObjectResource",), ours=DEFINITION),
    "event.json": Row(("EventResponseObjectResource",), ours=EVENT),
    "flow.json": Row(("FlowResponseObjectResource",), ours=TAGS),
    "flow_action.json": Row(
        ("FlowActionEncodedResponseObjectResource",), ours=DEFINITION | strings("flow_id")
    ),
    "flow_definition.json": _one_by_one(
        "FlowV2ResponseObjectResourceExtended", "flow_id", "updated", **DEFINITION
    ),
    "flow_message.json": Row(
        ("FlowMessageEncodedResponseObjectResource",),
        ours=DEFINITION | strings("flow_action_id", "template_id"),
    ),
    "flow_series_report.json": _report(
        "FlowSeries", SERIES, "flow_id", "flow_message_id", "send_channel"
    ),
    "flow_values_report.json": _report(
        "FlowValues", VALUES, "flow_id", "flow_message_id", "send_channel"
    ),
    "form_definition.json": _one_by_one(
        "FormResponseObjectResource", "form_id", "updated_at", **DEFINITION
    ),
    "form_series_report.json": _report("FormSeries", SERIES, "form_id"),
    "form_statistics.json": Row(
        ("FormValuesRequestDTOResourceObjectAttributes",), keys=(), choices=STATISTICS
    ),
    "form_values_report.json": _report("FormValues", VALUES, "form_id"),
    "form_version.json": Row(("FormVersionResponseObjectResource",), ours=strings("form_id")),
    "global_exclusion.json": Row(
        ("ProfileResponsePluralConversationsObjectResourceExtended", "EmailMarketingSuppression"),
        keys=("id", "email"),
        ours={
            "suppressions": "array",
            "suppressions[]": "object",
            "suppressions[].reason": "string",
            "suppressions[].timestamp": "date-time",
            **LOCATION,
        },
    ),
    "list.json": Row(("ListListResponseObjectResource",), ours=TAGS),
    "list_exclusion.json": Row(
        ("EmailMarketingListSuppression",),
        keys=("list_id", "profile_id", "reason", "timestamp"),
        ours=strings("profile_id", "email"),
    ),
    "list_member.json": Row(
        ("ListMemberResponseObjectResourceExtended",),
        keys=("list_id", "profile_id"),
        only=MEMBER,
        ours=strings("list_id", "profile_id"),
    ),
    "list_profile_count.json": _one_by_one(
        "ListRetrieveResponseObjectResourceExtended", "list_id", "name", "profile_count"
    ),
    "mapped_metric.json": Row(
        ("MappedMetricResponseObjectResource",), ours=strings("metric_id", "custom_metric_id")
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
        ours={
            **SERIES,
            **strings("metric_id", "dimensions_key"),
            "dimensions": "free-form",
            "local_date": "date",
        },
    ),
    "metric_property.json": Row(
        ("MetricPropertyResponseObjectResourceExtended",),
        ours={"sample_values[]": "string", **strings("metric_id")},
    ),
    "object_record.json": Row(
        ("ObjectRecordResponseObjectResource",), ours=strings("object_type_id")
    ),
    "object_relationship.json": Row(
        ("ObjectSchemaRelationshipCreateMeta",),
        ours=strings("id", "type", "relationship_id"),
    ),
    "object_schema.json": Row(
        ("ObjectSchemaResponseObjectResource",), ours=strings("object_type_id")
    ),
    "object_schema_relationships.json": _object_relationships("ObjectSchema", "object_schema"),
    "object_type_relationships.json": _object_relationships("ObjectType", "object_type"),
    "person.json": Row(
        ("ProfileResponsePluralConversationsObjectResourceExtended",),
        ours={
            **LOCATION,
            "conversations": "array",
            "conversations[]": "conversation.json",
        },
    ),
    "predictive_analytics.json": Row(("PredictiveAnalytics",), keys=()),
    "profile.json": Row(("ProfileResponseObjectResource",), ours=LOCATION),
    "push_token.json": Row(("PushTokenResponseObjectResource",), ours=strings("profile_id")),
    "review.json": Row(
        ("ReviewResponseDTOObjectResource",), ours={"status": "union", **strings("item_id")}
    ),
    "segment.json": Row(("SegmentListResponseObjectResource",), ours=DEFINITION | TAGS),
    "segment_member.json": Row(
        ("SegmentMemberResponseObjectResourceExtended",),
        keys=("segment_id", "profile_id"),
        only=MEMBER,
        ours=strings("segment_id", "profile_id"),
    ),
    "segment_profile_count.json": _one_by_one(
        "SegmentRetrieveResponseObjectResourceExtended", "segment_id", "name", "profile_count"
    ),
    "segment_series_report.json": _segment_report("SegmentSeries", SERIES),
    "segment_statistics.json": Row(
        ("SegmentValuesRequestDTOResourceObjectAttributes",), keys=(), choices=STATISTICS
    ),
    "segment_values_report.json": _segment_report("SegmentValues", VALUES),
    "source_mapping.json": Row(
        ("SourceMappingResponseObjectResource",),
        ours={
            "property_mappings[]": "free-form",
            "relationship_mappings[].source": "free-form",
            **strings("object_schema_id"),
        },
    ),
    "subscriptions.json": Row(("Subscriptions",), keys=()),
    "tag_record.json": Row(("TagResponseObjectResource",), ours=strings("tag_group_id")),
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
    """Return the row of a schema file; by default that of the resource it is named after."""
    model = "".join(part.capitalize() for part in name.removesuffix(".json").split("_"))
    return ROWS.get(name) or Row((f"{model}ResponseObjectResource",))
