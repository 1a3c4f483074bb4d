"""Resource types of tags and tag groups."""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

TAGS: Mapping[str, ResourceType] = {
    "tag": ResourceType(
        "tags",
        "tags:read",
        name_set("name"),
        {
            "tag-group": Relationship("tag-group"),
            "lists": Relationship("list", many=True),
            "segments": Relationship("segment", many=True),
            "campaigns": Relationship("campaign", many=True),
            "flows": Relationship("flow", many=True),
        },
    ),
    "tag-group": ResourceType(
        "tag-groups",
        "tags:read",
        name_set("name exclusive default"),
        {"tags": Relationship("tag", many=True)},
    ),
}
