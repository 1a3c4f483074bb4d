"""A cache of serialized events, for benchmarks in which the sandbox must not be the bottleneck."""

from array import array
from collections.abc import Callable, Sequence

from sandbox.events import positions_of

_NOT_CACHED = -1


class EventCache:
    """Serializes each event once with `write`, which takes rows of a selection.

    An object per event would take too much memory for millions of events. Events that were
    serialized together share one chunk of bytes; three arrays hold each event's chunk, start and
    end. `size` is the number of events in the log.
    """

    def __init__(self, write: Callable[[Sequence[int]], list[bytes]], size: int) -> None:
        self._write = write
        self._chunks: list[memoryview] = []
        self._chunk = array("i", [_NOT_CACHED]) * size
        self._start, self._end = array("i", [0]) * size, array("i", [0]) * size

    def events(self, rows: Sequence[int]) -> list[memoryview]:
        """The serialized events of these rows."""
        positions = positions_of(rows)
        missing = [
            row
            for row, position in zip(rows, positions, strict=True)
            if self._chunk[position] == _NOT_CACHED
        ]
        if missing:
            self._add(missing)
        chunks, chunk, start, end = self._chunks, self._chunk, self._start, self._end
        return [chunks[chunk[at]][start[at] : end[at]] for at in positions]

    def _add(self, rows: Sequence[int]) -> None:
        serialized = self._write(rows)
        offset = 0
        for position, event in zip(positions_of(rows), serialized, strict=True):
            self._chunk[position] = len(self._chunks)
            self._start[position], self._end[position] = offset, offset + len(event)
            offset += len(event)
        self._chunks.append(memoryview(b"".join(serialized)))
