"""How ``Tap`` ends: no thread, handler, signal or socket is left."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tap_runner import PATIENCE, messages, only, workers

from sandbox import Sandbox
from tap_klaviyo import Tap
from tap_klaviyo.errors import Stopped
from tap_klaviyo.klaviyo.connections import CloseEvent

pytestmark = pytest.mark.usefixtures("no_worker_is_left")


CONFIG = {"api_key": "pk_test", "start_date": "2026-01-01"}


def test_stop_from_another_thread(settings: dict[str, Any]) -> None:
    """A stopped run returns a summary that says so; another tap is not stopped."""
    lines: list[bytes] = []
    tap = Tap({**settings, "page_size": 10})

    def write(data: bytes) -> None:
        lines.append(data)
        if b'"RECORD"' in data:
            stopping = threading.Thread(target=tap.stop)
            stopping.start()
            stopping.join(PATIENCE)

    summary = tap.sync(write)
    assert summary.stopped
    assert not summary.complete
    assert messages(lines)[-1]["type"] == "STATE"
    assert Tap(settings, only(tap, "lists")).sync(lambda data: None).complete


def test_a_stopped_tap_stays_stopped(settings: dict[str, Any], box: Sandbox) -> None:
    """A stop that comes before the run is not lost."""
    tap = Tap(settings)
    tap.stop()
    before = len(box.requests)
    assert tap.sync(lambda data: None).stopped
    with pytest.raises(Stopped):
        tap.check()
    assert len(box.requests) == before


@dataclass
class StallingServer:
    """A server that sends ``answer`` to each request and then nothing more.

    ``asked`` is set when it has received something and sent its answer.
    """

    answer: bytes = b""
    asked: threading.Event = field(default_factory=threading.Event)
    connections: list[socket.socket] = field(default_factory=list)

    def serve(self, listening: socket.socket) -> None:
        """Accepts connections until ``listening`` is closed."""
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                self.connections.append(connection)
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while connection.recv(65_536):
                connection.sendall(self.answer)
                self.asked.set()


@pytest.fixture
def stalling() -> Iterator[Callable[..., tuple[StallingServer, str]]]:
    """Starts stalling servers; returns each with its address."""
    started: list[tuple[StallingServer, socket.socket]] = []

    def start(answer: bytes) -> tuple[StallingServer, str]:
        server, listening = StallingServer(answer), socket.create_server(("127.0.0.1", 0))
        started.append((server, listening))
        threading.Thread(target=server.serve, args=(listening,), daemon=True).start()
        return server, f"127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for server, listening in started:
        # To close a socket does not wake the thread that accepts on it.
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        for one in (listening, *server.connections):
            one.close()


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set as soon as a client waits for a retry or a rate limit."""
    event, wait = threading.Event(), CloseEvent.wait

    def noted(close_event: CloseEvent, seconds: float) -> bool:
        if seconds > 0:
            event.set()
        return wait(close_event, seconds)

    monkeypatch.setattr(CloseEvent, "wait", noted)
    return event


def sync(tap: Tap) -> bool:
    """Whether a sync was stopped and has no error."""
    summary = tap.sync(lambda data: None)
    return summary.stopped and summary.error is None


def check(tap: Tap) -> bool:
    """Whether a check was stopped."""
    try:
        tap.check()
    except Stopped:
        return True
    return False


def records(tap: Tap) -> bool:
    """Whether an iteration over records was stopped."""
    try:
        return not list(tap.records("lists"))
    except Stopped:
        return True


USES = pytest.mark.parametrize("use", [sync, check, records])


def assert_stops(use: Callable[[Tap], bool], tap: Tap, when: threading.Event) -> None:
    """Stops what uses ``tap`` when an event is set; it ends in time, and so do all workers."""
    stopped: list[bool] = []
    using = threading.Thread(target=lambda: stopped.append(use(tap)), daemon=True)
    using.start()
    assert when.wait(PATIENCE)
    tap.stop()
    using.join(PATIENCE)
    assert not using.is_alive()
    for worker in workers():
        worker.join(PATIENCE)
        assert not worker.is_alive()
    assert stopped == [True]


@USES
@pytest.mark.parametrize(
    ("scheme", "answer"),
    [
        pytest.param("http", b"", id="no answer"),
        pytest.param("https", b"", id="no TLS handshake"),
        pytest.param("http", b"HTTP/1.1 200 OK\r\n", id="no end of the headers"),
        pytest.param("http", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", id="half a body"),
        pytest.param(
            "http", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{", id="a body without an end"
        ),
    ],
)
def test_stop_while_a_server_stalls(
    stalling: Callable[..., tuple[StallingServer, str]],
    use: Callable[[Tap], bool],
    scheme: str,
    answer: bytes,
) -> None:
    """``stop`` wakes every thread that waits for a server, wherever that has stopped to answer."""
    server, address = stalling(answer)
    tap = Tap({**CONFIG, "base_url": f"{scheme}://{address}"})
    assert_stops(use, tap, server.asked)


@USES
@pytest.mark.parametrize(
    "status", ["503 Service Unavailable", "429 Too Many Requests\r\nRetry-After: 300"]
)
def test_stop_while_the_tap_waits(
    stalling: Callable[..., tuple[StallingServer, str]],
    waiting: threading.Event,
    use: Callable[[Tap], bool],
    status: str,
) -> None:
    """``stop`` ends the pause before a retry, and the wait for a rate limit."""
    _, address = stalling(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
    assert_stops(use, Tap({**CONFIG, "base_url": f"http://{address}"}), waiting)


UNCHANGED = """
import gc, json, locale, logging, signal, sys, threading
def looks():
    root = logging.getLogger()
    return {
        "handlers": list(root.handlers),
        "level": root.level,
        "disabled": logging.root.manager.disable,
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "stdout": sys.stdout,
        "stderr": sys.stderr,
        "locale": locale.setlocale(locale.LC_ALL),
        "collecting": gc.isenabled(),
        "frozen": gc.get_freeze_count(),
        "threshold": gc.get_threshold(),
        "excepthook": sys.excepthook,
    }
before = looks()
import tap_klaviyo
assert "requests" not in sys.modules and "tap_klaviyo.tap" not in sys.modules
from tap_klaviyo import Tap
after_import = looks()
tap = Tap(json.loads(sys.argv[1]))
summary = tap.sync(lambda data: None)
assert summary.complete, summary
for record in tap.records("receive"):
    break
tap.stop()
after = looks()
assert "singer" not in sys.modules
for name, value in before.items():
    assert value == after_import[name] == after[name], name
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(5)
assert threading.active_count() == 1, threading.enumerate()
"""


def test_the_process_is_left_as_it_was(settings: dict[str, Any]) -> None:
    """Import, sync, an early end and stop change no handler, signal, stream or collector."""
    done = subprocess.run(
        [sys.executable, "-c", UNCHANGED, json.dumps(settings)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


STANDARD_LIBRARY = Path(threading.__file__).parent.name


class Deadlock(BaseException):
    """The signal handler did not return."""


@pytest.mark.parametrize(
    ("ends", "where"),
    [
        *(("sync", name) for name in ("client.py", "connections.py", "workers.py", "tap.py")),
        *(("check", name) for name in ("client.py", "connections.py", "rate_limits.py", "tap.py")),
        *((ends, "threading.py") for ends in ("sync", "check")),
    ],
)
def test_a_signal_at_any_line(settings: dict[str, Any], ends: str, where: str) -> None:
    """A signal handler may call ``stop`` at any line of the main thread, and returns."""
    catalog = only(Tap(settings), "lists")

    def run(line: int) -> bool:
        """Whether the run has executed as many lines of the module as ``line``."""
        tap = Tap({**settings, "concurrency": 2}, catalog)
        executed = 0

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal executed
            file = Path(frame.f_code.co_filename)
            if file.name != where or not {"tap_klaviyo", STANDARD_LIBRARY} & set(file.parts):
                return None
            if event == "line":
                executed += 1
                if executed == line:
                    signal.raise_signal(signal.SIGUSR1)
            return trace

        signal.signal(signal.SIGUSR1, lambda *_: tap.stop())
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with suppress(Stopped):
                tap.sync(lambda data: None) if ends == "sync" else tap.check()
        finally:
            sys.settrace(before)
            signal.setitimer(signal.ITIMER_REAL, 0)
        return executed >= line

    def lose(*_: object) -> None:
        raise Deadlock

    handlings = {n: signal.getsignal(n) for n in (signal.SIGALRM, signal.SIGUSR1)}
    signal.signal(signal.SIGALRM, lose)
    try:
        line = 1
        while run(line):
            # Every line at first, then ever fewer: later lines are mostly the same ones again.
            line += 1 + line // 8
    finally:
        for number, handling in handlings.items():
            signal.signal(number, handling)
    assert line > 10


DESCRIPTORS = """
import gc, json, os, sys, threading
from tap_klaviyo import Tap
from tap_klaviyo.errors import OutputError, TapError
from tap_klaviyo.sync.workers import WorkerPool
settings, end = json.loads(sys.argv[1])
catalog = Tap(settings).discover()
selected = ("lists", "open", "campaigns")
catalog["streams"] = [one for one in catalog["streams"] if one["stream"] in selected]
tap = Tap(settings, catalog)
def no_disk(data):
    raise OutputError("no disk")
def sync_until_stopped():
    stopped = Tap({**settings, "page_size": 10}, catalog)
    stopped.sync(lambda data: stopped.stop() if b"RECORD" in data else None)
def sync_with_a_worker_that_fails():
    def fail(pool, task):
        raise MemoryError
    result, WorkerPool._result = WorkerPool._result, fail
    try:
        tap.sync(lambda data: None)
    finally:
        WorkerPool._result = result
ENDS = {
    "success": lambda: tap.sync(lambda data: None),
    "check": tap.check,
    "early end": lambda: next(iter(tap.records("lists"))),
    "stop": sync_until_stopped,
    "output": lambda: tap.sync(no_disk),
    "worker": sync_with_a_worker_that_fails,
}
def descriptors():
    try:
        ENDS[end]()
    except (TapError, MemoryError):
        pass
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(5)
            assert not thread.is_alive(), thread
    return len(os.listdir("/proc/self/fd"))
gc.collect()
gc.disable()
descriptors()
counts = [descriptors() for _ in range(4)]
assert len(set(counts)) == 1, counts
"""
"""Counts the open files of a process in which only the tap opens any, after each of four uses."""


NO_SERVER = {"base_url": "http://127.0.0.1:9", "max_retry_wait": 0}
USES_OF_FILES: dict[str, tuple[str, dict[str, Any]]] = {
    **{end: (end, {}) for end in ("success", "check", "early end", "stop", "output", "worker")},
    "a key that is refused": ("success", {"api_key": "pk_wrong"}),
    "no server": ("success", NO_SERVER),
    "a check without a server": ("check", NO_SERVER),
}
"""How the tap is used, and settings."""


@pytest.mark.parametrize(("end", "changes"), USES_OF_FILES.values(), ids=USES_OF_FILES.keys())
@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
def test_no_descriptor_is_left(settings: dict[str, Any], end: str, changes: dict[str, Any]) -> None:
    """However a use of the tap ends, all files are closed, without the garbage collector."""
    given = json.dumps([{**settings, **changes}, end])
    done = subprocess.run(
        [sys.executable, "-c", DESCRIPTORS, given],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
