"""Counting the distinct events of periods while their pages come, in any order and again."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.sync.event_tally import EventTally, PeriodTally, SeenEvents
from tap_klaviyo.sync.windows import Window

Row = tuple[str, int | None]


def tally_of(start: int, end: int, brought: int = 0) -> PeriodTally:
    """The tally of one period."""
    return PeriodTally(Window(start, end), end - start, brought)


def rows(*times: int | None) -> list[Row]:
    """A row for each time; its ID tells the time and which of several with it it is."""
    return [(f"{time}.{times[:n].count(time)}", time) for n, time in enumerate(times)]


def note(
    seen: SeenEvents,
    tally: EventTally | None,
    window: tuple[int, int],
    page: Iterable[Row],
    more: bool = False,
) -> None:
    """Notes a page of ``window`` that shows some rows."""
    shown = [*page]
    ids, times = [one for one, _ in shown], [time for _, time in shown]
    seen.note(tally, Window(*window), ids, times, more)


# Periods ------------------------------------------------------------------------------------------


def test_windows_across_periods() -> None:
    """The seconds and the events of a window are those of the periods that it overlaps."""
    periods = [tally_of(0, 10), tally_of(10, 20, brought=100), tally_of(30, 40)]
    tally = EventTally(periods)
    tally.add(Window(5, 25), [4, 5, 9, 10, 10, 19, 20, 25])
    assert [one.seconds for one in periods] == [5, 0, 10]
    assert [one.finished for one in periods] == [False, True, False]
    assert periods[1].events_before(20) == 103
    tally.add(Window(0, 5), [0, 0, 4])
    assert periods[0].events_before(10) == 5
    tally.add(Window(25, 100), [30, 39, 40])
    assert periods[2].events_before(40) == 2


@pytest.mark.parametrize(
    ("order", "mark", "expected"),
    [
        ([(0, 10)], 10, 7 + 1),
        ([(20, 30)], 0, 7),
        ([(20, 30), (0, 10)], 10, 7 + 1),
        ([(20, 30), (0, 10), (10, 20)], 30, 7 + 3),
        ([(10, 20), (20, 30), (0, 5), (5, 10)], 30, 7 + 4),
    ],
)
def test_events_before_the_mark(order: list[tuple[int, int]], mark: int, expected: int) -> None:
    """Only events of windows without a gap before them count: the others are read again."""
    period = tally_of(0, 30, brought=7)
    tally = EventTally([period])
    for window in order:
        tally.add(Window(*window), [window[0]])
    assert period.events_before(mark) == expected


def test_spoiled_periods_count_as_nothing() -> None:
    """So they are read once more, but for the periods beside them."""
    periods = [tally_of(0, 10, brought=3), tally_of(10, 20), tally_of(20, 30)]
    tally = EventTally(periods)
    tally.add(Window(0, 30), [1, 11, 21])
    tally.spoil(Window(9, 20))
    assert [one.events_before(30) for one in periods] == [0, 0, 1]
    assert all(one.finished for one in periods)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ((0, 10), [True, False, False]),
        ((9, 11), [True, True, False]),
        ((10, 30), [False, True, False]),
        ((20, 30), [False, False, False]),
        ((35, 36), [False, False, True]),
        ((0, 99), [True, True, True]),
        ((40, 99), [False, False, False]),
    ],
)
def test_touched_periods(window: tuple[int, int], expected: list[bool]) -> None:
    """A page touches the periods in it that were added after its request."""
    periods = [tally_of(0, 10), tally_of(10, 20), tally_of(30, 40)]
    tally = EventTally()
    before = tally.additions
    tally.watch(periods)
    tally.touch(Window(*window), tally.additions)
    assert not any(one.touched for one in periods)
    tally.touch(Window(*window), before)
    assert [one.touched for one in periods] == expected


def test_a_period_without_seconds_is_finished() -> None:
    """Such as one that ends before its stream begins; those beside it count as always."""
    empty, period = tally_of(10, 10), tally_of(10, 20)
    tally = EventTally([period, empty])
    tally.add(Window(0, 30), [9, 10, 19])
    assert (empty.finished, empty.events_before(10)) == (True, 0)
    assert period.events_before(20) == 2


@given(st.randoms(use_true_random=False))
def test_windows_in_any_order(drawn: random.Random) -> None:
    """In the end, each period has its events; at the mark, those before it."""
    times = sorted(drawn.choices(range(100), k=60))
    cuts = sorted({0, 100, *drawn.choices(range(100), k=drawn.randrange(12))})
    bounds = sorted({0, *drawn.choices(range(101), k=drawn.randrange(1, 6))})
    periods = [tally_of(*bound) for bound in pairwise(bounds)]
    tally = EventTally(drawn.sample(periods, k=len(periods)))
    windows = [Window(*cut) for cut in pairwise(cuts)]
    left = set(windows)
    for window in drawn.sample(windows, k=len(windows)):
        tally.add(window, [time for time in times if window.start <= time < window.end])
        left.remove(window)
        mark = min((one.start for one in left), default=100)
        for period in periods:
            start, end = period.window
            before = min(mark, end)
            assert period.events_before(before) == sum(start <= one < before for one in times)
    assert all(one.finished for one in periods)


# Pages --------------------------------------------------------------------------------------------


def test_rows_that_two_pages_show() -> None:
    """Rows around a cursor come twice and count once; those before the window are counted."""
    period = tally_of(0, 100)
    tally, seen = EventTally([period]), SeenEvents()
    note(seen, tally, (0, 100), rows(1, 5, 5, 9), more=True)
    seen.done(tally, Window(0, 5))
    note(seen, tally, (5, 100), rows(1, 5, 5, 9, 12))
    seen.done(tally, Window(5, 100))
    assert period.events_before(100) == 5


def test_a_window_that_was_split() -> None:
    """What was given back is counted by the reader that gets it."""
    period = tally_of(0, 100)
    tally, first, second = EventTally([period]), SeenEvents(), SeenEvents()
    note(first, tally, (0, 100), rows(1, 50, 60), more=True)
    note(second, tally, (50, 100), rows(50, 60, 70))
    second.done(tally, Window(50, 100))
    note(first, tally, (0, 50), rows(2))
    first.done(tally, Window(0, 50))
    assert period.events_before(100) == 5


@pytest.mark.parametrize(
    ("spoiled", "expected"),
    [(None, [2, 3]), (Window(10, 20), [2, 0]), (Window(5, 20), [0, 0])],
)
def test_a_window_that_starts_again(spoiled: Window | None, expected: list[int]) -> None:
    """In order it continues where it was; out of order, what was counted is in doubt."""
    periods = [tally_of(0, 10), tally_of(10, 20)]
    tally, seen = EventTally(periods), SeenEvents()
    note(seen, tally, (0, 20), rows(1, 9, 11, 13), more=True)
    seen.done(tally, Window(0, 10))
    seen.forget(tally, spoiled)
    note(seen, tally, (10, 20), rows(12, 13, 14))
    seen.done(tally, Window(10, 20))
    assert [one.events_before(20) for one in periods] == expected


def test_rows_without_a_time_and_without_a_tally() -> None:
    """A row without a time belongs to no period; without a tally nothing is remembered."""
    period, seen = tally_of(0, 100), SeenEvents()
    seen.request(None)
    note(seen, None, (0, 100), rows(1), more=True)
    tally = EventTally([period])
    note(seen, tally, (0, 100), rows(None, 2, None))
    seen.done(tally, Window(0, 100))
    assert period.events_before(100) == 1


def test_too_many_rows_to_remember(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond MOST_IDS a window is no longer counted; what was counted before stays."""
    monkeypatch.setattr("tap_klaviyo.sync.event_tally.MOST_IDS", 3)
    periods = [tally_of(0, 10), tally_of(10, 20)]
    tally, seen = EventTally(periods), SeenEvents()
    note(seen, tally, (0, 20), rows(1, 2, 11), more=True)
    seen.done(tally, Window(0, 10))
    note(seen, tally, (10, 20), rows(11, 12, 13), more=True)
    assert not periods[1].inexact
    note(seen, tally, (10, 20), rows(14), more=False)
    seen.done(tally, Window(10, 20))
    assert [one.events_before(20) for one in periods] == [2, 0]
    assert all(one.finished for one in periods)


# Periods that are added while pages come ----------------------------------------------------------


@pytest.mark.parametrize(
    ("added_before", "expected"),
    [
        ("first request", [False, False, False]),
        ("first answer", [True, True, True]),
        ("second request", [False, True, True]),
        ("second answer", [False, True, True]),
        ("third request", [False, False, True]),
    ],
)
def test_periods_that_are_added_later(added_before: str, expected: list[bool]) -> None:
    """A page touches what was added after the request of the page before it.

    It completes what that page has shown after its safe second. Periods of which something has been
    read are not added.
    """
    periods = [tally_of(0, 10), tally_of(10, 20), tally_of(20, 30)]
    tally, seen = EventTally(), SeenEvents()
    pages = [
        ("first", 0, rows(1, 8, 11, 12), 10),
        ("second", 10, rows(13, 14, 19, 22), 19),
        ("third", 19, rows(23), None),
    ]
    for name, start, page, safe in pages:
        for moment in ("request", "answer"):
            if f"{name} {moment}" == added_before:
                tally.watch(one for one in periods if one.window.start >= start)
            if moment == "request":
                seen.request(tally)
        note(seen, tally, (start, 30), page, more=safe is not None)
        seen.done(tally, Window(start, 30 if safe is None else safe))
    assert [one.touched for one in periods] == expected


class Reader:
    """Reads rows page by page, as far as they matter here.

    ``shown`` holds for each page what was added before its request, and the times of its rows.
    """

    SIZE, KEPT_BACK = 5, 3

    def __init__(self, times: Sequence[int], end: int) -> None:
        self.rows = rows(*times)
        self.window = Window(0, end)
        self.tally: EventTally | None = None
        self.seen = SeenEvents()
        self.shown: list[tuple[int, list[int]]] = []
        self.finished = False
        self._position = 0

    def request(self) -> None:
        """Requests the next page."""
        self.seen.request(self.tally)
        self._additions = self.tally.additions if self.tally else 0

    def answer(self) -> None:
        """Takes the next page."""
        page = self.rows[self._position : self._position + self.SIZE]
        self._position += self.SIZE
        self.finished = self._position >= len(self.rows)
        note(self.seen, self.tally, self.window, page, more=not self.finished)
        self.shown.append((self._additions, [time for _, time in page if time is not None]))
        start, end = self.window
        safe = end if self.finished else page[-self.KEPT_BACK][1] or 0
        if safe > start:
            self.seen.done(self.tally, Window(start, safe))
            self.window = Window(safe, end)

    def restart(self) -> None:
        """Starts again with what remains of the window."""
        self.seen.forget(self.tally)
        self.shown.clear()
        times = [time or 0 for _, time in self.rows]
        self._position = sum(time < self.window.start for time in times)

    def watch(self, period: PeriodTally) -> None:
        """Adds a period of which nothing was read."""
        self.tally = self.tally or EventTally()
        self.tally.watch([period])


@given(st.randoms(use_true_random=False))
def test_periods_that_are_added_at_any_time(drawn: random.Random) -> None:
    """What is not touched has only pages that were requested later, and is counted exactly."""
    end = drawn.choice([8, 40, 200])
    times = sorted(drawn.choices(range(end), k=drawn.randrange(1, 60)))
    reader = Reader(times, end)
    bounds = sorted({*drawn.choices(range(end + 1), k=6)})
    waiting = [tally_of(*bound) for bound in pairwise(bounds)]
    periods = []
    while not reader.finished:
        for step in (reader.request, reader.answer):
            addable = [one for one in waiting if one.window.start >= reader.window.start]
            for period in addable if drawn.random() < 0.2 else []:
                reader.watch(period)
                waiting.remove(period)
                periods.append(period)
            step()
        if not reader.finished and drawn.random() < 0.1:
            reader.restart()
    for period in periods:
        start, stop = period.window
        assert period.finished
        for additions, shown in reader.shown:
            if any(start <= time < stop for time in shown) and additions < period.added:
                assert period.touched
        if not period.touched:
            assert period.events_before(stop) == sum(start <= time < stop for time in times)
