"""Computes the campaign, flow, form and segment reports."""

import json
from collections.abc import Sequence
from typing import Any

from sandbox.account_data import AccountData
from sandbox.filters import matcher
from sandbox.http_messages import Request
from sandbox.query_string import parse_pairs
from sandbox.reports.definitions import ReportDefinition
from sandbox.reports.report_query import ReportQuery, parse_report_query
from sandbox.reports.results import ReportResult, ReportRow
from sandbox.reports.statistics import Observation, ObservationGroup, PeriodTotals

_PAGE_SIZE = 30


def compute_report(
    definition: ReportDefinition, account: AccountData, request: Request, now: float
) -> ReportResult:
    """Compute a report; `now` is in Unix seconds. Raises ApiError for an invalid request."""
    query = parse_report_query(definition, request, account, now)
    matches = matcher(query.conditions)
    groups = [
        group
        for group in definition.observe(account, query.conversion_metric)
        if matches(group.groupings)
    ]
    rows = [
        ReportRow(
            tuple(map(str, groupings.values())),
            {"groupings": groupings, "statistics": statistics},
        )
        for groupings, group in _grouped(groups, query.group_by)
        if (statistics := _statistics(definition, query, group)) is not None
    ]
    other_attributes: dict[str, Any] = {}
    if query.interval:
        intervals = query.timeframe.intervals(query.interval)
        other_attributes = {"date_times": [begin.isoformat() for begin, _, _ in intervals]}
    return ReportResult(
        "results",
        sorted(rows, key=lambda row: row.key),
        other_attributes,
        _PAGE_SIZE if definition.paginated else max(1, len(rows)),
        query.fingerprint,
        cursor=dict(parse_pairs(request.query)).get("page_cursor"),
        relationships=definition.relationships,
    )


def _grouped(
    groups: Sequence[ObservationGroup], names: Sequence[str]
) -> list[tuple[dict[str, Any], ObservationGroup]]:
    """Merge groups that have the same values of the groupings `names`."""
    merged: dict[str, list[ObservationGroup]] = {}
    for group in groups:
        key = json.dumps([group.groupings[name] for name in names])
        merged.setdefault(key, []).append(group)
    return [
        (
            {name: equal[0].groupings[name] for name in names},
            ObservationGroup(equal[0].groupings, _sorted_observations(equal)),
        )
        for equal in merged.values()
    ]


def _sorted_observations(groups: Sequence[ObservationGroup]) -> list[Observation]:
    return sorted(
        (observation for group in groups for observation in group.observations),
        key=lambda observation: observation.timestamp,
    )


def _statistics(
    definition: ReportDefinition, query: ReportQuery, group: ObservationGroup
) -> dict[str, Any] | None:
    """The value or series of each requested statistic; None for a group that is left out."""
    start, end = query.timeframe.unix_seconds()
    totals = PeriodTotals(group.observations, start, end)
    if not totals and not definition.since:
        return None
    if query.interval is None:
        return {name: definition.statistics[name](totals) for name in query.statistics}
    series = [
        PeriodTotals(group.observations, first, last)
        for _, first, last in query.timeframe.intervals(query.interval)
    ]
    return {name: [definition.statistics[name](one) for one in series] for name in query.statistics}
