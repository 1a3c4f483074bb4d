"""Days of a stream as text: ``open:2026-01-30..2026-01-31``, both days included, in UTC. Pure."""

from __future__ import annotations

from typing import NamedTuple

from tap_klaviyo.state.counts import iso_day


class DayRange(NamedTuple):
    """The days of ``stream`` from ``first`` up to, but not including, ``end``.

    They are numbered from 1970-01-01.
    """

    stream: str
    first: int
    end: int

    def __str__(self) -> str:
        return f"{self.stream}:{iso_day(self.first)}..{iso_day(self.end - 1)}"
