"""Days of a stream as text: ``open:2026-01-30..2026-01-31``, both days included, in UTC. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from tap_klaviyo.errors import ConfigError
from tap_klaviyo.logs import quoted
from tap_klaviyo.state.counts import day_number, iso_day

_FORM = re.compile(r"(.+):(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})", re.ASCII)


class DayRange(NamedTuple):
    """The days of ``stream`` from ``first`` up to, but not including, ``end``.

    They are numbered from 1970-01-01.
    """

    stream: str
    first: int
    end: int

    def __str__(self) -> str:
        return f"{self.stream}:{iso_day(self.first)}..{iso_day(self.end - 1)}"


def parse_day_range(text: str) -> DayRange:
    """The days that a text names. Raises :class:`ConfigError` for one of another form."""
    if match := _FORM.fullmatch(text.strip()):
        stream, *days = match.groups()
        try:
            first, last = map(day_number, days)
        except ValueError:
            first, last = 0, -1  # There is no such day.
        if first <= last:
            return DayRange(stream, first, last + 1)
    raise ConfigError(
        "resync: expected a stream, its first and its last day (UTC), such as "
        f"open:2026-01-30..2026-01-31, not {quoted(text)}."
    )
