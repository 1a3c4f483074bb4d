"""The options that a user can set for a report."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from tap_klaviyo.streams.model import Interval


class ReportOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user can say of a report of a ``stream``; what is empty is left to the tap.

    ``window`` is how far back a sweep asks again, since Klaviyo restates numbers.
    """

    stream: str
    interval: Interval | None = None
    statistics: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    filter: str = ""
    conversion_metric: str = ""
    metrics: tuple[str, ...] = ()
    window: timedelta = timedelta(days=30)
