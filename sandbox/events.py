"""The account's events, in columns, so that millions of them fit into memory."""

import json
import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, NamedTuple

from sandbox.endpoints.model import Endpoint
from sandbox.errors import invalid
from sandbox.filters import Condition
from sandbox.pagination import Key, Selection
from sandbox.resources import Resource

NOBODY = -1
_POSITION_BITS = 28
_POSITION = (1 << _POSITION_BITS) - 1
_EPOCH_OF_UUID = 0x01B21DD213814000


@dataclass(frozen=True, slots=True)
class Payload:
    """The event properties that many events share.

    `rest` is their JSON without the opening brace and the `$event_id` that each event has of its
    own; None stands for null properties. `message` is what a conversion is attributed to.
    """

    rest: bytes | None
    message: Resource | None = None

    @property
    def properties(self) -> dict[str, Any]:
        """The properties, read anew; none for null."""
        found: dict[str, Any] = json.loads(b"{" + self.rest) if self.rest else {}
        return found


class Event(NamedTuple):
    """One event as it is told: `timestamp` in Unix seconds, `position` in the order of arrival.

    The profile may have been deleted, and is None if not even its id is left; the metric is None
    if it cannot be resolved.
    """

    id: str
    timestamp: int
    position: int
    payload: Payload
    profile: Resource | None
    metric: Resource | None

    @property
    def uuid(self) -> str | None:
        """Its UUID, ordered by time; a few events have none."""
        if self.position % 211 == 7:
            return None
        ticks = self.timestamp * 10_000_000 + _EPOCH_OF_UUID + self.position % 10_000_000
        return f"{ticks & 0xFFFFFFFF:08x}-{_rest_of_uuid(ticks >> 32)}-8001-{self.id}"

    @property
    def metric_id(self) -> str | None:
        """The id of its metric."""
        return self.metric.id if self.metric else None

    def related(self, relation: str) -> list[Resource]:
        """What the event is related to."""
        if relation == "attributions":
            return self._attributions()
        found = self.profile if relation == "profile" else self.metric
        return [found] if found else []

    def _attributions(self) -> list[Resource]:
        message = self.payload.message
        if message is None:
            return []
        related = {
            "event": [Resource("event", self.id, {})],
            message.kind: [message],
            "campaign": message.related("campaign"),
            "flow": flows_of(message),
        }
        return [Resource("attribution", f"{self.id:0>32}", {}, related)]


def flows_of(message: Resource) -> list[Resource]:
    """The flow that a message belongs to; empty for that of a campaign."""
    return [flow for action in message.related("flow-action") for flow in action.related("flow")]


class Row(NamedTuple):
    """One event to be stored: its metric, profile and payload by number, NOBODY for none."""

    timestamp: int
    metric: int
    profile: int
    payload: int


class EventLog:
    """Events in the order of their arrival; an event's position is its place in that order."""

    def __init__(
        self, seed: int, metrics: list[Resource], profiles: list[Resource], payloads: list[Payload]
    ) -> None:
        self.metrics, self.profiles, self.payloads = metrics, profiles, payloads
        self._salt = (seed * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFF
        self._timestamps, self._metrics = array("q"), array("h")
        self._profiles, self._payloads = array("i"), array("i")
        # Sorted numbers that hold a timestamp and, below it, a position.
        self._order = array("q")
        self._order_of: dict[int, array[int]] = {}

    def __len__(self) -> int:
        return len(self._timestamps)

    def fill(self, rows: Iterable[Row]) -> None:
        """Add many events at once, in the order of their arrival."""
        touched = {NOBODY}
        for row in rows:
            touched.add(row.metric)
            self._append(row)
        for metric in touched - {NOBODY}:
            self._order_of[metric] = array("q", sorted(self._order_of[metric]))
        self._order = array("q", sorted(self._order))

    def add(self, row: Row) -> Event:
        """Add one event."""
        packed = self._append(row)
        for order in (self._order, self._order_of[row.metric]):
            insort(order, order.pop())
        return self.event(packed)

    def id(self, position: int) -> str:
        """The id of the event at a position: unique, and unlike that of the event before it."""
        return f"{(position * 0x5851F42D4C95 ^ self._salt) & 0xFFFFFFFFFFFF:012x}"

    def event(self, packed: int) -> Event:
        """The event of a row of a selection."""
        position, seconds = packed & _POSITION, packed >> _POSITION_BITS
        profile, metric = self._profiles[position], self._metrics[position]
        resolved = None if metric == NOBODY else self.metrics[metric]
        return Event(
            self.id(position),
            seconds,
            position,
            self.payloads[self._payloads[position]],
            None if profile == NOBODY else self.profiles[profile],
            None if resolved is None or resolved.deleted else resolved,
        )

    def between(
        self, metric: Resource | None, start: float = 0, end: float = math.inf
    ) -> tuple["array[int]", int, int]:
        """Events of a metric (None: all) in `[start, end)` Unix seconds: an order, and its part."""
        if metric is None:
            order = self._order
        else:
            order = self._order_of.get(self.metrics.index(metric), array("q"))
        return order, bisect_left(order, _first(start)), bisect_left(order, _first(end))

    def positions(
        self, metric: Resource | None, start: float = 0, end: float = math.inf
    ) -> list[int]:
        """Positions of a metric's events in `[start, end)`, by timestamp."""
        order, lo, hi = self.between(metric, start, end)
        return positions_of(order[lo:hi])

    def related(self, rows: Sequence[int], relation: str) -> Iterable[Resource]:
        """What the events of rows of a selection are related to, each once."""
        numbers, resources = {
            "profile": (self._profiles, self.profiles),
            "metric": (self._metrics, self.metrics),
        }.get(relation, (None, []))
        if numbers is None:
            found = (self.event(row).related(relation) for row in rows)
            return dict.fromkeys(resource for related in found for resource in related)
        seen = dict.fromkeys(map(numbers.__getitem__, positions_of(rows)))
        return [resources[number] for number in seen if number != NOBODY]

    def select(
        self, endpoint: Endpoint, conditions: Sequence[Condition], sort: str
    ) -> Selection[int]:
        """The packed events that satisfy all conditions; raises Refusal for an unknown metric."""
        start, end, metric = 0.0, math.inf, None
        rest: list[Condition] = []
        for condition in conditions:
            if condition.field == "metric_id":
                metric = self._known(condition.value)
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

    def sample(self, metric: int) -> int:
        """The number of a payload that suits a metric: that of its first event, or any."""
        order = self._order_of.get(metric)
        return self._payloads[order[0] & _POSITION] if order else 0

    def row(self, position: int) -> Row:
        """What is stored of the event at a position."""
        return Row(
            self._timestamps[position],
            self._metrics[position],
            self._profiles[position],
            self._payloads[position],
        )

    def properties(self, position: int) -> dict[str, Any]:
        """The event properties that the event at a position shares with others."""
        return self.payloads[self._payloads[position]].properties

    def _matches(self, packed: int, conditions: Sequence[Condition]) -> bool:
        event = self.event(packed)
        profile = event.profile
        facts = {
            "profile_id": profile.id if profile else None,
            "profile": profile is not None and not profile.deleted,
            "metric": event.metric is not None,
        }
        return all(
            facts[rule.field] == (True if rule.operator == "has" else rule.value)
            for rule in conditions
        )

    def _known(self, id: object) -> Resource:
        for metric in self.metrics:
            if metric.id == id and not metric.deleted:
                return metric
        raise invalid("filter", f"Invalid value for 'metric_id': no metric has the id '{id}'.")

    def _append(self, row: Row) -> int:
        position = len(self._timestamps)
        for column, value in zip(
            (self._timestamps, self._metrics, self._profiles, self._payloads), row, strict=True
        ):
            column.append(value)
        packed = row.timestamp << _POSITION_BITS | position
        self._order.append(packed)
        self._order_of.setdefault(row.metric, array("q")).append(packed)
        return packed


def positions_of(rows: Iterable[int]) -> list[int]:
    """The positions of the events of rows of a selection."""
    return [row & _POSITION for row in rows]


@lru_cache(maxsize=4096)
def iso(seconds: int) -> str:
    """Klaviyo's way of writing a moment: UTC, whole seconds, `+00:00`."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


@lru_cache(maxsize=4096)
def _rest_of_uuid(ticks: int) -> str:
    """The middle of a UUID of version 1, from the upper half of its ticks."""
    return f"{ticks & 0xFFFF:04x}-1{ticks >> 16:03x}"


def _key(packed: int) -> Key:
    return (packed,)


def _first(seconds: float) -> int:
    """The smallest packed row at or after a moment."""
    return 1 << 62 if seconds == math.inf else math.ceil(seconds) << _POSITION_BITS


def _bounds(condition: Condition) -> tuple[float, float]:
    value = condition.value
    seconds = value.timestamp() if isinstance(value, datetime) else value
    assert isinstance(seconds, (int, float)), "a bound is a moment"
    after = math.floor(seconds) + 1
    return {
        "greater-or-equal": (seconds, math.inf),
        "greater-than": (after, math.inf),
        "less-than": (0.0, seconds),
        "less-or-equal": (0.0, after),
    }[condition.operator]
