"""Singer messages: the only module that touches stdout.

Records arrive as finished lines and are written as they are, with nothing buffered in between: a
target never waits for half a page, and nothing is left to be written when a process ends.
"""

from __future__ import annotations

import select
from collections.abc import Mapping, Sequence
from io import FileIO
from typing import Any, Protocol

import msgspec

from tap_klaviyo.errors import TapError

STDOUT = 1


class Output(Protocol):
    """Something that takes bytes, perhaps not all at once, and says how many."""

    def write(self, data: memoryview, /) -> int | None:
        """The number of bytes taken; None if it takes none now and does not wait either."""

    def fileno(self) -> int:
        """The descriptor to wait for."""


class Writer:
    """Writes messages to ``out``, an unbuffered file. For one thread.

    A closed pipe raises BrokenPipeError, a full disk :class:`TapError`. A full pipe is waited for,
    even if somebody who shares it has made it one that does not wait.
    """

    def __init__(self, out: Output) -> None:
        self._out = out

    def schema(
        self,
        stream: str,
        schema: Mapping[str, Any],
        keys: Sequence[str],
        bookmarks: Sequence[str],
    ) -> None:
        """A SCHEMA message; ``bookmarks`` are the replication keys."""
        self._write(
            {
                "type": "SCHEMA",
                "stream": stream,
                "schema": schema,
                "key_properties": keys,
                "bookmark_properties": bookmarks,
            }
        )

    def records(self, lines: bytes) -> None:
        """Finished RECORD lines, each with its newline."""
        rest = memoryview(lines)
        try:
            while rest:
                taken = self._out.write(rest)
                if taken is None:
                    select.select([], [self._out], [])
                else:
                    rest = rest[taken:]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise TapError(
                f"Cannot write to stdout: {error.strerror}. Make room and run again with the last "
                "state that the target confirmed."
            ) from error

    def state(self, value: Mapping[str, Any]) -> None:
        """A STATE message; everything it speaks of has been written before."""
        self._write({"type": "STATE", "value": value})

    def activate_version(self, stream: str, version: int) -> None:
        """An ACTIVATE_VERSION message: whatever has another version is no more."""
        self._write({"type": "ACTIVATE_VERSION", "stream": stream, "version": version})

    def text(self, text: str) -> None:
        """What a mode other than sync prints, such as the catalog."""
        self.records(text.encode() + b"\n")

    def _write(self, message: Mapping[str, Any]) -> None:
        self.records(msgspec.json.encode(message) + b"\n")


def stdout() -> Writer:
    """A writer on the process's stdout."""
    return Writer(FileIO(STDOUT, "wb", closefd=False))
