"""The real command in a process of its own, and a reader at the other end of its pipe."""

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

TIMEOUT = 60.0
"""Seconds after which a wait counts as endless."""

PIECE = 4096
"""The most bytes to take from a pipe at once."""

STREAM, METRIC = "open", "Opened Email"
START, SPAN = 1_704_067_200, 80 * 86_400
"""2024-01-01T00:00:00Z, and the seconds over which the events of an account spread."""
DENSITY = 20
"""Events in a second that has any."""


def shop(events: int) -> Account:
    """An account with ``events`` events of one metric, evenly spread but for their density."""
    account = empty_account()
    step = SPAN / events
    moments = [START + int(number // DENSITY * DENSITY * step) for number in range(events)]
    account.arrive(METRIC, timestamps=moments)
    return account


class Process:
    """A sync in a process; ``seen`` is what came through its pipe so far."""

    def __init__(
        self, command: list[str], stderr: Path, stdout: int | IO[bytes] = subprocess.PIPE
    ) -> None:
        self._stderr = stderr
        with stderr.open("wb") as errors:
            self.process = subprocess.Popen(command, stdout=stdout, stderr=errors)
        self.seen = bytearray()

    def read(self, enough: float = float("inf"), seconds: float = TIMEOUT) -> None:
        """Reads on until ``enough`` bytes have been seen, or the pipe has ended."""
        assert self.process.stdout is not None
        number = self.process.stdout.fileno()
        end = time.monotonic() + seconds
        while len(self.seen) < enough:
            ready, _, _ = select.select([number], [], [], max(0, end - time.monotonic()))
            assert ready, "nothing comes any more"
            piece = os.read(number, int(min(PIECE, enough - len(self.seen))))
            if not piece:
                return
            self.seen += piece

    def read_until(self, condition: Callable[[], bool]) -> None:
        """Reads whatever comes until a condition holds."""
        assert self.process.stdout is not None
        number = self.process.stdout.fileno()
        end = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < end, "does not come about"
            if select.select([number], [], [], 0.02)[0]:
                self.seen += os.read(number, PIECE)

    def send(self, *signals: signal.Signals) -> None:
        """Sends signals, one after the other."""
        for number in signals:
            self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(TIMEOUT)

    def end(self, seconds: float) -> int:
        """Reads to the end and gives the exit code; both in so many seconds."""
        began = time.monotonic()
        self.read(seconds=seconds)
        code = self.wait()
        assert time.monotonic() - began < seconds
        return code

    @property
    def errors(self) -> str:
        """What stands on stderr."""
        return self._stderr.read_text()

    @property
    def memory(self) -> int:
        """Bytes of memory in use."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def close(self) -> None:
        """Ends the process, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(TIMEOUT)
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclass
class Lines:
    """What a reader makes of the bytes of a pipe: whole messages, and what is left of a line."""

    messages: list[dict[str, Any]]
    rest: bytes

    @classmethod
    def of(cls, seen: bytes | bytearray) -> Lines:
        """Every whole line is a message; raises ValueError if one is not."""
        *lines, rest = bytes(seen).split(b"\n")
        return cls([json.loads(line) for line in lines], rest)

    @property
    def ids(self) -> list[str]:
        """The ids of the records."""
        return [m["record"]["id"] for m in self.messages if m["type"] == "RECORD"]

    @property
    def state(self) -> dict[str, Any] | None:
        """The value of the last STATE, if there is any."""
        states = [m["value"] for m in self.messages if m["type"] == "STATE"]
        return states[-1] if states else None


class Command:
    """Starts the command against one sandbox, with all its files in one folder."""

    def __init__(self, folder: Path, box: Sandbox, **settings: Any) -> None:
        self._folder = folder
        self.box = box
        config = {"api_key": box.key, "base_url": box.url, "start_date": "2024-01-01", **settings}
        entries = [e for e in build_catalog()["streams"] if e["tap_stream_id"] == STREAM]
        self._write("config", config)
        self._write("catalog", {"streams": entries})
        self._running: list[Process] = []

    def start(self, state: dict[str, Any] | None = None, stdout: Any = subprocess.PIPE) -> Process:
        """Starts a sync from a state."""
        files = ["config", "catalog"]
        if state is not None:
            self._write("state", state)
            files.append("state")
        command = [sys.executable, "-m", "tap_klaviyo"]
        for name in files:
            command += [f"--{name}", str(self._path(name))]
        process = Process(command, self._folder / "stderr", stdout)
        self._running.append(process)
        return process

    def close(self) -> None:
        """Ends every process that was started."""
        for process in self._running:
            process.close()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write(self, name: str, document: Any) -> None:
        self._path(name).write_text(json.dumps(document))


@contextlib.contextmanager
def running(
    folder: Path, account: Account, settings: dict[str, Any] | None = None, **options: Any
) -> Iterator[Command]:
    """A command on a sandbox of its own; both are gone in the end."""
    with Sandbox(account, **options) as box:
        command = Command(folder, box, **(settings or {}))
        try:
            yield command
        finally:
            command.close()


def comes_about(condition: Callable[[], bool], seconds: float) -> bool:
    """Waits until a condition holds, and tells whether it did in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        select.select([], [], [], 0.02)
    return True


@contextlib.contextmanager
def as_before() -> Iterator[None]:
    """Takes back what a command does to logging and signals."""
    root, numbers = logging.getLogger(), (signal.SIGINT, signal.SIGTERM)
    handlers, level = root.handlers[:], root.level
    handlings = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        for number, handling in handlings.items():
            signal.signal(number, handling)
