"""The stored form of Klaviyo's counts: it gives back what it was made of, is small, is checked."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.errors import StateError
from tap_klaviyo.state import State
from tap_klaviyo.state.counts import DAY, MetricCounts, Period, day_number, iso_day
from tap_klaviyo.state.stored_counts import counts_document, counts_from

COUNTS: dict[str, Any] = {
    "asked_at": 1767225600,
    "counted_at": 1767225600,
    "first": "2025-07-20",
    "days_from": "2025-09-23",
    "days": [12, None, 7, 0],
    "months": [310, 290, 40],
    "due": [("2025-08-01", "2025-09-01"), ("2025-09-23", "2025-09-24")],
    "short": [("2025-09-25", "2025-09-27", 1767229200)],
    "reading": {"2025-09-23": (1758600000, 4)},
    "day_differences": [0, 0, -2, -1],
}


def state_of(counts: Any) -> dict[str, Any]:
    """A state with counts of the metric Mt1."""
    return {"bookmarks": {"open": {"timestamp": 1767225600, "counts": {"Mt1": counts}}}}


def test_the_form_that_the_state_has() -> None:
    """Each key tells something of a period."""
    counts = counts_from(COUNTS)
    july, august, september, *days = counts.periods
    assert (iso_day(july.first), iso_day(august.first)) == ("2025-07-20", "2025-08-01")
    assert (july.settled, july.count) == (True, 310)
    assert (august.due, september.settled) == (True, True)
    assert [one.count for one in days] == [12, None, 7, 0]
    assert (days[0].due, days[0].mark, days[0].brought) == (True, 1758600000, 4)
    assert (days[2].second_at, days[3].second_at) == (1767229200, 1767229200)
    assert [one.difference for one in days] == [0, 0, -2, -1]
    assert counts_document(counts) == COUNTS


@pytest.mark.parametrize("document", [None, {}, dict.fromkeys(COUNTS)])
def test_null_is_an_absent_key(document: Any) -> None:
    """As everywhere in the state."""
    assert State(state_of(document)).counts("open") == {"Mt1": MetricCounts()}
    assert counts_document(counts_from(document)) == {}


def test_months_without_events_before_the_first_one_are_not_stored() -> None:
    """Nor what is zero or nothing everywhere."""
    months = [
        Period(day_number(f"2025-0{n}-01"), day_number(f"2025-0{n + 1}-01"), 0) for n in (1, 2)
    ]
    march = Period(day_number("2025-03-01"), day_number("2025-04-01"), 5)
    assert counts_document(MetricCounts(periods=[*months, march])) == {
        "first": "2025-01-01",
        "days_from": "2025-04-01",
        "months": [5],
    }


UNKNOWN = {"month_shares": [1, None], "of": {"newer": True}}


def test_keys_of_a_newer_version_are_carried_along() -> None:
    """In the order in which they were stored, also when the counts have changed."""
    state = State(state_of({**UNKNOWN, **COUNTS}))
    counts = state.counts("open")["Mt1"]
    counts.asked_at = 1767225601
    state.set_counts("open", "Mt1", counts)
    assert state.document(None)["bookmarks"]["open"]["counts"]["Mt1"] == {
        **UNKNOWN,
        **COUNTS,
        "asked_at": 1767225601,
    }


@pytest.mark.parametrize("counts", [[], "x", 1, True, {"Mt1": 1}])
def test_counts_that_are_no_objects(counts: Any) -> None:
    """The counts of a stream are an object of objects."""
    with pytest.raises(StateError, match=r"^state: bookmarks\.open\.counts[^\n]*$"):
        State({"bookmarks": {"open": {"counts": counts}}})


@pytest.mark.parametrize(
    "changes",
    [
        {"asked_at": "soon"},
        {"asked_at": 1.5},
        {"asked_at": True},
        {"counted_at": -1},
        {"counted_at": 2**64 - 1},
        {"strikes": "2"},
        {"strikes": 10**30},
        {"first": 20290},
        {"first": ""},
        {"first": "2025-02-30"},
        {"first": "2025-07-20T00:00:00Z"},
        {"first": "2025-10-01"},
        {"days_from": None},
        {"days_from": "yesterday"},
        {"first": "9999-12-01", "days_from": "9999-12-30", "months": [1]},
        {"days": 12},
        {"days": ["12"]},
        {"days": [-1]},
        {"days": [2**64]},
        {"months": [310, 290, 40, 0]},
        {"months": [310.5, 290, 40]},
        {"due": [["2025-08-01"]]},
        {"due": [["2025-08-01", "2025-08-15"]]},
        {"due": [["2025-08-02", "2025-09-01"]]},
        {"due": [["2025-09-01", "2025-08-01"]]},
        {"due": [["2025-09-24", "2025-09-25"]]},
        {"due": [["2026-01-01", "2026-01-02"]]},
        {"due": "2025-08-01"},
        {"short": [["2025-09-25", "2025-09-27"]]},
        {"short": [["2025-09-25", "2025-09-27", "soon"]]},
        {"short": [["2025-09-24", "2025-09-25", 1767229200]]},
        {"reading": {"2025-09-22": [1758600000, 4]}},
        {"reading": {"2025-09-23": [1758600000]}},
        {"reading": {"2025-09-23": [1758600000, -4]}},
        {"reading": {"2025-09-23": [1758700000, 4]}},
        {"reading": {"2025-07-20": [1753000000, 4]}},
        {"reading": {"today": [1758600000, 4]}},
        {"day_differences": [0, 0, -2]},
        {"day_differences": ["0", 0, 0, 0]},
        {"month_differences": [1, 1, 1, 1]},
    ],
    ids=str,
)
def test_what_is_no_counts(changes: dict[str, Any]) -> None:
    """One line names the metric, and says what to do."""
    with pytest.raises(StateError) as caught:
        State(state_of({**COUNTS, **changes}))
    assert str(caught.value) == (
        "state: bookmarks.open.counts.Mt1 cannot be read; remove it, and the counts are "
        "remembered anew."
    )


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates().map(str)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.dates().map(str), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*COUNTS, "month_differences"]), VALUES, max_size=4))
def test_any_document(changes: dict[str, Any]) -> None:
    """Any document is either refused, or its counts can be compared, read and stored."""
    try:
        state = State(state_of({**COUNTS, **changes}))
    except StateError:
        return
    counts = state.counts("open")["Mt1"]
    counts.take({20_700: 3}, 20_500, 20_701, 20_701 * DAY)
    for one in counts.periods:
        if one.due:
            one.finish(1, 20_701 * DAY)
    state.set_counts("open", "Mt1", counts)
    msgspec.json.encode(state.document(None))


def history(steps: int, choose: Callable[[int], int]) -> MetricCounts:
    """Counts after some recounts of which ``choose`` decides what happens, by random numbers.

    ``choose`` returns a number from 0 up to, but not including, its argument.
    """
    first = day_number("2024-01-31") - choose(60)
    counts, by_day, end = MetricCounts(), Counter[int](), first + 1 + choose(500)
    for _ in range(steps):
        by_day[first + choose(end - first)] += 1 + choose(3)
        at = end * DAY + choose(DAY)
        counts.take(by_day, first, end, at)
        counts.asked_at, counts.strikes = at, choose(2)
        for one in counts.periods:
            _happen(one, choose(7), at)
        end += choose(40)
    return counts


def _happen(one: Period, outcome: int, at: int) -> None:
    """Lets a run do something with a period."""
    if one.due or one.second_at is not None:
        expected = one.count or 0
        if outcome < 4:
            one.finish(max(0, expected + (0, 0, 1, -1)[outcome]), at + 60)
        elif outcome == 4:
            one.pause(one.start_second + 60, 1)
    elif outcome == 5:
        one.count, one.difference = None, 0


@given(st.integers(1, 8), st.randoms(use_true_random=False))
def test_round_trip(steps: int, drawn: random.Random) -> None:
    """Whatever has happened to the counts, their stored form gives them back."""
    counts = history(steps, drawn.randrange)
    assert counts_from(msgspec.json.decode(msgspec.json.encode(counts_document(counts)))) == counts


def test_size() -> None:
    """20 metrics of ten years with some hundred events a day take less than 25,000 bytes."""
    drawn = random.Random(1)
    first, end = day_number("2016-01-15"), day_number("2026-06-20")
    state = State(state_of(None))
    for number in range(20):
        by_day = {day: drawn.randrange(100, 500) for day in range(first, end)}
        counts = MetricCounts(asked_at=end * DAY)
        counts.take(by_day, first, end, end * DAY)
        for one in counts.periods:
            one.finish(one.count or 0, end * DAY)
        state.set_counts("open", f"Mt{number:04}", counts)
    stored = state.document(None)["bookmarks"]["open"]["counts"]
    assert len(msgspec.json.encode(stored)) < 25_000
