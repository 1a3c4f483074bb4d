"""Limits of the system: told apart from bugs and from failures of the network."""

from __future__ import annotations

import errno
import os
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
import urllib3

from tap_klaviyo import limits
from tap_klaviyo.errors import InternalError, LimitError, StateError, TapError, unexpected
from tap_klaviyo.klaviyo.network_failures import failure_of_exception
from tap_klaviyo.limits import FILES, MEMORY, SYSTEM_FILES, THREADS, affordable_workers
from tap_klaviyo.sync.workers import WorkerPool

URL = "https://a.klaviyo.com/api/lists"


def os_error(number: int) -> OSError:
    """An error of the system, as Python raises it."""
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "limit"),
    [
        (MemoryError(), MEMORY),
        (os_error(errno.ENOMEM), MEMORY),
        (ImportError("libssl.so.3: failed to map segment from shared object"), MEMORY),
        (ImportError("libssl.so.3: cannot open: Too many open files"), FILES),
        (ssl.SSLError(786_688, "[CRYPTO] malloc failure (_ssl.c:3098)"), MEMORY),
        (os_error(errno.EMFILE), FILES),
        (os_error(errno.ENFILE), SYSTEM_FILES),
        (RuntimeError("can't start new thread"), THREADS),
    ],
    ids=repr,
)
def test_a_limit_is_named(error: Exception, limit: str) -> None:
    """An error of a limit names it, and is not called a bug."""
    reported = unexpected(error)
    assert isinstance(reported, LimitError)
    assert f"limit of {limit}. Raise the limit" in str(reported)


def test_an_error_of_python_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where little memory is left, an error of Python itself is about memory, and else a bug."""
    error = SystemError("<method> returned NULL without setting an exception")
    with pytest.raises(SystemError) as raised:
        raise error
    assert isinstance(unexpected(raised.value), InternalError)
    monkeypatch.setattr(resource, "getrlimit", lambda number: (40 * 2**20, 40 * 2**20))
    assert str(unexpected(raised.value)) == str(LimitError(MEMORY))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("can't"), InternalError),
        (os_error(errno.EIO), InternalError),
        (ImportError("No module named 'msgspec'"), TapError),
        (StateError("state: no"), StateError),
    ],
    ids=repr,
)
def test_other_errors_stay_what_they_are(error: Exception, expected: type) -> None:
    """Other errors are a bug, a missing dependency, or what they say."""
    with pytest.raises(type(error)) as raised:
        raise error
    assert type(unexpected(raised.value)) is expected


def no_connection(cause: OSError) -> requests.ConnectionError:
    """What requests raises if no socket can be opened or no name can be looked up."""
    pool = urllib3.HTTPSConnectionPool("a.klaviyo.com")
    reason = urllib3.exceptions.NewConnectionError(pool, str(cause))  # type: ignore[arg-type]
    reason.__cause__ = cause
    return requests.ConnectionError(urllib3.exceptions.MaxRetryError(pool, URL, reason))


@contextmanager
def no_more_files() -> Iterator[None]:
    """Allows this process to open no more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("number", "limit"),
    [(errno.EMFILE, FILES), (errno.ENFILE, SYSTEM_FILES), (errno.ENOBUFS, MEMORY)],
)
def test_a_connection_beyond_a_limit(number: int, limit: str) -> None:
    """A connection that a limit forbids is not a failure of the network."""
    assert failure_of_exception(no_connection(os_error(number)), URL)[:2] == (
        "limit reached",
        limit,
    )


def test_a_name_that_no_file_is_left_for() -> None:
    """A lookup of a host name fails for want of files; otherwise the network is the cause."""
    error = no_connection(socket.gaierror(socket.EAI_AGAIN, "Temporary failure"))
    assert failure_of_exception(error, URL).name == "no answer"
    with no_more_files():
        failure = failure_of_exception(error, URL)
    assert failure[:2] == ("limit reached", FILES)


@pytest.mark.parametrize("wanted", [1, 32, 64])
def test_workers_without_limits(monkeypatch: pytest.MonkeyPatch, wanted: int) -> None:
    """Without limits, as many workers are affordable as are wanted."""
    unlimited = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda number: (unlimited, unlimited))
    assert affordable_workers(wanted) == (wanted, "")


@pytest.mark.parametrize("missing", ["listdir", "getrlimit"])
def test_workers_where_the_system_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """What the system does not tell counts as unlimited."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOENT, "no")

    monkeypatch.setattr(limits.os if missing == "listdir" else resource, missing, fail)
    assert affordable_workers(4) == (4, "")


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
@pytest.mark.parametrize("allowed", [1, 2, 5])
def test_a_pool_with_fewer_threads(
    monkeypatch: pytest.MonkeyPatch, allowed: int, error: Exception
) -> None:
    """Where no more threads can be started, the pool does all tasks with those that it has."""
    start, count, told = threading.Thread.start, iter(range(100)), list[int]()

    def start_some(thread: threading.Thread) -> None:
        if next(count) >= allowed:
            raise error
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    numbers = iter(range(50))
    pool = WorkerPool(8, lambda task: -task, told.append)
    results = dict(pool.run(lambda: next(numbers, None)))
    assert results == {number: -number for number in range(50)}
    assert told == [allowed]


def test_a_pool_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started at all, the error is raised."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError):
        next(WorkerPool(8, lambda task: task).run(lambda: 1))
