"""Answers of Klaviyo's reports as lists of resources, one for each row. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tap_klaviyo.reports.queries import ReportPeriod, ReportQuery


def as_resources(period: ReportPeriod, document: Any) -> dict[str, Any]:
    """An answer as a JSON:API list. Raises ValueError if it is not an answer of a report."""
    try:
        attributes = document["data"]["attributes"]
        rows = _aggregate_rows if period.query.report.aggregates else _report_rows
        data = list(rows(period, attributes))
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no rows of a report: {error!r}") from error
    return {"data": data, "links": document.get("links")}


def _report_rows(period: ReportPeriod, attributes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for result in attributes["results"]:
        groupings, statistics = result["groupings"], result["statistics"]
        row = {**groupings, **_identity(period.query, groupings)}
        if period.query.report.series:
            yield from _series(period.query, row, attributes["date_times"], statistics)
        else:
            yield _resource({**statistics, **row, **period.span()})


def _aggregate_rows(
    period: ReportPeriod, attributes: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    query = period.query
    for result in attributes["data"]:
        dimensions = dict(zip(query.extra_groups, result["dimensions"], strict=True))
        identity = _identity(query, dimensions)
        row = {"metric_id": query.metric_id, "dimensions": dimensions, **identity}
        yield from _series(query, row, attributes["dates"], result["measurements"])


def _identity(query: ReportQuery, groupings: Mapping[str, Any]) -> dict[str, Any]:
    """The key properties of a row besides its time and the groupings that all rows have."""
    extra = {name: groupings.get(name) for name in query.extra_groups}
    return {
        "report": query.name,
        query.report.extra_groups_key: msgspec.json.encode(extra).decode(),
    }


def _series(
    query: ReportQuery, row: Mapping[str, Any], dates: Sequence[str], values: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for index, date in enumerate(dates):
        numbers = {name: series[index] for name, series in values.items()}
        yield _resource({**numbers, **row, "date": date, "interval": query.interval})


def _resource(attributes: dict[str, Any]) -> dict[str, Any]:
    """A row as a resource. It has no ID of its own, so messages about it name its report."""
    return {"id": attributes["report"], "attributes": attributes}
