"""Singer messages: the only module that writes them, and the only one that touches stdout.

Records arrive as complete lines and are passed on at once, without a buffer. So a target never
waits for half a page, and nothing remains to be written when a process ends.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Mapping, Sequence
from io import FileIO
from typing import Any, Protocol

import msgspec

from tap_klaviyo.errors import OutputError

STDOUT = 1


class Writer:
    """Encodes messages and passes them to ``write`` as bytes of one or more whole lines.

    ``error`` is what ``write`` has raised; nothing should be written after that.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.error: BaseException | None = None

    def schema(
        self,
        stream: str,
        schema: Mapping[str, Any],
        keys: Sequence[str],
        bookmarks: Sequence[str],
    ) -> None:
        """Writes a SCHEMA message; ``bookmarks`` are the replication keys."""
        self._write_message(
            {
                "type": "SCHEMA",
                "stream": stream,
                "schema": schema,
                "key_properties": keys,
                "bookmark_properties": bookmarks,
            }
        )

    def records(self, lines: bytes) -> None:
        """Writes complete RECORD lines."""
        if lines:
            self._pass_on(lines)

    def state(self, value: Mapping[str, Any]) -> None:
        """Writes a STATE message. All records that it covers have been written before."""
        self._write_message({"type": "STATE", "value": value})

    def activate_version(self, stream: str, version: int) -> None:
        """Writes ACTIVATE_VERSION: rows of other versions no longer exist in Klaviyo."""
        self._write_message({"type": "ACTIVATE_VERSION", "stream": stream, "version": version})

    def batch(self, stream: str, encoding: Mapping[str, str], manifest: Sequence[str]) -> None:
        """Writes BATCH: the URLs in ``manifest`` are of files with records of the stream."""
        message = {"type": "BATCH", "stream": stream, "encoding": encoding, "manifest": manifest}
        self._write_message(message)

    def _write_message(self, message: Mapping[str, Any]) -> None:
        self._pass_on(msgspec.json.encode(message) + b"\n")

    def _pass_on(self, lines: bytes) -> None:
        try:
            self._write(lines)
        except BaseException as error:
            self.error = error
            raise


class File(Protocol):
    """An unbuffered file that may accept only a part of the bytes."""

    def write(self, data: memoryview, /) -> int | None:
        """Returns the number of bytes written; None if it would block."""

    def fileno(self) -> int:
        """The descriptor to wait for."""


def write_all(file: File, data: bytes) -> None:
    """Writes all of ``data``, waiting for a full pipe even if it is in non-blocking mode.

    Raises BrokenPipeError if the reader has closed the pipe, and :class:`OutputError` for other
    errors, such as a full disk.
    """
    rest = memoryview(data)
    try:
        while rest:
            written = file.write(rest)
            if written is None:
                select.select([], [file], [])
            else:
                rest = rest[written:]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"Cannot write to stdout: {error.strerror}. Make room and run again with the last "
            "state that the target confirmed."
        ) from error


def write_stdout(data: bytes) -> None:
    """Writes to the stdout of the process. Raises what :func:`write_all` raises."""
    write_all(_stdout(), data)


def check_stdout() -> None:
    """Raises :class:`OutputError` if stdout is closed or cannot be written to. Writes nothing."""
    try:
        _stdout().write(b"")
    except OSError as error:
        raise _no_output(error) from error


def _stdout() -> FileIO:
    try:
        return FileIO(STDOUT, "wb", closefd=False)
    except OSError as error:
        raise _no_output(error) from error


def _no_output(error: OSError) -> OutputError:
    return OutputError(
        f"Cannot write to stdout: {error.strerror}. Redirect it to a file, or pipe it to a target."
    )
