"""The endpoints of custom objects."""

from collections.abc import Mapping

from sandbox.endpoints.model import XS, Endpoint, PageSize, S, filters
from sandbox.resource_types import words

_SCHEMAS = words("current-schema draft-schema")

CUSTOM_OBJECTS: Mapping[str, Endpoint] = {
    "/api/data-sources": Endpoint("data-source", S, PageSize(20, 100)),
    "/api/object-records/{id}": Endpoint("object-record", S, single=True),
    "/api/object-schemas/{id}": Endpoint(
        "object-schema", S, includes=words("source-mapping"), single=True
    ),
    "/api/object-schemas/{id}/source-mapping": Endpoint(
        "source-mapping", S, parent="object-schema", via="source-mapping", single=True
    ),
    "/api/object-types": Endpoint(
        "object-type", S, filters=filters("namespace  string  equals"), includes=_SCHEMAS
    ),
    "/api/object-types/{id}": Endpoint(
        "object-type", S, includes=_SCHEMAS | words("schema-versions"), single=True
    ),
    "/api/object-types/{id}/current-schema": Endpoint(
        "object-schema", S, parent="object-type", via="current-schema", single=True
    ),
    "/api/object-types/{id}/draft-schema": Endpoint(
        "object-schema", S, parent="object-type", via="draft-schema", single=True
    ),
    "/api/object-types/{id}/object-ingestion-logs": Endpoint(
        "object-ingestion-log",
        XS,
        PageSize(50),
        filters(
            """
            record_id   string    equals
            status      string    any equals
            event_type  string    any equals
            timestamp   datetime  greater-or-equal less-than
            """
        ),
        default_sort="-timestamp",
        includes=words("object-record object-type"),
        parent="object-type",
        via="object-ingestion-logs",
    ),
    "/api/object-types/{id}/object-records": Endpoint(
        "object-record", S, PageSize(20, 100), parent="object-type", via="object-records"
    ),
    "/api/object-types/{id}/schema-versions": Endpoint(
        "object-schema", S, parent="object-type", via="schema-versions"
    ),
    "/api/source-mappings/{id}": Endpoint("source-mapping", S, single=True),
}
