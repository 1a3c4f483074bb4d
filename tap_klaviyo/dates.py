"""Dates: text in, UTC out; and a wall clock that never jumps."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pendulum

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?", re.ASCII)


def parse_utc(text: str) -> datetime:
    """A date or time of RFC 3339 as a UTC datetime. Without an offset it is UTC.

    A blank may replace the ``T``, since Klaviyo writes some dates so. Raises ValueError for
    anything else, incomplete dates such as "12" included.
    """
    if not _ISO.fullmatch(text):
        raise ValueError(f"not a date: {text!r}")
    try:
        parsed: Any = pendulum.parse(text, tz="UTC")
        utc = parsed.in_timezone("UTC")
    except (ValueError, OverflowError, AttributeError, IndexError) as error:
        raise ValueError(f"not a date: {text!r}") from error
    clock = (utc.hour, utc.minute, utc.second, utc.microsecond)
    return datetime(utc.year, utc.month, utc.day, *clock, tzinfo=timezone.utc)


def utc(seconds: float) -> str:
    """Unix seconds as a UTC date, such as 2026-01-31T00:00:00Z."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def steady_clock(now: Callable[[], float], clock: Callable[[], float]) -> Callable[[], float]:
    """The wall clock ``now``, in Unix seconds, without its later jumps.

    It goes on from the time of the call by ``clock``, which never jumps.
    """
    offset = now() - clock()
    return lambda: offset + clock()
