"""Calendar periods of reports: days, weeks and months in the account's time zone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tap_klaviyo.streams.model import Interval

_DAY = timedelta(days=1)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _monday(moment: datetime) -> datetime:
    return _midnight(moment) - moment.weekday() * _DAY


def _first(moment: datetime) -> datetime:
    return _midnight(moment).replace(day=1)


def _months_later(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1)


@dataclass(frozen=True)
class _Calendar:
    """Where intervals of one length begin, how many of them a series may have at once.

    ``aggregates`` is what metric aggregates call the interval.
    """

    floor: Callable[[datetime], datetime]
    later: Callable[[datetime, int], datetime]
    longest: int
    aggregates: str


CALENDARS: Mapping[Interval, _Calendar] = {
    # Hours are asked for in whole days, since Klaviyo's limit is seven of them.
    "hourly": _Calendar(_midnight, lambda moment, count: moment + count * _DAY, 7, "hour"),
    "daily": _Calendar(_midnight, lambda moment, count: moment + count * _DAY, 60, "day"),
    "weekly": _Calendar(_monday, lambda moment, count: moment + count * 7 * _DAY, 52, "week"),
    # 52 weeks are less than twelve months.
    "monthly": _Calendar(_first, _months_later, 11, "month"),
}
