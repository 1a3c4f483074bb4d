"""Progress bars on a terminal, one for each stream. Elsewhere nothing is shown."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID


class Progress:
    """Takes the progress of a run; this one shows nothing. Times are Unix seconds."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        """Removes what is shown."""

    def add(self, stream: str, start: int | None, end: int) -> None:
        """Adds a stream that is read from ``start`` to ``end``; None for a full table."""

    def update(self, stream: str, low_water_mark: int, records: int) -> None:
        """Everything before ``low_water_mark`` is done; ``records`` have been written."""

    def finish(self, stream: str) -> None:
        """Marks a stream as done."""


class Bars(Progress):
    """A bar for each stream on stderr: time covered, records, records per second."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        self._shown = RichProgress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[records]:>7,} records"),
            TextColumn("{task.fields[rate]:>5,.0f}/s"),
            # A narrow terminal shortens the bar, not the time.
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            console=Console(stderr=True),
            redirect_stdout=False,
        )
        self._tasks: dict[str, TaskID] = {}
        self._starts: dict[str, int] = {}

    def __enter__(self) -> Progress:
        self._shown.start()
        # Log lines then go above the bars. Metrics are left out: the bars show the same.
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(sys.stderr)
                handler.addFilter(_is_not_metric)
        return self

    def __exit__(self, *exception: object) -> None:
        self._shown.stop()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(sys.stderr)
                handler.removeFilter(_is_not_metric)

    def add(self, stream: str, start: int | None, end: int) -> None:
        total = None if start is None else max(1, end - start)
        self._starts[stream] = start or 0
        self._tasks[stream] = self._shown.add_task(stream, total=total, records=0, rate=0.0)

    def update(self, stream: str, low_water_mark: int, records: int) -> None:
        task = self._shown.tasks[self._tasks[stream]]
        rate = records / task.elapsed if task.elapsed else 0.0
        done = max(0, low_water_mark - self._starts[stream]) if task.total is not None else 0
        self._shown.update(task.id, completed=done, records=records, rate=rate)

    def finish(self, stream: str) -> None:
        task = self._shown.tasks[self._tasks[stream]]
        self._shown.update(task.id, total=task.total or 1, completed=task.total or 1)


def progress_for_terminal() -> Progress:
    """Bars if stderr is a terminal."""
    return Bars() if sys.stderr.isatty() else Progress()


def _is_not_metric(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("METRIC")
