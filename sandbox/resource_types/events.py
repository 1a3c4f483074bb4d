"""Resource types of events and metrics."""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

EVENTS: Mapping[str, ResourceType] = {
    "attribution": ResourceType(
        "attributions",
        "events:read",
        frozenset(),
        {
            "event": Relationship("event", always=True),
            "attributed-event": Relationship("event"),
            "campaign": Relationship("campaign", always=True),
            "campaign-message": Relationship("campaign-message", always=True),
            "flow": Relationship("flow", always=True),
            "flow-message": Relationship("flow-message", always=True),
            "flow-message-variation": Relationship("flow-message"),
        },
    ),
    "custom-metric": ResourceType(
        "custom-metrics",
        "metrics:read",
        name_set("name created updated definition(aggregation_method metric_groups)"),
        {"metrics": Relationship("metric", many=True)},
    ),
    "event": ResourceType(
        "events",
        "events:read",
        name_set("timestamp event_properties datetime uuid"),
        {
            "profile": Relationship("profile", always=True),
            "metric": Relationship("metric", always=True),
            "attributions": Relationship("attribution", many=True),
        },
    ),
    "mapped-metric": ResourceType(
        "mapped-metrics",
        "metrics:read",
        name_set("updated"),
        {"metric": Relationship("metric"), "custom-metric": Relationship("custom-metric")},
    ),
    "metric": ResourceType(
        "metrics",
        "metrics:read",
        name_set("name created updated integration"),
        {"flow-triggers": Relationship("flow", many=True)},
    ),
    "metric-property": ResourceType(
        "metric-properties",
        "metrics:read",
        name_set("label property inferred_type"),
        {"metric": Relationship("metric", always=True)},
        {"sample_values": name_set("sample_values")},
    ),
}
