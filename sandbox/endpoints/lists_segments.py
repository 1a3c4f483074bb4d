"""Endpoints of lists, segments and their members."""

from collections.abc import Mapping

from sandbox.endpoints.model import XS, Endpoint, L, M, PageSize, parse_filter_fields
from sandbox.resource_types import name_set

_GROUP_SORTS = name_set("created id name updated")
_GROUP_INCLUDES = name_set("flow-triggers tags")

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
        parse_filter_fields(_GROUP),
        sorts=_GROUP_SORTS,
        includes=_GROUP_INCLUDES,
    ),
    "/api/lists/{id}": Endpoint(
        "list",
        L,
        includes=_GROUP_INCLUDES,
        additional=name_set("profile_count"),
        additional_tiers={"profile_count": XS},
        single=True,
    ),
    "/api/lists/{id}/profiles": Endpoint(
        "profile",
        L,
        PageSize(20, 100),
        parse_filter_fields(_MEMBER),
        sorts=name_set("joined_group_at"),
        additional=name_set("subscriptions predictive_analytics"),
        always=name_set("joined_group_at"),
        additional_tiers={"predictive_analytics": M},
        scopes=frozenset({"lists:read"}),
        parent="list",
        relationship="profiles",
    ),
    "/api/segments": Endpoint(
        "segment",
        L,
        PageSize(10, 10),
        parse_filter_fields(
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
        additional=name_set("profile_count"),
        additional_tiers={"profile_count": XS},
        single=True,
    ),
    "/api/segments/{id}/profiles": Endpoint(
        "profile",
        L,
        PageSize(20, 100),
        parse_filter_fields(f"profile_id  string  equals any {_MEMBER}"),
        sorts=name_set("joined_group_at"),
        additional=name_set("subscriptions predictive_analytics"),
        always=name_set("joined_group_at"),
        additional_tiers={"predictive_analytics": M},
        scopes=frozenset({"segments:read"}),
        parent="segment",
        relationship="profiles",
    ),
}
