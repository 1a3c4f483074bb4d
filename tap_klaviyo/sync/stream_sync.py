"""The state of one stream in this run, and of its partitions."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from types import MappingProxyType

from tap_klaviyo.discovery.selection import SelectedStream, hidden_parent
from tap_klaviyo.errors import StreamError
from tap_klaviyo.klaviyo.queries import Query, query_for
from tap_klaviyo.records.hashing import Hashing
from tap_klaviyo.records.page_parser import Page, PageParser
from tap_klaviyo.reports.queries import ReportPeriod
from tap_klaviyo.streams import dated_parent, parent_of
from tap_klaviyo.sync.event_tally import EventTally
from tap_klaviyo.sync.low_water_marks import LowWaterMarks
from tap_klaviyo.sync.reading import Reading, widened
from tap_klaviyo.sync.windows import Window, WindowTracker

MAX_IDS_SHOWN = 10
"""How many resources without a key are named in the summary."""


@dataclass(eq=False)
class StreamSync:
    """One stream in this run.

    A stream is read in partitions. Those in ``partitions`` are read window by window; each of those
    in ``unstarted`` is one window, which is dropped when it is done, and ``unfinished`` counts
    them. Those in ``rereads`` read periods again that have grown, and move no bookmark; more may
    come while ``recounting``. ``backfills`` are those that the stream's bookmark does not cover,
    None before that is known. ``planned`` says that the partitions are known; those of a child are
    known when its ``parent`` is finished. ``parts`` are the metrics or reports that the stream
    consists of.

    ``hidden_parent`` says that the stream is not selected and is read for the sake of its
    ``children``. ``sweep`` is the start of the sweep for very late events that this run makes or
    continues, None if it makes none. ``done`` holds what an interrupted run has read, by part.
    ``error`` is why the stream ended early. ``gone`` are parents that no longer exist, ``lacking``
    counts those that have no resource of the stream, where not each has one. ``reading`` says how
    much of the stream is read; ``origins`` maps the ID of a parent to that of the parent with a
    date above it, and to the date (Unix seconds).
    """

    selected: SelectedStream
    query: Query
    parser: PageParser
    hidden_parent: bool = False
    parent: StreamSync | None = None
    children: list[StreamSync] = field(default_factory=list)
    planned: bool = False
    partitions: list[Partition] = field(default_factory=list)
    unstarted: deque[Partition] = field(default_factory=deque)
    unfinished: int = 0
    rereads: list[Partition] = field(default_factory=list)
    recounting: bool = False
    backfills: list[Partition] | None = None
    open: int = 0
    parent_ids: set[str] = field(default_factory=set)
    parts: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    lacking: int = 0
    reading: Reading = field(default_factory=Reading)
    origins: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    sweep: int | None = None
    done: Mapping[str, Sequence[Window]] = field(default_factory=dict)
    error: StreamError | None = None
    requests: int = 0
    pages: int = 0
    records: int = 0
    converted_pages: int = 0
    warnings: Counter[str] = field(default_factory=Counter)
    without_key: int = 0
    ids_without_key: list[str] = field(default_factory=list)
    _marks: LowWaterMarks = field(default_factory=LowWaterMarks)
    _finished: int = 0
    _reread: int = 0

    def add(self, partition: Partition) -> None:
        """Adds a partition that is read window by window."""
        self.partitions.append(partition)
        self._marks.add(partition.tracker)

    def count_page(self, page: Page, records: int) -> None:
        """Counts a page of which ``records`` were written, and what was odd about it."""
        self.pages += 1
        self.records += records
        self.converted_pages += page.converted
        self.warnings += page.warnings
        self.without_key += len(page.without_key)
        shown = dict.fromkeys((*self.ids_without_key, *page.without_key))
        self.ids_without_key = list(shown)[:MAX_IDS_SHOWN]

    def parents_on(self, page: Page, partition: Partition) -> list[str]:
        """The parents on a page of ``partition`` whose children are to be read; notes all."""
        parent = self.selected.stream.parent
        if dated_parent(self.selected.stream) is None or parent is None:
            return page.ids
        if parent.updated:
            dates = page.updated or repeat(None)
            origins = {one: (one, date) for one, date in zip(page.ids, dates, strict=False)}
        else:
            origins = dict.fromkeys(page.ids, partition.sync.origins[partition.parent])
        self.origins |= origins
        return [one for one, origin in origins.items() if self.reading.wants(*origin)]

    @property
    def dated_parents(self) -> set[str]:
        """The parents with a date that exist, above all records of the stream."""
        parent = self.selected.stream.parent
        if self.parent is None or parent is None or parent.updated:
            return self.origins.keys() - self.gone
        return self.parent.dated_parents

    @property
    def name(self) -> str:
        """The name of the stream in messages."""
        return self.selected.name

    @property
    def low_water_mark(self) -> int:
        """All records of the stream before this second have been written."""
        return self._marks.lowest

    @property
    def interrupted(self) -> bool:
        """Whether some of the stream has not been read."""
        return self.error is not None or not self.finished

    @property
    def all_parents_gone(self) -> bool:
        """Whether Klaviyo knows none of several parents any more, which is hard to believe."""
        return len(self.gone) > 1 and self.gone == self.parent_ids

    @property
    def outstanding(self) -> int:
        """How many windows have still to be read, each of at least one page."""
        return self.unfinished + sum(p.tracker.outstanding for p in self.partitions)

    @property
    def share(self) -> float | None:
        """The share of the stream that this run has read, from 0 to 1; None if it is not known."""
        if self.partitions and self.partitions_known:
            seconds = sum(partition.tracker.seconds for partition in self.partitions)
            done = sum(partition.tracker.seconds_done for partition in self.partitions)
            return done / seconds if seconds else None
        parents = len(self.parent_ids) * len(self.selected.stream.filters)
        return 1 - self.unfinished / parents if parents and self.partitions_known else None

    @property
    def partitions_known(self) -> bool:
        """Whether all partitions are known: a child has one for each record of its parent."""
        return self.parent is None or self.parent.finished

    @property
    def finished(self) -> bool:
        """Whether nothing more will be read of the stream."""
        if self.error is not None:
            return True
        return (
            self.planned
            and not self.unfinished
            and self._partitions_finished
            and self.partitions_known
            and not self.recounting
            and self._rereads_ended
        )

    @property
    def _partitions_finished(self) -> bool:
        """Whether all partitions so far are finished; those that are known to be stay finished."""
        while self._finished < len(self.partitions):
            if not self.partitions[self._finished].tracker.finished:
                return False
            self._finished += 1
        return True

    @property
    def _rereads_ended(self) -> bool:
        """Whether this run reads nothing again any more."""
        while self._reread < len(self.rereads):
            if not self.rereads[self._reread].ended:
                return False
            self._reread += 1
        return True


@dataclass
class PageAllowance:
    """How many ``pages`` may still be requested of the partitions that share it."""

    pages: int


@dataclass(eq=False)
class Partition:
    """One pass over a stream: a metric, a filter, the children of a parent, or a report.

    A ``windowed`` partition is read in windows of time; another one is a single window whose bounds
    mean nothing. ``part`` is the metric or the report that it reads, ``parent`` the ID of the
    record whose children it reads. ``periods`` are the periods of a report by the second at which
    their window starts. ``in_order`` says that Klaviyo has sorted all records so far by time.
    ``split_from`` maps the seconds at which windows were split to the starts of these windows.
    ``written_ahead`` are the IDs of records that were written by another reader than that of their
    window. ``tally`` counts the events of its periods, None if nobody wants to know. ``allowance``
    bounds its pages in this run: one after the other, so that none is read in vain. ``abandoned``
    says that they are not read.
    """

    sync: StreamSync
    filters: tuple[str, ...]
    tracker: WindowTracker
    windowed: bool
    part: str = ""
    parent: str = ""
    periods: Mapping[int, ReportPeriod] = field(default_factory=dict)
    in_order: bool = True
    split_from: dict[int, int] = field(default_factory=dict)
    written_ahead: set[str] = field(default_factory=set)
    tally: EventTally | None = None
    allowance: PageAllowance | None = None
    abandoned: bool = False
    open: int = 0

    @property
    def may_request(self) -> bool:
        """Whether a page of it may be requested in this run."""
        return not self.abandoned and (self.allowance is None or self.allowance.pages > 0)

    @property
    def ended(self) -> bool:
        """Whether this run reads nothing of it any more."""
        return self.tracker.finished or not (self.may_request or self.open)


def stream_syncs(
    selection: Sequence[SelectedStream],
    readings: Mapping[str, Reading] = MappingProxyType({}),
    hashing: Hashing | None = None,
) -> list[StreamSync]:
    """The streams of a run, and after them the parents that they need and that are not selected.

    ``readings`` says by name what is read of a stream: all, unless it is given. A parent that is
    skipped is read like one that is not selected. ``hashing`` is what is hashed in records.
    """
    dates = _dates(selection, readings)
    syncs = [_stream_sync(one, dates, readings.get(one.stream.name), hashing) for one in selection]
    by_stream = {one.selected.stream.name: one for one in syncs if not one.reading.is_skipped}
    for sync in syncs:  # It grows by the parents, which may have parents too.
        parent = parent_of(sync.selected.stream)
        if parent is None or sync.reading.is_skipped:
            continue
        if parent.name not in by_stream:
            hidden = _stream_sync(hidden_parent(parent), dates, hidden=True)
            by_stream[parent.name] = hidden
            syncs.append(hidden)
        sync.parent = by_stream[parent.name]
        sync.parent.children.append(sync)
    for sync in syncs:
        if sync.parent is None:
            _widen_readings(sync)
    return syncs


def _dates(selection: Iterable[SelectedStream], readings: Mapping[str, Reading]) -> dict[str, str]:
    """The attribute that says when a parent was updated, by parent, where a run needs it."""
    partial = [
        one.stream for one in selection if readings.get(one.stream.name, Reading()).is_partial
    ]
    parents = filter(None, map(dated_parent, partial))
    return {parent.stream: parent.updated for parent in parents}


def _stream_sync(
    selected: SelectedStream,
    dates: Mapping[str, str],
    reading: Reading | None = None,
    hashing: Hashing | None = None,
    *,
    hidden: bool = False,
) -> StreamSync:
    selected = replace(selected, updated=dates.get(selected.stream.name, ""))
    query = query_for(selected.stream, selected.schema, selected.updated)
    planned = reading is not None and reading.is_skipped
    sync = StreamSync(selected, query, PageParser(selected, hashing), hidden, planned=planned)
    sync.reading = reading or Reading()
    return sync


def _widen_readings(sync: StreamSync) -> Reading:
    """Makes each parent that is read in part cover what its children need; returns the reading."""
    readings = [_widen_readings(child) for child in sync.children]
    if readings and dated_parent(sync.selected.stream):
        own, *others = readings if sync.hidden_parent else [sync.reading, *readings]
        sync.reading = widened(own, others)
    return sync.reading
