"""The registry: one row of data per stream, one module of rows per area.

A row says where a stream's records come from and what they are. No other package knows a stream by
its name. To add a stream, add a row and a schema; :mod:`tap_klaviyo.streams.model` says what a row
can express.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tap_klaviyo.streams.account import ACCOUNT
from tap_klaviyo.streams.audiences import AUDIENCES
from tap_klaviyo.streams.campaigns import CAMPAIGNS_AND_FLOWS
from tap_klaviyo.streams.commerce import COMMERCE
from tap_klaviyo.streams.content import CONTENT
from tap_klaviyo.streams.events import EVENTS
from tap_klaviyo.streams.model import Parent, Stream
from tap_klaviyo.streams.people import PEOPLE
from tap_klaviyo.streams.reports import REPORTS

AREAS: Mapping[str, tuple[Stream, ...]] = {
    "Events": EVENTS,
    "People": PEOPLE,
    "Audiences": AUDIENCES,
    "Campaigns and flows": CAMPAIGNS_AND_FLOWS,
    "Content": CONTENT,
    "Commerce": COMMERCE,
    "Account": ACCOUNT,
    "Reports": REPORTS,
}
"""All streams, by what they are about."""

STREAMS = tuple(stream for streams in AREAS.values() for stream in streams)


def by_name(streams: Iterable[Stream]) -> dict[str, Stream]:
    """The streams by name and by each of their aliases."""
    return {name: stream for stream in streams for name in (stream.name, *stream.aliases)}


BY_NAME = by_name(STREAMS)
DEFAULT_STREAMS = tuple(stream for stream in STREAMS if stream.selected_by_default)
"""The streams that are selected without a catalog."""


def dated_parent(stream: Stream) -> Parent | None:
    """The parent whose ``updated`` says which children have to be read again, None without one.

    It may be a parent of the parent: the messages of a flow's actions are read if the flow changed.
    """
    parent = stream.parent
    if parent is None or parent.updated:
        return parent
    return dated_parent(BY_NAME[parent.stream])
