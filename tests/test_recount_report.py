"""What the log tells of a recount: how late events came, and what is left."""

from __future__ import annotations

import pytest

from tap_klaviyo.errors import StreamError
from tap_klaviyo.state.counts import MetricCounts, Period, day_number
from tap_klaviyo.sync.recount_report import RecountReport

TODAY = day_number("2026-06-20")


def report_of(grown: dict[int, int]) -> RecountReport:
    """The report of growth by lateness in days."""
    report = RecountReport(TODAY)
    report.add("A", {TODAY - days: events for days, events in grown.items()})
    return report


@pytest.mark.parametrize(
    ("grown", "expected"),
    [
        ({}, None),
        ({3: 0}, None),
        ({3: 1}, (1, 3, 3)),
        ({1: 98, 900: 1}, (99, 900, 900)),
        ({1: 99, 900: 1}, (100, 1, 900)),
        ({1: 98, 5: 1, 900: 1}, (100, 5, 900)),
        ({900: 1, 5: 1, 1: 98}, (100, 5, 900)),
        ({1: 989, 900: 11}, (1000, 900, 900)),
        ({1: 990, 900: 10}, (1000, 1, 900)),
        ({1: 29_700_000, 2: 300_000}, (30_000_000, 1, 2)),
        ({1: 10, 2: 10, 3: 10}, (30, 3, 3)),
        ({-1: 5, 1: 5}, (10, 1, 1)),
    ],
)
def test_how_late_99_percent_came(
    grown: dict[int, int], expected: tuple[int, int, int] | None
) -> None:
    """The fewest days within which 99 % came, and those of all."""
    assert report_of(grown).late == expected


def test_a_metric_of_several_streams_counts_once() -> None:
    """Each stream reports the growth of its periods; other metrics count besides."""
    report = report_of({1: 3})
    report.add("A", {TODAY - 1: 3, TODAY - 2: 1})
    report.add("B", {TODAY - 1: 3})
    assert report.late == (7, 2, 2)


def counts_of(*due: bool) -> MetricCounts:
    """Counts of one day after the other, some of them due, up to today."""
    first = TODAY - len(due)
    return MetricCounts(
        periods=[Period(first + n, first + n + 1, 5, due=one) for n, one in enumerate(due)]
    )


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([], []),
        ([counts_of(False, False)], []),
        ([counts_of(True, False, False)], ["1 of 3 days", "before 2026-06-18."]),
        (
            [counts_of(True, True, False), counts_of(True, False, False, False)],
            ["3 of 7 days", "before 2026-06-19."],
        ),
    ],
)
def test_what_is_left(
    caplog: pytest.LogCaptureFixture, counts: list[MetricCounts], expected: list[str]
) -> None:
    """One line says how many days are still to be read, and how far back all were read."""
    caplog.set_level("INFO")
    RecountReport(TODAY).log(counts)
    assert len(caplog.messages) == bool(expected)
    assert all(part in caplog.text for part in expected)


def test_metrics_without_counts(caplog: pytest.LogCaptureFixture) -> None:
    """One line names those that were refused, with a reason; another one the unstable ones.

    Each is named once, although several streams may have it.
    """
    report = RecountReport(TODAY, {}, {"A": StreamError("Refused."), "B": StreamError("No.")})
    report.unstable += ["C", "D", "C"]
    report.log([])
    refused, unstable = caplog.messages
    assert "so they are swept: A, B. Refused." in refused
    assert "in a week: C, D." in unstable


def test_lateness_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """With thousands separated, since late events may be many."""
    caplog.set_level("INFO")
    report_of({1: 5_000, 40: 10}).log([counts_of(False)])
    assert caplog.messages == [
        "Klaviyo's counts have grown: of 5,010 late events 99 % came within 1 day, the latest "
        "after 40 days at most."
    ]
