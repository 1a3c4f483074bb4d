"""What a run reads of a metric whose events are counted: new, again, or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.records.page_parser import PageParser
from tap_klaviyo.state.counts import DAY, MetricCounts, Period
from tap_klaviyo.sync.counted_metric import CountedMetric
from tap_klaviyo.sync.rereads import PAGES_TOGETHER, Rereads
from tap_klaviyo.sync.stream_sync import Partition, StreamSync
from tap_klaviyo.sync.windows import Window, WindowTracker

FIRST, END = 20_000, 20_005
"""Days; END has not ended."""

NOW = END * DAY + 7_200
LOOKBACK = 3_600
PAGE_SIZE = 100

Make = Callable[..., CountedMetric]


@pytest.fixture
def make(select: Callable[..., SelectedStream]) -> Make:
    """Makes the metric A of a stream, of which this run reads what comes from ``new_from`` on."""
    selected = select("open")
    query = query_for(selected.stream, selected.schema)

    def counted(
        *periods: Period,
        new_from: int = NOW,
        first_second: int = FIRST * DAY,
        main: bool = True,
    ) -> CountedMetric:
        sync = StreamSync(selected, query, PageParser(selected))
        partition = None
        if main:
            tracker = WindowTracker(min(new_from, NOW), NOW, page_size=PAGE_SIZE)
            partition = Partition(sync, (), tracker, True, "A")
        counts = MetricCounts(counted_at=NOW - DAY, periods=[*periods])
        return CountedMetric(sync, "A", counts, partition, new_from, first_second, False, LOOKBACK)

    return counted


def day(number: int, count: int | None = 10, **changes: object) -> Period:
    """A day that is settled, but for ``changes``; ``number`` counts from FIRST."""
    period = Period(FIRST + number, FIRST + number + 1, count)
    for name, value in changes.items():
        setattr(period, name, value)
    return period


def status(one: CountedMetric) -> list[str]:
    """What this run does with each period."""
    return [
        "watched"
        if period.being_read
        else "uncounted"
        if period.count is None
        else "due"
        if period.due
        else "settled"
        for period in one.counts.periods
    ]


@pytest.mark.parametrize(
    ("new_from", "main", "expected"),
    [
        (NOW, True, ["due"] * 5),
        (END * DAY, True, ["due"] * 5),
        ((FIRST + 3) * DAY, True, ["due"] * 3 + ["watched"] * 2),
        ((FIRST + 3) * DAY + 1, True, ["due"] * 4 + ["watched"]),
        (FIRST * DAY, True, ["watched"] * 5),
        (FIRST * DAY, False, ["uncounted"] * 5),
    ],
)
def test_first_counts(make: Make, new_from: int, main: bool, expected: list[str]) -> None:
    """Days that this run reads anyway are settled by that, others are read again."""
    one = make(new_from=new_from, main=main)
    one.take({}, END, NOW)
    assert status(one) == expected


def test_days_of_which_the_run_has_read_something(make: Make) -> None:
    """They stay uncounted until the next recount, which makes them due."""
    one = make(new_from=FIRST * DAY)
    assert one.main is not None
    window = one.main.tracker.take()
    assert window is not None
    one.main.tracker.shrink(window.start, (FIRST + 1) * DAY + 1, 5)
    one.take({}, END, NOW)
    assert status(one) == ["uncounted"] * 2 + ["watched"] * 3


def test_watched_days_are_settled_as_they_are_read(make: Make) -> None:
    """Those that a page had been requested of before stay uncounted."""
    one = make(new_from=FIRST * DAY)
    one.take({FIRST: 1, FIRST + 1: 2, FIRST + 2: 3}, END, NOW)
    assert one.main is not None
    tally = one.main.tally
    assert tally is not None
    assert not one.note()
    tally.add(Window(FIRST * DAY, (FIRST + 2) * DAY), [FIRST * DAY, (FIRST + 1) * DAY])
    tally.touch(Window((FIRST + 2) * DAY, (FIRST + 3) * DAY), 0)
    assert one.note()
    assert status(one) == ["settled"] * 2 + ["uncounted"] + ["watched"] * 2
    assert one.counts.periods[1].second_at == NOW + LOOKBACK
    assert not one.note()


@pytest.mark.parametrize(
    ("second_at", "expected"),
    [(NOW - DAY, NOW - DAY), (NOW + LOOKBACK, NOW + LOOKBACK), (NOW + 9 * DAY, NOW + LOOKBACK)],
)
def test_a_second_reading_is_not_put_off(make: Make, second_at: int, expected: int) -> None:
    """A clock that was ahead put it off, so the next count moves it forward."""
    one = make(day(0, second_at=second_at, difference=-1))
    one.take({FIRST: 10}, FIRST + 1, NOW)
    assert one.counts.periods[0].second_at == expected


@pytest.mark.parametrize(
    ("period", "first_second", "expected"),
    [
        (day(0), 0, (0, DAY)),
        (day(0), FIRST * DAY + 60, (60, DAY)),
        (day(0), (FIRST + 2) * DAY, (2 * DAY, 2 * DAY)),
        (day(0, mark=FIRST * DAY + 90), FIRST * DAY + 60, (90, DAY)),
        (day(0, mark=(FIRST + 1) * DAY), 0, (DAY, DAY)),
    ],
)
def test_seconds_of_a_period(
    make: Make, period: Period, first_second: int, expected: tuple[int, int]
) -> None:
    """A period is read from its mark, and not before the stream begins."""
    window = make(period, first_second=first_second).window_of(period)
    assert (window.start - FIRST * DAY, window.end - FIRST * DAY) == expected


# What is read again -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("periods", "budget", "expected"),
    [
        ([day(0), day(1)], 9, []),
        ([day(0, due=True), day(1, due=True)], 9, [(0, 2)]),
        ([day(0, due=True), day(1), day(2, due=True)], 9, [(2, 3), (0, 1)]),
        ([day(0, due=True), day(1), day(2, due=True)], 1, [(2, 3)]),
        ([day(0, due=True)], 0, []),
        (
            [day(0, PAGES_TOGETHER * 50, due=True), day(1, PAGES_TOGETHER * 50, due=True)],
            9,
            [(0, 2)],
        ),
        (
            [day(0, PAGES_TOGETHER * 50, due=True), day(1, PAGES_TOGETHER * 51, due=True)],
            9,
            [(1, 2), (0, 1)],
        ),
        ([day(0, 900, due=True), day(1, 900, due=True)], 9, [(1, 2)]),
        ([day(0, 900, due=True), day(1, 900, due=True)], 10, [(1, 2), (0, 1)]),
        ([day(0, due=True), day(1, second_at=NOW), day(2, second_at=NOW + 1)], 9, [(0, 2)]),
        ([day(0, due=True), day(1, due=True, being_read=True)], 9, [(0, 1)]),
        ([day(0, None), day(1, None)], 9, []),
    ],
)
def test_what_is_read_again(
    make: Make, periods: list[Period], budget: int, expected: list[tuple[int, int]]
) -> None:
    """The newest first, days that follow each other together, as many pages as are allowed."""
    one = make(*periods)
    assert not [*Rereads(budget, PAGE_SIZE).plan([one], NOW)]
    windows = [(part.tracker.start, part.tracker.end) for part in one.sync.rereads]
    assert windows == [((FIRST + a) * DAY, (FIRST + b) * DAY) for a, b in expected]


def test_unstable_counts_read_nothing_again(make: Make) -> None:
    """Their metric is swept instead."""
    one = make(day(0, due=True))
    one.counts.strikes = 3
    assert not [*Rereads(9, PAGE_SIZE).plan([one], NOW)]
    assert not one.sync.rereads


def test_days_before_a_later_start_date(make: Make) -> None:
    """They are not read, but are due with the next count if start_date moves back."""
    earlier = (day(0, due=True, mark=FIRST * DAY + 60, brought=1), day(1, second_at=NOW), day(2))
    one = make(*earlier, day(3, due=True), first_second=(FIRST + 3) * DAY)
    assert [*Rereads(9, PAGE_SIZE).plan([one], NOW)] == [one]
    assert status(one) == ["uncounted"] * 2 + ["settled", "watched"]
    one.take({}, END, NOW)
    assert status(one)[:3] == ["uncounted"] * 2 + ["settled"]
    again = make(*one.counts.periods)
    again.take({FIRST + 2: 11}, END, NOW)
    assert status(again)[:3] == ["due"] * 3


def test_a_reading_that_many_runs_continue(make: Make) -> None:
    """Each page moves the mark; the run after it counts what came before."""
    period = day(0, due=True)
    one = make(period)
    rereads = Rereads(9, PAGE_SIZE)
    assert not [*rereads.plan([one], NOW)]
    (partition,) = one.sync.rereads
    assert partition.tally is not None
    window = partition.tracker.take()
    assert window is not None
    assert partition in rereads
    assert rereads.note(partition) is None
    middle = window.start + 600
    partition.tally.add(Window(window.start, middle), [window.start] * 7)
    partition.tracker.shrink(window.start, middle, 7)
    assert rereads.note(partition) is one
    assert rereads.note(partition) is None
    assert (period.mark, period.brought) == (middle, 7)

    period.being_read = False
    again = make(period)
    rereads = Rereads(9, PAGE_SIZE)
    assert not [*rereads.plan([again], NOW + DAY)]
    (partition,) = again.sync.rereads
    assert (partition.tracker.start, partition.tracker.end) == (middle, window.end)
    assert partition.tally is not None
    partition.tally.add(Window(middle, window.end), [middle] * 3)
    assert rereads.note(partition) is again
    assert period.settled
    assert period.difference == 0
