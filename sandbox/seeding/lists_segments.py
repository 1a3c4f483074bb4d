"""The account's segments, who is in its lists and segments, and the groups of its tags."""

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sandbox.memberships import Memberships
from sandbox.resources import Resource, identifier
from sandbox.seeding.random_values import any_uuid, lifetime

_SEGMENTS = 34
_TAGS, _TAG_GROUPS = 61, 29
_BIGGEST, _FEW = 0.6, 60
_AT_ONCE = 25  # members that an import brings in the same second
_DAYS = 300


def make_tag_groups(rng: random.Random, tags: Sequence[Resource]) -> list[Resource]:
    """Groups for two pages; every tag is in one, most of them in the default."""
    groups = [
        Resource(
            "tag-group",
            any_uuid(rng),
            {
                "name": f"Group {number}" if number else "default",
                "exclusive": number % 4 == 1,
                "default": number == 0,
            },
        )
        for number in range(_TAG_GROUPS)
    ]
    for number, tag in enumerate(tags):
        tag.relations["tag-group"] = [groups[number % 7 if number % 2 else 0]]
    return groups


def make_further_tags(rng: random.Random) -> list[Resource]:
    """Tags for a second page."""
    return [Resource("tag", any_uuid(rng), {"name": f"tag {number:02}"}) for number in range(_TAGS)]


def make_segments(
    rng: random.Random,
    now: datetime,
    tags: Sequence[Resource],
    flows: Sequence[Resource],
    metric_id: str,
) -> list[Resource]:
    """Segments for four pages: active or not, starred or not; one with nulls, one in process."""
    segments = []
    for number in range(_SEGMENTS):
        created, updated = lifetime(rng, now)
        attributes: dict[str, Any] = {
            "name": f"Segment {number}" if number else "Engaged – 90 days",
            "definition": {"condition_groups": _conditions(number, metric_id)},
            "created": created,
            "updated": updated,
            "is_active": number % 5 != 4,
            "is_processing": number == 8,
            "is_starred": number % 6 == 0,
        }
        if number == 11:
            attributes |= {"name": None, "definition": None, "created": None, "updated": None}
        related = {
            "tags": rng.sample(list(tags), number % 3),
            "flow-triggers": [flows[2]] if number == 1 else [],
        }
        segments.append(Resource("segment", identifier(rng, 6), attributes, related))
    return segments


def gather(
    rng: random.Random,
    members: Memberships,
    groups: Sequence[Resource],
    profiles: Sequence[Resource],
    now: datetime,
) -> None:
    """Fill lists and segments: the first is large, the last is empty, a few members have left."""
    end = int(now.timestamp())
    for number, group in enumerate(groups):
        share = int(len(profiles) * _BIGGEST / (number * number)) if number else 0
        size = int(len(profiles) * _BIGGEST) if number == 0 else max(_FEW, share)
        chosen = rng.sample(profiles, size) if group is not groups[-1] else []
        imported = end - rng.randrange(86_400, _DAYS * 86_400)
        joined = {
            profile.id: imported
            if place < _AT_ONCE
            else end - rng.randrange(86_400, _DAYS * 86_400)
            for place, profile in enumerate(chosen)
        }
        members.join(group, joined)
        left = list(joined)[: number % 4]
        members.leave(group, {id: rng.randrange(joined[id], end) for id in left})


def _conditions(number: int, metric_id: str) -> list[dict[str, Any]]:
    """Condition groups, more and more of them nested."""
    engaged = {
        "type": "profile-metric",
        "metric_id": metric_id,
        "measurement": "count",
        "measurement_filter": {"type": "numeric", "operator": "greater-than", "value": number},
        "timeframe_filter": {
            "type": "date",
            "operator": "in-the-last",
            "unit": "day",
            "quantity": 90,
        },
        "metric_filters": None,
    }
    located = {
        "type": "profile-property",
        "property": "location.country",
        "filter": {"type": "string", "operator": "in", "value": ["NL", "日本"]},
    }
    both: list[dict[str, Any]] = [{"conditions": [engaged]}, {"conditions": [located, engaged]}]
    return both[: 1 + number % 2]
