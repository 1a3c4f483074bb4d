"""Rules by which an account counts and lists its events: without rules, all of them at once.

With rules, metric aggregates or lists of events differ from the account's events, of which
`Account.counts` has the true counts. Klaviyo documents no such differences, so tests try several.
Reports are not affected.
"""

import math
import random
from array import array
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass

from sandbox.events import EventLog, positions_of

_CHANGES = (-3, -2, -1, 1, 2, 3)  # of an unstable count


@dataclass(frozen=True)
class CountingRules:
    """How the events of a metric are counted by metric aggregates, and listed by `/api/events`.

    An event is counted `count_lag` seconds after it arrived, and listed after `list_lag` seconds;
    seeded events arrived long ago. Every `leaves_out`-th event by its position in the log is not
    counted (0: all are). Counts are multiplied by `factor`. At each request, the count of each
    interval changes by up to 3 with the probability `unstable`, drawn from `seed`. Aggregates of an
    `unsupported` metric return 400. Raises ValueError for a value that is not a number or negative.
    """

    count_lag: float = 0
    list_lag: float = 0
    leaves_out: int = 0
    factor: float = 1
    unstable: float = 0
    seed: int = 0
    unsupported: bool = False

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ValueError(f"'{name}' must be a finite number of at least 0, not {value!r}")


class Counting:
    """The rules of an account's metrics. Hold the account's lock while using them."""

    def __init__(self) -> None:
        self._rules: dict[str | None, CountingRules] = {}
        self._random: dict[str, random.Random] = {}

    def set(self, metric_id: str | None, rules: CountingRules) -> None:
        """Replace the rules of a metric, or (None) of all metrics without rules of their own."""
        self._rules[metric_id] = rules
        self._random.clear()

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()

    def of(self, metric_id: str | None) -> CountingRules:
        """The rules of a metric; None stands for events without a metric."""
        return self._rules.get(metric_id) or self._rules.get(None) or CountingRules()

    def unlisted(self, log: EventLog, now: float) -> frozenset[int]:
        """Positions of the events that `/api/events` does not list yet at `now` (Unix seconds)."""
        if not any(rules.list_lag for rules in self._rules.values()):
            return frozenset()
        return frozenset(
            position
            for position, arrived in log.arrivals.items()
            if _within(self.of(log.metric_id(position)).list_lag, arrived, now)
        )

    def counted(
        self, log: EventLog, metric_id: str, rows: Sequence[int], now: float
    ) -> Sequence[int]:
        """Those of a metric's packed rows that aggregates count at `now` (Unix seconds)."""
        rules = self.of(metric_id)
        uncounted: set[int] = set()
        if rules.count_lag:
            uncounted.update(
                position
                for position, arrived in log.arrivals.items()
                if _within(rules.count_lag, arrived, now)
            )
        if rules.leaves_out:
            uncounted.update(at for at in positions_of(rows) if at % rules.leaves_out == 0)
        return without(rows, uncounted)

    def reported(self, metric_id: str, counts: Sequence[float]) -> list[float]:
        """What aggregates report for these counts of a metric's events by interval."""
        rules = self.of(metric_id)
        multiplied = [count * rules.factor for count in counts]
        if not rules.unstable:
            return multiplied
        rng = self._random.setdefault(metric_id, random.Random(f"{rules.seed}/{metric_id}"))
        return [
            max(0.0, count + rng.choice(_CHANGES)) if rng.random() < rules.unstable else count
            for count in multiplied
        ]


def without(rows: Sequence[int], positions: Set[int]) -> Sequence[int]:
    """The packed rows of events at other positions."""
    if not positions:
        return rows
    found = zip(rows, positions_of(rows), strict=True)
    return array("q", (row for row, position in found if position not in positions))


def _within(lag: float, arrived: float, now: float) -> bool:
    """Whether an event that arrived at a Unix second is within the lag at `now`."""
    return bool(lag) and now - arrived < lag
