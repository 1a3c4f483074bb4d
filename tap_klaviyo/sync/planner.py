"""The plan of a run: which passes each selected stream takes, and from when. Pure.

An incremental stream is read from its mark on, less the look-back that catches late events. Once a
``sweep_interval`` it is read from ``sweep_window`` before the last sweep instead, so that whatever
came late by up to that much is found, however long the tap has not run. A report is swept too, over
a window of its own, since Klaviyo restates it. A metric that is new to a
stream *joins* it: it is read from ``start_date`` on, with a mark of its own until it has come up to
the stream's. So neither holds the other back if the run dies.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta

from tap_klaviyo.config.settings import Config
from tap_klaviyo.klaviyo.account import Metrics
from tap_klaviyo.klaviyo.queries import equals
from tap_klaviyo.reports.queries import Question
from tap_klaviyo.state import State
from tap_klaviyo.streams.model import Stream
from tap_klaviyo.sync.stream_sync import Lane, Table
from tap_klaviyo.sync.windows import Timeline

logger = logging.getLogger(__name__)


GOAL_PAGES = 8
"""Pages after which a window is cut, so that the mark can move."""


AHEAD = 4
"""Windows of that size for each worker that may be read beyond the mark."""


SETTLE = 10
"""Klaviyo may refuse (400) to look for events of the last seconds; the next run reads them."""


class Planner:
    """Gives tables their lanes, and moves their bookmarks.

    ``now`` is the start of the run in Unix seconds.
    """

    def __init__(self, config: Config, state: State, now: int) -> None:
        self._config = config
        self._state = state
        self._now = now
        end = int(config.end_date.timestamp()) if config.end_date else now
        self.end = min(end, now)

    def plan(self, table: Table, metrics: Metrics, questions: Sequence[Question] = ()) -> None:
        """Sets the lanes of ``table``; none if the account has no metric for it.

        The lanes of a child come with its parents, those of reports with their ``questions``.
        """
        table.planned = True
        stream = table.selected.stream
        if stream.metrics:
            table.parts = metrics.ids(stream.metrics, stream.integration)
            if not table.parts:
                names = " or ".join(f"'{name}'" for name in stream.metrics)
                owner = stream.integration.capitalize()
                logger.warning(
                    "Stream '%s' is empty: the account has no metric%s named %s.",
                    table.name,
                    f" of {owner}'s own" if owner else "",
                    names,
                )
                return
        if stream.report:
            table.parts = [question.part for question in questions]
        if table.selected.incremental:
            self._prepare(table)
        if stream.report:
            table.lanes = [self._report_lane(table, question) for question in questions]
        elif not stream.parent:
            for metric_id in table.parts or ("",):
                for variant in stream.variants:
                    self._add(table, variant, metric_id=metric_id)

    def adopt(self, table: Table, parents: Iterable[str]) -> None:
        """Sets a lane for each of ``parents`` that is new to a child, for each of its variants."""
        for parent in parents:
            if parent not in table.parents:
                table.parents.add(parent)
                for variant in table.selected.stream.variants:
                    self._add(table, variant, parent=parent)

    def _add(self, table: Table, variant: str, metric_id: str = "", parent: str = "") -> None:
        metric = (equals("metric_id", metric_id),) if metric_id else ()
        filters = (*metric, *((variant,) if variant else ()))
        if table.selected.timed:
            timeline = self._timeline(table, metric_id)
            table.lanes.append(Lane(table, filters, timeline, True, metric_id, parent))
            return
        table.fresh.append(Lane(table, filters, Timeline(0, 1), False, metric_id, parent))
        table.unfinished += 1

    def _report_lane(self, table: Table, question: Question) -> Lane:
        """A lane with a window for each timeframe, one after the other."""
        start = self._start(table, question.part, timedelta(0), question.window)
        timeframes = {
            question.seconds(timeframe.start): timeframe
            for timeframe in question.timeframes(start, self.end)
        }
        first, *cuts = timeframes or (self.end,)
        timeline = Timeline(first, max(first, self.end), cuts=cuts)
        return Lane(table, (), timeline, True, question.part, timeframes=timeframes)

    def advance(self, table: Table) -> bool:
        """Moves the bookmark of an incremental stream as far as its lanes have come.

        Returns whether there is anything new to be said in a STATE.
        """
        stream = table.selected.stream.name
        first = self._state.mark(stream) is None
        covered: list[Lane] = []
        joining: list[Lane] = []
        for lane in table.lanes:
            alone = first or not lane.part
            known = alone or self._state.covers(stream, lane.part)
            (covered if known else joining).append(lane)
        moved = table.finished
        if covered and table.complete:
            mark = min(lane.timeline.mark for lane in covered)
            moved |= self._state.advance(stream, mark, latest=self._now)
        for lane in joining:
            mark = lane.timeline.mark
            moved |= self._state.join(stream, lane.part, mark, latest=self._now)
        if table.finished:
            swept_at = self._now if table.sweeping else None
            self._state.note(stream, metrics=table.parts, swept_at=swept_at)
        return moved

    def _prepare(self, table: Table) -> None:
        """Finds the bookmark of an incremental stream, or lays a first one down."""
        stream = table.selected.stream
        aliases = (table.selected.tap_stream_id, table.name, *stream.aliases)
        self._state.adopt(stream.name, aliases, table.parts)
        mark = self._state.mark(stream.name)
        if mark is not None and self._state.advance(stream.name, mark, latest=self._now):
            logger.warning(
                "Stream '%s': the state's bookmark lies in the future; it is brought back to the "
                "start of this run.",
                table.name,
            )
        if mark is None:
            # Everything is read from now on, so only what arrives after now can be late.
            self._state.note(stream.name, metrics=table.parts, swept_at=self._now)
        else:
            table.sweeping = self._sweep_is_due(stream)

    def _sweep_is_due(self, stream: Stream) -> bool:
        interval = self._config.sweep_interval.total_seconds()
        if not interval or not (stream.report or self._config.sweep_window):
            return False
        swept_at = self._state.swept_at(stream.name)
        return swept_at is None or not 0 <= self._now - swept_at < interval

    def _timeline(self, table: Table, metric_id: str) -> Timeline:
        config = self._config
        start = self._start(table, metric_id, config.lookback_window, config.sweep_window)
        # What is too fresh to be asked for, or lies past end_date, is no part of the lane.
        last = self.end if table.selected.stream.replication_key else self._now
        end = last if start <= self._now - SETTLE else start
        size = self._config.page_size
        page = min(table.selected.stream.page_size or size, size)
        goal = GOAL_PAGES * page
        ahead = AHEAD * self._config.concurrency * goal
        return Timeline(start, max(start, end), goal=goal, page=page, ahead=ahead)

    def _start(self, table: Table, part: str, lookback: timedelta, sweep: timedelta) -> int:
        """From when on a part of a stream is read; a ``sweep`` goes back from the last one."""
        replicated = table.selected.stream.replication_key
        first = int(self._config.start_date.timestamp()) if replicated else 0
        stream = table.selected.stream.name
        mark = self._state.mark(stream)
        if mark is None or not table.selected.incremental:
            return first
        if part and not self._state.covers(stream, part):
            mark = self._state.joining(stream, part)
            if mark is None:
                return first
        start = min(mark, self._now) - int(lookback.total_seconds())
        if table.sweeping:
            swept_at = self._state.swept_at(stream)
            since = mark if swept_at is None else min(swept_at, self._now)
            start = min(start, since - int(sweep.total_seconds()))
        return max(first, start)
