"""Timeframes of reports and their intervals, in the account's time zone.

Days begin at midnight and weeks on Monday. `last_7_days` and similar keys are whole days before
today; `last_3_months` and `last_12_months` are whole months before the current one.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)


class Timeframe(NamedTuple):
    """The range `[start, end)`; both are naive local times in `zone`."""

    start: datetime
    end: datetime
    zone: ZoneInfo

    def unix_seconds(self) -> tuple[float, float]:
        """Start and end in Unix seconds."""
        return self._seconds(self.start), self._seconds(self.end)

    def whole_days(self, now: float) -> "Timeframe":
        """From the start of the first day to the end of the last; not beyond `now` (Unix seconds).

        A timeframe that ends after `now` keeps its end.
        """
        moment = datetime.fromtimestamp(now, self.zone).replace(tzinfo=None)
        end = max(self.end, min(_start_of_day(self.end) + _DAY, moment))
        return self._replace(start=_start_of_day(self.start), end=end)

    def intervals(self, interval: str) -> list[tuple[datetime, float, float]]:
        """The intervals (`hour`, `day`, `week` or `month`) that overlap the timeframe.

        Each has its begin (aware) and the part inside the timeframe as Unix seconds.
        """
        first, last = self.unix_seconds()
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
            # Counted in Unix seconds, so that hours are right when the clocks change.
            moment = self.start.replace(minute=0, second=0, microsecond=0).replace(tzinfo=self.zone)
            seconds = moment.timestamp()
            while seconds < self._seconds(self.end):
                yield datetime.fromtimestamp(seconds, self.zone)
                seconds += 3600
            return
        moment = FLOORS[interval](self.start)
        while moment < self.end:
            yield moment.replace(tzinfo=self.zone)
            moment = FLOORS[interval](moment + _MAX_LENGTH[interval])

    def _seconds(self, moment: datetime) -> float:
        return moment.replace(tzinfo=self.zone).timestamp()


def _start_of_day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _start_of_week(moment: datetime) -> datetime:
    return _start_of_day(moment) - moment.weekday() * _DAY


def _start_of_month(moment: datetime) -> datetime:
    return _start_of_day(moment).replace(day=1)


def _start_of_year(moment: datetime) -> datetime:
    return _start_of_month(moment).replace(month=1)


FLOORS: Mapping[str, Callable[[datetime], datetime]] = {
    "day": _start_of_day,
    "week": _start_of_week,
    "month": _start_of_month,
}
_MAX_LENGTH = {"day": _DAY, "week": _WEEK, "month": timedelta(days=31)}


def _months_before(moment: datetime, months: int) -> datetime:
    """The first day of the month that is `months` months earlier."""
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    return _start_of_month(moment).replace(year=year, month=month + 1)


def _days(number: int) -> Callable[[datetime], tuple[datetime, datetime]]:
    return lambda now: (_start_of_day(now) - number * _DAY, _start_of_day(now))


_KEYS: Mapping[str, Callable[[datetime], tuple[datetime, datetime]]] = {
    "last_12_months": lambda now: (_months_before(now, 12), _start_of_month(now)),
    "last_30_days": _days(30),
    "last_365_days": _days(365),
    "last_3_months": lambda now: (_months_before(now, 3), _start_of_month(now)),
    "last_7_days": _days(7),
    "last_90_days": _days(90),
    "last_month": lambda now: (_months_before(now, 1), _start_of_month(now)),
    "last_week": lambda now: (_start_of_week(now) - _WEEK, _start_of_week(now)),
    "last_year": lambda now: (_start_of_year(_start_of_year(now) - _DAY), _start_of_year(now)),
    "this_month": lambda now: (_start_of_month(now), now),
    "this_week": lambda now: (_start_of_week(now), now),
    "this_year": lambda now: (_start_of_year(now), now),
    "today": lambda now: (_start_of_day(now), now),
    "yesterday": _days(1),
}


def timeframe_of_key(key: str, now: float, zone: ZoneInfo) -> Timeframe | None:
    """The timeframe of a key such as `last_7_days`; `now` is in Unix seconds.

    Returns None for an unknown key.
    """
    if key not in _KEYS:
        return None
    start, end = _KEYS[key](datetime.fromtimestamp(now, zone).replace(tzinfo=None))
    return Timeframe(start, end, zone)


def longer_than_a_year(timeframe: Timeframe) -> bool:
    """Whether a timeframe is longer than the year that Klaviyo allows, leap days included."""
    return timeframe.end > _year_later(timeframe.start)


def _year_later(moment: datetime) -> datetime:
    try:
        return moment.replace(year=moment.year + 1)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year + 1, month=3, day=1)
