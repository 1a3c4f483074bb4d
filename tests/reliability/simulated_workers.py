"""A worker pool without threads, so that simulations are deterministic."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import Any


class SimulatedWorkers:
    """Runs tasks and returns results in a random order that ``order`` determines.

    Every third ``order`` delays the oldest task while a newer one exists.
    """

    def __init__(self, workers: int, work: Callable[[Any], Any], order: int) -> None:
        self._workers = workers
        self._work = work
        self._oldest_last = order % 3 == 0
        self._random = random.Random(order)
        self._tasks: list[Any] = []
        self._results: list[tuple[Any, Any]] = []
        self._age: dict[Any, int] = {}
        self._stopped = False

    @property
    def in_flight(self) -> int:
        """The number of tasks whose results were not consumed."""
        return len(self._tasks) + len(self._results)

    @property
    def idle(self) -> int:
        """The number of idle workers."""
        return self._workers - len(self._tasks) - len(self._results)

    def run(
        self, next_task: Callable[[], Any], waiting: Callable[[], object]
    ) -> Generator[tuple[Any, Any], None, None]:
        """Like :meth:`WorkerPool.run`."""
        while not self._stopped:
            waiting()
            while self.idle and (task := next_task()) is not None:
                self._tasks.append(task)
                self._age.setdefault(task, -len(self._age))
            if not self._tasks and not self._results:
                return
            while self._tasks and (not self._results or self._random.random() < 0.5):
                task = self._take(self._tasks, lambda task: self._age[task])
                self._results.append((task, self._result(task)))
            if not self._stopped:
                yield self._take(self._results, lambda result: self._age[result[0]])

    def stop(self) -> None:
        """Ends :meth:`run` at its next result."""
        self._stopped = True

    def _take(self, waiting: list[Any], age: Callable[[Any], int]) -> Any:
        chosen = min(waiting, key=age) if self._oldest_last else self._random.choice(waiting)
        waiting.remove(chosen)
        return chosen

    def _result(self, task: Any) -> Any:
        try:
            return self._work(task)
        except Exception as error:
            return error
