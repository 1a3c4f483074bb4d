"""The body of a response: compressed or not, and never larger than memory allows."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from io import BytesIO

from tap_klaviyo.errors import ApiError
from tap_klaviyo.klaviyo.mapped_bytes import MappedBytes

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

MAX_WIDE_TEXT = 2**23
"""The most characters of a body with one beyond U+FFFF, an emoji for example.

Python then takes four bytes for each character of a text. Klaviyo's largest event has fewer.
"""

_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]")
"""The first bytes of such characters in UTF-8."""

_CONTINUATION = bytes(range(0x80, 0xC0))
"""The bytes of UTF-8 that begin no character."""

_NOT_ELEMENTS = bytes(byte for byte in range(256) if byte not in b",[{")


@dataclass(frozen=True)
class Body:
    """The body of a response, ``received`` as it arrived."""

    received: bytes | MappedBytes
    gzipped: bool

    @property
    def raw(self) -> bytes:
        """A copy of the body as it arrived."""
        return bytes(self.received)

    def decompressed(self) -> bytes:
        """The body without compression; it may consist of several gzip members (RFC 1952).

        Raises ValueError if it is not valid gzip, and :class:`ApiError` if it is larger than
        ``MAX_BODY``, has more than ``MAX_ELEMENTS`` or exceeds ``MAX_WIDE_TEXT``; no more than that
        is decompressed.
        """
        data = self._decompressed() if self.gzipped else self.raw
        if len(data) > MAX_BODY:
            raise too_large(f"larger than {MAX_BODY // 2**20} MiB")
        if len(data) > MAX_ELEMENTS and len(data.translate(None, _NOT_ELEMENTS)) > MAX_ELEMENTS:
            raise too_large(f"made of more than {MAX_ELEMENTS:,} values")
        if len(data) > MAX_WIDE_TEXT and _BEYOND_BMP.search(data) and _length(data) > MAX_WIDE_TEXT:
            raise too_large(f"longer than {MAX_WIDE_TEXT:,} characters with emojis")
        return data

    def _decompressed(self) -> bytes:
        try:
            with GzipFile(fileobj=BytesIO(self.raw)) as file:  # type: ignore[no-untyped-call]
                data: bytes = file.read(MAX_BODY + 1)
        except (_isal_error, zlib.error, OSError, EOFError) as error:  # type: ignore[misc]
            raise ValueError(f"its gzip data is damaged or incomplete: {error}") from error
        if not self.received:
            raise ValueError("its gzip data is incomplete")
        return data


def _length(utf_8: bytes) -> int:
    """The number of characters."""
    return len(utf_8.translate(None, _CONTINUATION))


def too_large(how: str) -> ApiError:
    """The error of an answer that is too large; smaller pages may be requested instead."""
    return ApiError(
        f"An answer is {how}, and a smaller page cannot be requested. Report it to Klaviyo.",
        status=200,
        is_page_size=True,
    )
