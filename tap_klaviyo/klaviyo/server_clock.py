"""Klaviyo's clock, as the ``Date`` header of its answers shows it.

Source: RFC 9110, sections 5.6.7 and 6.6.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime


def http_date(value: str | None) -> float | None:
    """A date of an HTTP header in Unix seconds; None if it is missing or not a date."""
    try:
        date = parsedate_to_datetime(value or "")
        return date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


class ServerClock:
    """How far the local clock is from Klaviyo's. ``now`` is the local clock in Unix seconds.

    The first answer with a valid ``Date`` counts. The header has a resolution of one second.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.offset: float | None = None
        """Seconds by which the local clock is ahead of Klaviyo's; None while it is not known."""

    def note(self, headers: Mapping[str, str]) -> None:
        """Notes an answer that has just arrived."""
        if self.offset is None and (date := http_date(headers.get("Date"))) is not None:
            self.offset = self._now() - date

    def time_of(self, headers: Mapping[str, str]) -> float:
        """When an answer was sent, in Unix seconds by Klaviyo's clock as far as it is known."""
        date = http_date(headers.get("Date"))
        return self._now() - (self.offset or 0.0) if date is None else date
