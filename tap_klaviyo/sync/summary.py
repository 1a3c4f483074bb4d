"""What a run did: as data for the caller of a run, and as log lines for the operator."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from tap_klaviyo.dates import utc
from tap_klaviyo.errors import RetryableError, StreamError, TapError
from tap_klaviyo.klaviyo.account import scopes_of
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.failures import is_forbidden, scopes_advice
from tap_klaviyo.klaviyo.rate_limits import SLOW_LIMIT
from tap_klaviyo.limits import THREADS
from tap_klaviyo.logs import get_logger, listed, log_counter
from tap_klaviyo.state import State
from tap_klaviyo.streams.model import TIERS
from tap_klaviyo.sync.recount_report import LateEvents
from tap_klaviyo.sync.stream_sync import StreamSync

logger = get_logger(__name__)

Status = Literal["complete", "failed", "incomplete", "not_due"]
"""``incomplete`` is a stream whose run was stopped, or ended by an error of another stream.
``not_due`` is a full table that was not read, since its interval has not passed."""


@dataclass(frozen=True)
class StreamSummary:
    """What was read of one stream.

    ``bookmark`` is the bookmark after the run in Unix seconds; None for a full table. ``error`` is
    the reason of a failed stream. ``not_due_until`` is when all of a full table is due again, of
    which this run has read nothing or only what was updated, in Unix seconds.
    """

    stream: str
    status: Status
    records: int
    requests: int
    pages: int
    bookmark: int | None
    error: str | None
    not_due_until: int | None = None


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    ``started`` is when it began in Unix seconds, ``seconds`` its duration. ``saved`` says whether a
    STATE was written, from which a new run continues. ``error`` says in one line what failed.
    ``late`` says how late events came that a recount has found, None if it found none.
    ``account_id`` is the ID of the account, None if the settings do not ask for it.
    """

    streams: tuple[StreamSummary, ...]
    started: float
    seconds: float
    stopped: bool
    saved: bool
    error: TapError | None
    late: LateEvents | None = None
    account_id: str | None = None

    @property
    def complete(self) -> bool:
        """Whether all selected streams that were due were read completely."""
        return all(stream.status in ("complete", "not_due") for stream in self.streams)

    @property
    def records(self) -> int:
        """The number of records that were written."""
        return sum(stream.records for stream in self.streams)

    @property
    def pages(self) -> int:
        """The number of pages that were read."""
        return sum(stream.pages for stream in self.streams)


def run_summary(
    syncs: Sequence[StreamSync],
    state: State,
    times: tuple[float, float],
    *,
    stopped: bool,
    saved: bool,
    late: LateEvents | None = None,
) -> RunSummary:
    """The summary of a run; ``times`` are its start and its end in Unix seconds."""
    return RunSummary(
        streams=tuple(_stream_summary(sync, state) for sync in syncs),
        started=times[0],
        seconds=times[1] - times[0],
        stopped=stopped,
        saved=saved,
        error=run_error(syncs),
        late=late,
    )


def _stream_summary(sync: StreamSync, state: State) -> StreamSummary:
    finished: Status = "not_due" if sync.reading.is_skipped else "complete"
    status: Status = finished if sync.finished else "incomplete"
    incremental = sync.selected.incremental
    return StreamSummary(
        stream=sync.name,
        status="failed" if sync.error else status,
        records=sync.records,
        requests=sync.requests,
        pages=sync.pages,
        bookmark=state.bookmark(sync.selected.stream.name) if incremental else None,
        error=str(sync.error) if sync.error else None,
        not_due_until=sync.reading.not_due_until,
    )


def run_error(syncs: Sequence[StreamSync]) -> TapError | None:
    """The one line that says which streams failed, and why."""
    errors = {sync.name: sync.error for sync in syncs if sync.error}
    if not errors:
        return None
    reasons = list(dict.fromkeys(map(str, errors.values())))
    if any(map(is_forbidden, errors.values())):
        reasons.append(scopes_advice(chain.from_iterable(map(_scopes, syncs))))
    if len(errors) == len(syncs):
        others = ""
    elif all(sync.finished for sync in syncs):
        others = "; all others are complete"
    else:
        others = "; the run ended before the others were complete"
    later = all(isinstance(error, RetryableError) for error in errors.values())
    error_type = RetryableError if later else StreamError
    unread = (
        f"{len(errors)} of {len(syncs)} streams could not be read ({', '.join(errors)}){others}"
    )
    if len(errors) == len(syncs) > 1:
        unread = f"None of {len(syncs)} streams could be read"
    return error_type(f"{unread}. {' '.join(reasons)}")


def _scopes(sync: StreamSync) -> tuple[str, ...]:
    return scopes_of(sync.selected.stream, sync.query)


def log_progress(syncs: Sequence[StreamSync], client: Client, now: float) -> None:
    """Logs how far a run is and what it waits for. ``now`` is the wall clock in Unix seconds."""
    unfinished = [sync for sync in syncs if not sync.finished]
    records = sum(sync.records for sync in syncs)
    waits = [
        f"{path} is at its rate limit until {utc(now + seconds)}"
        for path, seconds in client.rate_limits.paused()
    ]
    waits += [f"{path} has failed for {seconds:.0f} s" for path, seconds in client.failing()]
    logger.info(
        "Read %s records so far. Still reading %s.%s",
        f"{records:,}",
        listed(map(_remaining, unfinished)),
        f" Waiting: {listed(waits)}." if waits else "",
    )


def log_fewer_workers(workers: int, limit: str = THREADS) -> None:
    """Warns that a limit of the system allows no more workers."""
    logger.warning("Concurrency is %d: more workers do not fit the limit of %s.", workers, limit)


def log_summary(syncs: Sequence[StreamSync], client: Client) -> None:
    """Logs for each stream how many records were written, and what was odd about it.

    Then where the run exceeded a rate limit, and its use of daily quotas.
    """
    for sync in syncs:
        log_counter(logger, "record_count", sync.records, {"endpoint": sync.name})
        for warning, times in sorted(sync.warnings.items()):
            logger.warning("Stream '%s': %s (%d times).", sync.name, warning, times)
        if sync.gone:
            logger.info(
                "Stream '%s': %d of %d parents were deleted during the run; skipped.",
                sync.name,
                len(sync.gone),
                len(sync.parent_ids),
            )
        if sync.lacking:
            logger.log(
                logging.WARNING if 1 < len(sync.parent_ids) <= sync.lacking else logging.INFO,
                "Stream '%s': %d of %d parents have no such resource (404).",
                sync.name,
                sync.lacking,
                len(sync.parent_ids),
            )
        if sync.without_key:
            logger.warning(
                "Stream '%s': %d records left out, without a value for the key %s: %s%s",
                sync.name,
                sync.without_key,
                " or ".join(sync.selected.own_keys),
                ", ".join(sync.ids_without_key),
                ", …" if sync.without_key > len(sync.ids_without_key) else ".",
            )
    converted = [f"{s.name} ({s.converted_pages})" for s in syncs if s.converted_pages]
    if converted:
        logger.info("Pages with values that had to be converted: %s.", listed(converted))
    _log_requests(client)


def _log_requests(client: Client) -> None:
    if throttled := client.rate_limits.throttled():
        waits = (f"{path} ({times} times)" for path, times in throttled)
        logger.info("Waited for the rate limit of %s.", listed(waits))
    for path, requests, daily in client.rate_limits.daily_quotas():
        logger.info("%d of %d requests a day to %s used in this run.", requests, daily, path)


def _remaining(sync: StreamSync) -> str:
    """The name of a stream and, where the number of requests decides, how many remain."""
    per_minute = TIERS[sync.query.tier].steady
    if not sync.planned or (per_minute > SLOW_LIMIT and sync.parent is None):
        return sync.name
    return f"{sync.name} ({sync.outstanding:,} requests left, at most {per_minute} a minute)"
