"""Endpoints of custom objects."""

from collections.abc import Mapping

from sandbox.endpoints.model import XS, Endpoint, PageSize, S, parse_filter_fields
from sandbox.resource_types import name_set
from sandbox.resource_types.custom_objects import WITH_RELATIONSHIPS

_SCHEMAS = name_set("current-schema draft-schema")

CUSTOM_OBJECTS: Mapping[str, Endpoint] = {
    "/api/data-sources": Endpoint("data-source", S, PageSize(20, 100)),
    "/api/object-records/{id}": Endpoint("object-record", S, single=True),
    "/api/object-schemas/{id}": Endpoint(
        "object-schema",
        S,
        includes=name_set("object-schemas profile-object-schemas source-mapping"),
        single=True,
        own_types=WITH_RELATIONSHIPS,
    ),
    "/api/object-schemas/{id}/source-mapping": Endpoint(
        "source-mapping", S, parent="object-schema", relationship="source-mapping", single=True
    ),
    "/api/object-types": Endpoint(
        "object-type",
        S,
        filters=parse_filter_fields("namespace  string  equals"),
        includes=_SCHEMAS,
    ),
    "/api/object-types/{id}": Endpoint(
        "object-type",
        S,
        includes=_SCHEMAS | name_set("schema-versions object-types profile-object-types"),
        single=True,
        own_types=WITH_RELATIONSHIPS,
    ),
    "/api/object-types/{id}/current-schema": Endpoint(
        "object-schema", S, parent="object-type", relationship="current-schema", single=True
    ),
    "/api/object-types/{id}/draft-schema": Endpoint(
        "object-schema", S, parent="object-type", relationship="draft-schema", single=True
    ),
    "/api/object-types/{id}/object-ingestion-logs": Endpoint(
        "object-ingestion-log",
        XS,
        PageSize(50),
        parse_filter_fields(
            """
            record_id   string    equals
            status      string    any equals
            event_type  string    any equals
            timestamp   datetime  greater-or-equal less-than
            """
        ),
        default_sort="-timestamp",
        includes=name_set("object-record object-type"),
        parent="object-type",
        relationship="object-ingestion-logs",
    ),
    "/api/object-types/{id}/object-records": Endpoint(
        "object-record", S, PageSize(20, 100), parent="object-type", relationship="object-records"
    ),
    "/api/object-types/{id}/schema-versions": Endpoint(
        "object-schema", S, parent="object-type", relationship="schema-versions"
    ),
    "/api/source-mappings/{id}": Endpoint("source-mapping", S, single=True),
}
