"""What a run did: as data for the caller of a run, and as log lines for the operator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tap_klaviyo.errors import RetryableError, StreamError, TapError
from tap_klaviyo.klaviyo.rate_limits import SLOW_LIMIT
from tap_klaviyo.limits import THREADS
from tap_klaviyo.logs import get_logger, log_metric
from tap_klaviyo.state import State
from tap_klaviyo.streams.model import TIERS
from tap_klaviyo.sync.stream_sync import StreamSync

logger = get_logger(__name__)

Status = Literal["complete", "failed", "incomplete"]
"""``incomplete`` is a stream whose run was stopped, or ended by an error of another stream."""


@dataclass(frozen=True)
class StreamSummary:
    """What was read of one stream.

    ``bookmark`` is the bookmark after the run in Unix seconds; None for a full table. ``error`` is
    the reason of a failed stream.
    """

    stream: str
    status: Status
    records: int
    requests: int
    pages: int
    bookmark: int | None
    error: str | None


@dataclass(frozen=True)
class RunSummary:
    """What a run did. ``seconds`` is its duration; ``error`` says in one line what failed."""

    streams: tuple[StreamSummary, ...]
    seconds: float
    stopped: bool
    error: TapError | None

    @property
    def complete(self) -> bool:
        """Whether all selected streams were read completely."""
        return all(stream.status == "complete" for stream in self.streams)

    @property
    def records(self) -> int:
        """The number of records that were written."""
        return sum(stream.records for stream in self.streams)


def summarize(sync: StreamSync, state: State) -> StreamSummary:
    """The summary of one stream."""
    status: Status = "complete" if sync.finished else "incomplete"
    incremental = sync.selected.incremental
    return StreamSummary(
        stream=sync.name,
        status="failed" if sync.error else status,
        records=sync.records,
        requests=sync.requests,
        pages=sync.pages,
        bookmark=state.bookmark(sync.selected.stream.name) if incremental else None,
        error=str(sync.error) if sync.error else None,
    )


def run_error(syncs: Sequence[StreamSync]) -> TapError | None:
    """The one line that says which streams failed, and why."""
    errors = {sync.name: sync.error for sync in syncs if sync.error}
    if not errors:
        return None
    reasons = " ".join(dict.fromkeys(map(str, errors.values())))
    if len(errors) == len(syncs):
        others = ""
    elif all(sync.finished for sync in syncs):
        others = "; all others are complete"
    else:
        others = "; the run ended before the others were complete"
    later = all(isinstance(error, RetryableError) for error in errors.values())
    error_type = RetryableError if later else StreamError
    return error_type(
        f"{len(errors)} of {len(syncs)} streams could not be read ({', '.join(errors)}){others}. "
        f"{reasons}"
    )


def log_record_count(sync: StreamSync) -> None:
    """Logs Singer's metric of the records that were written for a stream so far."""
    log_metric(logger, "counter", "record_count", sync.records, {"endpoint": sync.name})


def log_unfinished(syncs: Iterable[StreamSync]) -> None:
    """Logs which streams are still being read."""
    unfinished = [sync for sync in syncs if not sync.finished]
    if unfinished:
        logger.info("Still reading %s.", ", ".join(map(_remaining, unfinished)))


def log_daily_quotas(quotas: Iterable[tuple[str, int, int]]) -> None:
    """Logs the use of daily quotas: path, requests of this run, quota."""
    for path, requests, daily in quotas:
        logger.info("%d of %d requests a day to %s used in this run.", requests, daily, path)


def log_fewer_workers(workers: int, limit: str = THREADS) -> None:
    """Warns that a limit of the system allows no more workers."""
    logger.warning("Concurrency is %d: more workers do not fit the limit of %s.", workers, limit)


def log_summary(syncs: Sequence[StreamSync], seconds: float) -> None:
    """Logs what was read, and what was odd about each stream."""
    records = sum(sync.records for sync in syncs)
    logger.info("Read %d records of %d streams in %.0f s.", records, len(syncs), seconds)
    for sync in syncs:
        log_record_count(sync)
        for warning, times in sorted(sync.warnings.items()):
            logger.warning("Stream '%s': %s (%d times).", sync.name, warning, times)
        if sync.gone:
            logger.info(
                "Stream '%s': %d of %d parents were deleted during the run; skipped.",
                sync.name,
                len(sync.gone),
                len(sync.parent_ids),
            )
        if sync.converted_pages:
            logger.info(
                "Stream '%s': %d pages contained values that had to be converted.",
                sync.name,
                sync.converted_pages,
            )
        if sync.without_key:
            logger.warning(
                "Stream '%s': %d records left out, without a value for the key %s: %s%s",
                sync.name,
                sync.without_key,
                " or ".join(sync.selected.keys),
                ", ".join(sync.ids_without_key),
                ", …" if sync.without_key > len(sync.ids_without_key) else ".",
            )


def _remaining(sync: StreamSync) -> str:
    """The name of a stream and, for a slow endpoint, how much remains."""
    per_minute = TIERS[sync.query.tier].steady
    if per_minute > SLOW_LIMIT or not sync.planned:
        return sync.name
    return f"{sync.name} ({sync.outstanding} requests left, at most {per_minute} a minute)"
