"""Custom objects: where they come from, how they are shaped, and their records."""

from collections.abc import Mapping

from sandbox.resource_types.model import Kind, Relation, words

_SCOPE = "custom-objects:read"

CUSTOM_OBJECTS: Mapping[str, Kind] = {
    "data-source": Kind("data-sources", _SCOPE, words("title visibility description namespace")),
    "object-ingestion-log": Kind(
        "object-ingestion-logs",
        _SCOPE,
        words("event_type status timestamp summary errors"),
        {
            "object-type": Relation("object-type", always=True),
            "object-record": Relation("object-record", always=True),
        },
    ),
    "object-record": Kind("object-records", _SCOPE, words("record_properties")),
    "object-schema": Kind(
        "object-schemas",
        _SCOPE,
        words("title description visibility status properties required published_at"),
        {
            "source-mapping": Relation("source-mapping"),
            "object-schemas": Relation("object-schema", many=True),
            "profile-object-schemas": Relation("profile-object-schema", many=True),
        },
    ),
    "object-type": Kind(
        "object-types",
        _SCOPE,
        words("title description status namespace created_at updated_at"),
        {
            "current-schema": Relation("object-schema"),
            "draft-schema": Relation("object-schema"),
            "schema-versions": Relation("object-schema", many=True),
            "object-types": Relation("object-type", many=True),
            "profile-object-types": Relation("profile-object-type", many=True),
        },
    ),
    "source-mapping": Kind(
        "source-mappings",
        _SCOPE,
        words("property_mappings relationship_mappings"),
    ),
}
