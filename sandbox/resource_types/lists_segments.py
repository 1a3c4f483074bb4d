"""Resource types of lists and segments."""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

_RELATIONSHIPS = {
    "profiles": Relationship("profile", many=True),
    "tags": Relationship("tag", many=True),
    "flow-triggers": Relationship("flow", many=True),
}

LISTS_SEGMENTS: Mapping[str, ResourceType] = {
    "list": ResourceType(
        "lists",
        "lists:read",
        name_set("name created updated opt_in_process"),
        _RELATIONSHIPS,
        {"profile_count": name_set("profile_count")},
    ),
    "segment": ResourceType(
        "segments",
        "segments:read",
        name_set(
            """name definition(condition_groups) created updated is_active is_processing
            is_starred"""
        ),
        _RELATIONSHIPS,
        {"profile_count": name_set("profile_count")},
    ),
}
