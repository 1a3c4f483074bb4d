"""A pool of threads: many tasks at once, their results one by one. Knows nothing of Klaviyo.

Ownership. One thread, the caller's, creates all tasks and consumes all results. A worker owns its
task from when it is handed over until its result is consumed, and touches nothing else.

Order. None between tasks. A task that must follow another is created when the result of that one
has been consumed.

Bounds. A task is in flight until its result has been consumed. So there are never more tasks and
results together than workers, and a slow consumer slows the workers down.

Limits. Where the system allows no more threads, the pool goes on with those that it has.

Failure. The result of a task that raises is the error; the caller decides. A worker that fails
outside a task, for want of memory, ends the pool: its task would never have a result. After
:meth:`stop`, each worker ends with its current task. Workers are daemons, so the process can always
exit.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
Item = TypeVar("Item")

WAIT_SECONDS = 0.5
"""Seconds after which a waiting thread wakes up: Python runs signal handlers only then."""


class QueueClosed(Exception):
    """The queue was closed."""


class ClosableQueue(Generic[Item]):
    """A queue that can be closed, which ends all waits for it."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Item) -> None:
        """Adds an item."""
        with self._changed:
            self._items.append(item)
            # A signal handler that closes the queue in between has woken all threads already.
            with suppress(IndexError):
                self._changed.notify()

    def get(self, waiting: Callable[[], object] = lambda: None) -> Item:
        """Takes the oldest item, or waits for one. Raises :class:`QueueClosed`.

        ``waiting`` is called every ``WAIT_SECONDS`` while it waits.
        """
        with self._changed:
            while not self._changed.wait_for(
                lambda: self._closed or bool(self._items), WAIT_SECONDS
            ):
                waiting()
            if self._closed:
                raise QueueClosed
            return self._items.popleft()

    def close(self) -> None:
        """Ends all waits, now and later. Signal-safe: the lock is reentrant."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class WorkerPool(Generic[Task, Result]):
    """Performs tasks with ``work``, at most ``size`` at once, each in a thread.

    ``limited`` is called with the number of threads if the system allows no more.
    """

    def __init__(
        self,
        size: int,
        work: Callable[[Task], Result],
        limited: Callable[[int], object] = lambda size: None,
    ) -> None:
        self._size = size
        self._work = work
        self._limited = limited
        self._tasks: ClosableQueue[Task] = ClosableQueue()
        self._results: ClosableQueue[tuple[Task, Result | BaseException]] = ClosableQueue()
        self._in_flight = 0
        self._threads = 0
        self._failure: BaseException | None = None
        self._stopped = False

    @property
    def in_flight(self) -> int:
        """How many tasks have no result that was consumed."""
        return self._in_flight

    @property
    def idle(self) -> int:
        """How many workers have nothing to do."""
        return max(0, self._size - self._in_flight)

    def run(
        self,
        next_task: Callable[[], Task | None],
        waiting: Callable[[], object] = lambda: None,
    ) -> Generator[tuple[Task, Result | BaseException], None, None]:
        """Yields each task with its result, or with the error that it raised.

        Before each wait for a result it asks ``next_task`` for as many tasks as workers are idle.
        Ends when that returns None and no task is in flight, or after :meth:`stop`. While it waits
        for a result, it calls ``waiting`` every ``WAIT_SECONDS``. Raises
        RuntimeError if the system allows no thread at all, and the error of a worker that failed
        outside a task.
        """
        try:
            while not self._stopped:
                while self.idle and (task := next_task()) is not None:
                    self._start(task)
                if not self._in_flight:
                    return
                finished = self._results.get(waiting)
                self._in_flight -= 1
                yield finished
        except QueueClosed:
            if self._failure is not None:
                raise self._failure from None
        finally:
            self.stop()

    def stop(self) -> None:
        """Ends :meth:`run` at its next wait, and each worker after its task. Signal-safe."""
        self._stopped = True
        self._tasks.close()
        self._results.close()

    def _start(self, task: Task) -> None:
        self._in_flight += 1
        if self._threads < min(self._in_flight, self._size):
            self._start_thread()
        self._tasks.put(task)

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._loop, daemon=True).start()
        except (RuntimeError, MemoryError):
            if not self._threads:
                raise
            self._size = self._threads
            self._limited(self._threads)
        else:
            self._threads += 1

    def _loop(self) -> None:
        try:
            while True:
                task = self._tasks.get()
                self._results.put((task, self._result(task)))
        except QueueClosed:
            return
        except BaseException as error:
            self._failure = error
            self.stop()

    def _result(self, task: Task) -> Result | BaseException:
        try:
            return self._work(task)
        except BaseException as error:
            return error
