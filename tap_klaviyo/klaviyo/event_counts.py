"""Klaviyo's own counts of the events of a metric, by day.

Source: Klaviyo's guide to querying metric aggregates. One request covers a year at most; custom
metrics are refused. With the time zone UTC and an interval of a day, ``dates`` are the midnights
(UTC) from the lower bound to the upper one. Without a dimension to group by there is one row, and
none if there are no events.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import msgspec

from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import Query

MOST_DAYS = 365
"""The days that one request may cover."""

COUNTS_QUERY = Query(
    path="/api/metric-aggregates",
    parameters={},
    scopes=("metrics:read",),
    tier="S",
    most_tries=4,
)
"""A run does not wait for counts as long as for records: the next run asks again."""

_DAY = 86_400

_MOST_EVENTS = 2**53
"""Larger numbers are not exact."""


class _Measurements(msgspec.Struct):
    count: list[float]


class _Row(msgspec.Struct):
    measurements: _Measurements


class _Attributes(msgspec.Struct):
    dates: list[datetime]
    data: list[_Row]


class _Data(msgspec.Struct):
    attributes: _Attributes


class _Answer(msgspec.Struct):
    data: _Data


def read_counts(
    client: Client,
    metric_id: str,
    first: int,
    end: int,
    count: Callable[[], None] = lambda: None,
) -> dict[int, int]:
    """The number of events by day, from day ``first`` up to, but not including, ``end``.

    Days (UTC) are numbered from 1970-01-01; those without events may be missing. ``count`` is
    called for each try. Raises what :meth:`Client.request` raises.
    """
    return client.request(
        COUNTS_QUERY.path,
        COUNTS_QUERY,
        lambda body: _parsed(body.decompressed(), first, end),
        json_body=_body(metric_id, first, end),
        count=count,
    )


def _body(metric_id: str, first: int, end: int) -> bytes:
    attributes = {
        "metric_id": metric_id,
        "measurements": ["count"],
        "interval": "day",
        "timezone": "UTC",
        "filter": [
            f"greater-or-equal(datetime,{_midnight(first)})",
            f"less-than(datetime,{_midnight(end)})",
        ],
    }
    return msgspec.json.encode({"data": {"type": "metric-aggregate", "attributes": attributes}})


def _midnight(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def _parsed(body: bytes, first: int, end: int) -> dict[int, int]:
    """The counts of an answer. Raises ValueError for one that has others than were asked for."""
    answer = msgspec.json.decode(body, type=_Answer).data.attributes
    found: dict[int, int] = {}
    for row in answer.data:
        for moment, number in zip(answer.dates, row.measurements.count, strict=True):
            day, rest = divmod(_since_1970(moment), timedelta(days=1))
            is_count = 0 <= number <= _MOST_EVENTS and number.is_integer()
            if rest or not first <= day < end or not is_count:
                raise ValueError("the counts are not those of the days that were asked for")
            found[day] = found.get(day, 0) + int(number)
    return found


def _since_1970(moment: datetime) -> timedelta:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return aware - datetime(1970, 1, 1, tzinfo=timezone.utc)
