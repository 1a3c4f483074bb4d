"""Checks whether slices of a page may be copied to the output verbatim. Pure.

Free-form values are not decoded: their bytes are copied. Three things may not pass that way: a raw
line break (one message is one line), bytes that are not UTF-8, and an escaped NUL character, which
PostgreSQL refuses.
"""

from __future__ import annotations

import codecs
import re

_ESCAPED_NUL = re.compile(rb"\\u0000")

_FEW_ESCAPES = 4096
"""Escapes up to which looking at each is faster than a search for the pattern."""

_PIECE = 16_384
"""Bytes to decode at once. As one text, a single emoji makes every character take four bytes."""


def can_copy_verbatim(page: bytes) -> bool:
    """Whether every slice of ``page`` may be copied as it is."""
    return b"\n" not in page and b"\r" not in page and not _has_escaped_nul(page) and _is_utf8(page)


def _has_escaped_nul(page: bytes) -> bool:
    at = -2
    for _ in range(_FEW_ESCAPES):
        at = page.find(b"\\", at + 2)
        if at < 0:
            return False
        if page.startswith(b"u0000", at + 1):
            return True
    return _ESCAPED_NUL.search(page, at) is not None


def _is_utf8(page: bytes) -> bool:
    if page.isascii():
        return True
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        for start in range(0, len(page), _PIECE):
            decode(page[start : start + _PIECE])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
