"""Which partitions of a stream its bookmark covers, and which are backfilled. Pure.

A metric that is new to a stream has a bookmark of its own until it has reached the stream's. From
then on the stream's bookmark covers it, for good: so only backfills are looked at again.
"""

from __future__ import annotations

from tap_klaviyo.state import State
from tap_klaviyo.sync.stream_sync import Partition, StreamSync


def backfills(state: State, sync: StreamSync) -> list[Partition]:
    """The partitions that the bookmark of the stream does not cover."""
    if sync.selected.stream.parent is not None:
        return []
    known = sync.partitions if sync.backfills is None else sync.backfills
    sync.backfills = [partition for partition in known if not _is_covered(state, partition)]
    return sync.backfills


def covered_until(state: State, sync: StreamSync) -> int | None:
    """The low-water mark of the partitions that the bookmark covers; None if there are none."""
    apart = {*backfills(state, sync)}
    if not apart:
        return sync.low_water_mark if sync.partitions else None
    covered = (partition.tracker for partition in sync.partitions if partition not in apart)
    return min((tracker.low_water_mark for tracker in covered), default=None)


def _is_covered(state: State, partition: Partition) -> bool:
    """Whether the bookmark of the stream holds for a partition; the first one holds for all."""
    stream, part = partition.sync.selected.stream.name, partition.part
    return not part or state.bookmark(stream) is None or state.covers(stream, part)
