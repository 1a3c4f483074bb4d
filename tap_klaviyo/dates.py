"""Moments: text in, UTC out."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

import pendulum

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?", re.ASCII)


def parse_utc(text: str) -> datetime:
    """RFC 3339 or an ISO date as a UTC datetime; what names no zone means UTC.

    A blank may stand for the ``T``, as Klaviyo sometimes writes it. Raises ValueError for
    everything else, half-dates such as "12" included.
    """
    if not _ISO.fullmatch(text):
        raise ValueError(f"not a date: {text!r}")
    try:
        moment: Any = pendulum.parse(text, tz="UTC")
        utc = moment.in_timezone("UTC")
    except (ValueError, OverflowError, AttributeError) as error:
        raise ValueError(f"not a date: {text!r}") from error
    clock = (utc.hour, utc.minute, utc.second, utc.microsecond)
    return datetime(utc.year, utc.month, utc.day, *clock, tzinfo=timezone.utc)
