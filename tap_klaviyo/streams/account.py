"""The account itself: metrics, webhooks, custom objects, settings."""

from __future__ import annotations

from tap_klaviyo.streams.builders import children, id_of, listed
from tap_klaviyo.streams.model import Parent

ACCOUNT = (
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
