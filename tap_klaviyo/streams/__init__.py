"""The registry: one row of data per stream, one module of rows per area.

A row says where a stream's records come from and what they are. No other package knows a stream by
its name. To add a stream, add a row and a schema; :mod:`tap_klaviyo.streams.model` says what a row
can express, and :mod:`tap_klaviyo.streams.revisions` what differs between the revisions of
Klaviyo's API.
"""

from __future__ import annotations

from tap_klaviyo.streams.model import Parent, Stream
from tap_klaviyo.streams.revisions import (
    DEFAULT,
    REGISTRIES,
    REVISIONS_OF,
    Registry,
    by_name,
    registry_of,
    revision_warning,
)

__all__ = [
    "AREAS",
    "BY_NAME",
    "DEFAULT",
    "DEFAULT_STREAMS",
    "REGISTRIES",
    "REVISIONS_OF",
    "STREAMS",
    "Registry",
    "by_name",
    "dated_parent",
    "parent_of",
    "registry_of",
    "revision_warning",
]

AREAS = DEFAULT.areas
"""All streams of the default revision, by what they are about."""

STREAMS = DEFAULT.streams
BY_NAME = DEFAULT.by_name
DEFAULT_STREAMS = tuple(stream for stream in STREAMS if stream.selected_by_default)
"""The streams that are selected without a catalog, under each revision."""


def parent_of(stream: Stream) -> Stream | None:
    """The row of the parent stream; None without one."""
    parent = stream.parent
    return REGISTRIES[stream.revision].by_name[parent.stream] if parent else None


def dated_parent(stream: Stream) -> Parent | None:
    """The parent whose ``updated`` says which children have to be read again, None without one.

    It may be a parent of the parent: the messages of a flow's actions are read if the flow changed.
    """
    above = parent_of(stream)
    if above is None or (stream.parent and stream.parent.updated):
        return stream.parent
    return dated_parent(above)
