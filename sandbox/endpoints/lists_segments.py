"""Endpoints of lists, segments and their members."""

from collections.abc import Mapping

from sandbox.endpoints.model import XS, Endpoint, L, M, PageSize, filters
from sandbox.resource_types import words

_GROUP_SORTS = words("created id name updated")
_GROUP_INCLUDES = words("flow-triggers tags")

_GROUP = """
    id       string    equals any
    name     strings   equals any
    created  datetime  greater-than
    updated  datetime  greater-than
    """

_MEMBER = """
    email            string    equals any
    phone_number     string    equals any
    push_token       string    equals any
    _kx              string    equals
    joined_group_at  datetime  range
    """

LISTS_SEGMENTS: Mapping[str, Endpoint] = {
    "/api/lists": Endpoint(
        "list",
        L,
        PageSize(10, 10),
        filters(_GROUP),
        sorts=_GROUP_SORTS,
        includes=_GROUP_INCLUDES,
    ),
    "/api/lists/{id}": Endpoint(
        "list",
        L,
        includes=_GROUP_INCLUDES,
        additional=words("profile_count"),
        slower={"profile_count": XS},
        single=True,
    ),
    "/api/lists/{id}/profiles": Endpoint(
        "profile",
        L,
        PageSize(20, 100),
        filters(_MEMBER),
        sorts=words("joined_group_at"),
        additional=words("subscriptions predictive_analytics"),
        always=words("joined_group_at"),
        slower={"predictive_analytics": M},
        scopes=frozenset({"lists:read"}),
        parent="list",
        via="profiles",
    ),
    "/api/segments": Endpoint(
        "segment",
        L,
        PageSize(10, 10),
        filters(
            f"""{_GROUP}
            is_active   boolean  any equals
            is_starred  boolean  equals
            """
        ),
        sorts=_GROUP_SORTS,
        includes=_GROUP_INCLUDES,
    ),
    "/api/segments/{id}": Endpoint(
        "segment",
        L,
        includes=_GROUP_INCLUDES,
        additional=words("profile_count"),
        slower={"profile_count": XS},
        single=True,
    ),
    "/api/segments/{id}/profiles": Endpoint(
        "profile",
        L,
        PageSize(20, 100),
        filters(f"profile_id  string  equals any {_MEMBER}"),
        sorts=words("joined_group_at"),
        additional=words("subscriptions predictive_analytics"),
        always=words("joined_group_at"),
        slower={"predictive_analytics": M},
        scopes=frozenset({"segments:read"}),
        parent="segment",
        via="profiles",
    ),
}
