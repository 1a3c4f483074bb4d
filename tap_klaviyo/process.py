"""The process of the command: signals, standard files, memory. For the start, so it is small.

Only small modules of the standard library are imported here: a signal that arrives before a handler
is set is lost if the tap is process 1 of a container, which has no default handlers.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any

STDIN, STDOUT, STDERR = range(3)

STOP_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)

MAY_BE_IGNORED = (signal.SIGHUP, signal.SIGINT)
"""Signals that stay ignored if they were at the start: by ``nohup``, or in a job with ``&``."""

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
"""How each log line begins: the time in UTC."""

LARGE_OBJECT = 2**22
"""Bytes of an object whose memory goes back to the system as soon as it is dropped: 4 MiB."""

FREE_MEMORY = 2**23
"""Bytes that malloc keeps for later, in each of the heaps that it gives to threads."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt``."""

SIGNAL_EXIT = 128
"""What is added to the number of a signal for the exit code, as shells do."""


def handle_stop_signals(handler: Callable[[int, object], object]) -> None:
    """Sets the handler of all stop signals, also of those that the parent process has blocked."""
    for number in STOP_SIGNALS:
        if number not in MAY_BE_IGNORED or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def ignore_stop_signals() -> None:
    """For the end: a further signal would kill the process while Python shuts down."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def exit_at_stop_signals(note: Callable[[int, str], object] = lambda code, message: None) -> None:
    """Lets a stop signal end the process at once, with one line. For as long as nothing is read.

    ``note`` is called with the exit code and the line before the process ends.
    """

    def stop(number: int, _frame: object) -> None:
        ignore_stop_signals()
        message = f"Stopped by {signal.Signals(number).name} before anything was read."
        write_error("WARNING", message)
        note(SIGNAL_EXIT + number, message)
        os._exit(SIGNAL_EXIT + number)

    handle_stop_signals(stop)


def open_standard_files() -> None:
    """Opens stdin, stdout and stderr if the parent process has closed them.

    Otherwise the next file or connection would get their number, and what is written to stdout.
    A stdout that was closed cannot be written to; what is written to such a stderr is dropped.
    """
    for number, mode in ((STDIN, os.O_RDONLY), (STDOUT, os.O_RDONLY), (STDERR, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # The lowest free number is the one that is missing.
    # print() writes to stdout if sys.stderr is None.
    encoding = getattr(sys.stderr, "encoding", "utf-8")
    sys.stderr = TextIOWrapper(
        BufferedWriter(_Stderr(STDERR, "w", closefd=False)),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


class _Stderr(FileIO):
    """A stderr that drops what it cannot write: a run does not fail for want of a log reader."""

    def write(self, data: Any, /) -> int:
        """Writes bytes, waiting for a full pipe even if it is in non-blocking mode."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError:
            return len(data)
        return written


def write_error(level: str, message: str) -> None:
    """Writes a line to stderr without the help of ``logging``, which may not be loaded yet."""
    line = f"{time.strftime(TIME_FORMAT, time.gmtime())} {level} {message}"
    try:
        os.write(STDERR, line.encode("utf-8", "backslashreplace") + b"\n")
    except OSError:
        return  # Nobody reads it. The exit code remains.


def release_large_objects() -> None:
    """Makes malloc give the memory of large objects back, where it does not do so by itself.

    glibc keeps more the larger the objects are, and in each of the heaps that it gives to threads.
    Many threads that have each parsed a large answer once would hold all that memory for good.
    """
    try:
        from ctypes import CDLL

        mallopt = CDLL(None).mallopt
    except (ImportError, OSError, AttributeError):
        return  # Other systems have another malloc.
    mallopt(M_MMAP_THRESHOLD, LARGE_OBJECT)
    mallopt(M_TRIM_THRESHOLD, FREE_MEMORY)
