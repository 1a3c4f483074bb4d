"""Decides when full tables are due, and remembers when they were read. Pure.

A full table is due again when its interval has passed since the start of the last run that has read
all of it. Until then it is skipped. It is due at once if something else is selected of it, if
``activate_version`` was switched, or if the state is of the future.

Some child streams take one slow request for each parent. Until they are due, a run reads the
children of new parents, and of those that Klaviyo says were updated since the last run that did so.
Klaviyo does not say whether the date of a parent moves with its children, so they are read in full
too, once per interval.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase

from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.logs import get_logger
from tap_klaviyo.state import FullRead, State
from tap_klaviyo.streams import dated_parent
from tap_klaviyo.streams.model import DATED_CHILDREN_DAYS, Stream
from tap_klaviyo.sync.bookmark_checks import by_time
from tap_klaviyo.sync.planner import CLOCK_TOLERANCE
from tap_klaviyo.sync.reading import Reading
from tap_klaviyo.sync.stream_sync import StreamSync

logger = get_logger(__name__)

_HASH_LENGTH = 12


class FullTables:
    """The full tables of a run that starts at ``now``, in Unix seconds by the local clock."""

    def __init__(self, config: Config, state: State, now: int) -> None:
        self._config = config
        self._state = state
        self._now = now

    def readings(self, selection: Iterable[SelectedStream]) -> dict[str, Reading]:
        """What is to be read of each selected stream, by its name in the registry."""
        return {selected.stream.name: self._reading(selected) for selected in selection}

    def log(self, syncs: Sequence[StreamSync]) -> None:
        """Logs which tables are not read in full, in one line for each way."""
        until = {sync.name: sync.reading.not_due_until or 0 for sync in syncs}
        skipped = {sync.name: until[sync.name] for sync in syncs if sync.reading.is_skipped}
        partial = {sync.name: until[sync.name] for sync in syncs if sync.reading.is_partial}
        if skipped:
            logger.info("full_table_interval: not read, not due until %s.", by_time(skipped))
        if partial:
            logger.info(
                "full_table_interval: only children of new and updated parents are read, all not "
                "due until %s.",
                by_time(partial),
            )

    def complete(self, sync: StreamSync, ahead: float | None) -> None:
        """Notes that a selected stream has been read, if it is a full table.

        ``ahead`` is how many seconds the local clock is ahead of Klaviyo's, None if unknown.
        """
        selected, reading = sync.selected, sync.reading
        stream = selected.stream
        if sync.hidden_parent or not selected.is_full_table or sync.error or reading.is_skipped:
            return
        if not interval_of(stream, self._config):
            self._state.set_full_read(stream.name, None)
            return
        at = reading.version if reading.is_partial and reading.version is not None else self._now
        read = FullRead(at, self._selection_hash(selected))
        if dated_parent(stream) is not None:
            read = read._replace(updated_at=self._began(ahead), parents=sync.dated_parents)
        self._state.set_full_read(stream.name, read)

    def _began(self, ahead: float | None) -> int:
        """The start of the run by the local clock or by Klaviyo's, whichever was earlier."""
        difference = math.ceil(ahead) if ahead and ahead > CLOCK_TOLERANCE else 0
        return max(0, self._now - difference)

    def _reading(self, selected: SelectedStream) -> Reading:
        stream = selected.stream
        interval = math.ceil(interval_of(stream, self._config).total_seconds())
        read = self._state.full_read(stream.name)
        if read is None or not selected.is_full_table or not self._holds(read, selected, interval):
            return Reading()
        until = read.at + interval
        if dated_parent(stream) is None:
            return Reading(until)
        if read.updated_at is None:
            return Reading()
        lookback = int(self._config.lookback_window.total_seconds())
        since = max(0, read.updated_at - lookback)
        return Reading(until, since, frozenset(read.parents), read.at)

    def _holds(self, read: FullRead, selected: SelectedStream, interval: int) -> bool:
        """Whether a full read is not older than ``interval``, and was of the same selection."""
        is_recent = 0 <= self._now - read.at < interval and (read.updated_at or 0) <= self._now
        return is_recent and read.of == self._selection_hash(selected)

    def _selection_hash(self, selected: SelectedStream) -> str:
        """A short text that differs if other rows of the table would be written."""
        parts = (
            selected.name,
            selected.keys,
            selected.schema,
            selected.stream.filters,
            self._config.activate_version,
        )
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def interval_of(stream: Stream, config: Config) -> timedelta:
    """The time until a full table is due again; 0 if each run reads it.

    Of several patterns that match, the stream's own name counts, else the longest one.
    """
    given = config.full_table_interval
    matching = [pattern for pattern in given if fnmatchcase(stream.name, pattern)]
    if not matching:
        return timedelta(days=DATED_CHILDREN_DAYS if dated_parent(stream) else 0)
    return given[max(matching, key=lambda pattern: (pattern == stream.name, len(pattern)))]
