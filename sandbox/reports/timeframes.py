"""Timeframes of reports and the intervals that they are cut into, in the account's time zone.

Days begin at midnight, weeks on Monday. `last_7_days` and its like are whole days before today;
`last_3_months` and `last_12_months` whole months before this one.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)


class Timeframe(NamedTuple):
    """From `start` to before `end`, both local times of the zone without an offset."""

    start: datetime
    end: datetime
    zone: ZoneInfo

    def seconds(self) -> tuple[float, float]:
        """Both ends in Unix seconds."""
        return self._seconds(self.start), self._seconds(self.end)

    def cut(self, interval: str) -> list[tuple[datetime, float, float]]:
        """Intervals: when each begins (aware), and its part of the timeframe in Unix seconds."""
        first, last = self.seconds()
        begins = list(self._begins(interval))
        ends = [*begins[1:], None]
        return [
            (
                begin,
                max(first, begin.timestamp()),
                last if end is None else min(last, end.timestamp()),
            )
            for begin, end in zip(begins, ends, strict=True)
        ]

    def _begins(self, interval: str) -> Iterator[datetime]:
        if interval == "hour":
            # An hour is an hour, also when the clocks change.
            moment = self.start.replace(minute=0, second=0, microsecond=0).replace(tzinfo=self.zone)
            seconds = moment.timestamp()
            while seconds < self._seconds(self.end):
                yield datetime.fromtimestamp(seconds, self.zone)
                seconds += 3600
            return
        moment = FLOORS[interval](self.start)
        while moment < self.end:
            yield moment.replace(tzinfo=self.zone)
            moment = FLOORS[interval](moment + _LONGEST[interval])

    def _seconds(self, moment: datetime) -> float:
        return moment.replace(tzinfo=self.zone).timestamp()


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _monday(moment: datetime) -> datetime:
    return _midnight(moment) - moment.weekday() * _DAY


def _first(moment: datetime) -> datetime:
    return _midnight(moment).replace(day=1)


def _new_year(moment: datetime) -> datetime:
    return _first(moment).replace(month=1)


FLOORS: Mapping[str, Callable[[datetime], datetime]] = {
    "day": _midnight,
    "week": _monday,
    "month": _first,
}
_LONGEST = {"day": _DAY, "week": _WEEK, "month": timedelta(days=31)}


def _months_before(moment: datetime, months: int) -> datetime:
    """The first day of a month so many before."""
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    return _first(moment).replace(year=year, month=month + 1)


def _days(number: int) -> Callable[[datetime], tuple[datetime, datetime]]:
    return lambda now: (_midnight(now) - number * _DAY, _midnight(now))


_KEYS: Mapping[str, Callable[[datetime], tuple[datetime, datetime]]] = {
    "last_12_months": lambda now: (_months_before(now, 12), _first(now)),
    "last_30_days": _days(30),
    "last_365_days": _days(365),
    "last_3_months": lambda now: (_months_before(now, 3), _first(now)),
    "last_7_days": _days(7),
    "last_90_days": _days(90),
    "last_month": lambda now: (_months_before(now, 1), _first(now)),
    "last_week": lambda now: (_monday(now) - _WEEK, _monday(now)),
    "last_year": lambda now: (_new_year(_new_year(now) - _DAY), _new_year(now)),
    "this_month": lambda now: (_first(now), now),
    "this_week": lambda now: (_monday(now), now),
    "this_year": lambda now: (_new_year(now), now),
    "today": lambda now: (_midnight(now), now),
    "yesterday": _days(1),
}


def named(key: str, now: float, zone: ZoneInfo) -> Timeframe | None:
    """The timeframe of a key at a moment in Unix seconds; None for an unknown key."""
    if key not in _KEYS:
        return None
    start, end = _KEYS[key](datetime.fromtimestamp(now, zone).replace(tzinfo=None))
    return Timeframe(start, end, zone)


def longer_than_a_year(timeframe: Timeframe) -> bool:
    """Whether a timeframe is longer than the year that is allowed, leap years included."""
    return timeframe.end > _year_later(timeframe.start)


def _year_later(moment: datetime) -> datetime:
    try:
        return moment.replace(year=moment.year + 1)
    except ValueError:  # The 29th of February.
        return moment.replace(year=moment.year + 1, month=3, day=1)
