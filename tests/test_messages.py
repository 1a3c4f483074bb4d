"""Writing Singer messages to stdout."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable
from functools import partial
from io import FileIO

import pytest
from typing_extensions import Buffer

from tap_klaviyo.errors import OutputError
from tap_klaviyo.messages import Writer, write_all

TIMEOUT = 10.0


class PartialOutput(io.BytesIO):
    """An output that accepts a few bytes per write, like a full pipe."""

    def write(self, data: Buffer) -> int:
        """Accepts at most seven bytes."""
        return super().write(memoryview(data)[:7])


class ClosedOutput(io.BytesIO):
    """An output whose reader has closed the pipe."""

    def write(self, data: object) -> int:
        """Raises BrokenPipeError."""
        raise BrokenPipeError


def test_schema() -> None:
    """A SCHEMA message has the stream's name, schema, keys and replication keys."""
    out = io.BytesIO()
    Writer(out.write).schema("open", {"type": "object"}, ("id",), ["timestamp"])
    assert json.loads(out.getvalue()) == {
        "type": "SCHEMA",
        "stream": "open",
        "schema": {"type": "object"},
        "key_properties": ["id"],
        "bookmark_properties": ["timestamp"],
    }


def test_state() -> None:
    """A STATE message has its value, with any Unicode text."""
    out = io.BytesIO()
    Writer(out.write).state({"bookmarks": {"ö\n": {"timestamp": 1}}})
    assert json.loads(out.getvalue())["value"] == {"bookmarks": {"ö\n": {"timestamp": 1}}}


def test_lines() -> None:
    """Each message is one complete line; records are written unchanged."""
    out = PartialOutput()
    writer = Writer(partial(write_all, out))
    writes: list[Callable[[], None]] = [
        lambda: writer.schema("open", {}, ["id"], []),
        lambda: writer.records(b'{"type":"RECORD"}\n{"type":"RECORD"}\n'),
        lambda: writer.state({}),
    ]
    for write in writes:
        write()
        assert out.getvalue().endswith(b"\n")
    lines = out.getvalue().splitlines()
    assert lines[1:3] == [b'{"type":"RECORD"}'] * 2


class NonBlockingPipe(FileIO):
    """The write end of a non-blocking pipe; counts the writes that accepted nothing."""

    def __init__(self, number: int) -> None:
        os.set_blocking(number, False)
        super().__init__(number, "wb")
        self.refused = 0
        self.full = threading.Event()

    def write(self, data: Buffer) -> int:
        """Writes, and returns None if the pipe is full."""
        accepted: int | None = super().write(data)
        if accepted is None:
            self.refused += 1
            self.full.set()
        return accepted  # type: ignore[return-value]  # raw files return None


def test_a_pipe_that_does_not_wait() -> None:
    """The writer waits for a full non-blocking pipe without giving up or polling."""
    line = b"x" * 2_000_000 + b"\n"
    source, sink = os.pipe()
    pieces: list[bytes] = []
    with NonBlockingPipe(sink) as out:

        def read() -> None:
            out.full.wait(TIMEOUT)
            while piece := os.read(source, 2**16):
                pieces.append(piece)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        write_all(out, line)
    reader.join(TIMEOUT)
    os.close(source)
    assert b"".join(pieces) == line
    assert 0 < out.refused <= len(pieces) + 1


def test_a_full_pipe_that_is_closed() -> None:
    """A target that exits while its pipe is full raises BrokenPipeError."""
    source, sink = os.pipe()
    with NonBlockingPipe(sink) as out:

        def close() -> None:
            out.full.wait(TIMEOUT)
            os.close(source)

        threading.Thread(target=close, daemon=True).start()
        with pytest.raises(BrokenPipeError):
            write_all(out, b"x" * 2_000_000)


def test_closed_pipe() -> None:
    """A target that has exited raises BrokenPipeError."""
    with pytest.raises(BrokenPipeError):
        write_all(ClosedOutput(), b"{}\n")


def test_full_disk() -> None:
    """A full disk raises OutputError with the reason."""
    with open("/dev/full", "wb", buffering=0) as out, pytest.raises(OutputError) as caught:
        write_all(out, b"{}\n")
    assert str(caught.value).startswith("Cannot write to stdout: No space left on device.")
