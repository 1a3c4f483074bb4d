"""The body of an answer, which may be packed, and must not be larger than memory allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tap_klaviyo.errors import ApiError

try:
    from isal import isal_zlib as zlib
except ImportError:  # There is no wheel for this machine. The standard library is slower.
    import zlib  # type: ignore[no-redef]


GZIP = 31
"""What zlib calls a window of 32 KB in gzip's wrapping."""


MAX_BODY = 2**26
"""The most bytes of an answer, as it comes and unpacked: 64 MiB.

A real page of 1,000 events has 3 MB, twenty times less. Klaviyo lets an event have 5 MB, so a page
of ten is below it whatever the events are, and all that a page may be could not be held anyhow.
"""


@dataclass(frozen=True)
class Body:
    """The body of an answer as it came."""

    raw: bytes
    gzipped: bool

    def unpacked(self) -> bytes:
        """The body as text in bytes.

        Raises ValueError if it is no gzip after all, :class:`ApiError` if it unpacks to more than
        ``MAX_BODY``; no more than that is ever unpacked.
        """
        if not self.gzipped:
            return self.raw
        unpacking = zlib.decompressobj(wbits=GZIP)
        try:
            text: bytes = unpacking.decompress(self.raw, MAX_BODY + 1)
        except zlib.error as error:  # type: ignore[misc]  # isal declares no type for it
            raise ValueError(str(error)) from error
        if len(text) > MAX_BODY:
            raise _too_large()
        if not unpacking.eof:
            raise ValueError("its gzip ends too early")
        return text


def joined(pieces: Iterable[bytes]) -> bytes:
    """A body that comes in pieces. Raises :class:`ApiError` once it is more than ``MAX_BODY``."""
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
        f"An answer of Klaviyo's is larger than {MAX_BODY // 2**20} MiB. If it is a page of "
        "events, set page_size to a smaller number; if that does not help, report it to Klaviyo.",
        status=200,
    )
