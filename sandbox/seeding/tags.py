"""Seeds tags and tag groups."""

import random
from collections.abc import Sequence

from sandbox.resources import Resource
from sandbox.seeding.random_values import random_uuid

_TAG_NAMES = ("vip", "sale", "news", "Frühling", "日本", "test-group")
_FURTHER_TAGS, _TAG_GROUPS = 61, 29


def make_tags(rng: random.Random) -> list[Resource]:
    """Tags of lists and campaigns."""
    return [Resource("tag", random_uuid(rng), {"name": name}) for name in _TAG_NAMES]


def make_further_tags(rng: random.Random) -> list[Resource]:
    """Tags that fill a second page."""
    return [
        Resource("tag", random_uuid(rng), {"name": f"tag {number:02}"})
        for number in range(_FURTHER_TAGS)
    ]


def make_tag_groups(rng: random.Random, tags: Sequence[Resource]) -> list[Resource]:
    """Two pages of tag groups; most tags are in the default group."""
    groups = [
        Resource(
            "tag-group",
            random_uuid(rng),
            {
                "name": f"Group {number}" if number else "default",
                "exclusive": number % 4 == 1,
                "default": number == 0,
            },
        )
        for number in range(_TAG_GROUPS)
    ]
    for number, tag in enumerate(tags):
        tag.relationships["tag-group"] = [groups[number % 7 if number % 2 else 0]]
    return groups
