"""Programs that run in the background, each in a session of its own, and how to find what is left.

Each program and its children have an environment variable that names the service. Children keep
it, also in sessions of their own and under process 1. Of a process that hides its environment, the
session tells the service.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from account_sync import die_with_parent
from external_programs import program_environment
from live_processes import live_processes, wait_until

MARK = "FLEET_SERVICE"
_STOP = 10.0  # seconds from SIGTERM to SIGKILL


class Services:
    """Programs in the background. ``folder`` gets a log of each."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._fleet = uuid.uuid4().hex
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: dict[str, int] = {}

    def start(self, name: str, *command: str | Path) -> None:
        """Starts a program as a service called ``name``."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._started[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env=program_environment({**self.environment, MARK: f"{self._fleet}/{name}"}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        self._sessions[name] = self._started[name].pid

    def kill(self, name: str, *, alone: bool = False) -> None:
        """Kills a service with all of its process group, or only its first process."""
        (os.kill if alone else os.killpg)(self._started[name].pid, signal.SIGKILL)
        self._started.pop(name).wait()

    def processes(self, name: str = "") -> dict[int, str]:
        """The command lines of a service's processes by process ID; those of all without a name."""
        mark = f"{MARK}={self._fleet}/{name}"
        sessions = {pid for service, pid in self._sessions.items() if name in ("", service)}
        return {
            process.number: process.command
            for process in live_processes()
            if process.session in sessions
            or any(one == mark or (not name and one.startswith(mark)) for one in process.variables)
        }

    def log(self, name: str, lines: int = 40) -> str:
        """The last lines of a service's log."""
        return "\n".join((self.folder / f"{name}.log").read_text().splitlines()[-lines:])

    def check(self) -> None:
        """Raises AssertionError with the log of a service that has ended."""
        for name, process in self._started.items():
            assert process.poll() is None, f"{name} ended: {self.log(name)}"

    def stop(self) -> None:
        """Stops all services, and kills what is left of them."""
        for process in self._started.values():
            process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            wait_until(lambda: all(p.poll() is not None for p in self._started.values()), _STOP)
        for process_id in self.processes():
            _kill(process_id)
        for process in self._started.values():
            process.wait()


@contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Iterator[Services]:
    """Services that are stopped at the end. None of their processes is left then."""
    services = Services(folder, environment)
    try:
        yield services
    finally:
        services.stop()
    wait_until(lambda: not services.processes(), _STOP)


def busy_seconds() -> float:
    """The CPU seconds of all processes of this machine but this one, since the machine started."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq")
    values = map(int, Path("/proc/stat").read_text().split()[1 : 1 + len(names)])
    ticks = dict(zip(names, values, strict=True))
    busy = sum(ticks.values()) - ticks["idle"] - ticks["iowait"]
    return busy / os.sysconf("SC_CLK_TCK") - time.process_time()


def _kill(process_id: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGKILL)
