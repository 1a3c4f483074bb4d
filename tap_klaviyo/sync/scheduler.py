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

from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.rate_limits import SLOW_LIMIT
from tap_klaviyo.streams.model import TIERS
from tap_klaviyo.sync.page_sizes import PageSizes
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
        self._syncs = syncs
        self._workers = workers
        self._quota_share = quota_share
        self._page_sizes = page_sizes
        self._to_continue: deque[WindowReader] = deque()
        self._open_by_path: Counter[str] = Counter()
        self._open_slow = 0

    def next(self, idle: int, useful: float = math.inf) -> WindowReader | None:
        """The window whose page one of ``idle`` workers fetches; None if none can be opened now.

        No window is opened while ``useful`` windows are open.
        """
        while self._to_continue:
            reader = self._to_continue.popleft()
            if not reader.partition.sync.error:
                return reader
            self.release(reader)
        if self._open_by_path.total() >= useful:
            return None
        for _, partition in sorted(self._candidates(), key=itemgetter(0)):
            window = partition.tracker.take()
            if window is not None:
                return self._open(partition, window)
        return None

    def room(self, reader: WindowReader, idle: int, useful: float = math.inf) -> int:
        """How many more windows of the stream of an open one would be opened if there were any."""
        query = reader.partition.sync.query
        endpoint = self._burst(query) - self._open_by_path[query.path]
        return int(max(0, min(idle, endpoint, useful - self._open_by_path.total())))

    def resume(self, reader: WindowReader) -> None:
        """Queues the next page of an open window."""
        self._to_continue.append(reader)

    def release(self, reader: WindowReader) -> None:
        """Frees the worker of a window that is done or given up."""
        sync = reader.partition.sync
        reader.partition.open -= 1
        sync.open -= 1
        self._open_by_path[sync.query.path] -= 1
        self._open_slow -= _is_slow(sync.query)

    def _candidates(self) -> Iterator[tuple[tuple[bool, bool, bool, float], Partition]]:
        """The partitions of which a window may be opened, each with its sort key."""
        for sync in self._syncs:
            if sync.error or not self._has_room(sync.query):
                continue
            if sync.unstarted:
                too_many = sync.open * WORKERS_PER_CHILD_REQUEST >= self._workers
                yield (too_many, sync.open > 0, False, 0.0), sync.unstarted[0]
            for partition in sync.partitions:
                pending = partition.tracker.pending_records
                yield (False, partition.open > 0, True, -pending), partition

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
        return WindowReader.open(partition, window, self._page_sizes.of(sync))


def _is_slow(query: Query) -> bool:
    return TIERS[query.tier].steady <= SLOW_LIMIT
