"""Rows of the registry: lists, segments, their members, and tags."""

from __future__ import annotations

from tap_klaviyo.streams.builders import TAGS, by_id, children, id_of, listed
from tap_klaviyo.streams.model import PARENT, Parent, Stream, TimeFilter


def members(name: str, schema: str, groups: str, group_id: str) -> Stream:
    """A row for the members of each list or segment; ``groups`` is the parent stream."""
    return children(
        name,
        schema,
        f"Members of each {groups.removesuffix('s')} with the date they joined.",
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
        time_filter=TimeFilter("joined_group_at"),
        replication_key="joined_group_at",
        incremental_by_default=False,
    )


def profile_counts(name: str, schema: str, groups: str, group_id: str) -> Stream:
    """A row for the number of members of each list or segment; ``groups`` is the parent stream."""
    group = groups.removesuffix("s")
    return by_id(
        name,
        schema,
        f"Number of members of each {group}, as Klaviyo counts them.",
        "L",
        f"{groups}:read",
        path=f"/api/{groups}/{PARENT}",
        type=group,
        parent=Parent(groups, group_id),
        additional_fields=("profile_count",),
        slow_fields={"profile_count": "XS"},
    )


AUDIENCES = (
    Stream(
        name="lists",
        schema="list",
        description="Lists with their tags.",
        path="/api/lists",
        type="list",
        scopes=("lists:read",),
        page_size=10,
        relationships=(TAGS,),
    ),
    members("list_members", "list_member", "lists", "list_id"),
    profile_counts("list_profile_counts", "list_profile_count", "lists", "list_id"),
    listed(
        "segments",
        "segment",
        "Segments with their definition and tags.",
        "L",
        10,
        "segments:read",
        relationships=(TAGS,),
    ),
    members("segment_members", "segment_member", "segments", "segment_id"),
    profile_counts("segment_profile_counts", "segment_profile_count", "segments", "segment_id"),
    listed(
        "tags",
        "tag_record",
        "Tags with their tag group.",
        "S",
        50,
        "tags:read",
        type="tag",
        relationships=(id_of("tag_group_id", "tag-group", id_needs_include=True),),
    ),
    listed("tag_groups", "tag_group", "Tag groups.", "S", 25, "tags:read"),
)
