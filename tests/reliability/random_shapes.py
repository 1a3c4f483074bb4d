"""When the events of an account happened: shapes as real accounts have them, drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

DAY = 86_400
YEAR = 365 * DAY

Draw = Callable[[random.Random, int, int, int], list[int]]


@dataclass(frozen=True)
class Shape:
    """The sorted times of the events of each metric, all in ``[start, end)``; Unix seconds."""

    start: int
    end: int
    metrics: list[list[int]]


def uniform(draw: random.Random, events: int, start: int, end: int) -> list[int]:
    """Events spread evenly."""
    return [draw.randrange(start, end) for _ in range(events)]


def clusters(draw: random.Random, events: int, start: int, end: int) -> list[int]:
    """Up to twenty short periods with events."""
    times = []
    count = draw.randint(1, 20)
    for _ in range(count):
        first, seconds = draw.randrange(start, end), draw.choice([1, 10, 100, 1000])
        times += [first + draw.randrange(seconds) for _ in range(events // count)]
    return times


def campaigns(draw: random.Random, events: int, start: int, end: int) -> list[int]:
    """Up to twenty campaigns: most events at once, then fewer and fewer for seconds to days."""
    times = []
    count = draw.randint(1, 20)
    for _ in range(count):
        first, mean = draw.randrange(start, end), draw.choice([10, 60, 600, 7200, DAY])
        times += [first + int(draw.expovariate(1 / mean)) for _ in range(events // count)]
    return times


def one_second(draw: random.Random, events: int, start: int, end: int) -> list[int]:
    """An import: all events in one second."""
    return [draw.randrange(start, end)] * min(events, 20_000)


def sale(draw: random.Random, events: int, start: int, end: int) -> list[int]:
    """A flash sale: many events in each of many seconds, with pauses in between."""
    first, pause = draw.randrange(start, end), draw.choice([1, 10, 60, 600])
    in_a_second = draw.choice([20, 200, 1500])
    return [first + pause * (number // in_a_second) for number in range(events)]


def nearly_empty(draw: random.Random, events: int, start: int, end: int) -> list[int]:
    """A few events, or none."""
    return uniform(draw, min(events, draw.randint(0, 5)), start, end)


DRAWS: tuple[Draw, ...] = (uniform, clusters, campaigns, one_second, sale, nearly_empty)


def random_shape(seed: int, end: int, *, most_events: float = 1e5) -> Shape:
    """A month to five years of one to eighteen metrics of unequal size and mixed shapes."""
    draw = random.Random(seed)
    start = end - int(draw.choice([0.1, 1, 5]) * YEAR)
    metrics = []
    for _ in range(draw.choice([1, 1, 2, 3, 6, 18])):
        events = int(10 * (most_events / 10) ** draw.random())
        mixed = draw.sample(DRAWS, draw.randint(1, 3))
        times = [time for one in mixed for time in one(draw, events, start, end)]
        metrics.append(sorted(time for time in times if time < end))
    return Shape(start, end, metrics)


def disordered(times: list[int], rows: int, seed: int) -> list[int]:
    """The same times, each up to ``rows`` rows away from its place."""
    draw = random.Random(seed)
    places = sorted((place + draw.uniform(0, rows), time) for place, time in enumerate(times))
    return [time for _, time in places]
