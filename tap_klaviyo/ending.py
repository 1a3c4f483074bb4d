"""How a command ends: its exit code, its last line on stderr, and the file of ``--summary-file``.

Exit codes: 0 complete; 1 some streams failed, an internal error, the target closed the pipe, or a
verification has found something; 2 invalid arguments, configuration, catalog or state; 3 not one
page could be read, for want of access or of answers; 128 + n stopped by signal n.

The file is written when the command starts, with the status "running", and replaced when it ends.
So a process that was killed cannot be taken for one that ended well.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tap_klaviyo import __version__
from tap_klaviyo.errors import (
    AccessError,
    ConfigError,
    InternalError,
    StreamError,
    TapError,
    unexpected,
)
from tap_klaviyo.process import SIGNAL_EXIT, TIME_FORMAT

if TYPE_CHECKING:
    from tap_klaviyo.sync.summary import RunSummary


class ExitCode(IntEnum):
    """What the exit code of a command means, but for signals."""

    COMPLETE = 0
    FAILED = 1
    INVALID = 2
    NOTHING_READ = 3


STATUS = {
    ExitCode.COMPLETE: "complete",
    ExitCode.FAILED: "failed",
    ExitCode.INVALID: "invalid",
    ExitCode.NOTHING_READ: "failed",
}
"""``status`` in the summary file; "stopped" for signals."""


class ArgumentsError(ConfigError):
    """The arguments of the command have to be corrected."""


@dataclass(frozen=True)
class Ending:
    """How a command has ended. ``message`` is its last line, empty for none.

    ``summary`` is what a run has done, None if none began. ``warns`` says that the command itself
    did what it was asked for.
    """

    code: int
    message: str
    summary: RunSummary | None = None
    warns: bool = False

    @property
    def level(self) -> int:
        """The level at which the message is logged."""
        if self.code == ExitCode.COMPLETE:
            return logging.INFO
        return logging.WARNING if self.warns or self.code > SIGNAL_EXIT else logging.CRITICAL


def complete(message: str = "", summary: RunSummary | None = None) -> Ending:
    """The ending of a command that has done what it was asked for."""
    read = f"Complete. {_what_was_read(summary)}" if summary else message
    return Ending(ExitCode.COMPLETE, read, summary)


def found(message: str) -> Ending:
    """The ending of a verification after which something is left to be done."""
    return Ending(ExitCode.FAILED, message, warns=True)


def stopped(
    number: int, summary: RunSummary | None = None, error: Exception | None = None
) -> Ending:
    """The ending of a command that a signal has stopped; ``error`` is what failed besides."""
    sentences = [f"Stopped by {signal.Signals(number).name}."]
    failure = unexpected(error) if error else summary and summary.error
    sentences += [_without_advice(failure)] if failure else []
    if summary is not None:
        sentences += [_what_was_read(summary), _how_to_go_on(summary)]
    return Ending(SIGNAL_EXIT + number, " ".join(sentences), summary)


def failed(error: Exception, summary: RunSummary | None = None, pages: int = 0) -> Ending:
    """The ending of a command that failed. ``pages`` is how many pages were read."""
    reported = unexpected(error)
    code = _exit_code(reported, pages or (summary.pages if summary else 0))
    sentences = [str(reported)]
    if summary is not None and code != ExitCode.INVALID:
        sentences = [_without_advice(reported)]
        sentences += [_what_was_read(summary), _how_to_go_on(summary)]
    return Ending(code, " ".join(sentences), summary)


def closed_pipe(summary: RunSummary | None = None) -> Ending:
    """The ending of a command whose target has ended, and has said why."""
    return Ending(ExitCode.FAILED, "", summary)


def _exit_code(error: TapError, pages: int) -> ExitCode:
    """The exit code of a command that ends with ``error``."""
    if isinstance(error, ConfigError) and not isinstance(error, AccessError):
        return ExitCode.INVALID
    if isinstance(error, AccessError | StreamError) and not pages:
        return ExitCode.NOTHING_READ
    return ExitCode.FAILED


def _without_advice(error: TapError) -> str:
    """The message of an error without its advice to run again, which the last line ends with."""
    from tap_klaviyo.klaviyo.failures import AGAIN

    return str(error).replace(AGAIN, "").replace(AGAIN.rstrip("."), "")


def _what_was_read(summary: RunSummary) -> str:
    if not summary.pages:
        return "Nothing was read."
    streams = sum(stream.status != "not_due" for stream in summary.streams)
    read = f"{summary.records:,} records of {streams} streams"
    return f"Read {read} in {summary.seconds:.0f} s."


def _how_to_go_on(summary: RunSummary) -> str:
    start = "continues from the last STATE" if summary.saved else "starts from the same state"
    return f"A new run {start}."


class SummaryFile:
    """The file of ``--summary-file``. Raises :class:`ArgumentsError` if it cannot be written."""

    def __init__(self, path: str) -> None:
        self._path = Path(os.path.realpath(path))
        self._started = time.time()
        with suppress(OSError):
            if not stat.S_ISREG(self._path.stat().st_mode):
                raise ArgumentsError(f"--summary-file: {path} is not a regular file.")
        self._write({"status": "running"})

    def end(self, ending: Ending) -> None:
        """Writes how the command has ended."""
        status = STATUS.get(ExitCode(ending.code)) if ending.code < SIGNAL_EXIT else "stopped"
        self._write({"status": status, **_document(ending)})

    def _write(self, document: dict[str, Any]) -> None:
        begun = {"version": __version__, "pid": os.getpid(), "started_at": _utc(self._started)}
        text = json.dumps({**begun, **document}, indent=2) + "\n"
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            temporary.write_text(text)
            temporary.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise ArgumentsError(
                f"--summary-file: cannot write {self._path}: {error.strerror}."
            ) from None


def _document(ending: Ending) -> dict[str, Any]:
    """An ending as JSON: times are UTC, and ``bookmark`` is where the next run starts."""
    summary = ending.summary
    streams: Sequence[Any] = summary.streams if summary else ()
    return {
        "ended_at": _utc(time.time()),
        "exit_code": int(ending.code),
        "message": ending.message,
        "account_id": summary.account_id if summary else None,
        "seconds": round(summary.seconds, 3) if summary else 0,
        "records": summary.records if summary else 0,
        "requests": sum(stream.requests for stream in streams),
        "resumes": summary.saved if summary else False,
        "late_events": summary.late._asdict() if summary and summary.late else None,
        "streams": [_stream(stream) for stream in streams],
    }


def _stream(stream: Any) -> dict[str, Any]:
    times = {"bookmark": stream.bookmark, "not_due_until": stream.not_due_until}
    shown = {name: None if time is None else _utc(time) for name, time in times.items()}
    return {**dataclasses.asdict(stream), **shown}


def _utc(seconds: float) -> str:
    return time.strftime(TIME_FORMAT, time.gmtime(seconds))


def incomplete_error() -> InternalError:
    """A run that ended without an error and did not read everything."""
    return InternalError("Internal error: a stream was not read completely. Please report it.")
