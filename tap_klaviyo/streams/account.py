"""Rows of the registry: the account, its metrics, webhooks, custom objects and settings."""

from __future__ import annotations

from tap_klaviyo.streams.builders import by_id, children, id_of, listed
from tap_klaviyo.streams.model import PARENT, FieldPath, Parent, Relationship, Stream


def _object_relationships(of: str, description: str) -> Stream:
    """A row for the relationships of each object type or object schema; ``of`` says of which."""
    name, plural = f"{of}_relationships", f"{of}s"
    return by_id(
        name,
        name,
        description,
        "S",
        "custom-objects:read",
        path=f"/api/{plural.replace('_', '-')}/{PARENT}",
        type=of.replace("_", "-"),
        parent=Parent(plural, f"{of}_id"),
        relationships=tuple(
            Relationship(
                related,
                related.replace("_", "-"),
                related.removesuffix("s").replace("_", "-"),
                field_paths={
                    meta: FieldPath(f"meta.{meta}")
                    for meta in ("relationship_id", "name", "description")
                },
                is_itself=True,
            )
            for related in (plural, f"profile_{plural}")
        ),
    )


ACCOUNT = (
    listed("accounts", "account", "The Klaviyo account.", "XS", None, "accounts:read"),
    listed("metrics", "metric", "Metrics: the types of events.", "M", None, "metrics:read"),
    children(
        "metric_properties",
        "metric_property",
        "Event properties of each metric, with sample values.",
        "XS",
        None,
        "metrics:read",
        parent=Parent("metrics", "metric_id", updated="updated"),
        additional_fields=("sample_values",),
    ),
    listed(
        "custom_metrics",
        "custom_metric",
        "Custom metrics that the account has defined from other metrics.",
        "S",
        None,
        "metrics:read",
    ),
    listed(
        "mapped_metrics",
        "mapped_metric",
        "Metrics mapped to standard types such as revenue or started checkout.",
        "S",
        None,
        "metrics:read",
        relationships=(
            id_of("metric_id", "metric", id_needs_include=True),
            id_of("custom_metric_id", "custom-metric", id_needs_include=True),
        ),
    ),
    listed("webhooks", "webhook", "Webhooks.", "XS", None, "webhooks:read"),
    listed(
        "webhook_topics",
        "webhook_topic",
        "Topics that a webhook can be called for.",
        "XS",
        None,
        "webhooks:read",
    ),
    listed(
        "tracking_settings",
        "tracking_setting",
        "Tracking (UTM) parameters added to links in messages.",
        "M",
        1,
        "tracking-settings:read",
    ),
    listed(
        "data_sources",
        "data_source",
        "Data sources of custom objects.",
        "S",
        100,
        "custom-objects:read",
    ),
    listed(
        "object_types", "object_type", "Types of custom objects.", "S", None, "custom-objects:read"
    ),
    _object_relationships(
        "object_type", "Relationships of each object type to object types and to profiles."
    ),
    children(
        "object_schemas",
        "object_schema",
        "Schemas of custom objects: the versions of each object type's properties.",
        "S",
        None,
        "custom-objects:read",
        path=f"/api/object-types/{PARENT}/schema-versions",
        parent=Parent("object_types", "object_type_id"),
    ),
    _object_relationships(
        "object_schema", "Relationships of each object schema to object schemas and to profiles."
    ),
    children(
        "source_mappings",
        "source_mapping",
        "Source mappings: how the properties of each object schema are read from data sources.",
        "S",
        None,
        "custom-objects:read",
        path=f"/api/object-schemas/{PARENT}/source-mapping",
        parent=Parent("object_schemas", "object_schema_id"),
        single=True,
        optional=True,
    ),
    children(
        "object_records",
        "object_record",
        "Custom object records.",
        "S",
        100,
        "custom-objects:read",
        parent=Parent("object_types", "object_type_id"),
    ),
)
