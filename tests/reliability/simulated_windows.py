"""Reads accounts of a given shape window by window, on a simulated clock and without a network.

Planner, scheduler, window readers and trackers are the real ones. Only the answers are made here:
a request takes ``latency`` and a time for each record. So thousands of shapes can be read in
seconds, and what is counted depends on nothing but the shape: requests, and the time of the run.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from math import ceil

from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import SelectedStream, read_catalog
from tap_klaviyo.klaviyo.account import Metric, Metrics
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.records.page_parser import Page, PageParser
from tap_klaviyo.state import State
from tap_klaviyo.sync.page_sizes import PageSizes
from tap_klaviyo.sync.planner import Planner
from tap_klaviyo.sync.scheduler import Scheduler
from tap_klaviyo.sync.stream_sync import StreamSync
from tap_klaviyo.sync.window_reader import WindowReader

NOW = 1_775_865_600  # 2026-04-11T00:00:00Z


@dataclass
class Conditions:
    """How the account answers, and with how many workers it is read; times in seconds."""

    workers: int = 32
    page_size: int = 1000
    latency: float = 0.3
    per_record: float = 0.0002

    @property
    def page(self) -> float:
        """The time of a full page."""
        return self.latency + self.page_size * self.per_record


class Listed:
    """The records of a metric in Klaviyo's order: their times, their place in it as ID."""

    def __init__(self, times: Sequence[int]) -> None:
        self.times = list(times)
        self.ids = [str(number) for number in range(len(self.times))]
        self.written = bytearray(len(self.times))
        self._in_order = self.times == sorted(self.times)

    def between(self, start: int, end: int) -> Sequence[int]:
        """The places of the records of a window."""
        if self._in_order:
            return range(bisect_left(self.times, start), bisect_left(self.times, end))
        return [place for place, time in enumerate(self.times) if start <= time < end]


@dataclass
class Outcome:
    """A run: its seconds, its requests, and the events that it did not write.

    ``pages`` is how many its events fill, ``bound`` the least time that they allow, in seconds.
    """

    seconds: float
    requests: int
    missing: int
    metrics: int
    pages: int
    bound: float

    @property
    def ratio(self) -> float:
        """The time of the run over its bound."""
        return self.seconds / self.bound


def bound(shape: Sequence[Sequence[int]], conditions: Conditions) -> tuple[int, float]:
    """The pages of a shape, and the least time to read it.

    The pages of one second follow each other. Four round trips find the densest one.
    """
    pages, densest = 0, 0
    for times in shape:
        pages += max(1, ceil(len(times) / conditions.page_size))
        densest = max(densest, *Counter(times).values(), 0)
    in_a_row = max(pages / conditions.workers, ceil(densest / conditions.page_size))
    return pages, in_a_row * conditions.page + 4 * conditions.latency


@cache
def _selected() -> SelectedStream:
    return next(one for one in read_catalog(build_catalog()) if one.stream.name == "open")


class _Reading:
    """One run of the stream ``open``, whose metrics are those of a shape."""

    def __init__(self, shape: Sequence[Sequence[int]], start: int, conditions: Conditions) -> None:
        self.metrics = {f"M{number}": Listed(times) for number, times in enumerate(shape)}
        self.now = 0.0
        self.requests = 0
        self._conditions = conditions
        config = parse_config(
            {
                "api_key": "pk_test",
                "start_date": datetime.fromtimestamp(start, timezone.utc).isoformat(),
                "page_size": conditions.page_size,
                "concurrency": conditions.workers,
            }
        )
        selected = _selected()
        query = query_for(selected.stream, selected.schema)
        sync = StreamSync(selected, query, PageParser(selected))
        metrics = [Metric(name, "Opened Email", "Klaviyo") for name in self.metrics]
        Planner(config, State({}), NOW).plan(sync, Metrics(metrics))
        sizes = PageSizes(conditions.page_size)
        self._scheduler = Scheduler([sync], conditions.workers, 1.0, sizes)
        self._rests: dict[str, Sequence[int]] = {}
        self._in_flight: list[tuple[float, int, WindowReader, Page]] = []

    def run(self) -> None:
        """Reads everything."""
        while True:
            self._start_all()
            if not self._in_flight:
                return
            done, _, reader, page = heapq.heappop(self._in_flight)
            self.now = max(self.now, done)
            self._take(reader, page)

    @property
    def _idle(self) -> int:
        return self._conditions.workers - len(self._in_flight)

    def _start_all(self) -> None:
        while self._idle and (reader := self._scheduler.next(self._idle)) is not None:
            self.requests += 1
            page = self._answer(reader)
            seconds = self._conditions.latency + len(page.ids) * self._conditions.per_record
            entry = (self.now + seconds, self.requests, reader, page)
            heapq.heappush(self._in_flight, entry)

    def _answer(self, reader: WindowReader) -> Page:
        metric = self.metrics[reader.partition.part]
        places = self._rests.pop(reader.url, None)
        if places is None:
            places = metric.between(*reader.requested)
        page, rest = places[: reader.page_size], places[reader.page_size :]
        link = f"next-{self.requests}" if rest else None
        if link:
            self._rests[link] = rest
        times = [metric.times[place] for place in page]
        ids = [metric.ids[place] for place in page]
        return Page([*page], ids, [*times], [*times], link)

    def _take(self, reader: WindowReader, page: Page) -> None:
        records, more = reader.take(page, self._scheduler.room(reader, self._idle - 1))
        written = self.metrics[reader.partition.part].written
        for place in records:
            written[place] = 1
        if reader.must_read_again:
            reader.restart(reader.page_size)
            self._scheduler.resume(reader)
        elif not more:
            self._scheduler.release(reader)
            reader.finish()
        else:
            reader.follow(page)
            self._scheduler.resume(reader)


def read(shape: Sequence[Sequence[int]], start: int, conditions: Conditions) -> Outcome:
    """Reads a metric for each list of times of ``shape``, from ``start``."""
    reading = _Reading(shape, start, conditions)
    reading.run()
    missing = sum(metric.written.count(0) for metric in reading.metrics.values())
    return Outcome(reading.now, reading.requests, missing, len(shape), *bound(shape, conditions))
