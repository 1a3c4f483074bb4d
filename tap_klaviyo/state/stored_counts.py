"""The stored form of a metric's counts. Pure.

It is compact, since each STATE holds it for each metric::

    {"asked_at": 1767225600, "counted_at": 1767225600, "first": "2024-01-01",
     "days_from": "2025-09-23", "days": [12, null, 7], "months": [310, 290],
     "due": [["2025-09-24", "2025-09-25"]], "short": [["2025-09-25", "2025-09-26", 1767229200]],
     "reading": {"2025-09-24": [1758700000, 4]}, "day_differences": [0, 0, 2]}

``days`` begin with ``days_from``, ``months`` end there; null is a count that no reading covers.
Months before the first of ``months`` have a count of 0. ``due`` and ``short`` are ranges of days.
Differences are what the last reading brought more, or less if negative, than was counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import dropwhile, groupby
from operator import attrgetter
from typing import Any

import msgspec

from tap_klaviyo.state.counts import MetricCounts, Period, day_number, iso_day, months


class _Stored(msgspec.Struct, omit_defaults=True):
    """The form in the document."""

    asked_at: int | None = None
    counted_at: int | None = None
    strikes: int = 0
    first: str = ""
    days_from: str = ""
    days: list[int | None] = []
    months: list[int | None] = []
    due: list[tuple[str, str]] = []
    short: list[tuple[str, str, int]] = []
    reading: dict[str, tuple[int, int]] = {}
    day_differences: list[int] = []
    month_differences: list[int] = []


def counts_document(counts: MetricCounts) -> dict[str, Any]:
    """The counts of a metric as JSON."""
    periods = counts.periods
    daily = [*_daily(periods)]
    monthly = periods[: len(periods) - len(daily)]
    # Not dropped: a month without events about which there is more to say.
    shown = [*dropwhile(lambda p: p.settled and p.count == p.difference == 0, monthly)]
    form = _Stored(
        asked_at=counts.asked_at,
        counted_at=counts.counted_at,
        strikes=counts.strikes,
        first=iso_day(periods[0].first) if periods else "",
        days_from=iso_day(daily[0].first if daily else periods[-1].end) if periods else "",
        days=[period.count for period in daily],
        months=[period.count for period in shown],
        due=[(first, end) for first, end, _ in _ranges(periods, attrgetter("due"))],
        short=_ranges(periods, attrgetter("second_at")),
        reading={iso_day(p.first): (p.mark, p.brought) for p in periods if p.mark is not None},
        day_differences=_differences(daily),
        month_differences=_differences(shown),
    )
    result: dict[str, Any] = msgspec.to_builtins(form)
    return result


def counts_from(document: Any) -> MetricCounts:
    """The counts of a metric from JSON. Raises ValueError for what is none."""
    form = msgspec.convert(document, _Stored)
    counts = MetricCounts(form.asked_at, form.counted_at, form.strikes)
    if not form.first:
        return counts
    days_from = day_number(form.days_from)
    bounds = [*months(day_number(form.first), days_from)]
    if len(form.months) > len(bounds):
        raise ValueError("more months than there are since the first day")
    known = [0] * (len(bounds) - len(form.months)) + form.months
    counts.periods = [Period(*bound, count) for bound, count in zip(bounds, known, strict=True)]
    _set_differences(counts.periods[len(bounds) - len(form.months) :], form.month_differences)
    daily = [Period(days_from + n, days_from + n + 1, count) for n, count in enumerate(form.days)]
    _set_differences(daily, form.day_differences)
    counts.periods += daily
    by_day = {period.first: period for period in counts.periods}
    for first, end in form.due:
        for period in _within(counts.periods, first, end):
            period.due = True
    for first, end, second_at in form.short:
        for period in _within(counts.periods, first, end):
            period.second_at = second_at
    for first, (mark, brought) in form.reading.items():
        period = by_day[day_number(first)]
        period.mark, period.brought = mark, brought
    if any(p.count is None and (p.due or p.second_at) for p in counts.periods):
        raise ValueError("a period without a count is to be read")
    return counts


def _daily(periods: Sequence[Period]) -> Iterable[Period]:
    """The last periods that are single days."""
    daily: list[Period] = []
    for period in reversed(periods):
        if period.end - period.first != 1:
            break
        daily.append(period)
    return reversed(daily)


def _ranges(periods: Iterable[Period], of: Callable[[Period], Any]) -> list[tuple[str, str, Any]]:
    """The ranges of periods for which ``of`` gives the same value, but for None and False."""
    found = []
    for value, group in groupby(periods, of):
        members = [*group]
        if value not in (None, False):
            found.append((iso_day(members[0].first), iso_day(members[-1].end), value))
    return found


def _within(periods: Iterable[Period], first: str, end: str) -> Iterator[Period]:
    start, stop = day_number(first), day_number(end)
    return (period for period in periods if start <= period.first and period.end <= stop)


def _differences(periods: Iterable[Period]) -> list[int]:
    differences = [*map(attrgetter("difference"), periods)]
    return differences if any(differences) else []


def _set_differences(periods: Sequence[Period], differences: Sequence[int]) -> None:
    for period, difference in zip(periods, differences, strict=False):
        period.difference = difference
