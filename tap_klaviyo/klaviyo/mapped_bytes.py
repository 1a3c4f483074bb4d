"""Bytes outside of the heap, whose memory the system gets back as soon as they are dropped.

glibc keeps what large objects have used, in each of the heaps that it gives to threads. Many
threads that have each received a large answer once would hold all that memory for good.
"""

from __future__ import annotations

import mmap

BLOCK = 2**18
"""Bytes that are mapped at once: 256 KiB. A usual page takes one or two blocks."""


class MappedBytes:
    """Bytes that are received piece by piece. One thread appends to them."""

    def __init__(self) -> None:
        self._blocks: list[mmap.mmap] = []
        self._size = 0

    def append(self, piece: bytes) -> None:
        """Adds a copy of ``piece``. Raises OSError if the system has no memory for it."""
        rest = memoryview(piece)
        while rest:
            used = self._size % BLOCK
            if not used:
                self._blocks.append(mmap.mmap(-1, BLOCK, flags=mmap.MAP_PRIVATE))
            count = self._blocks[-1].write(rest[: BLOCK - used])
            self._size += count
            rest = rest[count:]

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        blocks = [memoryview(block) for block in self._blocks]
        if blocks:
            blocks[-1] = blocks[-1][: (self._size - 1) % BLOCK + 1]
        return b"".join(blocks)
