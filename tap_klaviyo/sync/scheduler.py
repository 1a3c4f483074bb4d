"""Whose turn it is: which window, and which page of it, an idle worker gets.

A window that is being read goes on before a new one is begun, so that the marks move. A new one is
of a stream that has none in hand, so that every stream starts at once; first of one that time does
not cut, since its pages can only follow each other; else of the lane that seems to have most to
read, so that all end together.

Two kinds of stream get a part of the workers only: one with a lane for each of thousands of
parents, as long as others need them; and all those together that Klaviyo answers a few times a
minute, since who has one of these waits most of the time, and the others must not wait for that.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from operator import itemgetter

from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.rate_limits import SLOW
from tap_klaviyo.streams.model import TIERS
from tap_klaviyo.sync.stream_sync import Lane, Table
from tap_klaviyo.sync.window_reader import Reading
from tap_klaviyo.sync.windows import Window

PART_OF_WORKERS = 4
"""A stream with a lane for each parent gets one in so many workers while others need them."""


PART_FOR_SLOW = 2
"""All that is slow together gets one in so many workers, whoever needs them."""


class Turns:
    """Gives out the windows of ``tables`` and takes them back. For one thread.

    ``workers`` is how many there are in all, ``share`` the part of Klaviyo's limits to use.
    ``page_size`` may be made smaller on the way.
    """

    def __init__(self, tables: Sequence[Table], workers: int, share: float, page_size: int) -> None:
        self._tables = tables
        self._workers = workers
        self._share = share
        self.page_size = page_size
        self._going_on: deque[Reading] = deque()
        self._in_hand: Counter[str] = Counter()
        self._slow = 0

    def next(self, idle: int) -> Reading | None:
        """What one of ``idle`` workers is to fetch; None if nothing may be begun now."""
        while self._going_on:
            reading = self._going_on.popleft()
            if not reading.lane.table.fault:
                return reading
            self.let_go(reading)
        for _, lane in sorted(self._candidates(), key=itemgetter(0)):
            window = lane.timeline.take(idle)
            if window is not None:
                return self._begin(lane, window)
        return None

    def go_on(self, reading: Reading) -> None:
        """The page that ``reading`` asks for is to be fetched next."""
        self._going_on.append(reading)

    def let_go(self, reading: Reading) -> None:
        """A window is in nobody's hand any more."""
        table = reading.lane.table
        reading.lane.open -= 1
        table.open -= 1
        self._in_hand[table.query.path] -= 1
        self._slow -= _is_slow(table.query)

    def _candidates(self) -> Iterator[tuple[tuple[bool, bool, bool, float], Lane]]:
        """The lanes of which a window may be begun, each with what it is sorted by."""
        for table in self._tables:
            if table.fault or not self._has_room(table.query):
                continue
            if table.fresh:
                too_many = table.open * PART_OF_WORKERS >= self._workers
                yield (too_many, table.open > 0, False, 0.0), table.fresh[0]
            for lane in table.lanes:
                yield (False, lane.open > 0, True, -lane.timeline.waiting), lane

    def _has_room(self, query: Query) -> bool:
        """Whether one more of its requests would not just wait at the gate, and hold a worker."""
        if _is_slow(query) and self._slow >= max(1, self._workers // PART_FOR_SLOW):
            return False
        return self._in_hand[query.path] < max(1, int(TIERS[query.tier].burst * self._share))

    def _begin(self, lane: Lane, window: Window) -> Reading:
        if not lane.timed:
            lane.table.fresh.popleft()
        lane.open += 1
        lane.table.open += 1
        self._in_hand[lane.table.query.path] += 1
        self._slow += _is_slow(lane.table.query)
        return Reading.begin(lane, window, self.page_size)


def _is_slow(query: Query) -> bool:
    return TIERS[query.tier].steady <= SLOW
