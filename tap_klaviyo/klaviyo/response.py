"""The body of a response: compressed or not, and never larger than memory allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tap_klaviyo.errors import ApiError

try:
    from isal import isal_zlib as zlib
except ImportError:  # There is no wheel for this machine. The standard library is slower.
    import zlib  # type: ignore[no-redef]

GZIP_WBITS = 31
"""zlib's window size of 32 KB with a gzip header."""

MAX_BODY = 2**26
"""The most bytes of a body, compressed and decompressed: 64 MiB.

A real page of 1,000 events has 3 MB. Klaviyo allows 5 MB for one event, so a page of ten events is
always below this size.
"""


@dataclass(frozen=True)
class Body:
    """The body of a response as it arrived."""

    raw: bytes
    gzipped: bool

    def decompressed(self) -> bytes:
        """The body without compression.

        Raises ValueError if it is not valid gzip, and :class:`ApiError` if it is larger than
        ``MAX_BODY``; no more than that is decompressed.
        """
        if not self.gzipped:
            return self.raw
        decompressor = zlib.decompressobj(wbits=GZIP_WBITS)
        try:
            data: bytes = decompressor.decompress(self.raw, MAX_BODY + 1)
        except zlib.error as error:  # type: ignore[misc]  # isal declares no type for it
            raise ValueError(str(error)) from error
        if len(data) > MAX_BODY:
            raise _too_large()
        if not decompressor.eof:
            raise ValueError("its gzip data is incomplete")
        return data


def joined(pieces: Iterable[bytes]) -> bytes:
    """A body that arrives in pieces. Raises :class:`ApiError` if it exceeds ``MAX_BODY``."""
    taken: list[bytes] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_BODY:
            raise _too_large()
        taken.append(piece)
    return b"".join(taken)


def _too_large() -> ApiError:
    return ApiError(
        f"A response is larger than {MAX_BODY // 2**20} MiB. If it is a page of events, set "
        "page_size to a smaller number; if that does not help, report it to Klaviyo.",
        status=200,
    )
