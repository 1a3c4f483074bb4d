"""How ``Tap`` ends: no thread, handler, signal or socket is left."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tap_runner import PATIENCE, messages, only, workers

from sandbox import Sandbox
from tap_klaviyo import Tap
from tap_klaviyo.errors import Stopped

pytestmark = pytest.mark.usefixtures("no_worker_is_left")


CONFIG = {"api_key": "pk_test", "start_date": "2026-01-01"}


def test_stop_from_another_thread(settings: dict[str, Any]) -> None:
    """A stopped run returns a summary that says so; another tap is not stopped."""
    lines: list[bytes] = []
    tap = Tap({**settings, "page_size": 10})

    def write(data: bytes) -> None:
        lines.append(data)
        if b'"RECORD"' in data:
            threading.Thread(target=tap.stop).start()
            time.sleep(0.05)

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


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def in_time(call: Callable[[], Any]) -> Any:
    """The result of a call that must end within ``PATIENCE``."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "still running"
    return results[0] if results else None


def wait_until(true: Callable[[], object]) -> None:
    """Returns as soon as something is true; fails after ``PATIENCE``."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_stop_while_the_server_is_silent(silent: str) -> None:
    """``stop`` wakes workers that wait for an answer; no thread is left."""
    tap = Tap({**CONFIG, "base_url": silent})
    summaries: list[Any] = []
    run = threading.Thread(target=lambda: summaries.append(tap.sync(lambda data: None)))
    run.start()
    wait_until(workers)
    time.sleep(0.1)
    tap.stop()
    run.join(PATIENCE)
    assert not run.is_alive()
    wait_until(lambda: not workers())
    assert summaries[0].stopped


def test_stop_while_waiting_for_a_retry(serve: Callable[[], Any]) -> None:
    """``stop`` ends the pause before a retry."""
    server = serve().answer(b"", "503 Service Unavailable")
    tap = Tap({**CONFIG, "base_url": server.url})
    run = threading.Thread(target=lambda: tap.sync(lambda data: None))
    run.start()
    wait_until(lambda: len(server.requests) > 20)
    tap.stop()
    run.join(PATIENCE)
    assert not run.is_alive()
    wait_until(lambda: not workers())


def test_stop_while_waiting_for_a_rate_limit(serve: Callable[[], Any]) -> None:
    """``stop`` ends the wait for a rate limit."""
    server = serve().answer(b"", "429 Too Many Requests", **{"Retry-After": "300"})
    tap = Tap({**CONFIG, "base_url": server.url})
    run = threading.Thread(target=lambda: tap.sync(lambda data: None))
    run.start()
    wait_until(lambda: len(server.requests) > 3)
    tap.stop()
    run.join(PATIENCE)
    assert not run.is_alive()
    wait_until(lambda: not workers())


def test_a_check_can_be_stopped(silent: str) -> None:
    """A check that waits for a silent server raises :class:`Stopped` when it is stopped."""
    tap = Tap({**CONFIG, "base_url": silent})
    threading.Timer(0.2, tap.stop).start()

    def check() -> type[BaseException]:
        with pytest.raises(Stopped) as caught:
            tap.check()
        return caught.type

    assert in_time(check) is Stopped


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

    def run(line: int) -> bool:
        """Whether the run has executed as many lines of the module as ``line``."""
        tap = Tap({**settings, "concurrency": 2}, only(Tap(settings), "lists"))
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


def test_stop_in_a_tls_handshake(silent: str) -> None:
    """A run that is stopped in a handshake is stopped, and no certificate is blamed."""
    tap = Tap({**CONFIG, "base_url": silent.replace("http:", "https:")})
    summaries: list[Any] = []
    run = threading.Thread(target=lambda: summaries.append(tap.sync(lambda data: None)))
    run.start()
    wait_until(workers)
    time.sleep(0.2)
    tap.stop()
    run.join(PATIENCE)
    assert not run.is_alive()
    wait_until(lambda: not workers())
    assert summaries[0].stopped
    assert summaries[0].error is None


@pytest.mark.parametrize("head", ["Connection: close", "Content-Length: 100"])
def test_stop_while_a_body_is_read(head: str) -> None:
    """``stop`` ends the wait for the rest of a body, of a connection that will close, too."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        accepted: list[socket.socket] = []

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    accepted.append(connection)
                    connection.recv(65_536)
                    connection.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n{{".encode())

        threading.Thread(target=answer, daemon=True).start()
        tap = Tap({**CONFIG, "base_url": f"http://127.0.0.1:{server.getsockname()[1]}"})
        threading.Timer(0.3, tap.stop).start()

        def check() -> None:
            with pytest.raises(Stopped):
                tap.check()

        in_time(check)
        for connection in accepted:
            connection.close()


def test_no_descriptor_is_left(settings: dict[str, Any]) -> None:
    """Runs, early ends and checks close all sockets, without the garbage collector."""
    tap = Tap(settings, only(Tap(settings), "lists", "open", "campaigns"))
    tap.sync(lambda data: None)
    gc.disable()
    try:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            tap.sync(lambda data: None)
            tap.check()
            next(iter(tap.records("lists")))
        wait_until(lambda: not workers())
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)
    finally:
        gc.enable()
