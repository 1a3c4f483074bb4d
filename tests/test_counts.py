"""What is remembered of Klaviyo's counts: the life of a period, and how days become months."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.state.counts import (
    DAY,
    DAYS_REMEMBERED,
    MOST_STRIKES,
    OLD_DAYS,
    MetricCounts,
    Period,
    day_number,
    iso_day,
    months,
)

JUNE = day_number("2026-06-01")
AT = JUNE * DAY + 7200
SECOND_AT = AT + 3600


def period(**changes: Any) -> Period:
    """The first of June, settled with 10 events, but for ``changes``."""
    return Period(JUNE, JUNE + 1, **{"count": 10, **changes})


def take(counts: MetricCounts, by_day: Mapping[int, int], first: str, end: str) -> dict[int, int]:
    """Takes the counts of the days from ``first`` to ``end``."""
    return counts.take(by_day, day_number(first), day_number(end), AT)


def settle(counts: MetricCounts) -> None:
    """Reads all that is due, as many events as were counted."""
    for one in counts.periods:
        if one.due:
            one.finish(one.count or 0, SECOND_AT)


def settled(first: str, end: str, by_day: Mapping[int, int] = {}) -> MetricCounts:
    """The counts of a metric whose days from ``first`` to ``end`` were counted and read."""
    counts = MetricCounts()
    take(counts, by_day, first, end)
    settle(counts)
    return counts


def bounds(counts: MetricCounts) -> list[tuple[str, str]]:
    """The first day of each period, and the day after its last one."""
    return [(iso_day(one.first), iso_day(one.end)) for one in counts.periods]


UNCOUNTED = period(count=None)
DUE = period(due=True)
SHORT = period(second_at=SECOND_AT, difference=-2)
SETTLED = period()
INTERRUPTED = period(due=True, mark=JUNE * DAY + 60, brought=4)
BEING_READ = period(due=True, being_read=True)


@pytest.mark.parametrize(
    ("before", "count", "after", "grown"),
    [
        (UNCOUNTED, 0, period(count=0, due=True), 0),
        (UNCOUNTED, 7, period(count=7, due=True), 0),
        (DUE, 12, period(count=12, due=True), 0),
        (DUE, 3, period(count=3, due=True), 0),
        (SHORT, 10, SHORT, 0),
        (SHORT, 9, period(count=9, second_at=SECOND_AT, difference=-2), 0),
        (SHORT, 11, period(count=11, due=True, difference=-2), 1),
        (SETTLED, 10, SETTLED, 0),
        (SETTLED, 15, period(count=15, due=True), 5),
        (SETTLED, 4, period(count=4), 0),
        (SETTLED, 0, period(count=0), 0),
        (INTERRUPTED, 99, INTERRUPTED, 0),
        (BEING_READ, 99, BEING_READ, 0),
    ],
)
def test_a_new_count(before: Period, count: int, after: Period, grown: int) -> None:
    """Only a count that has grown makes a period due, and not while it is being read."""
    one = replace(before)
    assert one.compare(count) == grown
    assert one == after


@pytest.mark.parametrize(
    ("before", "brought", "after"),
    [
        (DUE, 10, period()),
        (DUE, 11, period(difference=1)),
        (DUE, 8, period(difference=-2, second_at=SECOND_AT)),
        (SHORT, 10, period()),
        (SHORT, 9, period(difference=-1)),
        (SHORT, 0, period(difference=-10)),
        (period(count=0, due=True), 0, period(count=0)),
        (INTERRUPTED, 10, period()),
        (INTERRUPTED, 9, period(difference=-1, second_at=SECOND_AT)),
        (BEING_READ, 10, period()),
    ],
)
def test_a_reading_that_has_ended(before: Period, brought: int, after: Period) -> None:
    """A period is settled if all that was counted came, or if it was read twice."""
    one = replace(before)
    assert one.finish(brought, SECOND_AT) == after.settled
    assert one == after
    assert not one.being_read


@pytest.mark.parametrize(
    ("one", "now", "expected"),
    [
        (UNCOUNTED, AT, False),
        (DUE, AT, True),
        (INTERRUPTED, AT, True),
        (SHORT, SECOND_AT - 1, False),
        (SHORT, SECOND_AT, True),
        (SETTLED, SECOND_AT + DAY, False),
    ],
)
def test_when_a_period_is_read(one: Period, now: int, expected: bool) -> None:
    """A period is read when it is due, or when the time of its second reading has come."""
    assert one.is_to_be_read(now) is expected


def test_growth_while_a_period_is_read_is_taken_over_afterwards() -> None:
    """It makes the period due again with the first count after the reading."""
    one = period(due=True)
    one.pause(one.start_second + 60, 4)
    assert one.compare(13) == 0
    one.finish(10, SECOND_AT)
    assert one.settled
    assert one.compare(13) == 3
    assert one.due


@pytest.mark.parametrize(("seconds", "expected"), [(0, (None, 0)), (1, (JUNE * DAY + 1, 4))])
def test_a_reading_that_has_not_begun_has_no_mark(
    seconds: int, expected: tuple[int | None, int]
) -> None:
    """A reading that has read nothing leaves no mark, so the count may still change."""
    one = period(due=True)
    one.pause(one.start_second + seconds, 4)
    assert (one.mark, one.brought) == expected


def test_a_reading_that_began_before_its_count_leaves_the_period_uncounted() -> None:
    """The next count makes it due, as if it were the first."""
    one = period(due=True, being_read=True)
    one.leave_uncounted()
    assert one == UNCOUNTED
    assert not one.is_to_be_read(AT + DAY)
    assert one.compare(10) == 0
    assert one.due


@pytest.mark.parametrize(
    ("first", "end", "expected"),
    [
        ("2026-01-01", "2026-01-01", []),
        ("2026-01-31", "2026-02-01", [("2026-01-31", "2026-02-01")]),
        (
            "2024-01-15",
            "2024-03-10",
            [
                ("2024-01-15", "2024-02-01"),
                ("2024-02-01", "2024-03-01"),
                ("2024-03-01", "2024-03-10"),
            ],
        ),
        ("2025-12-31", "2026-02-01", [("2025-12-31", "2026-01-01"), ("2026-01-01", "2026-02-01")]),
        ("1969-12-31", "1970-01-02", [("1969-12-31", "1970-01-01"), ("1970-01-01", "1970-01-02")]),
    ],
)
def test_months(first: str, end: str, expected: list[tuple[str, str]]) -> None:
    """Months are those of the calendar; the first and the last one may be parts."""
    found = months(day_number(first), day_number(end))
    assert [(iso_day(one), iso_day(other)) for one, other in found] == expected


def test_the_first_count_remembers_days_and_before_them_months() -> None:
    """The last days are remembered one by one, and the first month begins with the stream."""
    counts = MetricCounts()
    take(
        counts,
        {day_number("2025-01-20"): 3, day_number("2026-05-31"): 2},
        "2025-01-15",
        "2026-06-01",
    )
    assert bounds(counts)[:2] == [("2025-01-15", "2025-02-01"), ("2025-02-01", "2025-03-01")]
    assert [one.count for one in counts.periods[:2]] == [3, 0]
    assert bounds(counts)[-1] == ("2026-05-31", "2026-06-01")
    assert sum(one.end - one.first == 1 for one in counts.periods) == DAYS_REMEMBERED
    assert all(one.due for one in counts.periods)
    assert counts.counted_at == AT


def test_days_become_months() -> None:
    """A settled day joins its month once it is no longer remembered; the counts add up."""
    by_day = {day_number("2026-01-01") + n: n for n in range(250)}
    counts = settled("2026-01-01", "2026-04-20", by_day)
    assert bounds(counts)[:2] == [("2026-01-01", "2026-01-10"), ("2026-01-10", "2026-01-11")]
    assert take(counts, by_day, "2026-01-01", "2026-06-20") == {}
    settle(counts)
    take(counts, by_day, "2026-01-01", "2026-06-20")
    assert bounds(counts)[:4] == [
        ("2026-01-01", "2026-02-01"),
        ("2026-02-01", "2026-03-01"),
        ("2026-03-01", "2026-03-12"),
        ("2026-03-12", "2026-03-13"),
    ]
    assert [one.count for one in counts.periods[:2]] == [sum(range(31)), sum(range(31, 59))]


@pytest.mark.parametrize(
    ("unsettled", "expected"),
    [
        ({"due": True}, [("2026-01-01", "2026-01-15"), ("2026-01-15", "2026-01-16")]),
        ({"second_at": SECOND_AT}, [("2026-01-01", "2026-01-15"), ("2026-01-15", "2026-01-16")]),
        ({"count": None}, [("2026-01-01", "2026-01-15"), ("2026-01-15", "2026-01-16")]),
    ],
)
def test_a_day_that_is_not_settled_stays_a_day(
    unsettled: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """It and the days after it join their month when it is settled."""
    counts = settled("2026-01-01", "2026-04-10")
    day = next(one for one in counts.periods if iso_day(one.first) == "2026-01-15")
    for name, value in unsettled.items():
        setattr(day, name, value)
    counts.compact(day_number("2026-06-20"))
    assert bounds(counts)[:2] == expected
    assert len(counts.periods) == 1 + day_number("2026-04-10") - day.first
    day.count, day.due, day.second_at = 0, False, None
    counts.compact(day_number("2026-06-20"))
    assert bounds(counts)[0] == ("2026-01-01", "2026-02-01")


def test_months_without_runs_are_remembered_as_days_until_they_are_read() -> None:
    """Their days are due, and become months with the first count after their reading."""
    counts = settled("2026-01-01", "2026-01-10")
    take(counts, {}, "2026-01-01", "2026-12-01")
    assert sum(one.due for one in counts.periods) == day_number("2026-12-01") - day_number(
        "2026-01-10"
    )
    settle(counts)
    take(counts, {}, "2026-01-01", "2026-12-02")
    assert bounds(counts)[:2] == [("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-03-01")]
    assert sum(one.end - one.first == 1 for one in counts.periods) == DAYS_REMEMBERED


def test_a_clock_that_goes_back_changes_no_later_period() -> None:
    """What was remembered of later days stays, and is compared when they come."""
    by_day = {day_number("2026-05-20"): 5}
    counts = settled("2026-01-01", "2026-06-01", by_day)
    before = bounds(counts)
    assert take(counts, {}, "2026-01-01", "2026-05-01") == {}
    assert bounds(counts) == before
    late = {day_number("2026-05-20"): 6}
    assert take(counts, late, "2026-01-01", "2026-06-01") == {day_number("2026-05-20"): 1}


def test_days_that_were_not_asked_for_stay_as_they_are() -> None:
    """A stream that begins later now has no counts of the days before."""
    by_day = {day_number("2024-03-05"): 5, day_number("2026-05-20"): 5}
    counts = settled("2024-01-01", "2026-06-01", by_day)
    late = {day_number("2026-05-20"): 6}
    first, today = counts.first_day(day_number("2025-01-15")), day_number("2026-07-01")
    assert iso_day(first) == "2025-01-01"
    assert [iso_day(one.first) for one in counts.changed_old_periods(late, first, today)] == [
        "2026-05-20"
    ]
    assert take(counts, late, iso_day(first), "2026-06-01") == {day_number("2026-05-20"): 1}
    assert counts.periods[2].count == 5


@pytest.mark.parametrize(
    ("day", "count", "is_changed"),
    [
        (-OLD_DAYS - 1, 11, True),
        (-OLD_DAYS - 1, 9, True),
        (-OLD_DAYS - 1, 10, False),
        (-OLD_DAYS, 11, False),
        (-1, 11, False),
    ],
)
def test_which_changes_are_doubted(day: int, count: int, is_changed: bool) -> None:
    """A count of long ago that grows or falls, since it should not change by itself."""
    by_day = dict.fromkeys(range(JUNE - 50, JUNE), 10)
    counts = settled(iso_day(JUNE - 50), iso_day(JUNE), by_day)
    changed = counts.changed_old_periods(by_day | {JUNE + day: count}, JUNE - 50, JUNE)
    assert [one.first for one in changed] == [JUNE + day] * is_changed


def test_counts_without_a_contradiction_are_used_again() -> None:
    """Strikes in a row make counts unstable; counts that hold end that."""
    counts = MetricCounts(strikes=MOST_STRIKES - 1)
    assert not counts.unstable
    counts.strikes += 1
    assert counts.unstable
    take(counts, {}, "2026-05-01", "2026-06-01")
    assert not counts.unstable


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"second_at": SECOND_AT}, True),
        ({"due": True}, False),
        ({"count": None}, False),
    ],
)
@pytest.mark.parametrize("day", [0, 1, 2])
def test_what_is_known_since_a_day(day: int, changes: dict[str, Any], expected: bool) -> None:
    """All from a day on is known if each period from then on was read after it was counted."""
    counts = settled("2026-05-01", "2026-05-04")
    for name, value in changes.items():
        setattr(counts.periods[day], name, value)
    assert counts.knows_since(day_number("2026-05-01") + day) is expected
    assert counts.knows_since(day_number("2026-05-01") + day + 1) is (day < 2)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (period(difference=1), True),
        (period(difference=-1), False),
        (period(difference=1, due=True), False),
        (SETTLED, False),
    ],
)
def test_a_metric_of_which_klaviyo_counts_too_few(one: Period, expected: bool) -> None:
    """The last reading of a settled period has brought more events than were counted."""
    assert MetricCounts(periods=[SETTLED, one]).leaves_out is expected


@given(
    st.lists(
        st.tuples(st.integers(0, 45), st.dictionaries(st.integers(0, 400), st.integers(1, 3))),
        min_size=1,
        max_size=12,
    ),
    st.data(),
)
def test_periods_add_up(steps: list[tuple[int, dict[int, int]]], data: st.DataObject) -> None:
    """However days and months change, periods have no gap, and settled ones the last count."""
    first = day_number("2025-01-20")
    counts, by_day, end = MetricCounts(), Counter[int](), first + 1
    for days, arrived in steps:
        end += days
        by_day.update({first + day: number for day, number in arrived.items()})
        counts.take(by_day, first, end, AT)
        for one in counts.periods:
            if one.due and data.draw(st.booleans()):
                one.finish(one.count or 0, SECOND_AT)
    assert all(one.end == other.first for one, other in pairwise(counts.periods))
    assert (counts.periods[0].first, counts.periods[-1].end) == (first, end)
    for one in counts.periods:
        assert one.count == sum(by_day[day] for day in range(one.first, one.end))
        assert iso_day(one.first)[:7] == iso_day(one.end - 1)[:7]
