"""Workers: many tasks at once, their results one by one. Knows nothing of Klaviyo or Singer.

Who owns what. One thread, the caller's, makes all tasks and consumes all results. A worker owns its
task from when it is handed over until its result is consumed, and touches nothing else.

What order is promised. None between tasks. A task that must follow another is made when the result
of that one has been consumed.

What is bounded. A task counts as under way until its result has been consumed. So there are never
more tasks and results together than workers, and a slow consumer slows the workers down.

What happens on failure. A task that raises has the error for its result; the caller decides. When
the caller stops, workers end with the task in hand. They are daemons, so a process can always exit,
whatever the network does.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

Task = TypeVar("Task")


Result = TypeVar("Result")


Item = TypeVar("Item")


SLICE = 0.5
"""Seconds after which a wait looks up."""


class Closed(Exception):
    """The channel gives nothing any more."""


class Channel(Generic[Item]):
    """A queue that can be closed, which ends every wait for it."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Item) -> None:
        """Adds an item."""
        with self._changed:
            self._items.append(item)
            self._changed.notify()

    def get(self) -> Item:
        """Takes the oldest item, waiting for one. Raises :class:`Closed`."""
        with self._changed:
            # In slices: a signal that comes just as the wait begins is only seen when it ends.
            while not self._changed.wait_for(lambda: self._closed or bool(self._items), SLICE):
                pass
            if self._closed:
                raise Closed
            return self._items.popleft()

    def close(self) -> None:
        """Ends all waits, now and later. A signal handler may call it in whatever is going on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Engine(Generic[Task, Result]):
    """At most ``workers`` tasks under way at once, each done by ``work`` in a thread of its own."""

    def __init__(self, workers: int, work: Callable[[Task], Result]) -> None:
        self._workers = workers
        self._work = work
        self._tasks: Channel[Task] = Channel()
        self._results: Channel[tuple[Task, Result | BaseException]] = Channel()
        self._under_way = 0
        self._threads = 0
        self._stopped = False

    @property
    def idle(self) -> int:
        """How many workers have nothing to do."""
        return self._workers - self._under_way

    def run(
        self, next_task: Callable[[], Task | None]
    ) -> Generator[tuple[Task, Result | BaseException], None, None]:
        """Yields each task with its result, or with the error that it raised.

        Asks ``next_task`` for as many tasks as workers are idle before each wait for a result. Ends
        when it gives None and nothing is under way, or sooner if stopped.
        """
        try:
            while not self._stopped:
                while self.idle and (task := next_task()) is not None:
                    self._start(task)
                if not self._under_way:
                    return
                finished = self._results.get()
                self._under_way -= 1
                yield finished
        except Closed:
            return
        finally:
            self.stop()

    def stop(self) -> None:
        """Ends :meth:`run` at its next wait, and each worker with its task. Signal-safe."""
        self._stopped = True
        self._tasks.close()
        self._results.close()

    def _start(self, task: Task) -> None:
        self._under_way += 1
        if self._threads < self._under_way:
            self._threads += 1
            threading.Thread(target=self._loop, daemon=True).start()
        self._tasks.put(task)

    def _loop(self) -> None:
        try:
            while True:
                task = self._tasks.get()
                self._results.put((task, self._result(task)))
        except Closed:
            return

    def _result(self, task: Task) -> Result | BaseException:
        try:
            return self._work(task)
        except BaseException as error:
            return error
