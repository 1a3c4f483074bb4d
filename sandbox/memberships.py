"""Who is in which list or segment, since when, and who was."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sandbox.events import iso
from sandbox.resources import Resource


class Change(NamedTuple):
    """A profile joined a group (+1) or left it (-1), at a moment in Unix seconds."""

    timestamp: int
    step: int


class Memberships:
    """Members of lists and segments by their ids; the groups count them as `profile_count`."""

    def __init__(self) -> None:
        self._joined: dict[str, dict[str, int]] = {}
        self._changes: dict[str, list[Change]] = {}

    def join(self, group: Resource, moments: Mapping[str, int]) -> None:
        """Profiles, by id, join at moments in Unix seconds; a member joins anew."""
        members = self._joined.setdefault(group.id, {})
        changes = self._changes.setdefault(group.id, [])
        changes += [Change(moments[id], 1) for id in moments if id not in members]
        members.update(moments)
        group.change(profile_count=len(members))

    def leave(self, group: Resource, moments: Mapping[str, int]) -> None:
        """Members, by id, leave at moments in Unix seconds. Raises KeyError for any other."""
        members = self._joined.get(group.id, {})
        changes = self._changes.setdefault(group.id, [])
        for id, moment in moments.items():
            del members[id]
            changes.append(Change(moment, -1))
        group.change(profile_count=len(members))

    def forget(self, profile_id: str, groups: Iterable[Resource], moment: int) -> None:
        """A profile that is deleted leaves all groups."""
        for group in groups:
            if profile_id in self._joined.get(group.id, {}):
                self.leave(group, {profile_id: moment})

    def of(self, group: Resource) -> dict[str, int]:
        """The ids of a group's members, and when they joined (Unix seconds)."""
        return dict(self._joined.get(group.id, {}))

    def changes(self, group: Resource, start: float = 0, end: float = math.inf) -> list[Change]:
        """Who joined and left in `[start, end)`, in any order."""
        return [
            change for change in self._changes.get(group.id, []) if start <= change.timestamp < end
        ]


def member(profile: Resource, joined: int) -> Resource:
    """A profile as a group tells of it."""
    return Resource(
        profile.kind,
        profile.id,
        {**profile.attributes, "joined_group_at": iso(joined)},
        profile.relations,
        {
            **profile.hidden,
            "profile_id": profile.id,
            "push_token": next(
                (token.attributes["token"] for token in profile.related("push-tokens")), None
            ),
        },
    )
