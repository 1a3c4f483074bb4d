"""Figures that are computed from runs, and the goals for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from benchmarks.bounds import EVENT_PAGES, time_at_limits
from benchmarks.measuring import Run

Measured: TypeAlias = Mapping[str, Sequence[Run]]
"""The runs of a scenario by the name of their case, one for each round."""

RunValue: TypeAlias = Callable[[Run], float]
Figure: TypeAlias = Callable[[Measured], list[float]]
"""One value for each round. Raises KeyError if a case was not measured."""


@dataclass(frozen=True)
class Goal:
    """A figure and its ``maximum`` or ``minimum``, or neither; ``unit`` formats its values."""

    label: str
    figure: Figure
    unit: str = "{:.2f} ×"
    maximum: float = math.inf
    minimum: float = -math.inf

    @property
    def text(self) -> str:
        """The goal as text."""
        if self.maximum < math.inf:
            return f"at most {self.unit.format(self.maximum)}"
        return f"at least {self.unit.format(self.minimum)}" if self.minimum > -math.inf else "none"


@dataclass(frozen=True)
class Outcome:
    """A goal and the values of its rounds; no values if it was not measured."""

    goal: Goal
    values: Sequence[float]

    @property
    def value(self) -> str:
        """The median of the rounds."""
        return self.goal.unit.format(median(self.values)) if self.values else "not measured"

    @property
    def spread(self) -> str:
        """The lowest and the highest value of several rounds."""
        if len(self.values) < 2:
            return ""
        low, high = (self.goal.unit.format(one) for one in (min(self.values), max(self.values)))
        return f"{low} to {high}"

    @property
    def verdict(self) -> str:
        """ "met" or "missed"; empty without a goal or a value."""
        if not self.values or self.goal.text == "none":
            return ""
        return "met" if self.goal.minimum <= median(self.values) <= self.goal.maximum else "missed"


def evaluate(goal: Goal, measured: Measured) -> Outcome:
    """Computes the values of a goal."""
    try:
        return Outcome(goal, goal.figure(measured))
    except KeyError:
        return Outcome(goal, [])


def cpu(run: Run) -> float:
    """Processor time in seconds."""
    return run.usage.cpu


def wall(run: Run) -> float:
    """Wall time in seconds."""
    return run.usage.wall


def peak(run: Run) -> float:
    """Peak memory in MB."""
    return run.usage.peak / 1e6


def cpu_per_event(run: Run) -> float:
    """Processor time per event in seconds."""
    return run.usage.cpu / run.events


def wall_per_event(run: Run) -> float:
    """Wall time per event in seconds."""
    return run.usage.wall / run.events


def events_per_second(run: Run) -> float:
    """Events per second."""
    return run.events / run.usage.wall


def share_of_target(run: Run) -> float:
    """The tap's share of the processor time of a pipeline in percent."""
    return 100 * run.usage.cpu / (run.usage.cpu + run.target_cpu)


def cpu_over_sandbox(run: Run) -> float:
    """The processor time of the tap divided by that of the sandbox."""
    return run.usage.cpu / run.server_cpu


def each(value: RunValue, case: str) -> Figure:
    """A value of each round of a case."""
    return lambda measured: [value(run) for run in measured[case]]


def over(value: RunValue, case: str, other: str) -> Figure:
    """A value of one case divided by that of another in the same round."""
    return lambda measured: [
        value(one) / value(two) for one, two in zip(measured[case], measured[other], strict=False)
    ]


def growth(case: str, other: str, no_new_events: str) -> Figure:
    """Processor time per event of one case divided by another's, without the cost of start-up."""

    def net(measured: Measured, name: str) -> list[float]:
        baseline = median(run.usage.cpu for run in measured[no_new_events])
        return [(run.usage.cpu - baseline) / run.events for run in measured[name]]

    return lambda measured: [
        one / two for one, two in zip(net(measured, case), net(measured, other), strict=False)
    ]


def share_of_rate(case: str, limits: float) -> Figure:
    """The least time that the limits allow for the pages of events, in percent of the wall time.

    The case must start with an unused quota.
    """
    return lambda measured: [
        100 * time_at_limits(run.pages, EVENT_PAGES, limits) / run.usage.wall
        for run in measured[case]
    ]


def wall_over_bound(run: Run) -> float:
    """Wall time divided by the least time in which the account can be read."""
    return run.usage.wall / run.bound


def cpu_per_page(case: str, other: str) -> Figure:
    """Milliseconds of processor time per answer, without what is the same in both cases."""
    return lambda measured: [
        1000 * (one.usage.cpu - two.usage.cpu) / (one.answers - two.answers)
        for one, two in zip(measured[case], measured[other], strict=False)
    ]
