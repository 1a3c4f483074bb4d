"""Endpoints of tags and tag groups."""

from collections.abc import Mapping

from sandbox.endpoints.model import Endpoint, PageSize, S, filters
from sandbox.resource_types import words

_NAMED = "name  string  contains ends-with equals starts-with"

TAGS: Mapping[str, Endpoint] = {
    "/api/tag-groups": Endpoint(
        "tag-group",
        S,
        PageSize(25, 25),
        filters(
            f"""{_NAMED}
            exclusive  boolean  equals
            default    boolean  equals
            """
        ),
        sorts=words("id name"),
    ),
    "/api/tags": Endpoint(
        "tag",
        S,
        PageSize(50, 50),
        filters(_NAMED),
        sorts=words("id name"),
        includes=words("tag-group"),
    ),
}
