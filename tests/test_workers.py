"""Workers: many tasks at once, bounded by the consumer, and the end of all waiting."""

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
    """What ``call`` returns, or a failure if it takes too long; it runs in a thread of its own."""
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
    """Whether all these threads come to their end."""
    for thread in threads:
        thread.join(TIMEOUT)
    return bool(threads) and not any(thread.is_alive() for thread in threads)


def tasks(count: int) -> Callable[[], int | None]:
    """Gives the numbers below ``count``, then None."""
    numbers = iter(range(count))
    return lambda: next(numbers, None)


def square(task: int) -> int:
    """A task with a result."""
    return task * task


@pytest.mark.parametrize("workers", WORKERS)
def test_every_task_has_its_result(workers: int) -> None:
    """Each task comes back once, with its own result."""
    results = in_time(lambda: list(WorkerPool(workers, square).run(tasks(100))))
    assert sorted(results) == [(task, task * task) for task in range(100)]


def test_no_tasks() -> None:
    """Without a task there is nothing to wait for."""
    assert in_time(lambda: list(WorkerPool(2, square).run(lambda: None))) == []


@pytest.mark.parametrize("workers", WORKERS)
def test_failures(workers: int) -> None:
    """A task that raises, whatever it is, has the error for its result; the others go on."""

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
    """All workers are at work at the same time, and never more than there are."""
    everybody = threading.Barrier(workers)
    lock = threading.Lock()
    running: set[int] = set()
    most = 0

    def work(task: int) -> None:
        nonlocal most
        with lock:
            running.add(task)
            most = max(most, len(running))
        everybody.wait(TIMEOUT)
        with lock:
            running.remove(task)

    results = in_time(lambda: list(WorkerPool(workers, work).run(tasks(workers * 3))))
    assert [result for _, result in results] == [None] * workers * 3
    assert most == workers


@pytest.mark.parametrize("workers", WORKERS)
def test_slow_consumer_holds_workers_back(workers: int) -> None:
    """Tasks and results together are never more than workers, however slow the consumer is."""
    lock = threading.Lock()
    full = threading.Event()
    begun = 0

    def work(task: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
            if begun >= workers:
                full.set()
        return task

    def consume() -> None:
        consumed = 0
        for _ in WorkerPool(workers, work).run(tasks(workers * 20)):
            # By now all others could have run ahead, and may not have.
            assert full.wait(TIMEOUT)
            consumed += 1
            assert begun <= consumed + workers - 1
        assert begun == consumed == workers * 20

    in_time(consume)


@pytest.mark.parametrize("workers", WORKERS)
def test_order_by_consumption(workers: int) -> None:
    """A task made when a result has been consumed comes after it, and may be made late."""
    waiting = [(chain, 0) for chain in range(5)]
    seen: dict[int, list[int]] = {chain: [] for chain in range(5)}

    def consume() -> None:
        pool: WorkerPool[tuple[int, int], None] = WorkerPool(workers, lambda task: None)
        for (chain, step), _ in pool.run(lambda: waiting.pop() if waiting else None):
            seen[chain].append(step)
            if step < 9:
                waiting.append((chain, step + 1))

    in_time(consume)
    assert seen == {chain: list(range(10)) for chain in range(5)}


@pytest.mark.parametrize("workers", WORKERS)
def test_closing_ends_the_workers(workers: int) -> None:
    """When the caller stops consuming, workers end, with a task in hand or without."""
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
    """Another thread, or a signal, can end a run that waits; its workers end too."""
    threads: set[threading.Thread] = set()
    everybody = threading.Barrier(workers + 1)
    resume = threading.Event()

    def work(task: int) -> None:
        threads.add(threading.current_thread())
        everybody.wait(TIMEOUT)
        resume.wait(TIMEOUT)

    pool = WorkerPool(workers, work)

    def stop() -> None:
        everybody.wait(TIMEOUT)
        pool.stop()

    threading.Thread(target=stop, daemon=True).start()
    assert in_time(lambda: list(pool.run(tasks(workers * 2)))) == []
    resume.set()
    assert ended(threads)
    assert in_time(lambda: list(pool.run(tasks(1)))) == []


def test_error_in_the_callers_thread() -> None:
    """An error while the next task is chosen reaches the caller and ends the workers."""
    threads: set[threading.Thread] = set()
    numbers = tasks(3)

    def next_task() -> int | None:
        task = numbers()
        if task == 2:
            raise LookupError("no more")
        return task

    pool: WorkerPool[int, None] = WorkerPool(
        1, lambda task: threads.add(threading.current_thread())
    )
    with pytest.raises(LookupError):
        in_time(lambda: list(pool.run(next_task)))
    assert ended(threads)


def test_the_caller_plans() -> None:
    """Tasks are chosen in the caller's thread alone; workers are other threads."""
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
    """Workers without a task are idle; a task whose result was consumed keeps nobody busy."""
    pool: WorkerPool[int, int] = WorkerPool(4, square)

    def consume() -> list[int]:
        return [pool.idle for _ in pool.run(tasks(3))]

    assert pool.idle == 4
    assert in_time(consume) == [2, 3, 4]
    assert pool.idle == 4


def test_channel_closes_under_a_wait() -> None:
    """A wait for an item ends with Closed when the channel closes, and so does every later one."""
    channel: ClosableQueue[Any] = ClosableQueue()
    started, closed = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        with pytest.raises(QueueClosed):
            channel.get()
        closed.set()

    threading.Thread(target=wait, daemon=True).start()
    assert started.wait(TIMEOUT)
    channel.close()
    assert closed.wait(TIMEOUT)
    channel.put(1)
    with pytest.raises(QueueClosed):
        channel.get()
