"""Singer messages: the only module that touches stdout.

Records arrive as finished lines and are written as they are. Each write ends with a flush, so that
a target never waits for half a page and STATE is never ahead of its records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import msgspec


class Writer:
    """Writes messages to ``out``. For one thread; a closed pipe raises BrokenPipeError."""

    def __init__(self, out: BinaryIO) -> None:
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
        self._out.write(lines)
        self._out.flush()

    def state(self, value: Mapping[str, Any]) -> None:
        """A STATE message; everything it speaks of has been written before."""
        self._write({"type": "STATE", "value": value})

    def text(self, text: str) -> None:
        """What a mode other than sync prints, such as the catalog."""
        self.records(text.encode() + b"\n")

    def _write(self, message: Mapping[str, Any]) -> None:
        self.records(msgspec.json.encode(message) + b"\n")
