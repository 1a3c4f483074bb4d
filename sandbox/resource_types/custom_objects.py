"""Resource types of custom objects: data sources, object types, schemas, records and logs.

The related object types and schemas of one that is requested by its id are relationships: their
ids name the related resource and the relationship, and their only attribute is `meta`.
"""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

_SCOPE = "custom-objects:read"
_META = "meta(relationship_id name description)"

CUSTOM_OBJECTS: Mapping[str, ResourceType] = {
    "data-source": ResourceType(
        "data-sources", _SCOPE, name_set("title visibility description namespace")
    ),
    "object-ingestion-log": ResourceType(
        "object-ingestion-logs",
        _SCOPE,
        name_set("event_type status timestamp summary errors"),
        {
            "object-type": Relationship("object-type", always=True),
            "object-record": Relationship("object-record", always=True),
        },
    ),
    "object-record": ResourceType("object-records", _SCOPE, name_set("record_properties")),
    "object-schema": ResourceType(
        "object-schemas",
        _SCOPE,
        name_set("title description visibility status properties required published_at"),
        {
            "source-mapping": Relationship("source-mapping"),
            "object-schemas": Relationship("object-schema", many=True),
            "profile-object-schemas": Relationship("profile-object-schema", many=True),
        },
    ),
    "object-type": ResourceType(
        "object-types",
        _SCOPE,
        name_set("title description status namespace created_at updated_at"),
        {
            "current-schema": Relationship("object-schema"),
            "draft-schema": Relationship("object-schema"),
            "schema-versions": Relationship("object-schema", many=True),
            "object-types": Relationship("object-type", many=True),
            "profile-object-types": Relationship("profile-object-type", many=True),
        },
    ),
    "profile-object-schema": ResourceType("profile-object-schemas", _SCOPE, name_set(_META)),
    "profile-object-type": ResourceType("profile-object-types", _SCOPE, name_set(_META)),
    "source-mapping": ResourceType(
        "source-mappings",
        _SCOPE,
        name_set("property_mappings relationship_mappings"),
    ),
}

WITH_RELATIONSHIPS: Mapping[str, ResourceType] = {
    name: CUSTOM_OBJECTS[name].extended(_META) for name in ("object-schema", "object-type")
}
"""The types at the endpoints that return one of them, which may have relationships."""
