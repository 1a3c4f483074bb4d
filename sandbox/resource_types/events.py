"""The account itself, its events and metrics, and where those are sent on to."""

from collections.abc import Mapping

from sandbox.resource_types.model import Kind, Relation, words

_UTM = "flow(type value) campaign(type value)"

HAPPENINGS: Mapping[str, Kind] = {
    "account": Kind(
        "accounts",
        "accounts:read",
        words(
            """test_account
            contact_information(
                default_sender_name default_sender_email website_url organization_name
                street_address(address1 address2 city region country zip))
            industry timezone preferred_currency public_api_key locale"""
        ),
    ),
    "attribution": Kind(
        "attributions",
        "events:read",
        frozenset(),
        {
            "event": Relation("event", always=True),
            "attributed-event": Relation("event"),
            "campaign": Relation("campaign", always=True),
            "campaign-message": Relation("campaign-message", always=True),
            "flow": Relation("flow", always=True),
            "flow-message": Relation("flow-message", always=True),
            "flow-message-variation": Relation("flow-message"),
        },
    ),
    "custom-metric": Kind(
        "custom-metrics",
        "metrics:read",
        words("name created updated definition(aggregation_method metric_groups)"),
        {"metrics": Relation("metric", many=True)},
    ),
    "event": Kind(
        "events",
        "events:read",
        words("timestamp event_properties datetime uuid"),
        {
            "profile": Relation("profile", always=True),
            "metric": Relation("metric", always=True),
            "attributions": Relation("attribution", many=True),
        },
    ),
    "mapped-metric": Kind(
        "mapped-metrics",
        "metrics:read",
        words("updated"),
        {"metric": Relation("metric"), "custom-metric": Relation("custom-metric")},
    ),
    "metric": Kind(
        "metrics",
        "metrics:read",
        words("name created updated integration"),
        {"flow-triggers": Relation("flow", many=True)},
    ),
    "metric-property": Kind(
        "metric-properties",
        "metrics:read",
        words("label property inferred_type"),
        {"metric": Relation("metric", always=True)},
        {"sample_values": words("sample_values")},
    ),
    "tracking-setting": Kind(
        "tracking-settings",
        "tracking-settings:read",
        words(
            f"""auto_add_parameters utm_source({_UTM}) utm_medium({_UTM}) utm_campaign({_UTM})
            utm_id({_UTM}) utm_term({_UTM}) custom_parameters"""
        ),
    ),
    "webhook": Kind(
        "webhooks",
        "webhooks:read",
        words("name description endpoint_url enabled created_at updated_at"),
        {"webhook-topics": Relation("webhook-topic", many=True)},
    ),
    "webhook-topic": Kind("webhook-topics", "webhooks:read"),
}
