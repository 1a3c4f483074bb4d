"""Statistics of reports, computed from timestamped observations."""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias


class Observation(NamedTuple):
    """Something that happened to a `subject` (usually a profile), at a Unix second."""

    timestamp: float
    name: str
    subject: Hashable
    value: float = 0.0


class ObservationGroup(NamedTuple):
    """The observations of one report row, sorted by time, and the row's possible groupings."""

    groupings: Mapping[str, Any]
    observations: Sequence[Observation]


class PeriodTotals:
    """Totals of observations in `[start, end)` Unix seconds, and of all before `end`.

    The observations must be sorted by time.
    """

    def __init__(self, observations: Sequence[Observation], start: float, end: float) -> None:
        stop = bisect_left(observations, (end,))
        self._in_period = observations[bisect_left(observations, (start,)) : stop]
        self._before_end = observations[:stop]

    def __bool__(self) -> bool:
        return bool(self._in_period)

    def count(self, *names: str) -> int:
        """Number of observations with these names in the period."""
        return sum(one.name in names for one in self._in_period)

    def unique(self, *names: str) -> int:
        """Number of subjects with such observations in the period."""
        return len({one.subject for one in self._in_period if one.name in names})

    def value(self, *names: str) -> float:
        """Sum of the values of such observations in the period, rounded to cents."""
        return round(sum(one.value for one in self._in_period if one.name in names), 2)

    def count_before_end(self, *names: str) -> int:
        """Number of such observations before the end of the period."""
        return sum(one.name in names for one in self._before_end)


Statistic: TypeAlias = Callable[[PeriodTotals], float]


def count(*names: str) -> Statistic:
    """The number of observations with these names."""
    return lambda totals: totals.count(*names)


def unique(*names: str) -> Statistic:
    """The number of subjects of observations with these names."""
    return lambda totals: totals.unique(*names)


def value(*names: str) -> Statistic:
    """The sum of the values of observations with these names."""
    return lambda totals: totals.value(*names)


def difference(minuend: Statistic, *subtrahends: Statistic) -> Statistic:
    """One statistic minus others."""
    return lambda totals: minuend(totals) - sum(other(totals) for other in subtrahends)


def rate(part: Statistic, whole: Statistic) -> Statistic:
    """One statistic divided by another, 0 if the other is 0."""

    def divide(totals: PeriodTotals) -> float:
        divisor = whole(totals)
        return part(totals) / divisor if divisor else 0.0

    return divide


def group_by_key(observations: Iterable[tuple[str, Observation]]) -> dict[str, list[Observation]]:
    """Group keyed observations by key and sort each group by time."""
    groups: dict[str, list[Observation]] = {}
    for key, observation in observations:
        groups.setdefault(key, []).append(observation)
    return {key: sorted(group, key=lambda one: one.timestamp) for key, group in groups.items()}
