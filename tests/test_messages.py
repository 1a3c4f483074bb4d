"""Singer messages as bytes on stdout."""

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


class Hesitant(io.BytesIO):
    """An output that takes a few bytes at a time, as a full pipe does."""

    def write(self, data: Buffer) -> int:
        """Takes what it likes."""
        return super().write(memoryview(data)[:7])


class Closed(io.BytesIO):
    """An output whose reader has gone."""

    def write(self, data: object) -> int:
        """Fails as a pipe does."""
        raise BrokenPipeError


def test_schema() -> None:
    """A SCHEMA holds the stream's name, its schema, its keys and its replication keys."""
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
    """A STATE holds its value, texts of any language included."""
    out = io.BytesIO()
    Writer(out.write).state({"bookmarks": {"ö\n": {"timestamp": 1}}})
    assert json.loads(out.getvalue())["value"] == {"bookmarks": {"ö\n": {"timestamp": 1}}}


def test_lines() -> None:
    """Each message is one line and goes out whole, records byte for byte as they are."""
    out = Hesitant()
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


class Impatient(FileIO):
    """The end of a pipe that does not wait; it counts the writes of which nothing was taken."""

    def __init__(self, number: int) -> None:
        os.set_blocking(number, False)
        super().__init__(number, "wb")
        self.refused = 0
        self.full = threading.Event()

    def write(self, data: Buffer) -> int:
        """As a file does."""
        taken: int | None = super().write(data)
        if taken is None:
            self.refused += 1
            self.full.set()
        return taken  # type: ignore[return-value]  # None, as of every raw file


def test_a_pipe_that_does_not_wait() -> None:
    """A full pipe that refuses to wait is waited for, neither given up nor asked all the time."""
    line = b"x" * 2_000_000 + b"\n"
    source, sink = os.pipe()
    pieces: list[bytes] = []
    with Impatient(sink) as out:

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


def test_a_pipe_that_does_not_wait_and_is_closed() -> None:
    """A target that goes while its pipe is full is told to the caller all the same."""
    source, sink = os.pipe()
    with Impatient(sink) as out:

        def close() -> None:
            out.full.wait(TIMEOUT)
            os.close(source)

        threading.Thread(target=close, daemon=True).start()
        with pytest.raises(BrokenPipeError):
            write_all(out, b"x" * 2_000_000)


def test_closed_pipe() -> None:
    """A target that has gone is told to the caller."""
    with pytest.raises(BrokenPipeError):
        write_all(Closed(), b"{}\n")


def test_full_disk() -> None:
    """An output that takes nothing more ends the run with a line that says so."""
    with open("/dev/full", "wb", buffering=0) as out, pytest.raises(OutputError) as fault:
        write_all(out, b"{}\n")
    assert str(fault.value).startswith("Cannot write to stdout: No space left on device.")
