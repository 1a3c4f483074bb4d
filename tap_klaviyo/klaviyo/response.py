"""The body of a response: compressed or not, and never larger than memory allows."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO

from tap_klaviyo.errors import ApiError

try:
    from isal.igzip import IGzipFile as GzipFile
    from isal.isal_zlib import error as _isal_error
except ImportError:  # There is no wheel for this machine. The standard library is slower.
    from gzip import GzipFile  # type: ignore[assignment]
    from zlib import error as _isal_error  # type: ignore[assignment]

MAX_BODY = 2**24
"""The most bytes of a body, compressed and decompressed: 16 MiB.

A real page of 1,000 events has 3 MB. Klaviyo allows 5 MB for one event, so a page of one event is
always below this size, and larger pages are requested again with fewer records.
"""

MAX_ELEMENTS = 400_000
"""The most arrays, objects and commas of a body.

Each becomes an object of Python, which takes a hundred bytes and more. A real page of 1,000 events
has 100,000. Commas in texts count, too.
"""

_NOT_ELEMENTS = bytes(byte for byte in range(256) if byte not in b",[{")


@dataclass(frozen=True)
class Body:
    """The body of a response as it arrived."""

    raw: bytes
    gzipped: bool

    def decompressed(self) -> bytes:
        """The body without compression; it may consist of several gzip members (RFC 1952).

        Raises ValueError if it is not valid gzip, and :class:`ApiError` if it is larger than
        ``MAX_BODY`` or has more than ``MAX_ELEMENTS``; no more than that is decompressed.
        """
        data = self._decompressed() if self.gzipped else self.raw
        if len(data) > MAX_BODY:
            raise too_large(f"larger than {MAX_BODY // 2**20} MiB")
        if len(data) > MAX_ELEMENTS and len(data.translate(None, _NOT_ELEMENTS)) > MAX_ELEMENTS:
            raise too_large(f"made of more than {MAX_ELEMENTS:,} values")
        return data

    def _decompressed(self) -> bytes:
        try:
            with GzipFile(fileobj=BytesIO(self.raw)) as file:  # type: ignore[no-untyped-call]
                data: bytes = file.read(MAX_BODY + 1)
        except (_isal_error, zlib.error, OSError, EOFError) as error:  # type: ignore[misc]
            raise ValueError(f"its gzip data is damaged or incomplete: {error}") from error
        if not self.raw:
            raise ValueError("its gzip data is incomplete")
        return data


def too_large(how: str) -> ApiError:
    """The error of an answer that is too large; smaller pages may be requested instead."""
    return ApiError(
        f"An answer is {how}, and a smaller page cannot be requested. Report it to Klaviyo.",
        status=200,
        is_page_size=True,
    )
