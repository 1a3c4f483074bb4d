"""Workers: many tasks at once, their results one by one. Knows nothing of Klaviyo or Singer.

Who owns what. One thread, the caller's, owns all plans and all output: it decides on the next task
whenever a worker is free, and it alone consumes results. A worker owns its task while it runs and
touches nothing else. The two meet in one channel of bounded size, so a slow consumer slows the
workers down and memory does not grow.

What order is promised. Results of one task arrive in the order in which it yielded them, followed
by :class:`Done` or :class:`Failed`. Between tasks there is no order.

What happens on failure. A task that raises ends with :class:`Failed`; the others go on, and the
caller decides. When the caller stops consuming, the channel closes: workers end at their next
result. Threads are daemons, so a process can always exit, whatever the network does.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Done:
    """The task has yielded all its results."""


@dataclass(frozen=True)
class Failed:
    """The task raised ``error`` and yields nothing more."""

    error: BaseException


DONE = Done()


class Closed(Exception):
    """The channel takes and gives nothing any more."""


class Channel(Generic[Item]):
    """A queue of at most ``size`` items that can be closed, which ends every wait for it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[Item] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Item) -> None:
        """Adds an item, waiting for room. Raises :class:`Closed`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._size)
            if self._closed:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> Item:
        """Takes the oldest item, waiting for one. Raises :class:`Closed`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._items))
            if self._closed:
                raise Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Ends all waits, now and later. A signal handler may call it in whatever is going on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Engine(Generic[Task, Result]):
    """At most ``workers`` tasks at once, of which ``backlog`` results may wait to be consumed."""

    def __init__(self, workers: int, backlog: int) -> None:
        self._workers = workers
        self._tasks: Channel[Task] = Channel(workers)
        self._results: Channel[tuple[Task, Result | Done | Failed]] = Channel(backlog)
        self._busy = 0
        self._threads = 0
        self._stopped = False

    @property
    def idle(self) -> int:
        """How many workers have nothing to do. A worker may ask; the answer is of the moment."""
        return self._workers - self._busy

    def run(
        self, work: Callable[[Task], Iterator[Result]], next_task: Callable[[], Task | None]
    ) -> Generator[tuple[Task, Result | Done | Failed], None, None]:
        """Works on tasks until ``next_task`` gives None and none is under way.

        Ends sooner if stopped. ``next_task`` is called in the caller's thread, before each wait for
        a result, as often as workers are free. ``work`` is called in a worker's thread.
        """
        try:
            while not self._stopped:
                while self._busy < self._workers and (task := next_task()) is not None:
                    self._start(task, work)
                if not self._busy:
                    return
                task, result = self._results.get()
                if isinstance(result, Done | Failed):
                    self._busy -= 1
                yield task, result
        except Closed:
            return
        finally:
            self.stop()

    def stop(self) -> None:
        """Ends :meth:`run` at its next result, and each worker at its own."""
        self._stopped = True
        self._tasks.close()
        self._results.close()

    def _start(self, task: Task, work: Callable[[Task], Iterator[Result]]) -> None:
        self._busy += 1
        if self._threads < self._busy:
            self._threads += 1
            threading.Thread(target=self._loop, args=(work,), daemon=True).start()
        self._tasks.put(task)

    def _loop(self, work: Callable[[Task], Iterator[Result]]) -> None:
        try:
            while True:
                task = self._tasks.get()
                self._results.put((task, self._work(task, work)))
        except Closed:
            return

    def _work(self, task: Task, work: Callable[[Task], Iterator[Result]]) -> Done | Failed:
        try:
            for result in work(task):
                self._results.put((task, result))
        except Closed:
            raise
        except BaseException as error:
            return Failed(error)
        return DONE
