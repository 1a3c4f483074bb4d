"""What a verification says of a month, by what the state remembers and what Klaviyo counts."""

from __future__ import annotations

from typing import Any

import pytest

from tap_klaviyo.state.counts import DAY, Period, day_number
from tap_klaviyo.verify.comparison import NOTES, VerifiedMonth, verified_months
from tap_klaviyo.verify.render import conclusion, rendered
from tap_klaviyo.verify.verification import Verification, VerifiedMetric

FIRST = day_number("2026-01-30")
READ = {"count": 10}


def months(
    counts: dict[int, int], *periods: dict[str, Any], starts: int = 0, is_read: bool = True
) -> list[VerifiedMonth]:
    """The months of periods of a day each, from 2026-01-30 on, by Klaviyo's counts of them."""
    known = [Period(FIRST + n, FIRST + n + 1, **fields) for n, fields in enumerate(periods)]
    by_day = {FIRST + n: count for n, count in counts.items()}
    return [*verified_months(known, by_day, FIRST * DAY + starts, is_read=is_read)]


@pytest.mark.parametrize(
    ("period", "now", "reasons"),
    [
        (READ, 10, {}),
        (READ, 12, {"grown": 2}),
        (READ, 7, {"fell": 3}),
        (READ, 0, {"fell": 10}),
        ({"count": 0}, 1, {"grown": 1}),
        ({**READ, "difference": 2}, 10, {"fewer": 2}),
        ({**READ, "difference": -2}, 10, {"more": 2}),
        ({**READ, "difference": -2}, 9, {"fell": 1, "more": 2}),
        ({**READ, "difference": -2, "second_at": 5}, 10, {"short": 2}),
        ({**READ, "difference": -2, "second_at": 5}, 11, {"grown": 1}),
        ({**READ, "due": True}, 10, {"due": 10}),
        ({**READ, "due": True, "difference": -3}, 14, {"due": 14}),
        ({**READ, "due": True}, 0, {"due": 0}),
        ({"count": None}, 10, {"uncounted": 10}),
    ],
)
def test_reasons(period: dict[str, Any], now: int, reasons: dict[str, int]) -> None:
    """A period has the reasons that its count, its last reading and the count of now give."""
    (month,) = months({0: now}, period)
    assert month.reasons == reasons
    is_due = bool({"grown", "due", "uncounted"} & reasons.keys())
    assert month.is_to_be_read == is_due


def test_a_stream_that_was_never_read() -> None:
    """Without a bookmark, nothing was read yet, which a later run does."""
    (month,) = months({0: 4}, {}, is_read=False)
    assert (month.reasons, month.is_to_be_read) == ({"unread": 4}, True)


def test_a_first_day_that_is_read_in_part() -> None:
    """What precedes ``start_date`` on its day is counted and not read, which is no difference."""
    (month,) = months({0: 10}, {**READ, "difference": -4}, starts=3600)
    assert month.reasons == {"partial": 4}


def test_the_days_of_a_month_are_summed() -> None:
    """A month sums its days; what is not known of a day is left out of the sums."""
    january, february = months(
        {0: 10, 1: 7, 2: 1}, {**READ, "difference": 1}, {}, {"count": 2, "difference": 0}
    )
    assert (january.month, january.first, january.last) == ("2026-01", "2026-01-30", "2026-01-31")
    assert (january.count, january.last_count, january.brought) == (17, 10, 11)
    assert (january.change, january.difference) == (0, 1)
    assert january.reasons == {"fewer": 1, "uncounted": 7}
    assert (february.first, february.change, february.reasons) == ("2026-02-01", -1, {"fell": 1})


@pytest.mark.parametrize(
    ("period", "brought"),
    [
        ({"count": 10, "difference": 2}, 12),
        ({"count": 10, "difference": -2, "second_at": 5}, 8),
        ({"count": 10, "difference": -2, "due": True}, None),
        ({}, None),
    ],
)
def test_what_a_reading_brought(period: dict[str, Any], brought: int | None) -> None:
    """What the last reading has brought is told where the state knows it."""
    (month,) = months({0: 10}, period)
    assert month.brought == brought


@pytest.mark.parametrize("period", [{"count": 0}, {"count": None}, {"count": 0, "due": True}])
def test_months_without_events_are_left_out(period: dict[str, Any]) -> None:
    """A month of which nothing was ever counted has no row."""
    assert months({}, period) == []


def verification(*problems: str) -> Verification:
    """Two metrics of a stream, one with a month that has grown; others have problems."""
    grown = months({0: 1_234}, {"count": 1_000, "difference": -1})
    same = months({0: 5, 2: 6}, {"count": 5}, {"count": 0}, {"count": 6})
    unread = months({0: 5, 2: 6}, {}, {}, {})
    metrics = [
        VerifiedMetric("open", "AbCdEf", "Opened\x1b[2J Email", tuple(grown), "2026-02-02"),
        VerifiedMetric("open", "GhIjKl", "", tuple(same), "2026-02-01"),
        VerifiedMetric("click", "MnOpQr", "Clicked", tuple(unread), "2026-02-01"),
    ]
    metrics += [VerifiedMetric("bounce", "StUvWx", "", (), "", problem) for problem in problems]
    return Verification(tuple(metrics), {"flows": "Only events", "tags": "Only events"})


def test_the_table() -> None:
    """The table has what needs attention, a total for each stream, and one line for the rest."""
    head, *lines = rendered(verification("Refused."), "text").splitlines()
    assert head.split() == [
        "stream",
        "metric",
        "month",
        "now",
        "last",
        "count",
        "brought",
        "change",
    ]
    cells = [[cell.strip() for cell in line.split("  ") if cell] for line in lines[:4]]
    grown, uncounted = f"234 {NOTES['grown']}", f"11 {NOTES['uncounted']}"
    total = "2 months to 2026-02-01"
    metric = r"AbCdEf Opened\x1b[2J Email"
    assert cells == [
        ["open", metric, "2026-01", "1,234", "1,000", "999", "+234", grown],
        ["open", "total", total, "1,245", "1,011", "1,010", "+234", grown],
        ["click", "MnOpQr Clicked", "2 months", "11", uncounted],
        ["click", "total", total, "11", uncounted],
    ]
    assert lines[4:] == [
        "bounce, metric StUvWx: Refused.",
        "Not verified: flows, tags. Only events.",
    ]


def test_conclusions() -> None:
    """One line says how many events are left for later runs, or that there are none."""
    found = verification()
    assert (
        conclusion(found) == "Not all has been read: 245 events of open, click are for a later run."
    )
    complete = Verification(found.metrics[1:2])
    assert conclusion(complete) == "Nothing is due: 11 events of 1 metric compared."
