"""The rows of the reports of campaigns, flows, forms and segments."""

import json
from collections.abc import Sequence
from typing import Any

from sandbox.account import Account
from sandbox.filters import matcher
from sandbox.http_messages import Request
from sandbox.query_string import pairs_of
from sandbox.reports.definitions import Report
from sandbox.reports.report_query import Question, read
from sandbox.reports.results import Result, Row
from sandbox.reports.statistics import Fact, Group, Tally

_PER_PAGE = 30


def report(report: Report, account: Account, request: Request, now: float) -> Result:
    """Answer a report at a moment in Unix seconds; raises Refusal for what it does not allow."""
    question = read(report, request, account, now)
    matches = matcher(question.conditions)
    groups = [
        group for group in report.gather(account, question.conversion) if matches(group.groupings)
    ]
    rows = [
        Row(
            tuple(map(str, groupings.values())),
            {"groupings": groupings, "statistics": statistics},
        )
        for groupings, group in _chosen(groups, question.groups)
        if (statistics := _statistics(report, question, group)) is not None
    ]
    rest: dict[str, Any] = {}
    if question.interval:
        cut = question.timeframe.cut(question.interval)
        rest = {"date_times": [begin.isoformat() for begin, _, _ in cut]}
    cursor = dict(pairs_of(request.query)).get("page_cursor")
    return Result(
        "results",
        sorted(rows, key=lambda row: row.key),
        rest,
        _PER_PAGE if report.paged else max(1, len(rows)),
        question.fingerprint,
        cursor=cursor,
        relations=report.relations,
    )


def _chosen(groups: Sequence[Group], names: Sequence[str]) -> list[tuple[dict[str, Any], Group]]:
    """Groups that are alike in all that is grouped by become one."""
    found: dict[str, list[Group]] = {}
    for group in groups:
        key = json.dumps([group.groupings[name] for name in names])
        found.setdefault(key, []).append(group)
    return [
        (
            {name: alike[0].groupings[name] for name in names},
            Group(alike[0].groupings, _by_moment(alike)),
        )
        for alike in found.values()
    ]


def _by_moment(groups: Sequence[Group]) -> list[Fact]:
    return sorted((fact for group in groups for fact in group.facts), key=lambda fact: fact.moment)


def _statistics(report: Report, question: Question, group: Group) -> dict[str, Any] | None:
    """The value of every statistic, or its series; None for a group without anything to tell."""
    start, end = question.timeframe.seconds()
    whole = Tally(group.facts, start, end)
    if not whole and not report.since:
        return None
    if question.interval is None:
        return {name: report.statistics[name](whole) for name in question.statistics}
    tallies = [
        Tally(group.facts, first, last)
        for _, first, last in question.timeframe.cut(question.interval)
    ]
    return {
        name: [report.statistics[name](tally) for tally in tallies] for name in question.statistics
    }
