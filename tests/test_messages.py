"""Singer messages as bytes on stdout."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from typing_extensions import Buffer

from tap_klaviyo.errors import TapError
from tap_klaviyo.messages import Writer


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
    out = io.BytesIO()
    Writer(out).state({"bookmarks": {"ö\n": {"timestamp": 1}}})
    assert json.loads(out.getvalue())["value"] == {"bookmarks": {"ö\n": {"timestamp": 1}}}


def test_lines() -> None:
    """Each message is one line and goes out whole, records byte for byte as they are."""
    out = Hesitant()
    writer = Writer(out)
    writes: list[Callable[[], None]] = [
        lambda: writer.schema("open", {}, ["id"], []),
        lambda: writer.records(b'{"type":"RECORD"}\n{"type":"RECORD"}\n'),
        lambda: writer.state({}),
        lambda: writer.text("{\n}"),
    ]
    for write in writes:
        write()
        assert out.getvalue().endswith(b"\n")
    lines = out.getvalue().splitlines()
    assert lines[1:3] == [b'{"type":"RECORD"}'] * 2
    assert lines[-2:] == [b"{", b"}"]


def test_closed_pipe() -> None:
    """A target that has gone is told to the caller."""
    with pytest.raises(BrokenPipeError):
        Writer(Closed()).state({})


def test_full_disk() -> None:
    """An output that takes nothing more ends the run with a line that says so."""
    with open("/dev/full", "wb", buffering=0) as out, pytest.raises(TapError) as fault:
        Writer(out).state({})
    assert str(fault.value).startswith("Cannot write to stdout: No space left on device.")
