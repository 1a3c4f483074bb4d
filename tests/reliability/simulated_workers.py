"""Workers without threads, so that a story told twice is the same story."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import Any


class Workers:
    """The engine without threads: tasks are done, and results given, in an order of its own.

    Every third ``order`` starves what is oldest for as long as there is anything newer.
    """

    def __init__(self, workers: int, work: Callable[[Any], Any], order: int) -> None:
        self._workers = workers
        self._work = work
        self._starving = order % 3 == 0
        self._random = random.Random(order)
        self._tasks: list[Any] = []
        self._results: list[tuple[Any, Any]] = []
        self._age: dict[Any, int] = {}
        self._stopped = False

    @property
    def idle(self) -> int:
        """How many workers have nothing to do."""
        return self._workers - len(self._tasks) - len(self._results)

    def run(self, next_task: Callable[[], Any]) -> Generator[tuple[Any, Any], None, None]:
        """As the engine's own."""
        while not self._stopped:
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
        """Ends :meth:`run` at its next wait."""
        self._stopped = True

    def _take(self, waiting: list[Any], age: Callable[[Any], int]) -> Any:
        chosen = min(waiting, key=age) if self._starving else self._random.choice(waiting)
        waiting.remove(chosen)
        return chosen

    def _result(self, task: Any) -> Any:
        try:
            return self._work(task)
        except Exception as error:
            return error
