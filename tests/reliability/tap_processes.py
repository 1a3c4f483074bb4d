"""Runs the tap in its own process and reads its output from a pipe."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from simulated_klaviyo import empty_account

from sandbox import Account, Sandbox
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.process import STOP_SIGNALS

TIMEOUT = 60.0
"""Seconds after which a wait fails."""

PIECE = 4096
"""Maximum number of bytes of one read from a pipe."""

STREAM, METRIC = "open", "Opened Email"
START, SPAN = 1_704_067_200, 80 * 86_400
"""2024-01-01T00:00:00Z, and the seconds over which the events are spread."""
DENSITY = 20
"""Number of events in each second that has events."""


def account_with_events(events: int) -> Account:
    """An account with ``events`` evenly spread events of one metric."""
    account = empty_account()
    step = SPAN / events
    moments = [START + int(number // DENSITY * DENSITY * step) for number in range(events)]
    account.arrive(METRIC, timestamps=moments)
    return account


class Process:
    """A sync in a process; ``seen`` are the bytes read from its pipe so far."""

    def __init__(
        self,
        command: list[str],
        stderr: Path,
        stdout: int | IO[bytes] = subprocess.PIPE,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._stderr = stderr
        with stderr.open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                stdout=stdout,
                stderr=errors,
                preexec_fn=prepare,
            )
        self.seen = bytearray()

    def read(self, enough: float = float("inf"), seconds: float = TIMEOUT) -> None:
        """Reads until ``enough`` bytes have been received or the pipe has ended."""
        assert self.process.stdout is not None
        number = self.process.stdout.fileno()
        end = time.monotonic() + seconds
        while len(self.seen) < enough:
            ready, _, _ = select.select([number], [], [], max(0, end - time.monotonic()))
            assert ready, "no more output"
            piece = os.read(number, int(min(PIECE, enough - len(self.seen))))
            if not piece:
                return
            self.seen += piece

    def read_until(self, condition: Callable[[], bool]) -> None:
        """Reads until a condition is true."""
        assert self.process.stdout is not None
        number = self.process.stdout.fileno()
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end, "the condition does not become true"
            if select.select([number], [], [], 0.02)[0]:
                self.seen += os.read(number, PIECE)

    def send(self, *signals: signal.Signals) -> None:
        """Sends signals in order."""
        for number in signals:
            self.process.send_signal(number)

    def close_pipe(self) -> None:
        """Closes the pipe, as a target that dies."""
        assert self.process.stdout is not None
        self.process.stdout.close()

    def wait(self) -> int:
        """Waits for the exit code."""
        return self.process.wait(TIMEOUT)

    def end(self, seconds: float) -> int:
        """Reads to the end and returns the exit code; fails after ``seconds``."""
        began = time.monotonic()
        self.read(seconds=seconds)
        code = self.wait()
        assert time.monotonic() - began < seconds
        return code

    @property
    def errors(self) -> str:
        """The content of stderr."""
        return self._stderr.read_text()

    @property
    def memory(self) -> int:
        """Resident memory in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def close(self) -> None:
        """Kills the process."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(TIMEOUT)
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclass
class Lines:
    """The bytes of a pipe as complete messages and a partial last line."""

    messages: list[dict[str, Any]]
    partial_line: bytes

    @classmethod
    def of(cls, seen: bytes | bytearray) -> Lines:
        """Parses bytes; raises ValueError if a complete line is not a message."""
        *lines, rest = bytes(seen).split(b"\n")
        return cls([json.loads(line) for line in lines], rest)

    @property
    def ids(self) -> list[str]:
        """The ids of the records."""
        return [m["record"]["id"] for m in self.messages if m["type"] == "RECORD"]

    @property
    def state(self) -> dict[str, Any] | None:
        """The value of the last STATE, or None."""
        states = [m["value"] for m in self.messages if m["type"] == "STATE"]
        return states[-1] if states else None


class Command:
    """Starts the tap against one sandbox, with its files in one folder."""

    def __init__(self, folder: Path, box: Sandbox, **settings: Any) -> None:
        self._folder = folder
        self.box = box
        config = {"api_key": box.key, "base_url": box.url, "start_date": "2024-01-01", **settings}
        entries = [e for e in build_catalog()["streams"] if e["tap_stream_id"] == STREAM]
        self._write("config", config)
        self._write("catalog", {"streams": entries})
        self._running: list[Process] = []

    def start(
        self,
        state: dict[str, Any] | None = None,
        stdout: Any = subprocess.PIPE,
        prepare: Callable[[], None] | None = None,
    ) -> Process:
        """Starts a sync from a state; ``prepare`` is called in the new process."""
        process = Process(self.arguments(state), self._folder / "stderr", stdout, prepare)
        self._running.append(process)
        return process

    def arguments(self, state: dict[str, Any] | None = None) -> list[str]:
        """The command line of a sync from a state."""
        files = ["config", "catalog"]
        if state is not None:
            self._write("state", state)
            files.append("state")
        command = [sys.executable, "-m", "tap_klaviyo"]
        for name in files:
            command += [f"--{name}", str(self._path(name))]
        return command

    def close(self) -> None:
        """Kills all started processes."""
        for process in self._running:
            process.close()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write(self, name: str, document: Any) -> None:
        self._path(name).write_text(json.dumps(document))


@contextlib.contextmanager
def running_command(
    folder: Path, account: Account, settings: dict[str, Any] | None = None, **options: Any
) -> Iterator[Command]:
    """A command with its own sandbox; both are stopped at the end."""
    with Sandbox(account, **options) as box:
        command = Command(folder, box, **(settings or {}))
        try:
            yield command
        finally:
            command.close()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Waits until a condition is true; returns whether it was in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        select.select([], [], [], 0.02)
    return True


@contextlib.contextmanager
def restored_logging() -> Iterator[None]:
    """Restores the logging setup and the signal handlers at the end."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    signal_handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        for number, handler in signal_handlers.items():
            signal.signal(number, handler)
