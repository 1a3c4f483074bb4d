"""The account's segments, who is in its lists and segments, and the groups of its tags."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.memberships import Memberships
from sandbox.resources import Resource
from sandbox.seeding.random_values import identifier, lifetime

_SEGMENTS = 34
_BIGGEST, _FEW = 0.6, 60
_AT_ONCE = 25  # members that an import brings in the same second
_DAYS = 300


def make_lists(
    rng: random.Random, now: datetime, tags: list[Resource], flows: list[Resource]
) -> list[Resource]:
    """Lists for three pages; one has a null in every attribute that may be null."""
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
        lists.append(Resource("list", identifier(rng, 6), attributes, related))
    return lists


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
