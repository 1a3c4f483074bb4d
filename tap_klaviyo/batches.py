"""BATCH messages: the records of a stream in files, which a target loads at once.

The convention is that of Meltano's Singer SDK, https://sdk.meltano.com/en/latest/batch.html. A file
holds one record a line, without the envelope of RECORD messages. A BATCH message names it.

A file has its name only when it is complete (:mod:`batch_storage`), and its BATCH message is
written after that. So a target never reads a part of a file, and the files of a killed run are
never named.

A STATE must not cover records that no message has named. So while a stream has a file that is not
named, STATE messages hold the bookmark that the stream had when the file was begun: all its records
up to there are in named files.

A file is named when it has ``batch_size`` records, when its stream is complete, and at the end of
the run, also of one that is stopped. Memory holds no records: they are compressed into the file
page by page.
"""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from tap_klaviyo.batch_storage import PartialFile, open_storage
from tap_klaviyo.errors import OutputError
from tap_klaviyo.messages import Writer

COMPRESSION_LEVEL = 1
"""Level of gzip: a higher one takes more time than reading the account."""

EXTENSIONS = {"gzip": ".jsonl.gz", "none": ".jsonl"}
"""What the names of files end with, by compression."""


@dataclass(frozen=True)
class BatchOptions:
    """The setting ``batch_config``. ``root`` is the URL of a folder."""

    root: str
    prefix: str = ""
    compression: str = "gzip"
    batch_size: int = 20_000

    @property
    def encoding(self) -> Mapping[str, str]:
        """The encoding as a BATCH message has it."""
        return {"format": "jsonl", "compression": self.compression}


@dataclass
class _OpenFile:
    """A file that is not named yet. ``bookmark`` is that of its stream when it was begun."""

    partial: PartialFile
    lines: IO[bytes]
    bookmark: Mapping[str, Any] | None
    records: int = 0


@dataclass
class Batches:
    """The files of one run. Raises :class:`ConfigError` if the folder cannot be written to."""

    options: BatchOptions
    writer: Writer
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self._open: dict[str, _OpenFile] = {}
        self._named = 0
        self._storage = open_storage(self.options.root)

    def add(
        self,
        stream: str,
        lines: bytes,
        count: int,
        bookmark: Callable[[], Mapping[str, Any] | None],
    ) -> None:
        """Adds ``count`` records as ``lines``; ``bookmark`` is that of the stream before them."""
        if not count:
            return
        try:
            if stream not in self._open:
                self._open[stream] = self._begin(stream, bookmark())
            file = self._open[stream]
            file.lines.write(lines)
        except OSError as error:
            raise _cannot_write(error) from error
        file.records += count
        if file.records >= self.options.batch_size:
            self.name(stream)

    def name(self, stream: str) -> None:
        """Completes the file of a stream, if it has one, and writes its BATCH message."""
        file = self._open.get(stream)
        if file is None:
            return
        try:
            if file.lines is not file.partial.file:
                file.lines.close()
            url = self._storage.complete(file.partial)
        except OSError as error:
            raise _cannot_write(error) from error
        self.writer.batch(stream, self.options.encoding, [url])
        del self._open[stream]

    def name_all(self) -> None:
        """Completes all files; after an error of the output it removes them instead."""
        for stream in [*self._open]:
            if self.writer.error is None:
                self.name(stream)
            else:
                self._discard(self._open.pop(stream))

    def held_bookmarks(self) -> Mapping[str, Mapping[str, Any] | None]:
        """The bookmarks of STATE messages, by stream, for streams with a file without a name."""
        return {stream: file.bookmark for stream, file in self._open.items()}

    def _begin(self, stream: str, bookmark: Mapping[str, Any] | None) -> _OpenFile:
        self._named += 1
        extension = EXTENSIONS[self.options.compression]
        name = f"{self.options.prefix}{stream}-{self.run_id}-{self._named:06}{extension}"
        partial = self._storage.begin(name)
        lines: IO[bytes] = partial.file
        if self.options.compression == "gzip":
            lines = gzip.GzipFile("", "wb", COMPRESSION_LEVEL, partial.file, mtime=0)  # type: ignore[assignment]
        return _OpenFile(partial, lines, bookmark)

    def _discard(self, file: _OpenFile) -> None:
        with suppress(OSError):
            self._storage.discard(file.partial)


def _cannot_write(error: OSError) -> OutputError:
    return OutputError(
        f"Cannot write a batch file: {error.strerror or error}. Make room and run again with the "
        "last state that the target confirmed."
    )
