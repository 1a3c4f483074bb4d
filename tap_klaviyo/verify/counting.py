"""Asks Klaviyo for the counts of a metric's events as they are now, to compare them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tap_klaviyo.errors import RetryableError, StreamError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.event_counts import read_counts
from tap_klaviyo.state.counts import MetricCounts
from tap_klaviyo.sync.count_requests import Days, chunks

UNSTABLE = "Klaviyo's counts of this metric contradict each other"


@dataclass(frozen=True)
class Answer:
    """The counts of a metric by the number of the day.

    ``problem`` is why they cannot be compared, empty if they can. ``error`` is that reason if a
    later request may be answered.
    """

    counts: Mapping[int, int] = field(default_factory=dict)
    problem: str = ""
    error: StreamError | None = None


def ask(
    client: Client, metric: str, remembered: Sequence[MetricCounts], days: Days, today: int
) -> Answer:
    """The counts of a metric on ``days``, compared with those that are ``remembered``.

    Where counts of days of long ago have changed, they are asked for twice, as a recount does.
    Raises what ends a run, such as :class:`ConfigError` for a key that Klaviyo refuses.
    """
    if any(one.unstable for one in remembered):
        return Answer(problem=UNSTABLE)
    try:
        counts = _read(client, metric, chunks(*days))
        changed = [
            (period.first, period.end)
            for one in remembered
            for period in one.changed_old_periods(counts, days[0], today)
        ]
        if changed:
            span = min(first for first, _ in changed), max(end for _, end in changed)
            again = _read(client, metric, chunks(*span))
            if any(again.get(day, 0) != counts.get(day, 0) for day in range(*span)):
                return Answer(problem=UNSTABLE)
    except RetryableError as error:
        return Answer(problem=str(error), error=error)
    except StreamError as error:
        return Answer(problem=f"Klaviyo gives no counts of this metric. {error}")
    return Answer(counts)


def _read(client: Client, metric: str, requests: Iterable[Days]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for first, end in requests:
        counts |= read_counts(client, metric, first, end)
    return counts
