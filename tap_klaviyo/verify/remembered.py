"""What a state remembers of the counts of the metrics of a stream. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.klaviyo.account import Metrics
from tap_klaviyo.state import State
from tap_klaviyo.state.counts import MetricCounts, Period, day_of, months
from tap_klaviyo.sync.recount import ALL_METRICS
from tap_klaviyo.sync.stream_metrics import current_metrics


@dataclass(frozen=True)
class RememberedMetric:
    """What is remembered of a metric of a stream that is read from ``first_second`` on.

    ``stream`` is the name in messages. ``is_read`` says that the stream has been read before,
    ``is_current`` that the metric is one of the stream and of the account.
    """

    stream: str
    metric: str
    counts: MetricCounts
    first_second: int
    is_read: bool
    is_current: bool

    @property
    def periods(self) -> list[Period]:
        """The periods that belong to the stream."""
        return [one for one in self.counts.periods if one.end_second > self.first_second]

    def periods_until(self, end: int) -> list[Period]:
        """The periods; if none was ever counted, the months up to day ``end``."""
        if self.counts.periods:
            return self.periods
        return [Period(*month) for month in months(day_of(self.first_second), end)]


def remembered_metrics(
    selected: SelectedStream, metrics: Metrics, state: State, start_date: int
) -> Iterator[RememberedMetric]:
    """The metrics that a stream consists of now, and then others that the state remembers."""
    stream = selected.stream
    known = state.counts(stream.name)
    current = metrics.all_ids
    if stream.metrics:
        current = current_metrics(selected, metrics, state)
    left = [metric for metric in known if metric not in (*current, ALL_METRICS)]
    for metric in (*current, *left):
        yield RememberedMetric(
            selected.name,
            metric,
            known.get(metric) or MetricCounts(),
            max(start_date, state.start_date(stream.name) or 0),
            state.bookmark(stream.name) is not None,
            metric in current,
        )
