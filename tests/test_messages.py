"""Singer messages as bytes on stdout."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest

from tap_klaviyo.messages import Writer


class Recorder(io.BytesIO):
    """An output that notes how much of it was flushed."""

    flushed = 0

    def flush(self) -> None:
        """Remembers that all written so far has gone out."""
        self.flushed = self.tell()


class Closed(io.BytesIO):
    """An output whose reader has gone."""

    def write(self, data: object) -> int:
        """Fails as a pipe does."""
        raise BrokenPipeError


def test_schema() -> None:
    """A SCHEMA holds the stream's name, its schema, its keys and its replication keys."""
    out = Recorder()
    Writer(out).schema("open", {"type": "object"}, ("id",), ["timestamp"])
    assert json.loads(out.getvalue()) == {
        "type": "SCHEMA",
        "stream": "open",
        "schema": {"type": "object"},
        "key_properties": ["id"],
        "bookmark_properties": ["timestamp"],
    }


def test_state() -> None:
    """A STATE holds its value, texts of any language included."""
    out = Recorder()
    Writer(out).state({"bookmarks": {"ö\n": {"timestamp": 1}}})
    assert json.loads(out.getvalue())["value"] == {"bookmarks": {"ö\n": {"timestamp": 1}}}


def test_lines_and_flushes() -> None:
    """Each message is one line and goes out at once, records byte for byte as they are."""
    out = Recorder()
    writer = Writer(out)
    writes: list[Callable[[], None]] = [
        lambda: writer.schema("open", {}, ["id"], []),
        lambda: writer.records(b'{"type":"RECORD"}\n{"type":"RECORD"}\n'),
        lambda: writer.state({}),
        lambda: writer.text("{\n}"),
    ]
    for write in writes:
        write()
        assert out.flushed == len(out.getvalue())
        assert out.getvalue().endswith(b"\n")
    lines = out.getvalue().splitlines()
    assert lines[1:3] == [b'{"type":"RECORD"}'] * 2
    assert lines[-2:] == [b"{", b"}"]


def test_closed_pipe() -> None:
    """A target that has gone is told to the caller."""
    with pytest.raises(BrokenPipeError):
        Writer(Closed()).state({})
