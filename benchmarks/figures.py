"""Figures made of runs, and the bars they are held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from benchmarks.measuring import Run

Measured: TypeAlias = Mapping[str, Sequence[Run]]
"""The runs of a scenario by the name of their take, one for each round."""

Of: TypeAlias = Callable[[Run], float]
Figure: TypeAlias = Callable[[Measured], list[float]]
"""One value for each round. Raises KeyError if a take has not been measured."""

BURST, STEADY = 350, 3500
"""Klaviyo's limits for events: requests in a second and in a minute."""


@dataclass(frozen=True)
class Bar:
    """A figure and what it has to be: ``most`` or ``least``, or neither; ``unit`` formats it."""

    what: str
    figure: Figure
    unit: str = "{:.2f} ×"
    most: float = math.inf
    least: float = -math.inf

    @property
    def asked(self) -> str:
        """The bar in words."""
        if self.most < math.inf:
            return f"at most {self.unit.format(self.most)}"
        return f"at least {self.unit.format(self.least)}" if self.least > -math.inf else "report"


@dataclass(frozen=True)
class Outcome:
    """A bar and the values of its rounds, of which the median counts; none if not measured."""

    bar: Bar
    values: Sequence[float]

    @property
    def value(self) -> str:
        """The median."""
        return self.bar.unit.format(median(self.values)) if self.values else "not measured"

    @property
    def spread(self) -> str:
        """The lowest and the highest of several rounds."""
        if len(self.values) < 2:
            return ""
        low, high = (self.bar.unit.format(one) for one in (min(self.values), max(self.values)))
        return f"{low} to {high}"

    @property
    def verdict(self) -> str:
        """Whether the bar is met; empty if there is none, or no value."""
        if not self.values or self.bar.asked == "report":
            return ""
        return "met" if self.bar.least <= median(self.values) <= self.bar.most else "missed"


def hold(bar: Bar, measured: Measured) -> Outcome:
    """Holds what was measured against a bar."""
    try:
        return Outcome(bar, bar.figure(measured))
    except KeyError:
        return Outcome(bar, [])


def cpu(run: Run) -> float:
    """Seconds of processor time."""
    return run.usage.cpu


def wall(run: Run) -> float:
    """Seconds of wall time."""
    return run.usage.wall


def peak(run: Run) -> float:
    """The most memory at once, in MB."""
    return run.usage.peak / 1e6


def cpu_per_event(run: Run) -> float:
    """Seconds of processor time for each event."""
    return run.usage.cpu / run.events


def wall_per_event(run: Run) -> float:
    """Seconds of wall time for each event."""
    return run.usage.wall / run.events


def pace(run: Run) -> float:
    """Events in a second."""
    return run.events / run.usage.wall


def share_of_target(run: Run) -> float:
    """The tap's part of the processor time of a pipeline, in percent."""
    return 100 * run.usage.cpu / (run.usage.cpu + run.target_cpu)


def sandbox_ahead(run: Run) -> float:
    """How many times as fast as the tap the sandbox could be."""
    return run.usage.cpu / run.server_cpu


def each(of: Of, take: str) -> Figure:
    """A value of each round of a take."""
    return lambda measured: [of(run) for run in measured[take]]


def over(of: Of, take: str, other: str) -> Figure:
    """A value of one take over that of another one in the same round."""
    return lambda measured: [
        of(one) / of(two) for one, two in zip(measured[take], measured[other], strict=False)
    ]


def growth(take: str, other: str, nothing: str) -> Figure:
    """Processor time for each event in one take over another's, less what no event takes."""

    def net(measured: Measured, name: str) -> list[float]:
        still = median(run.usage.cpu for run in measured[nothing])
        return [(run.usage.cpu - still) / run.events for run in measured[name]]

    return lambda measured: [
        one / two for one, two in zip(net(measured, take), net(measured, other), strict=False)
    ]


def share_of_rate(take: str, limits: float) -> Figure:
    """The least time in which the limits let the pages pass over the time taken, in percent.

    The least time is that of a client that begins with a whole quota, as the take has to, and is
    never late.
    """
    burst, steady = int(BURST * limits), int(STEADY * limits)

    def least(pages: int) -> float:
        minutes, rest = divmod(pages - 1, steady)
        return minutes * 60.0 + rest // burst

    return lambda measured: [100 * least(run.pages) / run.usage.wall for run in measured[take]]
