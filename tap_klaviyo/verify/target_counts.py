"""``--target-counts``: how many events a target holds by stream and day, as a CSV file.

::

    stream,day,count
    open,2026-01-31,1234

Days are those of UTC, and a day without a row has no events.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from tap_klaviyo.errors import ConfigError
from tap_klaviyo.logs import quoted
from tap_klaviyo.state.counts import day_number

HEADER = ("stream", "day", "count")

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_COUNT = re.compile(r"\d{1,15}", re.ASCII)

TargetCounts: TypeAlias = Mapping[str, Mapping[int, int]]
"""The number of events by stream and the number of the day."""


def read_target_counts(path: str | PathLike[str]) -> TargetCounts:
    """The counts in a file. Raises :class:`ConfigError` that names the line that is wrong."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"target-counts: cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise ConfigError(f"target-counts: {path} is not a CSV file in UTF-8.") from None
    counts: dict[str, dict[int, int]] = {}
    for line, cells in _rows(text, path):
        stream, day, count = _parsed(cells, f"{path}, line {line}")
        if day in counts.setdefault(stream, {}):
            raise ConfigError(
                f"target-counts: {path}, line {line}: {quoted(stream)} has two counts of "
                f"{cells[1].strip()}; expected one row per stream and day."
            )
        counts[stream][day] = count
    return counts


def _rows(text: str, path: object) -> Iterator[tuple[int, Sequence[str]]]:
    """The rows after the header that are not empty, by the number of the line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: Sequence[str] | None = None
    try:
        for cells in reader:
            if header is not None and any(map(str.strip, cells)):
                yield reader.line_num, cells
            elif header is None:
                header = [cell.strip().lower() for cell in cells]
                if tuple(header) != HEADER:
                    raise ConfigError(
                        f"target-counts: {path}, line 1: expected the header {','.join(HEADER)}."
                    )
    except csv.Error as error:
        raise ConfigError(
            f"target-counts: {path}, line {reader.line_num}: not CSV ({error})."
        ) from None
    if header is None:
        raise ConfigError(f"target-counts: {path} is empty; expected {','.join(HEADER)} and rows.")


def _parsed(cells: Sequence[str], place: str) -> tuple[str, int, int]:
    """The stream, the number of the day and the number of events in a row."""
    stripped = [cell.strip() for cell in cells]
    if len(stripped) == len(HEADER) and stripped[0]:
        stream, day, count = stripped
        if _DAY.fullmatch(day) and _COUNT.fullmatch(count):
            try:
                return stream, day_number(day), int(count)
            except ValueError:
                pass  # There is no such day.
    raise ConfigError(
        f"target-counts: {place}: expected a stream, a day such as 2026-01-31 and a number of "
        f"events, not {quoted(','.join(cells))}."
    )
