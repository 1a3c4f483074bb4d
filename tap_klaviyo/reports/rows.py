"""Answers of Klaviyo's reports as rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tap_klaviyo.reports.queries import Question, Timeframe


def as_resources(asked: Timeframe, document: Any) -> dict[str, Any]:
    """An answer as a list of resources, one for each row. Raises ValueError if it is none."""
    try:
        attributes = document["data"]["attributes"]
        rows = _aggregate_rows if asked.question.report.aggregates else _report_rows
        found = list(rows(asked, attributes))
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no rows of a report: {error!r}") from error
    return {"data": found, "links": document.get("links")}


def _report_rows(asked: Timeframe, attributes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for result in attributes["results"]:
        groupings, statistics = result["groupings"], result["statistics"]
        row = {**groupings, **_identity(asked.question, groupings)}
        if asked.question.report.series:
            yield from _series(asked.question, row, attributes["date_times"], statistics)
        else:
            yield _resource({**statistics, **row, **asked.span()})


def _aggregate_rows(asked: Timeframe, attributes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    question = asked.question
    for result in attributes["data"]:
        dimensions = dict(zip(question.further, result["dimensions"], strict=True))
        row = {
            "metric_id": question.metric_id,
            "dimensions": dimensions,
            **_identity(question, dimensions),
        }
        yield from _series(question, row, attributes["dates"], result["measurements"])


def _identity(question: Question, groupings: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a row from others of its time, besides the groupings that all rows have."""
    further = {name: groupings.get(name) for name in question.further}
    written = msgspec.json.encode(further).decode()
    return {"report": question.name, question.report.further: written}


def _series(
    question: Question, row: Mapping[str, Any], dates: Sequence[str], values: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    for index, date in enumerate(dates):
        numbers = {name: series[index] for name, series in values.items()}
        yield _resource({**numbers, **row, "date": date, "interval": question.interval})


def _resource(attributes: dict[str, Any]) -> dict[str, Any]:
    """A row as a resource. It has no id of its own; what is said of it names its report."""
    return {"id": attributes["report"], "attributes": attributes}
