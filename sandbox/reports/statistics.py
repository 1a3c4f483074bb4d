"""What reports count: facts with a moment, and the statistics made of them."""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias


class Fact(NamedTuple):
    """Something that `who` did, or was done to, at a moment in Unix seconds."""

    moment: float
    what: str
    who: Hashable
    value: float = 0.0


class Group(NamedTuple):
    """Facts that a report tells of in one row, by moment; `groupings` is every way to name it."""

    groupings: Mapping[str, Any]
    facts: Sequence[Fact]


class Tally:
    """The facts of a group in `[start, end)` Unix seconds, and those of all time before `end`."""

    def __init__(self, facts: Sequence[Fact], start: float, end: float) -> None:
        last = bisect_left(facts, (end,))
        self._inside = facts[bisect_left(facts, (start,)) : last]
        self._ever = facts[:last]

    def __bool__(self) -> bool:
        return bool(self._inside)

    def count(self, *what: str) -> int:
        """How often it happened."""
        return sum(fact.what in what for fact in self._inside)

    def unique(self, *what: str) -> int:
        """To how many it happened."""
        return len({fact.who for fact in self._inside if fact.what in what})

    def value(self, *what: str) -> float:
        """What it was worth."""
        return round(sum(fact.value for fact in self._inside if fact.what in what), 2)

    def ever(self, *what: str) -> int:
        """How often it had happened by the end."""
        return sum(fact.what in what for fact in self._ever)


Statistic: TypeAlias = Callable[[Tally], float]


def count(*what: str) -> Statistic:
    """How often any of these happened."""
    return lambda tally: tally.count(*what)


def unique(*what: str) -> Statistic:
    """To how many any of these happened."""
    return lambda tally: tally.unique(*what)


def value(*what: str) -> Statistic:
    """What these were worth."""
    return lambda tally: tally.value(*what)


def less(whole: Statistic, *parts: Statistic) -> Statistic:
    """A whole without its parts."""
    return lambda tally: whole(tally) - sum(part(tally) for part in parts)


def rate(part: Statistic, whole: Statistic) -> Statistic:
    """A part of a whole, 0 of nothing."""

    def share(tally: Tally) -> float:
        of = whole(tally)
        return part(tally) / of if of else 0.0

    return share


def by_key(facts: Iterable[tuple[str, Fact]]) -> dict[str, list[Fact]]:
    """Gather facts by the key that comes with each, and sort them by moment."""
    found: dict[str, list[Fact]] = {}
    for key, fact in facts:
        found.setdefault(key, []).append(fact)
    return {key: sorted(some, key=lambda fact: fact.moment) for key, some in found.items()}
