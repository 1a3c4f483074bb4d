"""``--resync``: reads days of a stream again that a target lacks.

The records come like those of a sync, while the state is written as it was given: bookmarks and
counts stay where they are. So the next sync goes on as if nothing had been read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from tap_klaviyo.config.settings import Config
from tap_klaviyo.dates import utc
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.errors import ConfigError, StateError, did_you_mean
from tap_klaviyo.klaviyo.account import Metrics
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import equals
from tap_klaviyo.logs import get_logger, quoted
from tap_klaviyo.messages import Writer
from tap_klaviyo.reports.queries import ReportQuery
from tap_klaviyo.state import State
from tap_klaviyo.state.counts import DAY
from tap_klaviyo.streams.model import Stream
from tap_klaviyo.sync.day_ranges import DayRange, parse_day_range
from tap_klaviyo.sync.planner import SETTLE_SECONDS, Planner
from tap_klaviyo.sync.progress_bars import Progress
from tap_klaviyo.sync.run import Run
from tap_klaviyo.sync.stream_metrics import current_metrics
from tap_klaviyo.sync.stream_sync import Partition, StreamSync
from tap_klaviyo.sync.windows import Window

logger = get_logger(__name__)

Windows = Mapping[str, Sequence[Window]]
"""What is to be read again, in Unix seconds, by the name of the stream in messages."""


class UnchangedState(State):
    """A state that is written as it was given, whatever a run notes in it."""

    def set_account(self, account_id: str) -> None:
        """Does nothing."""

    def document(
        self,
        currently_syncing: str | None,
        held: Mapping[str, Mapping[str, Any] | None] = {},
    ) -> dict[str, Any]:
        """The value of a STATE message."""
        return self._document


class ResyncPlanner(Planner):
    """Plans ``windows`` and nothing else, and moves no bookmark."""

    def __init__(self, config: Config, state: State, now: int, *, windows: Windows) -> None:
        super().__init__(config, state, now)
        self._windows = windows

    def prepare(self, syncs: Sequence[StreamSync]) -> None:
        """Does nothing: bookmarks have no part in it."""

    def plan(self, sync: StreamSync, metrics: Metrics, queries: Sequence[ReportQuery] = ()) -> None:
        """Sets the partitions of ``sync``: one for each metric, filter and range of days."""
        sync.planned = True
        stream = sync.selected.stream
        if stream.metrics:
            sync.parts = current_metrics(sync.selected, metrics, self._state)
            if not sync.parts:
                self._empty.append(sync.name)
                return
        for window in self._windows[sync.name]:
            for metric in sync.parts or ("",):
                for stream_filter in stream.filters:
                    metric_filter = equals("metric_id", metric) if metric else ""
                    filters = tuple(filter(None, (metric_filter, stream_filter)))
                    start, end = self._bounds(stream, window)
                    tracker = self._window_tracker(sync, start, end)
                    sync.add(Partition(sync, filters, tracker, True, metric))

    def advance(self, sync: StreamSync) -> bool:
        """Moves nothing."""
        return False

    def _bounds(self, stream: Stream, window: Window) -> Window:
        """The seconds of ``window`` that a run would read, too."""
        first, end = (self.first_second, self.end) if stream.replication_key else (0, self._now)
        start = max(window.start, first)
        end = min(window.end, end) if start <= self._now - SETTLE_SECONDS else start
        return Window(start, max(start, end))


def resync_run(
    config: Config,
    client: Client,
    writer: Writer,
    selection: Sequence[SelectedStream],
    state: Mapping[str, Any],
    days: Sequence[str],
    progress: Progress | None = None,
    *,
    now: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
) -> Run:
    """A run that reads only ``days``, such as ``open:2026-01-30..2026-01-31``.

    ``now`` and ``clock`` are those of :class:`Run`. Raises :class:`StateError` without a state, and
    :class:`ConfigError` for days that cannot be read again.
    """
    if not state:
        raise StateError("resync: pass the state of the last run, which is written unchanged.")
    streams, windows = days_to_read(days, selection, config, now())
    off = timedelta(0)
    return Run(
        replace(config, recount_interval=off, full_table_interval={}, activate_version=False),
        client,
        writer,
        streams,
        UnchangedState(state),
        progress=progress,
        planner=partial(ResyncPlanner, windows=windows),
        now=now,
        clock=clock,
    )


def days_to_read(
    texts: Iterable[str], selection: Sequence[SelectedStream], config: Config, now: float
) -> tuple[list[SelectedStream], Windows]:
    """The streams that ``texts`` name, and what is to be read of them.

    ``now`` is in Unix seconds. Raises :class:`ConfigError` for days that cannot be read again.
    """
    by_name = {name: one for one in selection for name in (one.stream.name, one.name)}
    chosen: dict[str, SelectedStream] = {}
    windows: dict[str, list[Window]] = {}
    for days in map(parse_day_range, texts):
        selected = by_name.get(days.stream)
        if selected is None:
            raise ConfigError(
                f"resync: no stream {quoted(days.stream)} is selected"
                f"{did_you_mean(days.stream, by_name)}; select it in the catalog or with --select."
            )
        if reason := _why_not(selected.stream):
            raise ConfigError(f"resync: stream '{selected.name}' {reason}.")
        _refuse_outside(days, selected.stream, config, now)
        chosen[selected.name] = _by_time(selected)
        window = Window(days.first * DAY, days.end * DAY)
        windows.setdefault(selected.name, []).append(window)
    return [*chosen.values()], {name: [*_merged(found)] for name, found in windows.items()}


def _why_not(stream: Stream) -> str:
    """Why days of a stream cannot be read again, and what to do; empty if they can."""
    if stream.report:
        return "is a report: set its window in the setting reports, which each sweep reads again"
    if stream.parent:
        return "is read for each of its parents: remove it from the state, and a sync reads it all"
    if stream.time_filter is None:
        return "is not read by time: a sync reads all of it"
    return ""


def _by_time(selected: SelectedStream) -> SelectedStream:
    """The stream read in windows of time, even if a sync reads all of it."""
    method = "INCREMENTAL" if selected.stream.replication_key else selected.replication_method
    return replace(selected, replication_method=method)


def _refuse_outside(days: DayRange, stream: Stream, config: Config, now: float) -> None:
    """Raises :class:`ConfigError` for days that no sync reads; warns if it reads some of them."""
    ends = {"the current time": now}
    if config.end_date and stream.replication_key:
        ends["end_date"] = config.end_date.timestamp()
    for name, end in ends.items():
        if days.first * DAY >= end:
            raise ConfigError(f"resync: {days} begins after {name}, {utc(end)}.")
    start = config.start_date.timestamp() if stream.replication_key else 0
    if days.end * DAY <= start:
        raise ConfigError(
            f"resync: {days} ends before start_date, {utc(start)}; set an earlier start_date."
        )
    if (days.first + 1) * DAY <= start:
        logger.warning("resync: %s is read from start_date on, %s.", days, utc(start))


def _merged(windows: Iterable[Window]) -> Iterator[Window]:
    """The windows without overlaps, oldest first."""
    last: Window | None = None
    for window in sorted(windows):
        if last is not None and window.start <= last.end:
            last = Window(last.start, max(last.end, window.end))
        else:
            if last is not None:
                yield last
            last = window
    if last is not None:
        yield last
