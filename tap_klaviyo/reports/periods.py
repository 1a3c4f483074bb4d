"""Calendars: where the intervals of a report start in the account's time zone. Pure.

Times are naive datetimes that show the clock of the account's time zone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tap_klaviyo.streams.model import Interval

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Calendar:
    """Intervals of one length.

    ``floor`` returns the start of the interval that contains a time, ``later`` the start of the
    interval that comes ``n`` intervals later. ``most`` is how many intervals one series may have.
    ``aggregates`` is the name of the interval in metric aggregates.
    """

    floor: Callable[[datetime], datetime]
    later: Callable[[datetime, int], datetime]
    most: int
    aggregates: str


def _midnight(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def _monday(time: datetime) -> datetime:
    return _midnight(time) - time.weekday() * _DAY


def _first_of_month(time: datetime) -> datetime:
    return _midnight(time).replace(day=1)


def _days_later(time: datetime, days: int) -> datetime:
    return time + days * _DAY


def _weeks_later(time: datetime, weeks: int) -> datetime:
    return time + weeks * 7 * _DAY


def _months_later(time: datetime, months: int) -> datetime:
    year, month = divmod(time.year * 12 + time.month - 1 + months, 12)
    return time.replace(year=year, month=month + 1)


CALENDARS: Mapping[Interval, Calendar] = {
    # Hours are requested in whole days: Klaviyo allows seven days of them.
    "hourly": Calendar(_midnight, _days_later, 7, "hour"),
    "daily": Calendar(_midnight, _days_later, 60, "day"),
    "weekly": Calendar(_monday, _weeks_later, 52, "week"),
    # Klaviyo allows 52 weeks, which is less than twelve months.
    "monthly": Calendar(_first_of_month, _months_later, 11, "month"),
}
