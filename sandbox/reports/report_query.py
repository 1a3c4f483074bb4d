"""What a request wants of a report, every part of it allowed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sandbox.account import Account
from sandbox.filters import Condition
from sandbox.http_messages import Request
from sandbox.reports.definitions import Report
from sandbox.reports.request_body import Body
from sandbox.reports.timeframes import Timeframe, longer_than_a_year, named
from sandbox.resources import Resource

_CHANNELS = frozenset({"email", "sms", "push-notification", "whatsapp"})

# How intervals are called here and in timeframes, and how long a series of them may be.
_INTERVALS: Mapping[str, tuple[str, timedelta]] = {
    "hourly": ("hour", timedelta(days=7)),
    "daily": ("day", timedelta(days=60)),
    "weekly": ("week", timedelta(weeks=52)),
    "monthly": ("month", timedelta(weeks=52)),
}


@dataclass(frozen=True)
class Question:
    """A body without fault; `interval` is None but for a series."""

    statistics: tuple[str, ...]
    timeframe: Timeframe
    interval: str | None
    groups: tuple[str, ...]
    conditions: tuple[Condition, ...]
    conversion: Resource | None
    fingerprint: int


def read(report: Report, request: Request, account: Account, now: float) -> Question:
    """Read a body at a moment in Unix seconds; raises Refusal for what is not allowed."""
    required = {"statistics", "timeframe"}
    required |= {"interval"} if report.series else set()
    required |= {"conversion_metric_id"} if report.conversion else set()
    optional = {"filter"} | ({"group_by"} if report.groups else set())
    body = Body(request, report.type, frozenset(required), frozenset(optional))
    timeframe = _timeframe(body, report, _zone(account), now)
    return Question(
        body.words("statistics", report.statistics),
        timeframe,
        _interval(body, timeframe) if report.series else None,
        _groups(body, report),
        _conditions(body, report),
        _conversion(body, account) if report.conversion else None,
        body.fingerprint,
    )


def _zone(account: Account) -> ZoneInfo:
    (record,) = account.collections["account"]
    return ZoneInfo(record.attributes["timezone"])


def _timeframe(body: Body, report: Report, zone: ZoneInfo, now: float) -> Timeframe:
    wanted = body.raw("timeframe")
    if not isinstance(wanted, dict) or wanted.keys() not in ({"key"}, {"start", "end"}):
        raise body.unfit("timeframe", "A timeframe has a key, or a start and an end.")
    timeframe = named(wanted["key"], now, zone) if "key" in wanted else _given(body, wanted, zone)
    if timeframe is None:
        raise body.unfit("timeframe/key", f"'{wanted['key']}' is not the key of a timeframe.")
    if longer_than_a_year(timeframe):
        raise body.unfit("timeframe", "A timeframe may be a year long at most.")
    if timeframe.start.isoformat() < report.since:
        raise body.unfit("timeframe", f"There is no data of before {report.since}.")
    return timeframe


def _given(body: Body, wanted: Mapping[str, object], zone: ZoneInfo) -> Timeframe:
    start, end = (_local(body, name, wanted[name]) for name in ("start", "end"))
    if start >= end:
        raise body.unfit("timeframe/end", "A timeframe must end after it starts.")
    return Timeframe(start, end, zone)


def _local(body: Body, name: str, text: object) -> datetime:
    """A moment of the account's time zone: an offset must be given, and is ignored."""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise body.unfit(f"timeframe/{name}", f"'{text}' is not a date-time of RFC 3339.")
    return moment.replace(tzinfo=None)


def _interval(body: Body, timeframe: Timeframe) -> str:
    wanted = body.word("interval", _INTERVALS)
    interval, longest = _INTERVALS[wanted]
    if timeframe.end - timeframe.start > longest:
        detail = f"With {wanted} intervals a timeframe may be {longest.days} days long at most."
        raise body.unfit("timeframe", detail)
    return interval


def _groups(body: Body, report: Report) -> tuple[str, ...]:
    if body.raw("group_by") is None:
        return report.default
    chosen = body.words("group_by", report.groups)
    if missing := report.needed.difference(chosen):
        raise body.unfit("group_by", f"'{min(missing)}' must be among the attributes.")
    return chosen


def _conditions(body: Body, report: Report) -> tuple[Condition, ...]:
    if body.raw("filter") is None:
        return ()
    conditions = body.conditions("filter", body.text("filter"), report.filters)
    for condition in conditions:
        value = condition.value
        named = set(value) if isinstance(value, tuple) else {value}
        if condition.field == "send_channel" and not named <= _CHANNELS:
            raise body.unfit("filter", f"A channel is one of {', '.join(sorted(_CHANNELS))}.")
    return conditions


def _conversion(body: Body, account: Account) -> Resource:
    id = body.text("conversion_metric_id")
    if id not in account.collections["metric"]:
        raise body.unfit("conversion_metric_id", f"A metric with the id '{id}' does not exist.")
    metric: Resource = account.collections["metric"][id]
    return metric
