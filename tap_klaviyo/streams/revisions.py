"""The registry of each revision of Klaviyo's API that the tap is made for, and its end of life.

The rows of the areas' modules are those of the oldest revision. A later revision has a module that
says what it changes in them, by the name of the stream, and which rows it adds to which area.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from tap_klaviyo.streams.account import ACCOUNT
from tap_klaviyo.streams.audiences import AUDIENCES
from tap_klaviyo.streams.campaigns import CAMPAIGNS_AND_FLOWS
from tap_klaviyo.streams.commerce import COMMERCE
from tap_klaviyo.streams.content import CONTENT
from tap_klaviyo.streams.events import EVENTS
from tap_klaviyo.streams.model import DEFAULT_REVISION, Stream
from tap_klaviyo.streams.people import PEOPLE
from tap_klaviyo.streams.reports import REPORTS
from tap_klaviyo.streams.revision_2026_10_15 import ADDED, CHANGED

Areas = Mapping[str, tuple[Stream, ...]]
"""Streams, by what they are about."""

NOTICE = timedelta(days=90)
"""How long before the end of life of a revision a run warns of it."""


def by_name(streams: Iterable[Stream]) -> dict[str, Stream]:
    """The streams by name and by each of their aliases."""
    return {name: stream for stream in streams for name in (stream.name, *stream.aliases)}


@dataclass(frozen=True)
class Registry:
    """The streams that a ``revision`` of Klaviyo's API offers, and the day when Klaviyo ends it."""

    revision: str
    ends: date
    areas: Areas

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        """All streams."""
        return tuple(stream for streams in self.areas.values() for stream in streams)

    @cached_property
    def by_name(self) -> Mapping[str, Stream]:
        """The streams by name and by each of their aliases."""
        return by_name(self.streams)


def _revised(
    revision: str, areas: Areas, changed: Mapping[str, Mapping[str, Any]], added: Areas
) -> Areas:
    """The rows of an earlier revision with the fields that ``changed`` replaces, and new rows."""
    return {
        area: tuple(
            replace(row, revision=revision, **changed.get(row.name, {}))
            for row in (*streams, *added.get(area, ()))
        )
        for area, streams in areas.items()
    }


_AREAS_2026_07_15: Areas = {
    "Events": EVENTS,
    "People": PEOPLE,
    "Audiences": AUDIENCES,
    "Campaigns and flows": CAMPAIGNS_AND_FLOWS,
    "Content": CONTENT,
    "Commerce": COMMERCE,
    "Account": ACCOUNT,
    "Reports": REPORTS,
}

_AREAS_2026_10_15 = _revised("2026-10-15", _AREAS_2026_07_15, CHANGED, ADDED)

REGISTRIES: Mapping[str, Registry] = {
    registry.revision: registry
    for registry in (
        Registry("2026-07-15", date(2028, 7, 15), _AREAS_2026_07_15),
        Registry("2026-10-15", date(2028, 10, 15), _AREAS_2026_10_15),
    )
}
"""The registries by revision, oldest first."""

DEFAULT = REGISTRIES[DEFAULT_REVISION]

REVISIONS_OF: Mapping[str, tuple[str, ...]] = {
    name: tuple(one.revision for one in REGISTRIES.values() if name in one.by_name)
    for registry in REGISTRIES.values()
    for name in registry.by_name
}
"""The revisions that offer a stream, by each of its names."""


def registry_of(revision: str) -> Registry:
    """The registry for a revision: its own, else that of the latest one before it, or the oldest.

    Revisions are dates, so they are in the order of their names.
    """
    known = [one for name, one in REGISTRIES.items() if name <= revision]
    return known[-1] if known else next(iter(REGISTRIES.values()))


def revision_warning(revision: str, today: date) -> str:
    """What a user should know of a revision: it is unknown, or it ends soon. Empty for nothing."""
    registry = registry_of(revision)
    if registry.revision != revision:
        return (
            f"config: this tap is made for the revisions {' and '.join(REGISTRIES)} of Klaviyo's "
            f"API, and not for {revision}: it is read like {registry.revision}, and what differs "
            "is not read or fails."
        )
    if today < registry.ends - NOTICE:
        return ""
    later = [name for name in REGISTRIES if name > revision]
    advice = f"Set 'revision' to {later[-1]}" if later else "Update this tap"
    return f"config: Klaviyo's API ends revision {revision} on {registry.ends}. {advice}."
