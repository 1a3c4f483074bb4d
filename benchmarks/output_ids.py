"""Readers of the ids in a program's output: messages, response bodies, or files with rows."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tap_klaviyo.streams import DEFAULT_STREAMS

METRICS = {stream.name: stream.metrics for stream in DEFAULT_STREAMS if stream.metrics}
"""The event streams and the names of their metrics."""


class Record(msgspec.Struct):
    """The fields of a record that identify it."""

    id: str = ""
    email: str | None = None
    list_id: str = ""
    profile_id: str | None = None
    data: Record | None = None


TABLE_IDS: Mapping[str, Callable[[Record], str]] = {
    "global_exclusions": lambda record: record.email or "",
    "list_members": lambda record: f"{record.list_id}/{record.profile_id}",
    "lists": lambda record: record.id,
    "campaigns": lambda record: record.id,
}
"""The identifier of a record by its stream, for streams other than those of events."""


class _Message(msgspec.Struct):
    type: str
    stream: str = ""
    record: Record = msgspec.field(default_factory=Record)
    manifest: list[str] = msgspec.field(default_factory=list)


class Links(msgspec.Struct):
    """The links of a page."""

    next: str | None = None


class Page(msgspec.Struct):
    """A page of an API response."""

    data: list[Record] = msgspec.field(default_factory=list)
    links: Links = msgspec.field(default_factory=Links)


def _singer(output: Path) -> Iterator[str]:
    decode = msgspec.json.Decoder(_Message).decode
    with output.open("rb") as lines:
        for line in lines:
            message = decode(line)
            if message.type == "RECORD":
                yield _identifier(message.stream, message.record)
            elif message.type == "BATCH":
                for url in message.manifest:
                    yield from _batch(message.stream, Path(urlsplit(url).path))


def _batch(stream: str, file: Path) -> Iterator[str]:
    decode = msgspec.json.Decoder(Record).decode
    with gzip.open(file, "rb") as lines:
        for line in lines:
            yield _identifier(stream, decode(line))


def _identifier(stream: str, record: Record) -> str:
    return record.id if stream in METRICS else TABLE_IDS[stream](record)


def _airbyte(output: Path) -> Iterator[str]:
    decode = msgspec.json.Decoder(_Message).decode
    with output.open("rb") as lines:
        for line in lines:
            message = decode(line)
            if message.record.data is not None:
                yield message.record.data.id


def _bodies(output: Path) -> Iterator[str]:
    decode = msgspec.json.Decoder(Page).decode
    with output.open("rb") as lines:
        for line in lines:
            for record in decode(line).data:
                yield record.id


def _rows(output: Path) -> Iterator[str]:
    decode = msgspec.json.Decoder(Record).decode
    for name in METRICS:
        path = output.with_name(f"{name}.jsonl")
        with path.open("rb") if path.exists() else open(os.devnull, "rb") as lines:
            for line in lines:
                yield decode(line).id


OUTPUT_FORMATS: Mapping[str, Callable[[Path], Iterator[str]]] = {
    "singer": _singer,
    "airbyte": _airbyte,
    "bodies": _bodies,
    "rows": _rows,
}
"""The readers by the format of the output."""
