"""Endpoints of events and metrics."""

from collections.abc import Mapping

from sandbox.endpoints.model import XL, XS, Endpoint, M, PageSize, S, parse_filter_fields
from sandbox.resource_types import name_set

EVENTS: Mapping[str, Endpoint] = {
    "/api/custom-metrics": Endpoint("custom-metric", S, includes=name_set("metrics")),
    "/api/events": Endpoint(
        "event",
        XL,
        PageSize(200, 1000),
        parse_filter_fields(
            """
            metric_id   string    equals
            profile_id  string    equals
            profile     relation  has
            metric      relation  has
            datetime    datetime  range
            timestamp   seconds   range
            """
        ),
        sorts=name_set("datetime timestamp"),
        default_sort="-datetime",
        includes=name_set("attributions metric profile"),
    ),
    "/api/mapped-metrics": Endpoint("mapped-metric", S, includes=name_set("custom-metric metric")),
    "/api/metrics/{id}": Endpoint("metric", M, single=True),
    "/api/metrics": Endpoint(
        "metric",
        M,
        PageSize(200),
        parse_filter_fields(
            """
            integration.name      string  equals
            integration.category  string  equals
            """
        ),
        includes=name_set("flow-triggers"),
    ),
    "/api/metrics/{id}/metric-properties": Endpoint(
        "metric-property",
        XS,
        parent="metric",
        relationship="metric-properties",
        additional=name_set("sample_values"),
    ),
}
