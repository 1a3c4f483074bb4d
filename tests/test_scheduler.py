"""The scheduler: which window an idle worker gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.errors import StreamError
from tap_klaviyo.klaviyo.account import Metric, Metrics
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.records.page_parser import PageParser
from tap_klaviyo.state import State
from tap_klaviyo.sync.page_sizes import PageSizes
from tap_klaviyo.sync.planner import Planner
from tap_klaviyo.sync.scheduler import Scheduler
from tap_klaviyo.sync.stream_sync import StreamSync
from tap_klaviyo.sync.window_reader import WindowReader

NOW = 1_775_865_600  # 2026-04-11T00:00:00Z
METRICS = Metrics([Metric("A", "Opened Email", "Klaviyo"), Metric("B", "Clicked Email", "Klaviyo")])
SLOW = ("accounts", "webhooks", "web_feeds")

MakeSyncs = Callable[..., list[StreamSync]]


@pytest.fixture
def syncs(configure: Callable[..., Config], select: Callable[..., SelectedStream]) -> MakeSyncs:
    """Makes stream syncs with their partitions; child streams have ``parents`` parents."""

    def make(*names: str, parents: int = 0) -> list[StreamSync]:
        planner = Planner(configure(), State({}), NOW)
        made = []
        for name in names:
            selected = select(name)
            query = query_for(selected.stream, selected.schema)
            made.append(StreamSync(selected, query, PageParser(selected)))
            planner.plan(made[-1], METRICS)
            if selected.stream.parent:
                planner.add_parents(made[-1], [str(number) for number in range(parents)])
        return made

    return make


def next_readers(scheduler: Scheduler, workers: int) -> list[WindowReader]:
    """The window readers that ``workers`` idle workers get."""
    found = []
    for idle in range(workers, 0, -1):
        reader = scheduler.next(idle)
        if reader is None:
            break
        found.append(reader)
    return found


def count_by_stream(readers: list[WindowReader]) -> Counter[str]:
    """The number of windows of each stream."""
    return Counter(reader.partition.sync.name for reader in readers)


def test_every_stream_starts_at_once(syncs: MakeSyncs) -> None:
    """Each stream gets one window before any gets two; streams without windows come first."""
    scheduler = Scheduler(syncs("open", "click", "lists"), 3, 1.0, PageSizes(1000))
    assert [reader.partition.sync.name for reader in next_readers(scheduler, 3)] == [
        "lists",
        "open",
        "click",
    ]


@pytest.mark.parametrize(("workers", "maximum"), [(1, 1), (2, 1), (4, 2), (6, 3), (32, 3)])
def test_slow_streams_never_have_all_workers(syncs: MakeSyncs, workers: int, maximum: int) -> None:
    """Streams with a slow rate limit get at most half of the workers."""
    scheduler = Scheduler(syncs(*SLOW), workers, 1.0, PageSizes(1000))
    assert sum(count_by_stream(next_readers(scheduler, workers)).values()) == maximum


def test_slow_streams_are_read_in_turn(syncs: MakeSyncs) -> None:
    """A worker that finished one slow stream may get the next."""
    scheduler = Scheduler(syncs(*SLOW), 2, 1.0, PageSizes(1000))
    found = []
    while readers := next_readers(scheduler, 2):
        (reader,) = readers
        found.append(reader.partition.sync.name)
        scheduler.release(reader)
    assert sorted(found) == sorted(SLOW)


def test_no_more_than_the_rate_limit_allows(syncs: MakeSyncs) -> None:
    """At most as many windows of an endpoint are started as requests allowed per second."""
    scheduler = Scheduler(syncs("flow_actions", parents=100), 32, 1.0, PageSizes(1000))
    assert len(next_readers(scheduler, 32)) == 3
    scheduler = Scheduler(syncs("flow_actions", parents=100), 32, 0.4, PageSizes(1000))
    assert len(next_readers(scheduler, 32)) == 1


def test_thousands_of_parents_leave_workers_to_others(syncs: MakeSyncs) -> None:
    """A stream with a partition for each parent gets a share of the workers while others wait."""
    several = syncs("campaign_messages", "open", "click", parents=1000)
    scheduler = Scheduler(several, 8, 1.0, PageSizes(1000))
    found = count_by_stream(next_readers(scheduler, 8))
    assert found["open"] == found["click"] == 1
    alone = Scheduler(syncs("campaign_messages", parents=1000), 8, 1.0, PageSizes(1000))
    assert count_by_stream(next_readers(alone, 8))["campaign_messages"] == 8


def test_open_windows_come_first(syncs: MakeSyncs) -> None:
    """The next page of an open window precedes any new window, unless its stream has ended."""
    several = syncs("open", "click", "lists")
    scheduler = Scheduler(several, 2, 1.0, PageSizes(1000))
    first, second = next_readers(scheduler, 2)
    scheduler.resume(second)
    scheduler.resume(first)
    assert next_readers(scheduler, 1) == [second]
    first.partition.sync.error = StreamError("refused")
    (other,) = next_readers(scheduler, 1)
    assert other.partition.sync is not first.partition.sync
    assert first.partition.open == 0
