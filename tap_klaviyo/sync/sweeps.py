"""Sweeps: which parts of a stream a run reads again for very late events, and from where. Pure.

Once per ``sweep_interval`` a stream is read from ``sweep_window`` before the last sweep. A metric
whose events are counted (:mod:`tap_klaviyo.sync.recount`) is not: what is late shows in the counts.
It is swept if they are missing, old or in doubt, and if attributions are read, which change while
counts stay.
"""

from __future__ import annotations

from datetime import timedelta

from tap_klaviyo.config.settings import Config
from tap_klaviyo.reports.options import ReportOptions
from tap_klaviyo.state import State
from tap_klaviyo.state.counts import day_of
from tap_klaviyo.streams.model import Stream
from tap_klaviyo.sync.stream_sync import StreamSync

MISSED_RECOUNTS = 2
"""Intervals after which counts are too old: one recount may have failed."""

CHANGING = "attributions"
"""The property of an event that Klaviyo changes afterwards."""


class Sweeps:
    """The sweeps of a run. All times are Unix seconds; ``now`` is the start of the run."""

    def __init__(self, config: Config, state: State) -> None:
        self._config = config
        self._state = state
        self._recount_interval = int(config.recount_interval.total_seconds())

    def are_on(self, stream: Stream) -> bool:
        """Whether a stream is swept at all."""
        has_window = stream.report is not None or self._config.sweep_window
        return bool(self._config.sweep_interval and has_window)

    def is_due(self, stream: Stream, now: int) -> bool:
        """Whether a stream that has a bookmark is swept by this run."""
        swept_at = self._state.swept_at(stream.name)
        interval = self._config.sweep_interval.total_seconds()
        due = swept_at is None or not 0 <= now - swept_at < interval
        return due and self.are_on(stream)

    def window(self, stream: Stream) -> int:
        """How far back a sweep of a stream reads, in seconds; of its reports, the shortest."""
        if not stream.report:
            return int(self._config.sweep_window.total_seconds())
        options = [one for one in self._config.reports.values() if one.stream == stream.name]
        windows = [one.window for one in options or [ReportOptions(stream.name)]]
        return int(min(windows, default=timedelta(0)).total_seconds())

    def begin(self, stream: Stream, now: int) -> int:
        """Where a sweep of a stream that has a bookmark begins."""
        return self.since(stream, "", self._state.bookmark(stream.name) or 0, now) - self.window(
            stream
        )

    def reads(self, sync: StreamSync, part: str) -> bool:
        """Whether the sweep of this run, if there is one, reads a part of a stream."""
        return sync.sweep is not None and not self._is_counted(sync, part, sync.sweep)

    def since(self, stream: Stream, part: str, bookmark: int, now: int) -> int:
        """The end of the last sweep of a part of a stream, or of its last recount before that."""
        swept_at = self._state.swept_at(stream.name)
        ends = [bookmark if swept_at is None else swept_at, now]
        counts = self._state.counts(stream.name).get(part)
        if counts is not None and counts.counted_at is not None:
            ends.append(counts.counted_at)
        return min(ends)

    def _is_counted(self, sync: StreamSync, part: str, now: int) -> bool:
        """Whether the counts of a metric tell all that a sweep would find."""
        selected = sync.selected
        counts = self._state.counts(selected.stream.name).get(part)
        if counts is None or counts.counted_at is None or CHANGING in selected.schema["properties"]:
            return False
        is_current = now - counts.counted_at < MISSED_RECOUNTS * self._recount_interval
        in_doubt = counts.unstable or counts.leaves_out
        since = day_of(now) - self.window(selected.stream) // 86_400
        return is_current and not in_doubt and counts.knows_since(since)
