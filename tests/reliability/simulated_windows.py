"""Reads accounts of a given shape window by window, on a simulated clock and without a network.

Planner, scheduler, window readers and trackers are the real ones. Only the answers are made here:
a request takes ``latency`` and a time for each record. So thousands of shapes can be read in
seconds, and what is counted depends on nothing but the shape: requests, and the time of the run.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
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


class Events:
    """The events of a metric in Klaviyo's order: their times, their place in it as ID."""

    stream = "open"

    def __init__(self, times: Sequence[int]) -> None:
        self.newest = self.oldest = list(times)
        self.ids = [str(number) for number in range(len(times))]
        self.written = Counter[int]()
        self._in_order = self.newest == sorted(self.newest)

    def between(self, start: int, end: int) -> Sequence[int]:
        """The places of the events of a window."""
        if self._in_order:
            return range(bisect_left(self.newest, start), bisect_left(self.newest, end))
        return [place for place, time in enumerate(self.newest) if start <= time < end]


class Profiles(Events):
    """Profiles with the times of their suppressions, sorted by the ``by`` of these times."""

    stream = "global_exclusions"

    def __init__(self, times: Sequence[Sequence[int]], by: Callable[[Sequence[int]], int]) -> None:
        ordered = sorted(times, key=by)
        super().__init__([max(of_one) for of_one in ordered])
        self.oldest = [min(of_one) for of_one in ordered]

    def between(self, start: int, end: int) -> Sequence[int]:
        """The places of the profiles with a suppression from ``start`` on."""
        return [place for place, time in enumerate(self.newest) if time >= start]


@dataclass
class Outcome:
    """A run: its seconds, its requests, the events that it did not write, and that it wrote again.

    ``pages`` is how many its events fill, ``bound`` the least time that they allow, in seconds.
    """

    seconds: float
    requests: int
    missing: int
    again: int
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
def _selected(stream: str) -> SelectedStream:
    return next(one for one in read_catalog(build_catalog()) if one.stream.name == stream)


class _Reading:
    """One run of a stream with the records of ``parts``: metrics, or all profiles."""

    def __init__(self, parts: Sequence[Events], start: int, conditions: Conditions) -> None:
        self._parts = {f"M{number}": part for number, part in enumerate(parts)}
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
        selected = _selected(parts[0].stream)
        query = query_for(selected.stream, selected.schema)
        sync = StreamSync(selected, query, PageParser(selected))
        metrics = [Metric(name, "Opened Email", "Klaviyo") for name in self._parts]
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
        part = self._part_of(reader)
        places = self._rests.pop(reader.url, None)
        if places is None:
            places = part.between(*reader.requested)
        page, rest = places[: reader.page_size], places[reader.page_size :]
        link = f"next-{self.requests}" if rest else None
        if link:
            self._rests[link] = rest
        ids = [part.ids[place] for place in page]
        newest = [part.newest[place] for place in page]
        return Page([*page], ids, [*newest], [part.oldest[place] for place in page], link)

    def _part_of(self, reader: WindowReader) -> Events:
        return self._parts[reader.partition.part or "M0"]

    def _take(self, reader: WindowReader, page: Page) -> None:
        records, more = reader.take(page, self._scheduler.room(reader, self._idle - 1))
        self._part_of(reader).written.update(records)
        if reader.must_read_again:
            reader.restart(reader.page_size)
            self._scheduler.resume(reader)
        elif not more:
            self._scheduler.release(reader)
            reader.finish()
        else:
            reader.follow(page)
            self._scheduler.resume(reader)


def read(parts: Sequence[Events], start: int, conditions: Conditions) -> Outcome:
    """Reads all metrics of a stream, or all profiles, from ``start``."""
    reading = _Reading(parts, start, conditions)
    reading.run()
    missing = sum(len(part.ids) - len(part.written) for part in parts)
    again = sum(part.written.total() - len(part.written) for part in parts)
    least = bound([part.newest for part in parts], conditions)
    return Outcome(reading.now, reading.requests, missing, again, len(parts), *least)


def read_events(shape: Sequence[Sequence[int]], start: int, conditions: Conditions) -> Outcome:
    """Reads a metric for each list of times of ``shape``."""
    return read([Events(times) for times in shape], start, conditions)
