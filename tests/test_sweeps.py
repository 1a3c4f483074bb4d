"""Sweeps: which metrics are read again for very late events, although Klaviyo counts them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.records.page_parser import PageParser
from tap_klaviyo.state import State
from tap_klaviyo.state.counts import MOST_STRIKES, iso_day
from tap_klaviyo.sync.stream_sync import StreamSync
from tap_klaviyo.sync.sweeps import Sweeps

DAY, HOUR = 86_400, 3_600
TODAY = 20_500
NOW = TODAY * DAY + 12 * HOUR

READ_DAYS = {"first": iso_day(TODAY - 20), "days_from": iso_day(TODAY - 20), "days": [5] * 20}
CURRENT = {"asked_at": NOW - DAY, "counted_at": NOW - DAY, **READ_DAYS}


def days(*numbers: int) -> list[list[str]]:
    """Ranges of one day, so many days ago."""
    return [[iso_day(TODAY - number), iso_day(TODAY - number + 1)] for number in numbers]


@pytest.fixture
def reads(
    configure: Callable[..., Config], select: Callable[..., SelectedStream]
) -> Callable[..., bool]:
    """Whether a sweep reads the metric A of a stream, given its counts in the state."""

    def make(
        counts: dict[str, Any] | None,
        *,
        sweep: int | None = NOW,
        part: str = "A",
        without: tuple[str, ...] = ("attributions",),
        now: int = NOW,
        **settings: Any,
    ) -> bool:
        selected = select("events", *without)
        query = query_for(selected.stream, selected.schema)
        sync = StreamSync(selected, query, PageParser(selected), sweep=sweep)
        state = State({"bookmarks": {"events": {"timestamp": NOW, "counts": {"A": counts}}}})
        return Sweeps(configure(**settings), state).reads(sync, part, now)

    return make


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"counted_at": None}, True),
        ({"counted_at": NOW - 2 * DAY + 1}, False),
        ({"counted_at": NOW - 2 * DAY}, True),
        ({"counted_at": NOW}, False),
        ({"counted_at": NOW + 30 * DAY}, True),
        ({"strikes": MOST_STRIKES - 1}, False),
        ({"strikes": MOST_STRIKES}, True),
        ({"day_differences": [1] + 19 * [0]}, True),
        ({"day_differences": [-1] + 19 * [0]}, False),
        ({"due": days(1)}, True),
        ({"due": days(7)}, True),
        ({"due": days(8)}, False),
        ({"short": [[*days(1)[0], NOW + HOUR]]}, False),
        ({"days": [5] * 19 + [None]}, True),
        ({"days": [None] + [5] * 19}, False),
        ({"days": [], "days_from": READ_DAYS["first"]}, True),
    ],
    ids=str,
)
def test_counts(reads: Callable[..., bool], changes: dict[str, Any], expected: bool) -> None:
    """A metric is swept if its counts are missing, old, in doubt or not read since they grew."""
    assert reads({**CURRENT, **changes}) is expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sweep": None}, False),
        ({"part": "B"}, True),
        ({"part": ""}, True),
        ({"without": ()}, True),
        ({"recount_interval": 0}, True),
        ({"recount_interval": "PT12H"}, True),
        ({"sweep_window": "P30D"}, False),
        ({"sweep": NOW - 3 * HOUR}, False),
        ({"sweep": NOW - 300 * DAY}, False),
        ({"sweep": NOW - DAY, "now": NOW + 3 * DAY}, True),
    ],
    ids=str,
)
def test_runs(reads: Callable[..., bool], options: dict[str, Any], expected: bool) -> None:
    """Settings, what is selected, and when the sweep began decide besides the counts."""
    assert reads(CURRENT, **options) is expected


def test_a_metric_without_counts_is_swept(reads: Callable[..., bool]) -> None:
    """Such as one of a state of an older version."""
    assert reads(None)


@pytest.mark.parametrize(
    ("swept_at", "counted_at", "bookmark", "expected"),
    [
        (NOW - DAY, None, NOW - HOUR, NOW - DAY),
        (None, None, NOW - HOUR, NOW - HOUR),
        (NOW - DAY, NOW - 9 * DAY, NOW - HOUR, NOW - 9 * DAY),
        (NOW - 9 * DAY, NOW - DAY, NOW - HOUR, NOW - 9 * DAY),
        (None, NOW - DAY, NOW - HOUR, NOW - DAY),
        (NOW + DAY, None, NOW - HOUR, NOW),
        (NOW + DAY, NOW + DAY, NOW - HOUR, NOW),
        (None, None, NOW + DAY, NOW),
    ],
)
def test_where_a_sweep_begins(
    configure: Callable[..., Config],
    select: Callable[..., SelectedStream],
    swept_at: int | None,
    counted_at: int | None,
    bookmark: int,
    expected: int,
) -> None:
    """A metric that was counted may not have been swept since, so it is from its last recount."""
    stored = {
        "timestamp": bookmark,
        "swept_at": swept_at,
        "counts": {"A": {"counted_at": counted_at}},
    }
    sweeps = Sweeps(configure(), State({"bookmarks": {"open": stored}}))
    assert sweeps.since(select("open").stream, "A", bookmark, NOW) == expected
