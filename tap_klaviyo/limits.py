"""Limits that the system sets to the process: memory, open files, threads.

Running into one is neither a bug nor a failure of the network, though it shows as either.
"""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

MEMORY = "memory (ulimit -v, or that of the container)"
FILES = "open files (ulimit -n)"
SYSTEM_FILES = "open files of the whole system (fs.file-max)"
THREADS = "threads (ulimit -u, ulimit -v, or the pids limit of the container)"

_BY_ERRNO = {
    errno.EMFILE: FILES,
    errno.ENFILE: SYSTEM_FILES,
    errno.ENOMEM: MEMORY,
    errno.ENOBUFS: MEMORY,
}

_BY_TEXT = {
    "can't start new thread": THREADS,
    "failed to map segment": MEMORY,
    **{os.strerror(number): limit for number, limit in _BY_ERRNO.items()},
}
"""What errors say that have no number: those of threads, of shared libraries."""

NAMED_BY_TEXT = (RuntimeError, ImportError)

_NO_MEMORY_FOR_TLS = "malloc failure"
"""What OpenSSL's errors say for want of memory."""


def limit_of(errors: Iterable[BaseException]) -> str:
    """The limit that one of ``errors`` is about; empty if none is."""
    return next(filter(None, map(_limit, errors)), "")


def _limit(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, OSError):
        return MEMORY if _NO_MEMORY_FOR_TLS in str(error) else _BY_ERRNO.get(error.errno or 0, "")
    if isinstance(error, NAMED_BY_TEXT):
        return next((limit for text, limit in _BY_TEXT.items() if text in str(error)), "")
    return ""


def can_open_files() -> bool:
    """Whether one more file can be opened. Host names cannot be looked up otherwise."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True


SHORT_MEMORY = 16 * 2**20
"""Bytes below which Python itself fails, with errors that do not say why."""


def is_memory_short() -> bool:
    """Whether any error may be one for want of memory."""
    return _memory_left() < SHORT_MEMORY


WORKER_FILES, RESERVED_FILES = 3, 10
"""A worker's connection with its duplicate and a file that is read for it; all other files."""

WORKER_MEMORY, RESERVED_MEMORY = 72 * 2**20, 128 * 2**20
"""Address space: a thread's stack (8 MiB) and its arena of malloc (64 MiB); parsing of pages."""


def affordable_workers(wanted: int) -> tuple[int, str]:
    """How many of ``wanted`` workers fit the limits of the process, at least one.

    Also returns the limit that allows no more; empty if all fit. What the system does not tell
    counts as unlimited.
    """
    return min((wanted, ""), (_workers_by_files(), FILES), (_workers_by_memory(), MEMORY))


def _workers_by_files() -> int:
    with suppress(OSError):
        left = _soft_limit(resource.RLIMIT_NOFILE) - len(os.listdir("/dev/fd")) - RESERVED_FILES
        return max(1, left // WORKER_FILES)
    return sys.maxsize


def _workers_by_memory() -> int:
    return max(1, (_memory_left() - RESERVED_MEMORY) // WORKER_MEMORY)


def _memory_left() -> int:
    """Bytes of address space that the process may still take."""
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        return _soft_limit(resource.RLIMIT_AS) - pages * resource.getpagesize()
    return sys.maxsize


def _soft_limit(number: int) -> int:
    soft, _ = resource.getrlimit(number)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
