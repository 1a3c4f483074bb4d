"""The planner: the partitions of each stream and their start times."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.errors import ApiError
from tap_klaviyo.klaviyo.account import Metric, Metrics
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.records.page_parser import Page, PageParser
from tap_klaviyo.state import State
from tap_klaviyo.sync.planner import Planner
from tap_klaviyo.sync.stream_sync import StreamSync
from tap_klaviyo.sync.windows import Window

DAY, HOUR = 86_400, 3_600
START = 1_767_225_600  # 2026-01-01T00:00:00Z, the start_date
NOW = START + 100 * DAY

OPENED = Metrics([Metric("A", "Opened Email", "Klaviyo")])
BOTH_NAMES = Metrics(
    [Metric("A", "Clicked SMS", "Klaviyo"), Metric("B", "Clicked Text Message", "Klaviyo")]
)

Plan = Callable[..., StreamSync]


@pytest.fixture
def plan(configure: Callable[..., Config], select: Callable[..., SelectedStream]) -> Plan:
    """Plans one stream and returns its stream sync."""

    def make(
        stream: str = "open",
        metrics: Metrics = OPENED,
        bookmark: dict[str, Any] | None = None,
        entry: dict[str, Any] | None = None,
        state: State | None = None,
        **settings: Any,
    ) -> StreamSync:
        selected = select(stream, **(entry or {}))
        query = query_for(selected.stream, selected.schema)
        sync = StreamSync(selected, query, PageParser(selected))
        state = state or State({"bookmarks": {stream: bookmark} if bookmark else {}})
        planner = Planner(configure(**settings), state, NOW)
        planner.plan(sync, metrics)
        planner.warn_empty()
        return sync

    return make


def window(sync: StreamSync, partition: int = 0) -> Window | None:
    """The first window of a partition."""
    return sync.partitions[partition].tracker.take()


def test_first_run(plan: Plan) -> None:
    """Without a bookmark a stream is read from start_date to now."""
    sync = plan()
    assert window(sync) == (START, NOW)
    assert sync.partitions[0].filters == ('equals(metric_id,"A")',)
    assert sync.sweep is None


def test_first_run_updates_the_state(plan: Plan) -> None:
    """A first run counts as a sweep and stores its metrics in the state."""
    state = State({})
    plan(state=state)
    assert state.swept_at("open") == NOW
    assert state.bookmark("open") is None
    assert state.document(None)["bookmarks"]["open"]["metrics"] == ["A"]


@pytest.mark.parametrize(
    ("low_water_mark", "settings", "start"),
    [
        (NOW - DAY, {}, NOW - DAY - HOUR),
        (NOW - DAY, {"lookback_window": "PT2H"}, NOW - DAY - 2 * HOUR),
        (NOW - DAY, {"lookback_window": 0}, NOW - DAY),
        (START + 60, {}, START),
        (START - 5 * DAY, {}, START),
    ],
)
def test_lookback(plan: Plan, low_water_mark: int, settings: dict[str, Any], start: int) -> None:
    """A run starts lookback_window before the bookmark, but not before start_date."""
    sync = plan(bookmark={"timestamp": low_water_mark, "swept_at": NOW - HOUR}, **settings)
    assert window(sync) == (start, NOW)
    assert sync.sweep is None


@pytest.mark.parametrize(
    ("swept_at", "settings", "start"),
    [
        (NOW - DAY, {}, NOW - 8 * DAY),
        (NOW - DAY + 1, {}, None),
        (None, {}, NOW - HOUR - 7 * DAY),
        (NOW - 30 * DAY, {}, NOW - 37 * DAY),
        (NOW - DAY, {"sweep_window": "P17D"}, NOW - 18 * DAY),
        (NOW - HOUR, {"sweep_interval": "PT1H"}, NOW - HOUR - 7 * DAY),
        (NOW - 9 * DAY, {"sweep_interval": 0}, None),
        (NOW - 9 * DAY, {"sweep_window": 0}, None),
        (NOW - 200 * DAY, {}, START),
    ],
)
def test_sweep(
    plan: Plan, swept_at: int | None, settings: dict[str, Any], start: int | None
) -> None:
    """sweep_window is read again once per sweep_interval; None means that no sweep is due."""
    sync = plan(bookmark={"timestamp": NOW - HOUR, "swept_at": swept_at}, **settings)
    assert (sync.sweep is not None) is (start is not None)
    assert window(sync) == ((NOW - 2 * HOUR) if start is None else start, NOW)


def test_new_metric(plan: Plan) -> None:
    """A metric that the bookmark does not cover is read from start_date."""
    bookmark = {"timestamp": NOW - DAY, "swept_at": NOW, "metrics": ["A"]}
    sync = plan("clicked_sms", BOTH_NAMES, bookmark)
    assert [window(sync, partition) for partition in (0, 1)] == [
        (NOW - DAY - HOUR, NOW),
        (START, NOW),
    ]
    assert sync.low_water_mark == START
    assert sync.parts == ["A", "B"]


@pytest.mark.parametrize(
    ("backfill", "swept_at", "start"),
    [
        (NOW - 9 * DAY, NOW, NOW - 9 * DAY - HOUR),
        (START + 60, NOW, START),
        (NOW + DAY, NOW, NOW - HOUR),
        (NOW - 9 * DAY, NOW - 3 * DAY, NOW - 10 * DAY),
    ],
    ids=["look-back", "start_date", "in the future", "sweep"],
)
def test_backfilled_metric(plan: Plan, backfill: int, swept_at: int, start: int) -> None:
    """An interrupted backfill of a metric continues from its own bookmark."""
    bookmark = {
        "timestamp": NOW - DAY,
        "swept_at": swept_at,
        "metrics": ["A"],
        "joining": {"B": backfill},
    }
    assert window(plan("clicked_sms", BOTH_NAMES, bookmark), 1) == (start, NOW)


BACKFILLS: dict[str, tuple[dict[str, Any], int, dict[str, Any]]] = {
    "both complete": ({}, 2, {"timestamp": NOW, "metrics": ["A", "B"]}),
    "only the old metric": (
        {},
        1,
        {"timestamp": NOW, "metrics": ["A"], "joining": {"B": START}},
    ),
    "end_date before the bookmark": (
        {"end_date": "2026-02-01"},
        2,
        {"timestamp": NOW - DAY, "metrics": ["A"], "joining": {"B": START + 31 * DAY}},
    ),
}


@pytest.mark.parametrize(
    ("settings", "partitions", "bookmark"), BACKFILLS.values(), ids=BACKFILLS.keys()
)
def test_bookmarks_during_a_backfill(
    configure: Callable[..., Config],
    select: Callable[..., SelectedStream],
    settings: dict[str, Any],
    partitions: int,
    bookmark: dict[str, Any],
) -> None:
    """The stream's bookmark advances without the metric and covers it when it has caught up."""
    selected = select("clicked_sms")
    sync = StreamSync(selected, query_for(selected.stream, selected.schema), PageParser(selected))
    before = {"timestamp": NOW - DAY, "swept_at": NOW, "metrics": ["A"]}
    state = State({"bookmarks": {"clicked_sms": before}})
    planner = Planner(configure(**settings), state, NOW)
    planner.plan(sync, BOTH_NAMES)
    for partition in sync.partitions[:partitions]:
        while (full_window := partition.tracker.take()) is not None:
            partition.tracker.finish(full_window, 0)
        assert planner.advance(sync)
    assert not planner.advance(sync) or sync.finished
    stored = state.document(None)["bookmarks"]["clicked_sms"]
    expected = {"swept_at": NOW, "start_date": START, **bookmark}
    assert {k: v for k, v in stored.items() if k != "resume"} == expected


def test_backfill_of_the_only_metric(configure: Callable[..., Config], plan: Plan) -> None:
    """The bookmark waits for the backfill if the metric that it covers no longer exists."""
    state = State({"bookmarks": {"open": {"timestamp": NOW - DAY, "metrics": ["gone"]}}})
    sync = plan(state=state)
    planner = Planner(configure(), state, NOW)
    assert planner.advance(sync)
    assert state.bookmark("open") == NOW - DAY
    assert state.backfill_bookmark("open", "A") == START
    full_window = sync.partitions[0].tracker.take()
    assert full_window is not None
    sync.partitions[0].tracker.finish(full_window, 0)
    planner.advance(sync)
    planner.advance(sync)
    assert state.document(None)["bookmarks"]["open"]["metrics"] == ["A"]


def test_foreign_state(plan: Plan) -> None:
    """A bookmark of singer-io's tap, under a metric id, is continued."""
    state = State({"bookmarks": {"A": {"since": "2026-04-01T00:00:00Z"}}})
    first = window(plan(state=state, sweep_interval=0))
    assert first == (START + 90 * DAY - HOUR, NOW)


def test_full_table_of_profiles(plan: Plan) -> None:
    """Profiles with FULL_TABLE are read without a time filter; their bookmark stays as it is."""
    state = State({"bookmarks": {"profiles": {"timestamp": NOW - DAY, "swept_at": NOW - DAY}}})
    before = state.document(None)
    sync = plan("profiles", entry={"replication_method": "FULL_TABLE"}, state=state)
    assert not sync.partitions
    assert [partition.windowed for partition in sync.unstarted] == [False]
    assert state.document(None) == before
    assert window(plan("profiles", state=state)) == (NOW - 8 * DAY, NOW)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"end_date": "2026-02-01"}, (START, START + 31 * DAY)),
        ({"end_date": "2027-01-01"}, (START, NOW)),
        ({"start_date": "2027-01-01"}, None),
        (
            {"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-01-01T00:00:05Z"},
            (START, START + 5),
        ),
    ],
    ids=["end_date", "end_date in the future", "start_date in the future", "seconds long ago"],
)
def test_dates(plan: Plan, settings: dict[str, Any], expected: Any) -> None:
    """A run reads from start_date to end_date, but not past its own start."""
    assert window(plan(**settings)) == expected


def test_the_last_seconds(plan: Plan) -> None:
    """The last seconds before the run's start are left to the next run."""
    bookmark = {"timestamp": NOW - 5, "swept_at": NOW}
    sync = plan(bookmark=bookmark, lookback_window=0)
    assert window(sync) is None
    assert sync.finished


def test_unread_seconds_are_not_bookmarked(plan: Plan) -> None:
    """Seconds that are left to the next run stay after the low-water mark."""
    bookmark = {"timestamp": NOW - 5, "swept_at": NOW, "metrics": ["A"]}
    sync = plan("clicked_sms", BOTH_NAMES, bookmark, lookback_window=0)
    new = sync.partitions[1].tracker
    full_window = new.take()
    assert full_window is not None
    new.finish(full_window, 0)
    assert sync.low_water_mark <= NOW - 5


def test_missing_metric(plan: Plan, caplog: pytest.LogCaptureFixture) -> None:
    """A stream without a metric in the account is empty; a warning names the metrics."""
    with caplog.at_level(logging.WARNING):
        sync = plan("clicked_sms", OPENED)
    assert sync.partitions == []
    assert sync.finished
    assert "are empty: clicked_sms ('Clicked SMS' or 'Clicked Text Message' of" in caplog.text


@pytest.mark.parametrize(
    ("stream", "partitions"), [("campaigns", 6), ("lists", 1), ("global_exclusions", 1)]
)
def test_full_table_streams(plan: Plan, stream: str, partitions: int) -> None:
    """A full-table stream has one window for each of its variants, without a time filter."""
    sync = plan(stream)
    assert not sync.partitions
    assert [partition.windowed for partition in sync.unstarted] == [False] * partitions
    assert len({partition.filters for partition in sync.unstarted}) == partitions
    assert all(partition.tracker.take() for partition in sync.unstarted)


def test_what_cannot_be_a_record(plan: Plan) -> None:
    """All resources without a key are counted; the ids of the first ten are kept."""
    sync = plan("global_exclusions")
    for number in range(1_000):
        page = Page([], [], [], [], None, without_key=[f"P{number}", f"Q{number}"])
        sync.count_page(page, 0)
    assert sync.without_key == 2_000
    assert sync.ids_without_key == [f"{letter}{number}" for number in range(5) for letter in "PQ"]


def test_what_cannot_be_a_record_is_named_once(plan: Plan) -> None:
    """Rows of a report may have the same groupings; the message repeats none."""
    sync = plan("global_exclusions")
    for names in (["a", "b", "a"], ["b", "c"]):
        sync.count_page(Page([], [], [], [], None, without_key=names), 0)
    assert sync.without_key == 5
    assert sync.ids_without_key == ["a", "b", "c"]


def test_finished(plan: Plan) -> None:
    """A stream is finished when all its partitions are, or when Klaviyo refuses it."""
    sync = plan("clicked_sms", BOTH_NAMES)
    for partition in sync.partitions:
        assert not sync.finished
        full_window = partition.tracker.take()
        assert full_window is not None
        partition.tracker.finish(full_window, 0)
    assert sync.finished
    assert sync.low_water_mark == NOW
    refused = plan()
    refused.error = ApiError("no", 403)
    assert refused.finished
