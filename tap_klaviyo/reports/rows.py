"""Answers of Klaviyo's reports as lists of resources, one for each row. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tap_klaviyo.dates import parse_utc
from tap_klaviyo.reports.queries import LOCAL_DATE, ReportPeriod, ReportQuery
from tap_klaviyo.streams.model import Report

LONGEST_KEY = 200
"""Characters of a key that is made of values. A longer one changes the keys of existing rows.

Some databases limit the key of an index, SQL Server for example to 900 bytes for all its columns.
"""


def key_of_values(values: Mapping[str, Any]) -> str:
    """A key for a combination of values: compact JSON of at most ``LONGEST_KEY`` characters.

    If the JSON is longer, the key is its beginning, ``#`` and the SHA-256 of all of it in
    hexadecimal. Equal values always have the same key.
    """
    encoded = msgspec.json.encode(values)
    text = encoded.decode()
    if len(text) <= LONGEST_KEY:
        return text
    ending = f"#{hashlib.sha256(encoded).hexdigest()}"
    return text[: LONGEST_KEY - len(ending)] + ending


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
            yield _resource(period.query.report, {**statistics, **row, **period.span()})


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
        query.report.extra_groups_key: key_of_values(extra),
    }


def _series(
    query: ReportQuery, row: Mapping[str, Any], dates: Sequence[str], values: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for index, date in enumerate(dates):
        numbers = {name: series[index] for name, series in values.items()}
        time = {"date": date, LOCAL_DATE: _local_date(query, date), "interval": query.interval}
        yield _resource(query.report, {**numbers, **row, **time})


def _local_date(query: ReportQuery, date: Any) -> str | None:
    """The day that an instant belongs to in the account's time zone; None if it is no date."""
    try:
        return parse_utc(str(date)).astimezone(query.time_zone).date().isoformat()
    except (ValueError, OverflowError):
        return None


def _resource(report: Report, attributes: dict[str, Any]) -> dict[str, Any]:
    """A row as a resource. It has no ID of its own: messages name its report and its groupings."""
    groupings = [f"{name} {attributes[name]}" for name in report.groups if attributes.get(name)]
    shown = f" ({', '.join(groupings)})" if groupings else ""
    return {"id": f"{attributes['report']}{shown}", "attributes": attributes}
