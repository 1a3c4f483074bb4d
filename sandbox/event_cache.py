"""Events as they were written, for a sandbox that is to answer faster than Python can write.

Millions of events are too many to keep an object for each. What was written together stays together
in one chunk of bytes, and three numbers say where in it an event stands.
"""

from array import array
from collections.abc import Callable, Sequence

from sandbox.events import positions_of

_NOWHERE = -1


class Kept:
    """Writes events with `write`, which takes rows of a selection, and each of them only once."""

    def __init__(self, write: Callable[[Sequence[int]], list[bytes]], size: int) -> None:
        self._write = write
        self._chunks: list[memoryview] = []
        self._chunk = array("i", [_NOWHERE]) * size
        self._start, self._end = array("i", [0]) * size, array("i", [0]) * size

    def events(self, rows: Sequence[int]) -> list[memoryview]:
        """The events of these rows."""
        positions = positions_of(rows)
        missing = [
            row
            for row, position in zip(rows, positions, strict=True)
            if self._chunk[position] == _NOWHERE
        ]
        if missing:
            self._keep(missing)
        chunks, chunk, start, end = self._chunks, self._chunk, self._start, self._end
        return [chunks[chunk[at]][start[at] : end[at]] for at in positions]

    def _keep(self, rows: Sequence[int]) -> None:
        written = self._write(rows)
        upto = 0
        for at, event in zip(positions_of(rows), written, strict=True):
            self._chunk[at] = len(self._chunks)
            self._start[at], self._end[at] = upto, upto + len(event)
            upto += len(event)
        self._chunks.append(memoryview(b"".join(written)))
