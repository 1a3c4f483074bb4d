"""Parsing dates and times to UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.dates import parse_utc

DATES = {
    "2026-01-31": "2026-01-31T00:00:00+00:00",
    "2026-01-31T10:20": "2026-01-31T10:20:00+00:00",
    "2026-01-31T10:20:30": "2026-01-31T10:20:30+00:00",
    "2026-01-31T10:20:30Z": "2026-01-31T10:20:30+00:00",
    "2026-01-31 10:20:30+00:00": "2026-01-31T10:20:30+00:00",
    "2026-01-31T10:20:30+05:30": "2026-01-31T04:50:30+00:00",
    "2026-01-31T23:20:30-08:00": "2026-02-01T07:20:30+00:00",
    "2026-01-31T10:20:30.123456Z": "2026-01-31T10:20:30.123456+00:00",
    "2026-01-31T10:20:30.5+00:00": "2026-01-31T10:20:30.500000+00:00",
    "2024-02-29T00:00:00Z": "2024-02-29T00:00:00+00:00",
}

INVALID_DATES = [
    *("", " ", "12", "2026", "2026-01", "20260131", "2026-W05", "tomorrow", "10:20:30"),
    *("2026-02-30", "2026-13-01", "2026-01-31T25:00:00Z", "2026-01-31T10:20:30+99:00"),
    *("P1D", "2026-01-31T00:00:00Z/P1D", "2026-01-31T00:00:00Z/2026-02-01T00:00:00Z"),
    *("2026-01-31T10:20/", "2026-01-31 10:20Z/", "2026-01-31T10:20+/", "2026-01-31T10:20/PT"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "٢٠٢٦-٠١-٣١"),
]


@pytest.mark.parametrize(("text", "expected"), DATES.items())
def test_dates(text: str, expected: str) -> None:
    """RFC 3339, ISO dates and Klaviyo's variations are parsed; no zone means UTC."""
    assert parse_utc(text).isoformat() == expected


@pytest.mark.parametrize("text", INVALID_DATES)
def test_invalid_dates(text: str) -> None:
    """Incomplete dates, intervals and dates that do not exist raise ValueError."""
    with pytest.raises(ValueError, match="not a date"):
        parse_utc(text)


@given(
    st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)),
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_round_trip(moment: datetime, offset: int) -> None:
    """A time with any offset is converted to the same moment in UTC."""
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert parse_utc(zoned.isoformat()) == zoned
    assert parse_utc(zoned.isoformat()).tzinfo is timezone.utc


@given(st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}[-+:.0-9 /PTZ]{0,24}\Z"))
def test_date_like_text(text: str) -> None:
    """Text that looks like a date is parsed or raises ValueError."""
    try:
        moment = parse_utc(text)
    except ValueError:
        return
    assert moment.tzinfo is timezone.utc
