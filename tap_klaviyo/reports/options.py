"""The options that a user can set for a report."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from tap_klaviyo.streams.model import Interval


class ReportOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One report of ``stream``; an empty option leaves the choice to the tap.

    ``window`` is how far back a sweep reads again, since Klaviyo corrects its numbers.
    """

    stream: str
    interval: Interval | None = None
    statistics: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    filter: str = ""
    conversion_metric: str = ""
    metrics: tuple[str, ...] = ()
    window: timedelta = timedelta(days=30)
