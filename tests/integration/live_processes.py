"""Processes of this machine as Linux lists them, and how to wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PAUSE = 0.1  # seconds between two looks
_ZOMBIE = "Z"


@dataclass(frozen=True)
class LiveProcess:
    """A process that has not ended. ``variables`` are those it was started with, if readable."""

    number: int
    parent: int
    session: int
    command: str
    variables: tuple[str, ...]


def live_processes() -> Iterator[LiveProcess]:
    """All processes."""
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _read(folder / "stat").rpartition(")")[2].split()
        if fields and fields[0] != _ZOMBIE:
            command = _read(folder / "cmdline").replace("\0", " ").strip()
            variables = tuple(_read(folder / "environ").split("\0"))
            number, parent, session = int(folder.name), int(fields[1]), int(fields[3])
            yield LiveProcess(number, parent, session, command, variables)


def children(parent: int) -> list[int]:
    """The process IDs of the children of a process."""
    return [process.number for process in live_processes() if process.parent == parent]


def is_alive(process_id: int) -> bool:
    """Whether a process has not ended."""
    return any(process.number == process_id for process in live_processes())


def wait_until(is_true: Callable[[], object], seconds: float) -> None:
    """Waits for a condition. Raises TimeoutError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(_PAUSE)


def _read(file: Path) -> str:
    """The content of a file of a process; nothing if it has ended or belongs to someone else."""
    try:
        return file.read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
