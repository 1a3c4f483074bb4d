"""Endpoints of tags and tag groups."""

from collections.abc import Mapping

from sandbox.endpoints.model import Endpoint, PageSize, S, parse_filter_fields
from sandbox.resource_types import name_set

_NAME_FILTER = "name  string  contains ends-with equals starts-with"

TAGS: Mapping[str, Endpoint] = {
    "/api/tag-groups": Endpoint(
        "tag-group",
        S,
        PageSize(25, 25),
        parse_filter_fields(
            f"""{_NAME_FILTER}
            exclusive  boolean  equals
            default    boolean  equals
            """
        ),
        sorts=name_set("id name"),
    ),
    "/api/tags": Endpoint(
        "tag",
        S,
        PageSize(50, 50),
        parse_filter_fields(_NAME_FILTER),
        sorts=name_set("id name"),
        includes=name_set("tag-group"),
    ),
}
