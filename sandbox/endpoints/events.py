"""Endpoints of events and metrics."""

from collections.abc import Mapping

from sandbox.endpoints.model import XL, XS, Endpoint, M, PageSize, S, filters
from sandbox.resource_types import words

EVENTS: Mapping[str, Endpoint] = {
    "/api/custom-metrics": Endpoint("custom-metric", S, includes=words("metrics")),
    "/api/events": Endpoint(
        "event",
        XL,
        PageSize(200, 1000),
        filters(
            """
            metric_id   string    equals
            profile_id  string    equals
            profile     relation  has
            metric      relation  has
            datetime    datetime  range
            timestamp   seconds   range
            """
        ),
        sorts=words("datetime timestamp"),
        default_sort="-datetime",
        includes=words("attributions metric profile"),
    ),
    "/api/mapped-metrics": Endpoint("mapped-metric", S, includes=words("custom-metric metric")),
    "/api/metrics": Endpoint(
        "metric",
        M,
        PageSize(200),
        filters(
            """
            integration.name      string  equals
            integration.category  string  equals
            """
        ),
        includes=words("flow-triggers"),
    ),
    "/api/metrics/{id}/metric-properties": Endpoint(
        "metric-property",
        XS,
        parent="metric",
        via="metric-properties",
        additional=words("sample_values"),
    ),
}
