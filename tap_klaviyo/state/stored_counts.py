"""The stored form of a metric's counts. Pure.

It is compact, since each STATE holds it for each metric::

    {"asked_at": 1767225600, "counted_at": 1767225600, "first": "2024-01-01",
     "days_from": "2025-09-23", "days": [12, null, 7], "months": [310, 290],
     "due": [["2025-09-24", "2025-09-25"]], "short": [["2025-09-25", "2025-09-26", 1767229200]],
     "reading": {"2025-09-24": [1758700000, 4]}, "day_differences": [0, 0, 2]}

``days`` begin with ``days_from``, ``months`` end there; null is a count that no reading covers.
Months before the first of ``months`` have a count of 0. ``due`` and ``short`` are ranges of days.
Differences are what the last reading brought more, or less if negative, than was counted.

Keys that this version does not know are carried along. Null is the same as an absent key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import dropwhile, groupby
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from tap_klaviyo.state.counts import MetricCounts, Period, day_number, iso_day, months

_Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A count, or Unix seconds. Larger numbers are not exact in all programs that pass states on."""


class _Stored(msgspec.Struct, omit_defaults=True):
    """The form in the document."""

    asked_at: _Number | None = None
    counted_at: _Number | None = None
    strikes: _Number = 0
    first: str = ""
    days_from: str = ""
    days: list[_Number | None] = []
    months: list[_Number | None] = []
    due: list[tuple[str, str]] = []
    short: list[tuple[str, str, _Number]] = []
    reading: dict[str, tuple[_Number, _Number]] = {}
    day_differences: list[int] = []
    month_differences: list[int] = []


_KEYS = frozenset(_Stored.__struct_fields__)


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
    return {**counts.unknown, **msgspec.to_builtins(form)}


def counts_from(document: Any) -> MetricCounts:
    """The counts of a metric from JSON. Raises ValueError or OverflowError for what is none."""
    if not isinstance(document, dict | None):
        raise ValueError("no object")
    stored = {key: value for key, value in (document or {}).items() if value is not None}
    form = msgspec.convert(stored, _Stored)
    unknown = {key: value for key, value in stored.items() if key not in _KEYS}
    counts = MetricCounts(form.asked_at, form.counted_at, form.strikes, unknown=unknown)
    if form.first or form.days_from or form.days or form.months:
        counts.periods = _periods(form)
    return counts


def _periods(form: _Stored) -> list[Period]:
    """The periods, oldest first. Raises ValueError or OverflowError for what is none."""
    days_from = day_number(form.days_from)
    bounds = [*months(day_number(form.first), days_from)]
    if len(form.months) > len(bounds):
        raise ValueError("more months than there are since the first day")
    known = [0] * (len(bounds) - len(form.months)) + form.months
    monthly = [Period(*bound, count) for bound, count in zip(bounds, known, strict=True)]
    _set_differences(monthly[len(bounds) - len(form.months) :], form.month_differences)
    daily = [Period(days_from + n, days_from + n + 1, count) for n, count in enumerate(form.days)]
    _set_differences(daily, form.day_differences)
    periods = [*monthly, *daily]
    iso_day(days_from + len(daily))  # There is no year 10000.
    for first, end in form.due:
        for period in _within(periods, first, end):
            period.due = True
    for first, end, second_at in form.short:
        for period in _within(periods, first, end):
            period.second_at = second_at
    by_day = {period.first: period for period in periods}
    for first, (mark, brought) in form.reading.items():
        period = by_day[day_number(first)]
        period.mark, period.brought = mark, brought
    _check(periods)
    return periods


def _check(periods: Iterable[Period]) -> None:
    """Raises ValueError for a period that cannot be read."""
    for period in periods:
        to_read = period.due or period.second_at is not None
        if to_read and period.count is None:
            raise ValueError("a period without a count is to be read")
        if period.mark is not None and not (
            to_read and period.start_second <= period.mark <= period.end_second
        ):
            raise ValueError("a reading has come to a second of another period")


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
        if value is not None and value is not False:
            found.append((iso_day(members[0].first), iso_day(members[-1].end), value))
    return found


def _within(periods: Iterable[Period], first: str, end: str) -> Sequence[Period]:
    """The periods of a range of days. Raises ValueError if it is not one of whole periods."""
    start, stop = day_number(first), day_number(end)
    found = [period for period in periods if start <= period.first and period.end <= stop]
    if not found or (found[0].first, found[-1].end) != (start, stop):
        raise ValueError("a range of days begins or ends within a period")
    return found


def _differences(periods: Iterable[Period]) -> list[int]:
    differences = [*map(attrgetter("difference"), periods)]
    return differences if any(differences) else []


def _set_differences(periods: Sequence[Period], differences: Sequence[int]) -> None:
    for period, difference in zip(periods, differences, strict=True) if differences else ():
        period.difference = difference
