"""Lists, segments, their members, and tags."""

from __future__ import annotations

from tap_klaviyo.streams.builders import TAGS, children, id_of, listed
from tap_klaviyo.streams.model import PARENT, Cut, Parent, Stream


def members(name: str, schema: str, groups: str, group_id: str) -> Stream:
    """A row for the profiles that belong to each of ``groups``."""
    return children(
        name,
        schema,
        f"Who belongs to which of the {groups}, and since when.",
        "L",
        100,
        "profiles:read",
        path=f"/api/{groups}/{PARENT}/profiles",
        type="profile",
        keys=(group_id, "profile_id"),
        scopes=(f"{groups}:read", "profiles:read"),
        parent=Parent(groups, group_id),
        id_property="profile_id",
        sort="joined_group_at",
        cut=Cut("joined_group_at"),
        replication_key="joined_group_at",
        incremental_by_default=False,
    )


GROUPS = (
    Stream(
        name="lists",
        schema="list",
        description="Lists with their tags.",
        path="/api/lists",
        type="list",
        scopes=("lists:read",),
        page_size=10,
        includes=(TAGS,),
    ),
    members("list_members", "list_member", "lists", "list_id"),
    listed(
        "segments",
        "segment",
        "Segments with their definition and tags.",
        "L",
        10,
        "segments:read",
        includes=(TAGS,),
    ),
    members("segment_members", "segment_member", "segments", "segment_id"),
    listed(
        "tags",
        "tag_record",
        "Tags and the group of each.",
        "S",
        50,
        "tags:read",
        type="tag",
        includes=(id_of("tag_group_id", "tag-group", id_asked=True),),
    ),
    listed("tag_groups", "tag_group", "Groups of tags.", "S", 25, "tags:read"),
)
