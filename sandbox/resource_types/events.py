"""Resource types of events and metrics."""

from collections.abc import Mapping

from sandbox.resource_types.model import Kind, Relation, words

EVENTS: Mapping[str, Kind] = {
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
}
