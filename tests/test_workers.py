"""The worker pool: concurrency, backpressure, and no endless waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from tap_klaviyo.sync.workers import ClosableQueue, QueueClosed, WorkerPool

TIMEOUT = 10.0
"""Seconds after which a wait counts as endless."""

WORKERS = [1, 2, 8, 32]
Result = TypeVar("Result")


def in_time(call: Callable[[], Result]) -> Result:
    """Runs ``call`` in a thread and returns its result; fails if it takes too long."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    assert not thread.is_alive(), "waits forever"
    if errors:
        raise errors[0]
    return results[0]


def ended(threads: set[threading.Thread]) -> bool:
    """Whether all these threads end."""
    for thread in threads:
        thread.join(TIMEOUT)
    return bool(threads) and not any(thread.is_alive() for thread in threads)


def tasks(count: int) -> Callable[[], int | None]:
    """A function that returns the numbers below ``count``, then None."""
    numbers = iter(range(count))
    return lambda: next(numbers, None)


def square(task: int) -> int:
    """A task with a result."""
    return task * task


@pytest.mark.parametrize("workers", WORKERS)
def test_every_task_has_its_result(workers: int) -> None:
    """Each task is returned once with its own result."""
    results = in_time(lambda: list(WorkerPool(workers, square).run(tasks(100))))
    assert sorted(results) == [(task, task * task) for task in range(100)]


def test_no_tasks() -> None:
    """A run without tasks ends at once."""
    assert in_time(lambda: list(WorkerPool(2, square).run(lambda: None))) == []


@pytest.mark.parametrize("workers", WORKERS)
def test_failures(workers: int) -> None:
    """A task that raises has its exception as the result; other tasks are not affected."""

    def work(task: int) -> int:
        if task % 2:
            raise SystemExit(task)
        return task

    results = dict(in_time(lambda: list(WorkerPool(workers, work).run(tasks(20)))))
    assert {task: repr(result) for task, result in results.items()} == {
        task: f"SystemExit({task})" if task % 2 else f"{task}" for task in range(20)
    }


@pytest.mark.parametrize("workers", WORKERS)
def test_as_many_at_once_as_workers(workers: int) -> None:
    """All workers run at the same time."""
    barrier = threading.Barrier(workers)
    lock = threading.Lock()
    running: set[int] = set()
    maximum = 0

    def work(task: int) -> None:
        nonlocal maximum
        with lock:
            running.add(task)
            maximum = max(maximum, len(running))
        barrier.wait(TIMEOUT)
        with lock:
            running.remove(task)

    results = in_time(lambda: list(WorkerPool(workers, work).run(tasks(workers * 3))))
    assert [result for _, result in results] == [None] * workers * 3
    assert maximum == workers


@pytest.mark.parametrize("workers", WORKERS)
def test_slow_consumer_limits_workers(workers: int) -> None:
    """Tasks and unconsumed results together never exceed the number of workers."""
    lock = threading.Lock()
    full = threading.Event()
    started = 0

    def work(task: int) -> int:
        nonlocal started
        with lock:
            started += 1
            if started >= workers:
                full.set()
        return task

    def consume() -> None:
        consumed = 0
        for _ in WorkerPool(workers, work).run(tasks(workers * 20)):
            # The other workers had time to start more tasks than allowed.
            assert full.wait(TIMEOUT)
            consumed += 1
            assert started <= consumed + workers - 1
        assert started == consumed == workers * 20

    in_time(consume)


@pytest.mark.parametrize("workers", WORKERS)
def test_a_worker_that_fails_outside_a_task(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """The pool ends with the error of a worker that cannot pass on a result."""
    put = ClosableQueue.put

    def put_some(queue: ClosableQueue[Any], item: Any) -> None:
        if item == (3, 9):
            raise MemoryError
        put(queue, item)

    monkeypatch.setattr(ClosableQueue, "put", put_some)
    with pytest.raises(MemoryError):
        in_time(lambda: list(WorkerPool(workers, square).run(tasks(100))))


@pytest.mark.parametrize("workers", WORKERS)
def test_order_by_consumption(workers: int) -> None:
    """A task that is created after a result was consumed runs after it."""
    pending = [(chain, 0) for chain in range(5)]
    seen: dict[int, list[int]] = {chain: [] for chain in range(5)}

    def consume() -> None:
        pool: WorkerPool[tuple[int, int], None] = WorkerPool(workers, lambda task: None)
        for (chain, step), _ in pool.run(lambda: pending.pop() if pending else None):
            seen[chain].append(step)
            if step < 9:
                pending.append((chain, step + 1))

    in_time(consume)
    assert seen == {chain: list(range(10)) for chain in range(5)}


@pytest.mark.parametrize("workers", WORKERS)
def test_closing_ends_the_workers(workers: int) -> None:
    """Workers end when the caller stops consuming, also during a task."""
    threads: set[threading.Thread] = set()
    lock = threading.Lock()
    resume = threading.Event()

    def work(task: int) -> None:
        with lock:
            threads.add(threading.current_thread())
        assert not task or resume.wait(TIMEOUT)

    def stop_early() -> None:
        results = WorkerPool(workers, work).run(tasks(workers * 2))
        next(results)
        results.close()

    in_time(stop_early)
    resume.set()
    assert ended(threads)


@pytest.mark.parametrize("workers", WORKERS)
def test_stop(workers: int) -> None:
    """Another thread can stop a waiting run; its workers end too."""
    threads: set[threading.Thread] = set()
    barrier = threading.Barrier(workers + 1)
    resume = threading.Event()

    def work(task: int) -> None:
        threads.add(threading.current_thread())
        barrier.wait(TIMEOUT)
        resume.wait(TIMEOUT)

    pool = WorkerPool(workers, work)

    def stop() -> None:
        barrier.wait(TIMEOUT)
        pool.stop()

    threading.Thread(target=stop, daemon=True).start()
    assert in_time(lambda: list(pool.run(tasks(workers * 2)))) == []
    resume.set()
    assert ended(threads)
    assert in_time(lambda: list(pool.run(tasks(1)))) == []


def test_error_in_the_callers_thread() -> None:
    """An error while choosing a task is raised to the caller and ends the workers."""
    threads: set[threading.Thread] = set()
    numbers = tasks(3)

    def next_task() -> int | None:
        task = numbers()
        if task == 2:
            raise LookupError("no task")
        return task

    pool: WorkerPool[int, None] = WorkerPool(
        1, lambda task: threads.add(threading.current_thread())
    )
    with pytest.raises(LookupError):
        in_time(lambda: list(pool.run(next_task)))
    assert ended(threads)


def test_tasks_are_chosen_in_the_callers_thread() -> None:
    """Tasks are chosen only in the caller's thread; workers are other threads."""
    choosers: set[threading.Thread] = set()
    workers: set[threading.Thread] = set()
    numbers = tasks(10)

    def next_task() -> int | None:
        choosers.add(threading.current_thread())
        return numbers()

    pool: WorkerPool[int, None] = WorkerPool(
        4, lambda task: workers.add(threading.current_thread())
    )
    in_time(lambda: list(pool.run(next_task)))
    assert len(choosers) == 1
    assert workers
    assert not choosers & workers


def test_idle() -> None:
    """Workers without a task are idle; a consumed result frees its worker."""
    pool: WorkerPool[int, int] = WorkerPool(4, square)

    def consume() -> list[int]:
        return [pool.idle for _ in pool.run(tasks(3))]

    assert pool.idle == 4
    assert in_time(consume) == [2, 3, 4]
    assert pool.idle == 4


def test_closing_a_queue_ends_a_wait() -> None:
    """A waiting or later get raises QueueClosed when the queue is closed."""
    queue: ClosableQueue[Any] = ClosableQueue()
    started, closed = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        with pytest.raises(QueueClosed):
            queue.get()
        closed.set()

    threading.Thread(target=wait, daemon=True).start()
    assert started.wait(TIMEOUT)
    queue.close()
    assert closed.wait(TIMEOUT)
    queue.put(1)
    with pytest.raises(QueueClosed):
        queue.get()
