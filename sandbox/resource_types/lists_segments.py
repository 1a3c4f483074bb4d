"""Resource types of lists and segments."""

from collections.abc import Mapping

from sandbox.resource_types.model import Kind, Relation, words

_OF_A_GROUP = {
    "profiles": Relation("profile", many=True),
    "tags": Relation("tag", many=True),
    "flow-triggers": Relation("flow", many=True),
}

LISTS_SEGMENTS: Mapping[str, Kind] = {
    "list": Kind(
        "lists",
        "lists:read",
        words("name created updated opt_in_process"),
        _OF_A_GROUP,
        {"profile_count": words("profile_count")},
    ),
    "segment": Kind(
        "segments",
        "segments:read",
        words(
            """name definition(condition_groups) created updated is_active is_processing
            is_starred"""
        ),
        _OF_A_GROUP,
        {"profile_count": words("profile_count")},
    ),
}
