"""A worker pool without threads whose tasks take a random time on the simulated clock."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Generator
from itertools import count
from typing import Any

from simulated_klaviyo import SimulatedKlaviyo


class TimedWorkers:
    """A worker pool without threads; each task takes a random time on the simulated clock."""

    def __init__(
        self,
        klaviyo: SimulatedKlaviyo,
        seed: int,
        workers: int,
        work: Callable[[Any], Any],
        seconds: tuple[float, float] = (0.5, 1.5),
    ) -> None:
        self.klaviyo = klaviyo
        self.max_in_flight = 0
        self._workers = workers
        self._work = work
        self._random = random.Random(seed)
        self._seconds = seconds
        self._numbers = count()
        self._in_flight: list[tuple[float, int, Any, Any]] = []
        self._stopped = False

    @property
    def in_flight(self) -> int:
        """The number of tasks whose results were not consumed."""
        return len(self._in_flight)

    @property
    def idle(self) -> int:
        """The number of idle workers."""
        return self._workers - len(self._in_flight)

    def run(
        self, next_task: Callable[[], Any], waiting: Callable[[], object]
    ) -> Generator[tuple[Any, Any], None, None]:
        """Like :meth:`WorkerPool.run`."""
        while not self._stopped:
            waiting()
            while self.idle and (task := next_task()) is not None:
                done = self.klaviyo.now + self._random.uniform(*self._seconds)
                entry = (done, next(self._numbers), task, self._work(task))
                heapq.heappush(self._in_flight, entry)
            if not self._in_flight:
                return
            self.max_in_flight = max(self.max_in_flight, len(self._in_flight))
            done, _, task, result = heapq.heappop(self._in_flight)
            self.klaviyo.now = max(self.klaviyo.now, done)
            yield task, result

    def stop(self) -> None:
        """Ends :meth:`run` at its next result."""
        self._stopped = True
