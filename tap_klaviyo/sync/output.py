"""What a run puts out: messages in the right order, progress, and log lines on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import Any

from tap_klaviyo.batches import Batches
from tap_klaviyo.errors import StreamError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.logs import get_logger
from tap_klaviyo.messages import Writer
from tap_klaviyo.records.page_parser import Page
from tap_klaviyo.state import State
from tap_klaviyo.sync import summary
from tap_klaviyo.sync.progress_bars import Progress
from tap_klaviyo.sync.stream_sync import StreamSync

logger = get_logger(__name__)

LOG_INTERVAL = 60
"""Seconds between two log lines that say how far the run has come."""

STATE_INTERVAL = 1
"""Seconds between two STATE messages: what a killed run has written since is read again."""

_TIME_EXTRACTED = "%Y-%m-%dT%H:%M:%S.%fZ"


class Output:
    """The output of one run. Hidden parents have none.

    ``syncs`` are the selected streams in the order of the catalog. ``client`` tells what the run
    waits for. ``version`` is the table version
    of full tables, None without versions. ``now`` is the wall clock in Unix seconds.
    """

    def __init__(
        self,
        writer: Writer,
        progress: Progress,
        state: State,
        syncs: Sequence[StreamSync],
        client: Client,
        version: int | None,
        now: Callable[[], float],
        batches: Batches | None = None,
    ) -> None:
        self._writer = writer
        self._progress = progress
        self._state = state
        self._syncs = syncs
        self._client = client
        self._version = version
        self._now = now
        self._batches = batches
        self._without_schema = deque(syncs)
        self._logged_at = now()
        self._state_at = float("-inf")
        self._state_is_due = False
        for sync in syncs:
            progress.add(sync.name)
        self._reasons: set[str] = set()
        self.saved = False
        """Whether a STATE was written."""
        self.withheld = False
        """Whether no message may be written yet."""

    def show(self, sync: StreamSync) -> None:
        """Shows a stream as done if nothing is to be read of it."""
        if sync.finished and not sync.hidden_parent:
            self._progress.finish(sync.name, sync.records)

    def schemas(self) -> None:
        """Writes the SCHEMA of each stream, once, before the first record of all, and a STATE.

        The STATE holds the bookmarks that the run starts with: pipelinewise's targets take the
        first one for one whose records are all stored.
        """
        if self.withheld or not self._without_schema:
            return
        while self._without_schema:
            selected = self._without_schema.popleft().selected
            bookmarks = [selected.stream.replication_key] if selected.incremental else []
            self._writer.schema(selected.name, selected.schema, selected.keys, bookmarks)
        self.write_state()

    def page(self, sync: StreamSync, page: Page, records: list[Any]) -> None:
        """Writes those ``records`` of a page that belong to its window."""
        self.schemas()
        if sync.hidden_parent:
            return
        if self._batches is None:
            now = datetime.fromtimestamp(self._now(), timezone.utc)
            extracted = now.strftime(_TIME_EXTRACTED)
            self._writer.records(sync.parser.encode(records, extracted, self._version_of(sync)))
        else:
            lines = sync.parser.encode_bare(records)
            self._batches.add(
                sync.name,
                lines,
                len(records),
                partial(self._state.stored, sync.selected.stream.name),
            )
        sync.count_page(page, len(records))
        self.progress(sync)

    def progress(self, sync: StreamSync) -> None:
        """Shows how far a stream has come."""
        if not sync.hidden_parent and self._progress.is_due(sync.name):
            self._progress.update(sync.name, sync.share, sync.records)

    def complete(self, sync: StreamSync) -> None:
        """Ends the output of a stream that is finished; activates a table that was read fully."""
        if sync.hidden_parent:
            return
        if self._batches is not None:
            self._batches.name(sync.name)
        version = self._version_of(sync)
        if version is not None and sync.error is None and not sync.reading.is_partial:
            self._writer.activate_version(sync.name, version)
        self._progress.finish(sync.name, sync.records)

    def failed(self, sync: StreamSync, error: StreamError) -> None:
        """Logs why a stream ends early; of streams with the same reason, only the first one."""
        if not sync.hidden_parent:
            log = logger.debug if str(error) in self._reasons else logger.error
            log("Stream '%s' ends here: %s", sync.name, error)
            self._reasons.add(str(error))
            self._progress.fail(sync.name, sync.records)

    def state(self) -> None:
        """Writes a STATE now, or when ``STATE_INTERVAL`` is over since the last one."""
        self._state_is_due = True
        self._write_due_state()

    def write_state(self) -> None:
        """Writes a STATE, unless no SCHEMA was written or the output has failed."""
        if self.withheld or self._without_schema or self._writer.error:
            return
        unfinished = (sync.name for sync in self._syncs if not sync.finished)
        self._writer.state(self._state.document(next(unfinished, None), self._held()))
        self._state_at, self._state_is_due = self._now(), False
        self.saved = True

    def end(self) -> None:
        """Names the last files, and writes the last STATE."""
        if self._batches is not None and not self._without_schema:
            self._batches.name_all()
        self.write_state()

    def keep_up(self) -> None:
        """Writes a STATE and a log line that are due by now. To be called often."""
        self._write_due_state()
        now = self._now()
        if now - self._logged_at > LOG_INTERVAL:
            summary.log_progress(self._syncs, self._client, now)
            self._logged_at = now

    def _held(self) -> dict[str, Mapping[str, Any] | None]:
        """What a STATE says of the streams with records in files that have no name yet."""
        held = {} if self._batches is None else self._batches.held_bookmarks()
        keys = {sync.name: sync.selected.stream.name for sync in self._syncs}
        return {keys[name]: bookmark for name, bookmark in held.items()}

    def _write_due_state(self) -> None:
        if self._state_is_due and self._now() - self._state_at >= STATE_INTERVAL:
            self.write_state()

    def log_summary(self) -> None:
        """Logs what was written, unless nobody can read it any more."""
        if not isinstance(self._writer.error, BrokenPipeError):
            summary.log_summary(self._syncs, self._client)

    def _version_of(self, sync: StreamSync) -> int | None:
        if self._version is None or not sync.selected.is_full_table:
            return None
        return self._version if sync.reading.version is None else sync.reading.version
