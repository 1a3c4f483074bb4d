"""Asks Klaviyo for the counts of metrics: a few requests at once, a bounded number in a run. Pure.

Klaviyo allows 3 such requests a second and 60 a minute, and each covers a year at most. So metrics
are requested one after the other, while the run goes on. Those for which no requests are left are
requested by the next run. A metric may need some requests twice, to see whether its counts hold, so
it is only begun if that many are left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tap_klaviyo.errors import RetryableError, StreamError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.event_counts import MOST_DAYS, read_counts

MOST_REQUESTS = 120
"""Requests for counts in one run."""

MOST_AT_ONCE = 2
"""Requests for counts that are under way at the same time."""

Days = tuple[int, int]
"""The number of a day, and that of the day after the last one."""


@dataclass(eq=False)
class CountTask:
    """A task that asks for the counts of a metric, from day ``first`` to ``end``."""

    metric: str
    first: int
    end: int
    requests: int = 0

    def perform(self, client: Client) -> dict[int, int]:
        """The counts by day. Raises what :func:`read_counts` raises."""
        return read_counts(client, self.metric, self.first, self.end, self._count_request)

    def _count_request(self) -> None:
        self.requests += 1


@dataclass(eq=False)
class CountAnswer:
    """The counts of a metric by day; ``earlier`` are those of days that were asked for twice.

    ``error`` is why there are none.
    """

    metric: str
    counts: dict[int, int] = field(default_factory=dict)
    earlier: dict[int, int] | None = None
    error: StreamError | None = None
    waiting: list[Days] = field(default_factory=list)
    under_way: int = 0

    @property
    def reserved(self) -> int:
        """How many requests it may still need."""
        repeats = len(self.waiting) + self.under_way if self.earlier is None else 0
        return len(self.waiting) + self.under_way + repeats


class CountRequests:
    """Which counts are to be asked for, and what was answered. For one thread."""

    def __init__(self) -> None:
        self._queue: deque[tuple[str, Days]] = deque()
        self._begun: dict[str, CountAnswer] = {}
        self._used = 0

    def ask(self, metric: str, days: Days) -> None:
        """Queues a metric."""
        self._queue.append((metric, days))

    @property
    def metrics(self) -> set[str]:
        """The metrics that are still to be answered, without those left for the next run."""
        self._begin_next()
        return {*self._begun, *(metric for metric, _ in self._queue)}

    def next_task(self, workers: int) -> CountTask | None:
        """The next request; None if none may be sent now, or if ``workers`` are busy with some."""
        self._begin_next()
        if self._under_way < min(workers, MOST_AT_ONCE):
            for answer in self._begun.values():
                if answer.waiting:
                    answer.under_way += 1
                    self._used += 1
                    return CountTask(answer.metric, *answer.waiting.pop(0))
        return None

    def take(self, task: CountTask, result: dict[int, int] | StreamError) -> CountAnswer | None:
        """Takes the result of a request; returns what is known once nothing is waited for."""
        answer = self._begun[task.metric]
        answer.under_way -= 1
        if isinstance(result, StreamError):
            answer.error = result
            answer.waiting.clear()
            if isinstance(result, RetryableError):
                self._leave_others(result)
        else:
            known = {day: answer.counts.get(day, 0) for day in range(task.first, task.end)}
            if answer.earlier is not None:
                answer.earlier |= known
            answer.counts |= dict.fromkeys(known, 0) | result
        if answer.waiting or answer.under_way:
            return None
        self._begun.pop(task.metric, None)
        return answer

    def _leave_others(self, error: RetryableError) -> None:
        """Leaves all other metrics for the next run, since the endpoint does not answer."""
        self._queue.clear()
        for other in self._begun.values():
            other.error = error
            other.waiting.clear()
        self._begun = {metric: one for metric, one in self._begun.items() if one.under_way}

    def repeat(self, answer: CountAnswer, periods: Iterable[Days]) -> bool:
        """Asks for some days of an answer again; returns False if no requests are left for it."""
        spans = list(_spans(periods))
        if self._used + self._reserved + len(spans) > MOST_REQUESTS:
            return False
        answer.earlier, answer.waiting = {}, spans
        self._begun[answer.metric] = answer
        return True

    def _begin_next(self) -> None:
        while self._queue and len(self._begun) < MOST_AT_ONCE:
            metric, days = self._queue[0]
            requests = list(chunks(*days))
            if self._used + self._reserved + 2 * len(requests) > MOST_REQUESTS:
                self._queue.clear()
                return
            self._queue.popleft()
            self._begun[metric] = CountAnswer(metric, waiting=requests)

    @property
    def _under_way(self) -> int:
        return sum(answer.under_way for answer in self._begun.values())

    @property
    def _reserved(self) -> int:
        return sum(answer.reserved for answer in self._begun.values())


def chunks(first: int, end: int) -> Iterator[Days]:
    """The days from ``first`` to ``end`` in as few requests as possible, the newest first."""
    while first < end:
        yield max(first, end - MOST_DAYS), end
        end -= MOST_DAYS


def _spans(periods: Iterable[Days]) -> Iterator[Days]:
    """Few requests for all ``periods``."""
    span: Days | None = None
    for first, end in sorted(periods):
        if span is not None and end - span[0] <= MOST_DAYS:
            span = (span[0], max(span[1], end))
        else:
            if span is not None:
                yield span
            span = (first, end)
    if span is not None:
        yield span
