"""Looks up what streams need to know of the account before they can be planned.

Event streams need the IDs of the account's metrics, reports its time zone and conversion metric.
All that are read by time need Klaviyo's clock, which any answer tells: one that needs nothing else
requests a record of its own if there is no answer yet. A lookup is a task of a worker like the
fetching of a page, so streams that need none, or another one, are read in the meantime.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tap_klaviyo.errors import StreamError
from tap_klaviyo.klaviyo.account import Account, Metrics
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.reports.builder import build_queries, check_options
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

    def perform(self, client: Client) -> list[LookupResult]:
        """The result for each stream, in order. Raises errors that end the run."""
        return [self._look_up(sync, client) for sync in self.syncs]

    def _look_up(self, sync: StreamSync, client: Client) -> LookupResult:
        stream = sync.selected.stream
        try:
            if stream.report:
                return LookupResult(
                    queries=build_queries(sync.selected, self.reports, self.account)
                )
            if stream.metrics:
                return LookupResult(metrics=self.account.metrics)
            if client.clock_offset() is None:
                client.request(sync.query.url((), 1), sync.query, lambda body: None)
            return LookupResult()
        except StreamError as error:
            return LookupResult(error=error)


@dataclass(eq=False)
class MetricsLookup:
    """A task that lists the metrics of ``account``, for streams that read them all."""

    account: Account

    def perform(self, client: Client) -> Metrics:
        """The metrics. Raises what :attr:`Account.metrics` raises."""
        return self.account.metrics


def lookups_for(
    syncs: Iterable[StreamSync], account: Account, reports: Mapping[str, ReportOptions]
) -> list[AccountLookup]:
    """The lookups for those of ``syncs`` that cannot be planned without: for each its own.

    Those of events are one lookup, and so are those of reports. Raises :class:`ConfigError` for
    options of a report that it cannot have.
    """
    events, timed, with_reports = list[StreamSync](), list[StreamSync](), list[StreamSync]()
    for sync in syncs:
        stream = sync.selected.stream
        if stream.metrics:
            events.append(sync)
        elif stream.report:
            check_options(sync.selected, reports)
            with_reports.append(sync)
        elif sync.selected.ends_with_run and not stream.parent:
            timed.append(sync)
    groups = (events, *([sync] for sync in timed), with_reports)
    return [AccountLookup(group, account, reports) for group in groups if group]
