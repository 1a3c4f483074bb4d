"""The account's events, stored in columns so that millions of them fit into memory."""

import json
import math
import re
from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, NamedTuple

from sandbox.endpoints.model import Endpoint
from sandbox.errors import invalid_parameter
from sandbox.filters import Condition
from sandbox.pagination import Selection, SortKey
from sandbox.resources import Resource

MISSING = -1  # the index of an unknown profile or metric
_POSITION_BITS = 28
_POSITION_MASK = (1 << _POSITION_BITS) - 1
_ID_FACTOR, _ID_MASK = 0x5851F42D4C95, 0xFFFFFFFFFFFF
_ID = re.compile("[0-9a-f]{12}")
_ID_INVERSE = pow(_ID_FACTOR, -1, _ID_MASK + 1)
_UUID_EPOCH_OFFSET = 0x01B21DD213814000  # 100 ns ticks from 1582-10-15 to 1970-01-01


@dataclass(frozen=True, slots=True)
class Payload:
    """Event properties, shared by many events.

    `json_tail` is their JSON without the opening brace, so that each event's own `$event_id` can
    be put first; None stands for null properties. `message` is the campaign or flow message that a
    conversion is attributed to.
    """

    json_tail: bytes | None
    message: Resource | None = None

    @property
    def properties(self) -> dict[str, Any]:
        """The properties as a new dict; empty for null."""
        found: dict[str, Any] = json.loads(b"{" + self.json_tail) if self.json_tail else {}
        return found


class Event(NamedTuple):
    """One event: `timestamp` in Unix seconds, `position` in order of arrival.

    The profile may be deleted, and is None if its id is unknown. The metric is None if it is
    deleted or unknown.
    """

    id: str
    timestamp: int
    position: int
    payload: Payload
    profile: Resource | None
    metric: Resource | None

    @property
    def uuid(self) -> str | None:
        """The UUID (version 1, increasing with time), None for a few events."""
        if self.position % 211 == 7:
            return None
        ticks = self.timestamp * 10_000_000 + _UUID_EPOCH_OFFSET + self.position % 10_000_000
        return f"{ticks & 0xFFFFFFFF:08x}-{_uuid_middle(ticks >> 32)}-8001-{self.id}"

    @property
    def metric_id(self) -> str | None:
        """The id of the metric."""
        return self.metric.id if self.metric else None

    def related(self, relationship: str) -> list[Resource]:
        """The related resources."""
        if relationship == "attributions":
            return self._attributions()
        found = self.profile if relationship == "profile" else self.metric
        return [found] if found else []

    def _attributions(self) -> list[Resource]:
        message = self.payload.message
        if message is None:
            return []
        related = {
            "event": [Resource("event", self.id, {})],
            message.type: [message],
            "campaign": message.related("campaign"),
            "flow": flows_of(message),
        }
        return [Resource("attribution", f"{self.id:0>32}", {}, related)]


def flows_of(message: Resource) -> list[Resource]:
    """The flow of a message; empty for a campaign message."""
    return [flow for action in message.related("flow-action") for flow in action.related("flow")]


class EventRow(NamedTuple):
    """An event as stored: Unix seconds, and indexes of metric, profile and payload in the log.

    The index of an unknown metric or profile is MISSING.
    """

    timestamp: int
    metric: int
    profile: int
    payload: int


class EventLog:
    """Events in order of arrival. A position is an index in that order.

    A selection's rows are packed integers: the timestamp and, in the low bits, the position.
    `arrivals` maps positions of added events to the Unix seconds at which they arrived.
    """

    def __init__(
        self, seed: int, metrics: list[Resource], profiles: list[Resource], payloads: list[Payload]
    ) -> None:
        self.metrics, self.profiles, self.payloads = metrics, profiles, payloads
        self._salt = (seed * 0x9E3779B97F4A7C15) & _ID_MASK
        self._timestamps, self._metrics = array("q"), array("h")
        self._profiles, self._payloads = array("i"), array("i")
        self.arrivals: dict[int, float] = {}
        # Packed rows, sorted: of all events, and by metric index.
        self._order = array("q")
        self._order_of: dict[int, array[int]] = {}

    def __len__(self) -> int:
        return len(self._timestamps)

    def fill(self, rows: Iterable[EventRow]) -> None:
        """Add many events in order of arrival; sorts once."""
        touched: set[int] = set()
        for row in rows:
            touched.add(row.metric)
            self._append(row)
        for metric in touched:
            self._order_of[metric] = array("q", sorted(self._order_of[metric]))
        self._order = array("q", sorted(self._order))

    def add(self, row: EventRow, arrived: float = -math.inf) -> Event:
        """Add one event that arrived at a Unix second, long ago if none is given."""
        self.arrivals[len(self)] = arrived
        packed = self._append(row)
        for order in (self._order, self._order_of[row.metric]):
            insort(order, order.pop())
        return self.event(packed)

    def remove(self, id: str) -> None:
        """Delete an event; its position is not used again. Raises KeyError for an unknown id."""
        number = int(id, 16) if _ID.fullmatch(id) else 0
        position = (number ^ self._salt) * _ID_INVERSE & _ID_MASK
        if position >= len(self) or self.id(position) != id:
            raise KeyError(id)
        packed = self._timestamps[position] << _POSITION_BITS | position
        for order in (self._order, self._order_of[self._metrics[position]]):
            index = bisect_left(order, packed)
            if order[index : index + 1] != array("q", [packed]):
                raise KeyError(id)
            del order[index]
        self.arrivals.pop(position, None)

    def id(self, position: int) -> str:
        """The id of the event at a position: unique and not in order of arrival."""
        return f"{(position * _ID_FACTOR ^ self._salt) & _ID_MASK:012x}"

    def event(self, packed: int) -> Event:
        """The event of a packed row."""
        position, seconds = packed & _POSITION_MASK, packed >> _POSITION_BITS
        profile, metric = self._profiles[position], self._metrics[position]
        resolved = None if metric == MISSING else self.metrics[metric]
        return Event(
            self.id(position),
            seconds,
            position,
            self.payloads[self._payloads[position]],
            None if profile == MISSING else self.profiles[profile],
            None if resolved is None or resolved.deleted else resolved,
        )

    def between(
        self, metric: Resource | None, start: float = 0, end: float = math.inf
    ) -> tuple["array[int]", int, int]:
        """Events of a metric (None: all) in `[start, end)` Unix seconds.

        Returns packed rows sorted by time, and the bounds `lo` and `hi` of the range in them.
        """
        if metric is None:
            order = self._order
        else:
            order = self._order_of.get(self.metrics.index(metric), array("q"))
        return (
            order,
            bisect_left(order, _first_packed(start)),
            bisect_left(order, _first_packed(end)),
        )

    def positions(
        self, metric: Resource | None, start: float = 0, end: float = math.inf
    ) -> list[int]:
        """Positions of a metric's events in `[start, end)` Unix seconds, sorted by time."""
        order, lo, hi = self.between(metric, start, end)
        return positions_of(order[lo:hi])

    def timestamps(
        self, metric: Resource | None, start: float = 0, end: float = math.inf
    ) -> list[int]:
        """Unix seconds of a metric's events in `[start, end)`, sorted."""
        order, lo, hi = self.between(metric, start, end)
        return [row >> _POSITION_BITS for row in order[lo:hi]]

    def related(self, rows: Sequence[int], relationship: str) -> Iterable[Resource]:
        """The related resources of packed rows, without duplicates."""
        indexes, resources = {
            "profile": (self._profiles, self.profiles),
            "metric": (self._metrics, self.metrics),
        }.get(relationship, (None, []))
        if indexes is None:
            found = (self.event(row).related(relationship) for row in rows)
            return dict.fromkeys(resource for related in found for resource in related)
        seen = dict.fromkeys(map(indexes.__getitem__, positions_of(rows)))
        return [resources[index] for index in seen if index != MISSING]

    def select(
        self, endpoint: Endpoint, conditions: Sequence[Condition], sort: str
    ) -> Selection[int]:
        """The events that satisfy all conditions. Raises ApiError (400) for an unknown metric."""
        start, end, metric = 0.0, math.inf, None
        rest: list[Condition] = []
        for condition in conditions:
            if condition.field == "metric_id":
                metric = self._existing_metric(condition.value)
            elif condition.field in ("datetime", "timestamp"):
                low, high = _bounds(condition)
                start, end = max(start, low), min(end, high)
            else:
                rest.append(condition)
        rows, lo, hi = self.between(metric, start, end)
        hi = max(lo, hi)
        if rest:
            rows = array("q", (row for row in rows[lo:hi] if self._matches(row, rest)))
            lo, hi = 0, len(rows)
        return Selection(rows, _key, lo, hi, sort.startswith("-"))

    def sample_payload(self, metric: int) -> int:
        """The index of a payload for new events of a metric: that of its first event, else 0."""
        order = self._order_of.get(metric)
        return self._payloads[order[0] & _POSITION_MASK] if order else 0

    def row(self, position: int) -> EventRow:
        """The stored event at a position."""
        return EventRow(
            self._timestamps[position],
            self._metrics[position],
            self._profiles[position],
            self._payloads[position],
        )

    def metric_id(self, position: int) -> str | None:
        """The id of the metric of the event at a position, deleted ones included."""
        metric = self._metrics[position]
        return None if metric == MISSING else self.metrics[metric].id

    def properties(self, position: int) -> dict[str, Any]:
        """The event properties at a position, without `$event_id`."""
        return self.payloads[self._payloads[position]].properties

    def _matches(self, packed: int, conditions: Sequence[Condition]) -> bool:
        event = self.event(packed)
        profile = event.profile
        values = {
            "profile_id": profile.id if profile else None,
            "profile": profile is not None and not profile.deleted,
            "metric": event.metric is not None,
        }
        return all(
            values[condition.field] == (True if condition.operator == "has" else condition.value)
            for condition in conditions
        )

    def _existing_metric(self, id: object) -> Resource:
        for metric in self.metrics:
            if metric.id == id and not metric.deleted:
                return metric
        raise invalid_parameter(
            "filter", f"Invalid value for 'metric_id': no metric has the id '{id}'."
        )

    def _append(self, row: EventRow) -> int:
        position = len(self._timestamps)
        for column, value in zip(
            (self._timestamps, self._metrics, self._profiles, self._payloads), row, strict=True
        ):
            column.append(value)
        packed = row.timestamp << _POSITION_BITS | position
        self._order.append(packed)
        self._order_of.setdefault(row.metric, array("q")).append(packed)
        return packed


def count_rows(rows: Sequence[int], start: float, end: float) -> int:
    """How many of the packed rows, sorted by time, are in `[start, end)` Unix seconds."""
    lo, hi = (bisect_left(rows, _first_packed(seconds)) for seconds in (start, end))
    return max(0, hi - lo)


def positions_of(rows: Iterable[int]) -> list[int]:
    """The positions of packed rows."""
    return [row & _POSITION_MASK for row in rows]


@lru_cache(maxsize=4096)
def iso(seconds: int) -> str:
    """Unix seconds as ISO 8601 in Klaviyo's format: UTC, whole seconds, `+00:00`."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


@lru_cache(maxsize=4096)
def _uuid_middle(ticks: int) -> str:
    """The second and third group of a version 1 UUID, from the high bits of its ticks."""
    return f"{ticks & 0xFFFF:04x}-1{ticks >> 16:03x}"


def _key(packed: int) -> SortKey:
    return (packed,)


def _first_packed(seconds: float) -> int:
    """The smallest packed row at or after `seconds`."""
    return 1 << 62 if seconds == math.inf else math.ceil(seconds) << _POSITION_BITS


def _bounds(condition: Condition) -> tuple[float, float]:
    value = condition.value
    seconds = value.timestamp() if isinstance(value, datetime) else value
    assert isinstance(seconds, (int, float)), "bounds are datetimes or Unix seconds"
    after = math.floor(seconds) + 1
    return {
        "greater-or-equal": (seconds, math.inf),
        "greater-than": (after, math.inf),
        "less-than": (0.0, seconds),
        "less-or-equal": (0.0, after),
    }[condition.operator]
