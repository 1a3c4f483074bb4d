"""Parses and validates the request body of a campaign, flow, form or segment report."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sandbox.account_data import AccountData
from sandbox.filters import Condition
from sandbox.http_messages import Request
from sandbox.reports.definitions import ReportDefinition
from sandbox.reports.request_body import RequestBody
from sandbox.reports.timeframes import Timeframe, longer_than_a_year, timeframe_of_key
from sandbox.resources import Resource

_CHANNELS = frozenset({"email", "sms", "push-notification", "whatsapp"})

# Klaviyo's name of an interval, its name in `timeframes`, and the longest timeframe it allows.
_INTERVALS: Mapping[str, tuple[str, timedelta]] = {
    "hourly": ("hour", timedelta(days=7)),
    "daily": ("day", timedelta(days=60)),
    "weekly": ("week", timedelta(weeks=52)),
    "monthly": ("month", timedelta(weeks=52)),
}


@dataclass(frozen=True)
class ReportQuery:
    """A valid report request; `interval` is None unless the report is a series."""

    statistics: tuple[str, ...]
    timeframe: Timeframe
    interval: str | None
    group_by: tuple[str, ...]
    conditions: tuple[Condition, ...]
    conversion_metric: Resource | None
    fingerprint: int


def parse_report_query(
    definition: ReportDefinition, request: Request, account: AccountData, now: float
) -> ReportQuery:
    """Parse a request body; `now` is in Unix seconds. Raises ApiError if it is invalid."""
    required = {"statistics", "timeframe"}
    required |= {"interval"} if definition.series else set()
    required |= {"conversion_metric_id"} if definition.conversion else set()
    optional = {"filter"} | ({"group_by"} if definition.groupings else set())
    body = RequestBody(request, definition.type, frozenset(required), frozenset(optional))
    timeframe = _timeframe(body, definition, _time_zone(account), now)
    return ReportQuery(
        body.strings("statistics", definition.statistics),
        _as_read(body, account, timeframe, now),
        _interval(body, timeframe) if definition.series else None,
        _group_by(body, definition),
        _conditions(body, definition),
        _conversion_metric(body, account) if definition.conversion else None,
        body.fingerprint,
    )


def _time_zone(account: AccountData) -> ZoneInfo:
    (record,) = account.collections["account"]
    return ZoneInfo(record.attributes["timezone"])


def _timeframe(
    body: RequestBody, definition: ReportDefinition, zone: ZoneInfo, now: float
) -> Timeframe:
    value = body.raw("timeframe")
    if not isinstance(value, dict) or value.keys() not in ({"key"}, {"start", "end"}):
        raise body.invalid("timeframe", "A timeframe has a key, or a start and an end.")
    if "key" in value:
        timeframe = timeframe_of_key(value["key"], now, zone)
    else:
        timeframe = _custom_timeframe(body, value, zone)
    if timeframe is None:
        raise body.invalid("timeframe/key", f"'{value['key']}' is not the key of a timeframe.")
    if longer_than_a_year(timeframe):
        raise body.invalid("timeframe", "A timeframe may be a year long at most.")
    if timeframe.start.isoformat() < definition.since:
        raise body.invalid("timeframe", f"There is no data of before {definition.since}.")
    return timeframe


def _as_read(
    body: RequestBody, account: AccountData, timeframe: Timeframe, now: float
) -> Timeframe:
    """The timeframe as the account reads it. A key names whole days already."""
    is_custom = "key" not in body.raw("timeframe")
    return timeframe.whole_days(now) if account.whole_days and is_custom else timeframe


def _custom_timeframe(body: RequestBody, value: Mapping[str, object], zone: ZoneInfo) -> Timeframe:
    start, end = (_local_time(body, name, value[name]) for name in ("start", "end"))
    if start >= end:
        raise body.invalid("timeframe/end", "A timeframe must end after it starts.")
    return Timeframe(start, end, zone)


def _local_time(body: RequestBody, name: str, text: object) -> datetime:
    """A local time in the account's time zone. An offset is required, but ignored."""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise body.invalid(f"timeframe/{name}", f"'{text}' is not a date-time of RFC 3339.")
    return moment.replace(tzinfo=None)


def _interval(body: RequestBody, timeframe: Timeframe) -> str:
    name = body.string_in("interval", _INTERVALS)
    interval, longest = _INTERVALS[name]
    if timeframe.end - timeframe.start > longest:
        detail = f"With {name} intervals a timeframe may be {longest.days} days long at most."
        raise body.invalid("timeframe", detail)
    return interval


def _group_by(body: RequestBody, definition: ReportDefinition) -> tuple[str, ...]:
    if body.raw("group_by") is None:
        return definition.default_groupings
    chosen = body.strings("group_by", definition.groupings)
    if missing := definition.required_groupings.difference(chosen):
        raise body.invalid("group_by", f"'{min(missing)}' must be among the attributes.")
    return chosen


def _conditions(body: RequestBody, definition: ReportDefinition) -> tuple[Condition, ...]:
    if body.raw("filter") is None:
        return ()
    conditions = body.conditions("filter", body.string("filter"), definition.filters)
    for condition in conditions:
        value = condition.value
        channels = set(value) if isinstance(value, tuple) else {value}
        if condition.field == "send_channel" and not channels <= _CHANNELS:
            raise body.invalid("filter", f"A channel is one of {', '.join(sorted(_CHANNELS))}.")
    return conditions


def _conversion_metric(body: RequestBody, account: AccountData) -> Resource:
    id = body.string("conversion_metric_id")
    if id not in account.collections["metric"]:
        raise body.invalid("conversion_metric_id", f"A metric with the id '{id}' does not exist.")
    metric: Resource = account.collections["metric"][id]
    return metric
