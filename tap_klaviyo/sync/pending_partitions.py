"""The partitions that may have a window to open, ranked. Pure.

Streams may have thousands of partitions, of which few change between two tasks. They are in heaps,
and a partition that changes is added again with its new rank. What is outdated is dropped when it
comes to the top. So a task costs time for what has changed, not for all that there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from typing import TypeAlias

from tap_klaviyo.sync.stream_sync import Partition, StreamSync

Endpoint: TypeAlias = tuple[str, str]
"""The path and the tier of a query."""

Rank: TypeAlias = tuple[bool, float, int, int]
"""None open first, then most pending records first, then in the order of the plan."""


class PendingPartitions:
    """The partitions of ``syncs`` that are read in windows and may have one to open.

    Each endpoint has a heap. A partition leaves it when its tracker gives no window, and comes back
    with :meth:`changed`: what a tracker gives changes only with the pages of its own partition.
    """

    def __init__(self, syncs: Sequence[StreamSync]) -> None:
        self._growing = [(number, sync) for number, sync in enumerate(syncs)]
        self._known: Counter[int] = Counter()
        self._known_rereads: Counter[int] = Counter()
        self._numbers: dict[Partition, tuple[int, int]] = {}
        self._latest: dict[Partition, int] = {}
        self._entries = count()
        self._heaps: dict[Endpoint, list[tuple[Rank, int, Partition]]] = {}

    def add_new(self) -> None:
        """Adds the partitions that were planned since the last call."""
        for number, sync in self._growing:
            self._add(number, sync.partitions, self._known)
            self._add(number, sync.rereads, self._known_rereads)
        self._growing = [
            (number, sync)
            for number, sync in self._growing
            if not (sync.planned and sync.partitions_known and not sync.recounting)
        ]

    def _add(self, number: int, partitions: Sequence[Partition], known: Counter[int]) -> None:
        for at in range(known[number], len(partitions)):
            self._numbers[partitions[at]] = (number, at)
            self.changed(partitions[at])
        known[number] = len(partitions)

    def changed(self, partition: Partition) -> None:
        """Ranks a partition again after one of its windows was opened, continued or released."""
        if partition not in self._numbers:
            return
        rank = (
            partition.open > 0,
            -partition.tracker.pending_records,
            *self._numbers[partition],
        )
        self._latest[partition] = entry = next(self._entries)
        query = partition.sync.query
        heappush(self._heaps.setdefault((query.path, query.tier), []), (rank, entry, partition))

    def set_aside(self, partition: Partition) -> None:
        """Leaves out a partition until it changes."""
        self._latest.pop(partition, None)

    def first(self, endpoint: Endpoint) -> tuple[Rank, Partition] | None:
        """The first partition of an endpoint and its rank; None if there is none."""
        heap = self._heaps[endpoint]
        while heap:
            rank, entry, partition = heap[0]
            if self._latest.get(partition) == entry and not partition.sync.error:
                return rank, partition
            heappop(heap)
        return None

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """The endpoints that have had partitions."""
        return [*self._heaps]
