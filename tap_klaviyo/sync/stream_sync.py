"""A stream in this run, with its partitions and counters."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from tap_klaviyo.discovery.selection import Selected
from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.records.page_parser import Shaper
from tap_klaviyo.reports.queries import Timeframe
from tap_klaviyo.sync.windows import Timeline

UNKEYED_NAMED = 10
"""How many of the resources that could not be records are named."""


@dataclass
class Table:
    """One stream in this run, with its lanes and what has happened to it.

    ``planned`` tells whether its lanes are known. ``lanes`` are the timed ones; another waits in
    ``fresh`` until it is begun, and is forgotten when it is done. ``unfinished`` counts these.
    ``parts`` are the metrics, or the reports, that the stream is made of. The ids of the records
    are what ``children`` are made of; a table that is ``unseen`` is there for nothing else.
    """

    selected: Selected
    query: Query
    shaper: Shaper
    unseen: bool = False
    parent: Table | None = None
    children: list[Table] = field(default_factory=list)
    planned: bool = False
    lanes: list[Lane] = field(default_factory=list)
    fresh: deque[Lane] = field(default_factory=deque)
    unfinished: int = 0
    open: int = 0
    parents: set[str] = field(default_factory=set)
    parts: list[str] = field(default_factory=list)
    sweeping: bool = False
    fault: TapError | None = None
    records: int = 0
    counted_at: float = 0.0
    repaired_pages: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    unkeyed: int = 0
    unkeyed_ids: list[str] = field(default_factory=list)

    def leave_out(self, ids: list[str]) -> None:
        """Counts resources that lack a key and so cannot be records; the first are remembered."""
        self.unkeyed += len(ids)
        self.unkeyed_ids += ids[: UNKEYED_NAMED - len(self.unkeyed_ids)]

    @property
    def name(self) -> str:
        """What the stream's messages call it."""
        return self.selected.name

    @property
    def mark(self) -> int:
        """Everything of the stream before this second has been written."""
        return min((lane.timeline.mark for lane in self.lanes), default=0)

    @property
    def outstanding(self) -> int:
        """How many windows are still to be read, each of one page at least."""
        return self.unfinished + sum(lane.timeline.outstanding for lane in self.lanes)

    @property
    def complete(self) -> bool:
        """Whether all lanes are known: a child has one for each record of its parent."""
        return self.parent is None or self.parent.finished

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do for this stream."""
        if self.fault is not None:
            return True
        done = not self.unfinished and all(lane.timeline.finished for lane in self.lanes)
        return self.planned and done and self.complete


@dataclass(eq=False)
class Lane:
    """One pass over a stream: the filters that make it, and its way through time.

    ``timed`` lanes ask for one window of time after the other. Another lane is one window whose
    bounds mean nothing. ``part`` is the metric or the report that it reads, ``parent`` the id of
    the record whose children it reads. ``timeframes`` are what a report is asked for in the windows
    that begin at these seconds.
    """

    table: Table
    filters: tuple[str, ...]
    timeline: Timeline
    timed: bool
    part: str = ""
    parent: str = ""
    timeframes: Mapping[int, Timeframe] = field(default_factory=dict)
    open: int = 0
