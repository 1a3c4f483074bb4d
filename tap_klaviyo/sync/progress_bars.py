"""Progress bars on a terminal, one for each stream, and one line for all. Elsewhere nothing.

Streams that are being read come first, then those that failed, those that wait, and those that are
done. What does not fit on the screen is counted in the last line. The share of a stream is that of
the time, or of the parents, that this run has to read; it is not shown where nobody knows it.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

UPDATE_INTERVAL = 0.1
"""Seconds between two updates of a bar."""

LEAST_SECONDS, LEAST_SHARE = 3, 0.02
"""From when on the remaining time is estimated."""

BAR_WIDTHS = ((110, 24), (92, 10))
"""The width of the bars by the columns that the terminal must have; without bars below."""

RATE_COLUMNS = 75
"""The columns of a terminal below which no rates are shown."""

TABLE_MARGIN = 3
"""Lines of the screen that the bars leave free: those of the line for all, and the cursor."""


class Status(IntEnum):
    """What a stream does, in the order in which streams are shown."""

    READING = 0
    FAILED = 1
    WAITING = 2
    DONE = 3


SYMBOLS = {Status.READING: "•", Status.FAILED: "✗", Status.WAITING: " ", Status.DONE: "✓"}
ASCII_SYMBOLS = {Status.READING: "*", Status.FAILED: "x", Status.WAITING: " ", Status.DONE: "+"}
STYLES = {Status.READING: "", Status.FAILED: "red", Status.WAITING: "dim", Status.DONE: "green"}


class Progress:
    """Takes the progress of a run; this one shows nothing."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leaves the terminal as it was."""

    def add(self, stream: str) -> None:
        """Adds a stream that waits to be read."""

    def is_due(self, stream: str) -> bool:
        """Whether an update of the stream would be shown."""
        return False

    def update(self, stream: str, share: float | None, records: int) -> None:
        """``records`` of a stream have been written, and a ``share`` is done if it is known."""

    def finish(self, stream: str, records: int) -> None:
        """Marks a stream as done."""

    def fail(self, stream: str, records: int) -> None:
        """Marks a stream as failed."""


@dataclass
class _Row:
    """What is shown of a stream. Times are those of a clock that never jumps."""

    stream: str
    status: Status = Status.WAITING
    share: float | None = None
    records: int = 0
    started: float = 0.0
    updated: float = 0.0

    @property
    def rate(self) -> float:
        """Records per second since the first page."""
        seconds = self.updated - self.started
        return self.records / seconds if seconds > 0 else 0.0


class Bars(Progress):
    """Bars on stderr. ``clock`` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console
        from rich.live import Live

        self._clock = clock
        self._rows: dict[str, _Row] = {}
        self._started = clock()
        self._ended = False
        self._handlers: list[logging.StreamHandler[TextIO]] = []
        self._console = Console(stderr=True)
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            redirect_stdout=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Progress:
        self._started = self._clock()
        self._handlers = [
            handler
            for handler in logging.getLogger().handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
        ]
        self._live.start()
        # Log lines then go above the bars. Metrics are left out: the bars show the same.
        for handler in self._handlers:
            handler.setStream(sys.stderr)
            handler.addFilter(_is_not_metric)
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended = True
        self._live.stop()
        for handler in self._handlers:
            handler.setStream(sys.stderr)
            handler.removeFilter(_is_not_metric)

    def add(self, stream: str) -> None:
        self._rows = {**self._rows, stream: _Row(stream)}  # Another thread draws the old ones.

    def is_due(self, stream: str) -> bool:
        return self._clock() - self._rows[stream].updated >= UPDATE_INTERVAL

    def update(self, stream: str, share: float | None, records: int) -> None:
        self._set(stream, Status.READING, share, records)

    def finish(self, stream: str, records: int) -> None:
        self._set(stream, Status.DONE, 1.0, records)

    def fail(self, stream: str, records: int) -> None:
        self._set(stream, Status.FAILED, self._rows[stream].share, records)

    def _set(self, stream: str, status: Status, share: float | None, records: int) -> None:
        row = self._rows[stream]
        row.updated = self._clock()
        row.started = row.started or row.updated
        row.status, row.share, row.records = status, share, records

    # Drawing --------------------------------------------------------------------------------------

    def _render(self) -> RenderableType:
        from rich.console import Group

        rows = list(self._rows.values())
        shown = rows
        if not self._ended:
            room = max(0, self._console.height - TABLE_MARGIN)
            shown = sorted(rows, key=lambda row: row.status)[:room]
        return Group(self._table(shown), self._total(rows, hidden=len(rows) - len(shown)))

    def _table(self, rows: list[_Row]) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        columns, ascii_only = self._console.width, self._console.options.ascii_only
        symbols = ASCII_SYMBOLS if ascii_only else SYMBOLS
        bar_width = next((width for least, width in BAR_WIDTHS if columns >= least), 0)
        numbers = [_numbers(row, columns, with_unit=bool(bar_width)) for row in rows]
        widths = [max(map(len, cells)) for cells in zip(*numbers, strict=True)]
        gaps = len(widths) + 2 + bool(bar_width)  # Old versions of rich have one at the end, too.
        name_width = max(1, columns - 1 - bar_width - sum(widths) - gaps)
        table = Table.grid(padding=(0, 1, 0, 0))
        for _ in range(2 + bool(bar_width)):
            table.add_column(no_wrap=True)
        for width in widths:
            table.add_column(no_wrap=True, justify="right", min_width=width)
        for row, cells in zip(rows, numbers, strict=True):
            name = Text(row.stream)
            name.truncate(name_width, overflow="crop" if ascii_only else "ellipsis")
            unknown = row.status is Status.READING and row.share is None
            bar = ProgressBar(1.0, row.share or 0.0, width=bar_width, pulse=unknown)
            bars = [bar] if bar_width else []
            table.add_row(symbols[row.status], name, *bars, *cells, style=STYLES[row.status])
        return table

    def _total(self, rows: list[_Row], hidden: int) -> Text:
        """``12 of 21 streams, 1,234,567 records, 12,345/s, 0:01:02, about 0:00:40 left``."""
        from rich.text import Text

        return Text(", ".join(self._totals(rows, hidden)))

    def _totals(self, rows: list[_Row], hidden: int) -> Iterator[str]:
        counts = Counter(row.status for row in rows)
        records, seconds = sum(row.records for row in rows), self._clock() - self._started
        yield f"{counts[Status.DONE]} of {len(rows)} streams"
        if counts[Status.FAILED]:
            yield f"{counts[Status.FAILED]} failed"
        if hidden:
            yield f"{hidden} not shown"
        yield f"{records:,} records"
        yield f"{records / seconds if seconds > 0 else 0:,.0f}/s"
        yield _duration(seconds)
        ended = (Status.DONE, Status.FAILED)
        done = sum(1.0 if row.status in ended else row.share or 0.0 for row in rows)
        share = done / len(rows) if rows else 0.0
        if not self._ended and seconds >= LEAST_SECONDS and LEAST_SHARE <= share < 1:
            yield f"about {_duration(seconds * (1 - share) / share)} left"


def progress_for_terminal() -> Progress:
    """Bars if stderr is a terminal that can move its cursor."""
    if not sys.stderr.isatty():
        return Progress()
    from rich.console import Console

    return Progress() if Console(stderr=True).is_dumb_terminal else Bars()


def _numbers(row: _Row, columns: int, *, with_unit: bool) -> list[str]:
    """The share, the records and, if there is room for it, the rate of a stream."""
    share = "" if row.share is None else f"{row.share:.0%}"
    records = f"{row.records:,} records" if with_unit else f"{row.records:,}"
    if columns < RATE_COLUMNS:
        return [share, records]
    return [share, records, f"{row.rate:,.0f}/s" if row.status is Status.READING else ""]


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _is_not_metric(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("METRIC")
