"""Resource types of tags and tag groups."""

from collections.abc import Mapping

from sandbox.resource_types.model import Kind, Relation, words

TAGS: Mapping[str, Kind] = {
    "tag": Kind(
        "tags",
        "tags:read",
        words("name"),
        {
            "tag-group": Relation("tag-group"),
            "lists": Relation("list", many=True),
            "segments": Relation("segment", many=True),
            "campaigns": Relation("campaign", many=True),
            "flows": Relation("flow", many=True),
        },
    ),
    "tag-group": Kind(
        "tag-groups",
        "tags:read",
        words("name exclusive default"),
        {"tags": Relation("tag", many=True)},
    ),
}
