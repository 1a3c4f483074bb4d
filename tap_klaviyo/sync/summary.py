"""What the operator is told of a run, one line for each thing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from singer import metrics

from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.rate_limits import SLOW
from tap_klaviyo.streams.model import TIERS
from tap_klaviyo.sync.stream_sync import Table

logger = logging.getLogger(__name__)


def count(table: Table) -> None:
    """Singer's metric of the records written for a stream so far."""
    tags = {metrics.Tag.endpoint: table.name}
    metric = metrics.Metric.record_count
    metrics.log(logger, metrics.Point("counter", metric, table.records, tags))


def waiting(tables: Sequence[Table]) -> None:
    """What is not read yet and, where Klaviyo answers seldom, how much of it there is to ask."""
    unfinished = [table for table in tables if not table.finished]
    if unfinished:
        logger.info("Still reading %s.", ", ".join(map(_outstanding, unfinished)))


def _outstanding(table: Table) -> str:
    steady = TIERS[table.query.tier].steady
    if steady > SLOW or not table.planned:
        return table.name
    return f"{table.name} ({table.outstanding} to ask for, {steady} a minute at most)"


def quotas(asked: Iterable[tuple[str, int, int]]) -> None:
    """What was used up of the quotas of a day: path, requests of this run, the quota."""
    for path, requests, daily in asked:
        logger.info(
            "Requests to %s: %d of the %d that Klaviyo allows a day.", path, requests, daily
        )


def summary(tables: Sequence[Table], seconds: float) -> None:
    """What was read in all, and what was odd about each stream."""
    records = sum(table.records for table in tables)
    logger.info("Read %d records of %d streams in %.0f s.", records, len(tables), seconds)
    for table in tables:
        count(table)
        for note, times in sorted(table.notes.items()):
            logger.warning("Stream '%s': %s (%d times).", table.name, note, times)
        if table.repaired_pages:
            logger.info(
                "Stream '%s': %d pages took the slow way.", table.name, table.repaired_pages
            )
        if table.unkeyed:
            logger.warning(
                "Stream '%s': %d left out, without a value for the key %s: %s%s",
                table.name,
                table.unkeyed,
                " or ".join(table.selected.keys),
                ", ".join(table.unkeyed_ids),
                ", …" if table.unkeyed > len(table.unkeyed_ids) else ".",
            )


def fault(tables: Sequence[Table]) -> TapError | None:
    """The one line in which a run fails of which some streams were refused."""
    faults = {table.name: table.fault for table in tables if table.fault}
    if not faults:
        return None
    reasons = " ".join(dict.fromkeys(str(fault) for fault in faults.values()))
    others = "all others are complete"
    if not all(table.finished for table in tables):
        others = "the run was stopped before the others were complete"
    return TapError(
        f"{len(faults)} of {len(tables)} streams could not be read ({', '.join(faults)}); "
        f"{others}. {reasons}"
    )
