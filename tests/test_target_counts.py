"""Counts of a target: the CSV file, and what is missing compared with what was read."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.errors import ConfigError
from tap_klaviyo.state.counts import Period, day_number
from tap_klaviyo.sync.day_ranges import DayRange, parse_day_range
from tap_klaviyo.verify.missing_rows import compare_target
from tap_klaviyo.verify.target_counts import read_target_counts

DAY = day_number("2026-01-01")
HEAD = b"stream,day,count\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"stream,day,count", {}),
        (HEAD + b"open,2026-01-01,5\nopen,2026-01-02,0\n", {"open": {DAY: 5, DAY + 1: 0}}),
        (b"\xef\xbb\xbfStream, Day ,COUNT\r\n open , 2026-01-01 , 5 \r\n\r\n", {"open": {DAY: 5}}),
        (
            HEAD + b'"open","2026-01-01","5"\nclick,2026-01-01,1',
            {"open": {DAY: 5}, "click": {DAY: 1}},
        ),
        (HEAD + b",,\n , ,\nopen,1969-12-31,7\n", {"open": {-1: 7}}),
    ],
)
def test_a_file(tmp_path: Path, text: bytes, expected: dict[str, dict[int, int]]) -> None:
    """A file is read whatever tool has written it."""
    path = tmp_path / "counts.csv"
    path.write_bytes(text)
    assert read_target_counts(path) == expected


ROW = "expected a stream, a day such as 2026-01-31 and a number of events, not "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "is empty; expected stream,day,count and rows."),
        (b"open,2026-01-01,5\n", "line 1: expected the header stream,day,count."),
        (b"stream;day;count\n", "line 1: expected the header stream,day,count."),
        (b"\n" + HEAD, "line 1: expected the header stream,day,count."),
        (HEAD + b"open,2026-01-01\n", f"line 2: {ROW}'open,2026-01-01'."),
        (HEAD + b"open,2026-01-01,5,6\n", f"line 2: {ROW}'open,2026-01-01,5,6'."),
        (HEAD + b"\nopen,2026-02-30,5\n", f"line 3: {ROW}'open,2026-02-30,5'."),
        (HEAD + b"open,20260101,5\n", f"line 2: {ROW}'open,20260101,5'."),
        (HEAD + b"open,2026-01-01 00:00:00,5\n", f"line 2: {ROW}'open,2026-01-01 00:00:00,5'."),
        (HEAD + b"open,2026-01-01,-5\n", f"line 2: {ROW}'open,2026-01-01,-5'."),
        (HEAD + b"open,2026-01-01,5.0\n", f"line 2: {ROW}'open,2026-01-01,5.0'."),
        (HEAD + "open,2026-01-01,５\n".encode(), f"line 2: {ROW}'open,2026-01-01,５'."),
        (HEAD + b",2026-01-01,5\n", f"line 2: {ROW}',2026-01-01,5'."),
        (
            HEAD + b"open,2026-01-01,5\nopen,2026-01-01,6\n",
            "line 3: 'open' has two counts of 2026-01-01; expected one row per stream and day.",
        ),
        (HEAD + b'open,"2026-01-01,5\n', "line 2: not CSV (unexpected end of data)."),
        (HEAD + b"\xff\xfe\n", "is not a CSV file in UTF-8."),
        (None, "cannot read"),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: bytes | None, expected: str) -> None:
    """What is wrong with a file is one line that names the place."""
    path = tmp_path / "counts.csv"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(ConfigError, match=re.escape(expected)) as caught:
        read_target_counts(path)
    assert str(caught.value).startswith("target-counts: ")
    assert str(path) in str(caught.value)


def days(*counts: int | None, first: int = DAY, **fields: Any) -> list[Period]:
    """Periods of a day each; ``fields`` are those of all."""
    return [Period(first + n, first + n + 1, count, **fields) for n, count in enumerate(counts)]


def month(count: int, length: int = 3) -> Period:
    """A period of several days."""
    return Period(DAY, DAY + length, count)


@pytest.mark.parametrize(
    ("metrics", "held", "missing"),
    [
        ([days(5, 6, 7)], [5, 6, 7], []),
        ([days(5, 6, 7)], [9, 6, 8], []),
        ([days(5, 6, 7)], [5, 5, 7], ["open:2026-01-02..2026-01-02 5/6"]),
        ([days(5, 6, 7)], [4, 5, 7], ["open:2026-01-01..2026-01-02 9/11"]),
        (
            [days(5, 6, 7)],
            [4, 6, 6],
            ["open:2026-01-01..2026-01-01 4/5", "open:2026-01-03..2026-01-03 6/7"],
        ),
        ([days(5, 6, 7)], [], ["open:2026-01-01..2026-01-03 0/18"]),
        ([days(5, 0, 0, 7)], [4, 0, 0, 6], ["open:2026-01-01..2026-01-04 10/12"]),
        ([days(5, 0, 0, 7)], [4, 0, 0, 7], ["open:2026-01-01..2026-01-01 4/5"]),
        (
            [days(5, None, 7)],
            [4, 0, 6],
            ["open:2026-01-01..2026-01-01 4/5", "open:2026-01-03..2026-01-03 6/7"],
        ),
        ([days(5, difference=2)], [6], ["open:2026-01-01..2026-01-01 6/7"]),
        ([days(5, difference=-2)], [3], []),
        ([days(5, difference=-2)], [2], ["open:2026-01-01..2026-01-01 2/3"]),
        ([days(5, due=True)], [0], []),
        ([days(5, second_at=9)], [0], []),
        ([days(None)], [0], []),
        ([[month(9)]], [3, 3, 3], []),
        ([[month(9)]], [9, 0, 0], []),
        ([[month(9)]], [3, 2, 3], ["open:2026-01-01..2026-01-03 8/9"]),
        ([days(5, 6), days(1, 2)], [6, 8], []),
        ([days(5, 6), days(1, 2)], [6, 7], ["open:2026-01-02..2026-01-02 7/8"]),
        ([days(5, 6), days(1, None)], [5, 0], ["open:2026-01-01..2026-01-01 5/6"]),
        ([[month(9)], days(1, 1, 1)], [12, 0, 0], []),
        ([[month(9)], days(1, 1, 1)], [5, 3, 3], ["open:2026-01-01..2026-01-03 11/12"]),
        ([[month(9)], days(1, 1, None)], [0, 0, 0], []),
        ([days(5, 6), days(2, first=DAY + 1)], [0, 7], ["open:2026-01-02..2026-01-02 7/8"]),
    ],
)
def test_what_is_missing(metrics: list[list[Period]], held: list[int], missing: list[str]) -> None:
    """Days are missing if fewer are held than all metrics together have brought, and joined."""
    found = compare_target({"open": metrics}, {"open": {DAY + n: c for n, c in enumerate(held)}})
    assert [f"{one.days} {one.held}/{one.brought}" for one in found.missing] == missing


def test_streams_that_cannot_be_compared() -> None:
    """Streams of which a metric has no periods, and streams on one side only, are named."""
    periods = {"open": [days(5)], "click": [days(5), []], "bounce": [days(0)], "receive": [days(2)]}
    found = compare_target(periods, {"opne": {DAY: 5}, "open": {DAY: 5}})
    assert [str(one.days) for one in found.missing] == ["receive:2026-01-01..2026-01-01"]
    assert found.events == 7
    assert (found.not_compared, found.unknown) == (("click",), ("opne",))
    assert found.absent == ("receive",)


def refusal(call: Callable[[], object]) -> str:
    """Why a call refuses its input; empty if it does not."""
    try:
        call()
    except ConfigError as error:
        return str(error)
    return ""


@given(
    st.binary(max_size=80)
    | st.lists(st.text('\x00\t\r\n ",;09-open\u0661', max_size=12), max_size=8).map(
        lambda cells: HEAD + ",".join(cells).encode()
    )
)
def test_any_file(content: bytes) -> None:
    """Whatever a file holds, it is read or refused in one line that names it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        message = refusal(lambda: read_target_counts(file.name))
        assert not message or file.name in message


@given(
    st.from_regex(r"[a-z_:.]{1,20}", fullmatch=True),
    st.dates(date(1970, 1, 1)),
    st.integers(0, 1_000),
)
def test_days_as_text(stream: str, first: date, more: int) -> None:
    """The days that a verification names are those that --resync reads."""
    begin = (first - date(1970, 1, 1)).days
    days = DayRange(stream, begin, min(begin + more, (date.max - date(1970, 1, 1)).days) + 1)
    assert parse_day_range(str(days)) == days


@given(st.text(max_size=40) | st.from_regex(r"open:[-0-9T.]{10,24}"))
def test_any_days(text: str) -> None:
    """A text names days or is refused in one line."""
    message = refusal(lambda: parse_day_range(text))
    assert not message or message.startswith("resync: expected a stream, ")
