"""Picks the next window, or the next page of an open window, for an idle worker.

An open window continues before a new one is opened, so that the low-water marks move. A new window
is opened for a stream that has none open, so that all streams start at once; first for streams
without windows of time, whose pages can only follow each other; else for the partition that seems
to have most records pending, so that all end together.

Two kinds of stream get only a part of the workers: one with a partition for each of thousands of
parents, while others need workers; and all slow endpoints together, because a worker that requests
one of them waits most of the time.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.rate_limits import SLOW_LIMIT
from tap_klaviyo.streams.model import TIERS
from tap_klaviyo.sync.page_sizes import PageSizes
from tap_klaviyo.sync.pending_partitions import PendingPartitions
from tap_klaviyo.sync.stream_sync import Partition, StreamSync
from tap_klaviyo.sync.window_reader import WindowReader
from tap_klaviyo.sync.windows import Window

WORKERS_PER_CHILD_REQUEST = 4
"""A child stream gets one in this many workers while other streams need them."""

WORKERS_PER_SLOW_REQUEST = 2
"""All slow endpoints together get one in this many workers."""


class Scheduler:
    """Opens the windows of ``syncs`` and hands them out. For one thread.

    ``workers`` is the number of workers, ``quota_share`` the share of Klaviyo's limits to use.
    ``page_sizes`` may be reduced during the run.
    """

    def __init__(
        self,
        syncs: Sequence[StreamSync],
        workers: int,
        quota_share: float,
        page_sizes: PageSizes,
    ) -> None:
        self._workers = workers
        self._quota_share = quota_share
        self._page_sizes = page_sizes
        self._to_continue: deque[WindowReader] = deque()
        self._pending = PendingPartitions(syncs)
        self._queries = {(sync.query.path, sync.query.tier): sync.query for sync in syncs}
        self._without_windows = [sync for sync in syncs if not sync.selected.windowed]
        self._open_by_path: Counter[str] = Counter()
        self._open_slow = 0

    def next(self, idle: int, useful: float = math.inf) -> WindowReader | None:
        """The window whose page one of ``idle`` workers fetches; None if none can be opened now.

        No window is opened while ``useful`` windows are open.
        """
        while self._to_continue:
            reader = self._to_continue.popleft()
            if not reader.partition.sync.error and reader.partition.may_request:
                return self._counted(reader)
            self.release(reader)
        if self._open_by_path.total() >= useful:
            return None
        self._pending.add_new()
        while (partition := self._first()) is not None:
            window = partition.tracker.take() if partition.may_request else None
            if window is not None:
                return self._counted(self._open(partition, window))
            self._pending.set_aside(partition)
        return None

    def room(self, reader: WindowReader, idle: int, useful: float = math.inf) -> int:
        """How many more windows of the stream of an open one would be opened if there were any."""
        if reader.partition.allowance is not None:
            return 0
        query = reader.partition.sync.query
        endpoint = self._burst(query) - self._open_by_path[query.path]
        return int(max(0, min(idle, endpoint, useful - self._open_by_path.total())))

    def resume(self, reader: WindowReader) -> None:
        """Queues the next page of an open window."""
        self._to_continue.append(reader)
        self._pending.changed(reader.partition)

    def release(self, reader: WindowReader) -> None:
        """Frees the worker of a window that is done or given up."""
        sync = reader.partition.sync
        reader.partition.open -= 1
        sync.open -= 1
        self._open_by_path[sync.query.path] -= 1
        self._open_slow -= _is_slow(sync.query)
        self._pending.changed(reader.partition)

    def _counted(self, reader: WindowReader) -> WindowReader:
        """The reader of a page that is requested now."""
        if reader.partition.allowance is not None:
            reader.partition.allowance.pages -= 1
        return reader

    def _first(self) -> Partition | None:
        """The partition of which a window is opened next, if it has one."""
        candidates = min(self._candidates(), key=itemgetter(0), default=None)
        return None if candidates is None else candidates[1]

    def _candidates(self) -> Iterator[tuple[tuple[bool, bool, bool, Any], Partition]]:
        """The first partition of each endpoint, and of each stream without windows of time.

        Each comes with its sort key.
        """
        for sync in self._without_windows:
            if sync.unstarted and not sync.error and self._has_room(sync.query):
                too_many = sync.open * WORKERS_PER_CHILD_REQUEST >= self._workers
                yield (too_many, sync.open > 0, False, ()), sync.unstarted[0]
        for endpoint in self._pending.endpoints:
            if self._has_room(self._queries[endpoint]) and (first := self._pending.first(endpoint)):
                (is_open, *rank), partition = first
                yield (False, is_open, True, tuple(rank)), partition

    def _has_room(self, query: Query) -> bool:
        """Whether a further request to the endpoint would not just wait for the rate limit."""
        slow_workers = max(1, self._workers // WORKERS_PER_SLOW_REQUEST)
        if _is_slow(query) and self._open_slow >= slow_workers:
            return False
        return self._open_by_path[query.path] < self._burst(query)

    def _burst(self, query: Query) -> int:
        """How many requests a second Klaviyo allows the endpoint."""
        return max(1, int(TIERS[query.tier].burst * self._quota_share))

    def _open(self, partition: Partition, window: Window) -> WindowReader:
        sync = partition.sync
        if not partition.windowed:
            sync.unstarted.popleft()
        partition.open += 1
        sync.open += 1
        self._open_by_path[sync.query.path] += 1
        self._open_slow += _is_slow(sync.query)
        self._pending.changed(partition)
        return WindowReader.open(partition, window, self._page_sizes.of(sync))


def _is_slow(query: Query) -> bool:
    return TIERS[query.tier].steady <= SLOW_LIMIT
