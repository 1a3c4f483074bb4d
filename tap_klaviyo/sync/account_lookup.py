"""Looks up what streams need to know of the account before they can be planned.

Event streams need the IDs of the account's metrics, reports its time zone and conversion metric. A
lookup is a task of a worker like the fetching of a page, so streams that need none are read in the
meantime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tap_klaviyo.errors import StreamError
from tap_klaviyo.klaviyo.account import Account, Metrics
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.reports.builder import build_queries
from tap_klaviyo.reports.options import ReportOptions
from tap_klaviyo.reports.queries import ReportQuery
from tap_klaviyo.sync.stream_sync import StreamSync


class LookupResult(NamedTuple):
    """What a stream can be planned with; ``error`` is why it cannot be."""

    metrics: Metrics = Metrics(())
    queries: Sequence[ReportQuery] = ()
    error: StreamError | None = None


@dataclass(eq=False)
class AccountLookup:
    """A task that looks up what ``syncs`` need of ``account``, for ``reports`` as configured."""

    syncs: Sequence[StreamSync]
    account: Account
    reports: Mapping[str, ReportOptions]

    def perform(self, _client: Client) -> list[LookupResult]:
        """The result for each stream, in order. Raises errors that end the run."""
        return [_look_up(sync, self.account, self.reports) for sync in self.syncs]


def _look_up(
    sync: StreamSync, account: Account, reports: Mapping[str, ReportOptions]
) -> LookupResult:
    try:
        if sync.selected.stream.report:
            return LookupResult(queries=build_queries(sync.selected, reports, account))
        return LookupResult(metrics=account.metrics)
    except StreamError as error:
        return LookupResult(error=error)
