"""Events of one metric, aggregated over time and whatever else they have in common."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from sandbox.account import Account
from sandbox.events import NOBODY, Payload, flows_of
from sandbox.filters import Condition, Field, matcher
from sandbox.http_messages import Request
from sandbox.reports.request_body import Body
from sandbox.reports.results import Result, Row
from sandbox.reports.statistics import Fact, Statistic, Tally, count, unique, value
from sandbox.reports.timeframes import Timeframe, longer_than_a_year
from sandbox.resource_types import words

_REQUIRED = words("metric_id measurements filter")
_OPTIONAL = words("interval page_size page_cursor by return_fields timezone sort")
_INTERVALS = words("hour day week month")
_MOST = 500

_HAPPENED = "event"
_MEASUREMENTS: Mapping[str, Statistic] = {
    "count": count(_HAPPENED),
    "sum_value": value(_HAPPENED),
    "unique": unique(_HAPPENED),
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

_BOUND = re.compile(r"(greater-or-equal|less-than)\(datetime, ?([^()]+)\)")
_NOT_KNOWN = frozenset({"Factory", "Europe/Kyiv", "Pacific/Kanton"})
_FILTERS = {
    name: Field("string", frozenset({"equals", "any"})) for name in _DIMENSIONS if " " not in name
}


class _Question(NamedTuple):
    """A body without fault."""

    metric_id: str
    timeframe: Timeframe
    conditions: tuple[Condition, ...]
    measurements: tuple[str, ...]
    by: tuple[str, ...]


def aggregate(account: Account, request: Request, _: float) -> Result:
    """Aggregate events; raises Refusal for what is not allowed."""
    body = Body(request, "metric-aggregate", _REQUIRED, _OPTIONAL)
    question = _read(body, account)
    interval = "day" if body.raw("interval") is None else body.word("interval", _INTERVALS)
    cut = question.timeframe.cut(interval)
    found: dict[tuple[str, ...], list[Fact]] = {}
    for dimensions, fact in _facts(account, question):
        found.setdefault(dimensions, []).append(fact)
    key, descending = _sort(body, question)
    rows = []
    for dimensions, facts in found.items():
        facts.sort(key=lambda fact: fact[0])
        tallies = [Tally(facts, first, last) for _, first, last in cut]
        measured = {
            name: [float(_MEASUREMENTS[name](tally)) for tally in tallies]
            for name in question.measurements
        }
        content = {"dimensions": list(dimensions), "measurements": measured}
        rows.append(Row((key(dimensions, measured), *dimensions), content))
    return Result(
        "data",
        sorted(rows, key=lambda row: row.key),
        {"dates": [begin.isoformat() for begin, _, _ in cut]},
        _size(body),
        body.fingerprint,
        descending,
        None if body.raw("page_cursor") is None else body.text("page_cursor"),
    )


def _read(body: Body, account: Account) -> _Question:
    id = body.text("metric_id")
    if id not in account.collections["metric"]:
        raise body.unfit("metric_id", f"A metric with the id '{id}' does not exist.")
    if body.raw("return_fields"):
        raise body.unfit("return_fields", "Only whole answers are given here.")
    timeframe, conditions = _filter(body, _zone(body))
    return _Question(
        id,
        timeframe,
        conditions,
        body.words("measurements", _MEASUREMENTS),
        () if body.raw("by") is None else body.words("by", _DIMENSIONS),
    )


def _zone(body: Body) -> ZoneInfo:
    if body.raw("timezone") is None:
        return ZoneInfo("UTC")
    return ZoneInfo(body.word("timezone", available_timezones() - _NOT_KNOWN))


def _filter(body: Body, zone: ZoneInfo) -> tuple[Timeframe, tuple[Condition, ...]]:
    """A list of filters, two of which bound the time: from then on, and until before then."""
    texts = body.raw("filter")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise body.unfit("filter", "The filter must be a list of strings.")
    bounds, others = {}, []
    for text in texts:
        if match := _BOUND.fullmatch(text):
            bounds[match.group(1)] = _local(body, match.group(2), zone)
        else:
            others.append(text)
    if len(bounds) < 2 or len(texts) - len(others) > 2:
        detail = "The filter needs a greater-or-equal and a less-than of datetime."
        raise body.unfit("filter", detail)
    timeframe = Timeframe(bounds["greater-or-equal"], bounds["less-than"], zone)
    if timeframe.start >= timeframe.end:
        raise body.unfit("filter", "The time must end after it starts.")
    if longer_than_a_year(timeframe):
        raise body.unfit("filter", "A year at most can be aggregated.")
    conditions = body.conditions("filter", ",".join(others), _FILTERS) if others else ()
    return timeframe, conditions


def _local(body: Body, text: str, zone: ZoneInfo) -> datetime:
    """A moment as local time of the zone; without an offset it is one already."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise body.unfit("filter", f"'{text}' is not a date-time of ISO 8601.") from error
    return moment.astimezone(zone).replace(tzinfo=None) if moment.tzinfo else moment


def _size(body: Body) -> int:
    size = body.raw("page_size")
    if size is None:
        return _MOST
    if type(size) is not int or not 1 <= size <= _MOST:
        raise body.unfit("page_size", f"A page may have 1 to {_MOST} rows.")
    return size


def _sort(
    body: Body, question: _Question
) -> tuple[Callable[[Sequence[str], Mapping[str, Sequence[float]]], Any], bool]:
    """What to sort by besides the dimensions, and whether from the end."""
    if body.raw("sort") is None:
        return lambda dimensions, measured: 0, False
    text = body.text("sort")
    name = text.removeprefix("-")
    if name in question.measurements:
        return lambda dimensions, measured: sum(measured[name]), text != name
    if name in question.by:
        place = question.by.index(name)
        return lambda dimensions, measured: dimensions[place], text != name
    raise body.unfit("sort", f"'{name}' is neither measured nor grouped by.")


def _facts(account: Account, question: _Question) -> Iterator[tuple[tuple[str, ...], Fact]]:
    log = account.log
    matches = matcher(question.conditions)
    wanted = {*question.by, *(condition.field for condition in question.conditions)}

    @cache
    def known(payload: int) -> dict[str, str]:
        return _dimensions(log.payloads[payload], wanted)

    @cache
    def worth(payload: int) -> float:
        return float(log.payloads[payload].properties.get("$value", 0))

    start, end = question.timeframe.seconds()
    for position in log.positions(account.collections["metric"][question.metric_id], start, end):
        row = log.row(position)
        if matches(known(row.payload)):
            # Of those who are nobody, none is like another.
            who = ~position if row.profile == NOBODY else row.profile
            dimensions = tuple(known(row.payload)[name] for name in question.by)
            yield dimensions, Fact(row.timestamp, _HAPPENED, who, worth(row.payload))


def _dimensions(payload: Payload, names: set[str]) -> dict[str, str]:
    """What an event has in common with others; empty for what it lacks."""
    told = payload.properties
    if payload.message is not None:
        told |= {
            "$attributed_message": payload.message.id,
            "$attributed_flow": next((flow.id for flow in flows_of(payload.message)), ""),
        }
    return {name: str(told.get(name) or "") for name in names}
