"""Seeds lists, segments and their members."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.memberships import Memberships
from sandbox.resources import Resource
from sandbox.seeding.random_values import created_and_updated, random_id

_SEGMENTS = 34
_LARGEST_SHARE, _MIN_MEMBERS = 0.6, 60
_IMPORTED = 25  # members who joined in the same second
_DAYS = 300  # during which members joined


def make_lists(
    rng: random.Random, now: datetime, tags: list[Resource], flows: list[Resource]
) -> list[Resource]:
    """Three pages of lists; one has only null attributes."""
    lists = []
    for number in range(27):
        created = now - timedelta(days=600 - number, seconds=rng.randrange(86_400))
        updated = created + (now - created) * rng.random()
        attributes: dict[str, Any] = {
            "name": f"Newsletter {number}" if number else "Alle Kund:innen",
            "created": created.replace(microsecond=0).isoformat(),
            "updated": updated.replace(microsecond=0).isoformat(),
            "opt_in_process": rng.choice(("double_opt_in", "single_opt_in")),
        }
        if number == 13:
            attributes = dict.fromkeys(attributes)
        related = {
            "tags": rng.sample(tags, number % 3),
            "flow-triggers": flows[:1] if number < 2 else [],
        }
        lists.append(Resource("list", random_id(rng, 6), attributes, related))
    return lists


def make_segments(
    rng: random.Random,
    now: datetime,
    tags: Sequence[Resource],
    flows: Sequence[Resource],
    metric_id: str,
) -> list[Resource]:
    """Four pages of segments; one has null attributes, one is processing."""
    segments = []
    for number in range(_SEGMENTS):
        created, updated = created_and_updated(rng, now)
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
        segments.append(Resource("segment", random_id(rng, 6), attributes, related))
    return segments


def add_members(
    rng: random.Random,
    memberships: Memberships,
    groups: Sequence[Resource],
    profiles: Sequence[Resource],
    now: datetime,
) -> None:
    """Add members: the first group is large, the last is empty, a few members have left."""
    end = int(now.timestamp())
    for number, group in enumerate(groups):
        share = int(len(profiles) * _LARGEST_SHARE / (number * number)) if number else 0
        size = int(len(profiles) * _LARGEST_SHARE) if number == 0 else max(_MIN_MEMBERS, share)
        chosen = rng.sample(profiles, size) if group is not groups[-1] else []
        imported = end - rng.randrange(86_400, _DAYS * 86_400)
        joined = {
            profile.id: imported
            if index < _IMPORTED
            else end - rng.randrange(86_400, _DAYS * 86_400)
            for index, profile in enumerate(chosen)
        }
        memberships.join(group, joined)
        left = list(joined)[: number % 4]
        memberships.leave(group, {id: rng.randrange(joined[id], end) for id in left})


def _conditions(number: int, metric_id: str) -> list[dict[str, Any]]:
    """One or two condition groups."""
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
