"""Current and past members of lists and segments."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sandbox.events import iso
from sandbox.resources import Resource


class MembershipChange(NamedTuple):
    """A profile joined (`delta` +1) or left (-1) a list or segment; Unix seconds."""

    timestamp: int
    delta: int


class Memberships:
    """Members of lists and segments ("groups"). Updates `profile_count` of the group."""

    def __init__(self) -> None:
        self._joined: dict[str, dict[str, int]] = {}
        self._changes: dict[str, list[MembershipChange]] = {}

    def join(self, group: Resource, joined: Mapping[str, int]) -> None:
        """Add profiles: id to the Unix second of joining. Updates that of existing members."""
        members = self._joined.setdefault(group.id, {})
        changes = self._changes.setdefault(group.id, [])
        changes += [MembershipChange(joined[id], 1) for id in joined if id not in members]
        members.update(joined)
        group.change(profile_count=len(members))

    def leave(self, group: Resource, left: Mapping[str, int]) -> None:
        """Remove members: id to the Unix second of leaving. Raises KeyError for other ids."""
        members = self._joined.get(group.id, {})
        changes = self._changes.setdefault(group.id, [])
        for id, timestamp in left.items():
            del members[id]
            changes.append(MembershipChange(timestamp, -1))
        group.change(profile_count=len(members))

    def remove_profile(self, profile_id: str, groups: Iterable[Resource], timestamp: int) -> None:
        """Remove a deleted profile from all groups."""
        for group in groups:
            if profile_id in self._joined.get(group.id, {}):
                self.leave(group, {profile_id: timestamp})

    def members(self, group: Resource) -> dict[str, int]:
        """The members of a group: id to the Unix second of joining."""
        return dict(self._joined.get(group.id, {}))

    def changes(
        self, group: Resource, start: float = 0, end: float = math.inf
    ) -> list[MembershipChange]:
        """Changes in `[start, end)` Unix seconds, unordered."""
        return [
            change for change in self._changes.get(group.id, []) if start <= change.timestamp < end
        ]


def member_resource(profile: Resource, joined: int) -> Resource:
    """A profile as the members of a group show it: with `joined_group_at`."""
    return Resource(
        profile.type,
        profile.id,
        {**profile.attributes, "joined_group_at": iso(joined)},
        profile.relationships,
        {
            **profile.hidden,
            "profile_id": profile.id,
            "push_token": next(
                (token.attributes["token"] for token in profile.related("push-tokens")), None
            ),
        },
    )
