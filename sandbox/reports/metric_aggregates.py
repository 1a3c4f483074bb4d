"""Metric aggregates: events of one metric, by interval and by dimensions."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from sandbox.account_data import AccountData
from sandbox.events import MISSING, EventLog, Payload, count_rows, flows_of, positions_of
from sandbox.filters import Condition, FilterField, matcher
from sandbox.http_messages import Request
from sandbox.reports.request_body import RequestBody
from sandbox.reports.results import ReportResult, ReportRow
from sandbox.reports.statistics import Observation, PeriodTotals, Statistic, count, unique, value
from sandbox.reports.timeframes import Timeframe, longer_than_a_year
from sandbox.resource_types import name_set

_REQUIRED = name_set("metric_id measurements filter")
_OPTIONAL = name_set("interval page_size page_cursor by return_fields timezone sort")
_INTERVALS = name_set("hour day week month")
_MAX_PAGE_SIZE = 500

_EVENT = "event"
_MEASUREMENTS: Mapping[str, Statistic] = {
    "count": count(_EVENT),
    "sum_value": value(_EVENT),
    "unique": unique(_EVENT),
}

_DIMENSIONS = frozenset(
    {
        "$attributed_channel", "$attributed_flow", "$attributed_message", "$attributed_variation",
        "$campaign_channel", "$flow", "$flow_channel", "$message", "$message_send_cohort",
        "$usage_amount", "$value_currency", "$variation", "$variation_send_cohort", "Bot Click",
        "Bounce Type", "Campaign Name", "Client Canonical", "Client Name", "Client Type",
        "Email Domain", "Failure Source", "Failure Type", "From Number", "From Phone Region",
        "Inbox Provider", "List", "Message Format", "Message Name", "Message Type", "Method",
        "Segment Count", "Subject", "To Number", "To Phone Region", "URL", "form_id",
    }
)  # fmt: skip

_DATE_BOUND = re.compile(r"(greater-or-equal|less-than)\(datetime, ?([^()]+)\)")
# Time zones that Python knows and Klaviyo does not.
_UNSUPPORTED_TIME_ZONES = frozenset({"Factory", "Europe/Kyiv", "Pacific/Kanton"})
_FILTERS = {
    name: FilterField("string", frozenset({"equals", "any"}))
    for name in _DIMENSIONS
    if " " not in name
}


_Measured: TypeAlias = tuple[tuple[str, ...], dict[str, list[float]]]
"""Dimensions, and the values of each measurement by interval."""


class _AggregateQuery(NamedTuple):
    """A valid request for aggregates."""

    metric_id: str
    timeframe: Timeframe
    conditions: tuple[Condition, ...]
    measurements: tuple[str, ...]
    by: tuple[str, ...]


def aggregate_metric(account: AccountData, request: Request, now: float) -> ReportResult:
    """Aggregate the events of a metric at `now`. Raises ApiError for an invalid request."""
    body = RequestBody(request, "metric-aggregate", _REQUIRED, _OPTIONAL)
    query = _parse(body, account)
    interval = "day" if body.raw("interval") is None else body.string_in("interval", _INTERVALS)
    intervals = query.timeframe.intervals(interval)
    periods = [(first, last) for _, first, last in intervals]
    only_counts = query.measurements == ("count",) and not query.by and not query.conditions
    measure = _counts if only_counts else _measurements
    key, descending = _sort(body, query)
    rows = []
    counted = _counted_rows(account, query, now)
    for dimensions, measurements in measure(account.log, query, counted, periods):
        if "count" in measurements:
            counts = measurements["count"]
            measurements["count"] = account.counting.reported(query.metric_id, counts)
        content = {"dimensions": list(dimensions), "measurements": measurements}
        rows.append(ReportRow((key(dimensions, measurements), *dimensions), content))
    return ReportResult(
        "data",
        sorted(rows, key=lambda row: row.key),
        {"dates": [begin.isoformat() for begin, _, _ in intervals]},
        _page_size(body),
        body.fingerprint,
        descending,
        None if body.raw("page_cursor") is None else body.string("page_cursor"),
    )


def _counted_rows(account: AccountData, query: _AggregateQuery, now: float) -> Sequence[int]:
    """Packed rows of the metric's counted events in the timeframe, sorted by time."""
    metric = account.collections["metric"][query.metric_id]
    rows, lo, hi = account.log.between(metric, *query.timeframe.unix_seconds())
    return account.counting.counted(account.log, query.metric_id, rows[lo:hi], now)


def _counts(
    _log: EventLog,
    _query: _AggregateQuery,
    rows: Sequence[int],
    periods: Sequence[tuple[float, float]],
) -> Iterator[_Measured]:
    """The number of events in each period (Unix seconds); nothing if there are no events."""
    if rows:
        yield (), {"count": [float(count_rows(rows, *period)) for period in periods]}


def _measurements(
    log: EventLog,
    query: _AggregateQuery,
    rows: Sequence[int],
    periods: Sequence[tuple[float, float]],
) -> Iterator[_Measured]:
    """The measurements of each combination of dimensions in each period (Unix seconds)."""
    groups: dict[tuple[str, ...], list[Observation]] = {}
    for dimensions, observation in _observations(log, query, rows):
        groups.setdefault(dimensions, []).append(observation)
    for dimensions, observations in groups.items():
        observations.sort(key=lambda one: one.timestamp)
        totals = [PeriodTotals(observations, *period) for period in periods]
        yield (
            dimensions,
            {
                name: [float(_MEASUREMENTS[name](one)) for one in totals]
                for name in query.measurements
            },
        )


def _parse(body: RequestBody, account: AccountData) -> _AggregateQuery:
    id = body.string("metric_id")
    if id not in account.collections["metric"]:
        raise body.invalid("metric_id", f"A metric with the id '{id}' does not exist.")
    if account.counting.of(id).unsupported:
        # Klaviyo documents that custom metrics are not supported, but not the text of the error.
        raise body.invalid("metric_id", f"The metric '{id}' cannot be aggregated.")
    if body.raw("return_fields"):
        raise body.invalid("return_fields", "Only whole answers are given here.")
    timeframe, conditions = _filter(body, _time_zone(body))
    return _AggregateQuery(
        id,
        timeframe,
        conditions,
        body.strings("measurements", _MEASUREMENTS),
        () if body.raw("by") is None else body.strings("by", _DIMENSIONS),
    )


def _time_zone(body: RequestBody) -> ZoneInfo:
    if body.raw("timezone") is None:
        return ZoneInfo("UTC")
    return ZoneInfo(body.string_in("timezone", available_timezones() - _UNSUPPORTED_TIME_ZONES))


def _filter(body: RequestBody, zone: ZoneInfo) -> tuple[Timeframe, tuple[Condition, ...]]:
    """The filters of a body: two bounds of `datetime`, and other conditions."""
    texts = body.raw("filter")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise body.invalid("filter", "The filter must be a list of strings.")
    bounds, others = {}, []
    for text in texts:
        if match := _DATE_BOUND.fullmatch(text):
            bounds[match.group(1)] = _local_time(body, match.group(2), zone)
        else:
            others.append(text)
    if len(bounds) < 2 or len(texts) - len(others) > 2:
        detail = "The filter needs a greater-or-equal and a less-than of datetime."
        raise body.invalid("filter", detail)
    timeframe = Timeframe(bounds["greater-or-equal"], bounds["less-than"], zone)
    if timeframe.start >= timeframe.end:
        raise body.invalid("filter", "The time must end after it starts.")
    if longer_than_a_year(timeframe):
        raise body.invalid("filter", "A year at most can be aggregated.")
    conditions = body.conditions("filter", ",".join(others), _FILTERS) if others else ()
    return timeframe, conditions


def _local_time(body: RequestBody, text: str, zone: ZoneInfo) -> datetime:
    """A naive local time in `zone`; a date-time without an offset is one already."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise body.invalid("filter", f"'{text}' is not a date-time of ISO 8601.") from error
    return moment.astimezone(zone).replace(tzinfo=None) if moment.tzinfo else moment


def _page_size(body: RequestBody) -> int:
    size = body.raw("page_size")
    if size is None:
        return _MAX_PAGE_SIZE
    if type(size) is not int or not 1 <= size <= _MAX_PAGE_SIZE:
        raise body.invalid("page_size", f"A page may have 1 to {_MAX_PAGE_SIZE} rows.")
    return size


def _sort(
    body: RequestBody, query: _AggregateQuery
) -> tuple[Callable[[Sequence[str], Mapping[str, Sequence[float]]], Any], bool]:
    """The sort key of a row, which precedes its dimensions, and whether to sort descending."""
    if body.raw("sort") is None:
        return lambda dimensions, measurements: 0, False
    text = body.string("sort")
    name = text.removeprefix("-")
    if name in query.measurements:
        return lambda dimensions, measurements: sum(measurements[name]), text != name
    if name in query.by:
        index = query.by.index(name)
        return lambda dimensions, measurements: dimensions[index], text != name
    raise body.invalid("sort", f"'{name}' is neither measured nor grouped by.")


def _observations(
    log: EventLog, query: _AggregateQuery, rows: Sequence[int]
) -> Iterator[tuple[tuple[str, ...], Observation]]:
    """The events of packed rows that satisfy the conditions, with their dimensions."""
    matches = matcher(query.conditions)
    names = {*query.by, *(condition.field for condition in query.conditions)}

    @cache
    def dimensions_of(payload: int) -> dict[str, str]:
        return _dimensions(log.payloads[payload], names)

    @cache
    def value_of(payload: int) -> float:
        return float(log.payloads[payload].properties.get("$value", 0))

    for position in positions_of(rows):
        row = log.row(position)
        if matches(dimensions_of(row.payload)):
            # Events of unknown profiles each count as another profile.
            subject = ~position if row.profile == MISSING else row.profile
            dimensions = tuple(dimensions_of(row.payload)[name] for name in query.by)
            yield dimensions, Observation(row.timestamp, _EVENT, subject, value_of(row.payload))


def _dimensions(payload: Payload, names: set[str]) -> dict[str, str]:
    """The values of dimensions; an empty string for those that the event lacks."""
    properties = payload.properties
    if payload.message is not None:
        properties |= {
            "$attributed_message": payload.message.id,
            "$attributed_flow": next((flow.id for flow in flows_of(payload.message)), ""),
        }
    return {name: str(properties.get(name) or "") for name in names}
