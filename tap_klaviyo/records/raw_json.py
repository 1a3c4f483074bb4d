"""Checks whether raw JSON slices can be copied verbatim, and reads JSON leniently where not."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections import Counter
from typing import Any

from msgspec import Raw


def is_clean(body: bytes) -> bool:
    """Whether slices of the page may be copied as they are."""
    return b"\n" not in body and b"\r" not in body and not _has_nul(body) and _is_utf8(body)


_NUL = re.compile(rb"\\u0000")


_FEW = 4096
"""Escapes that are found faster one by one than by a search for the whole pattern."""


def _has_nul(body: bytes) -> bool:
    at = -2
    for _ in range(_FEW):
        at = body.find(b"\\", at + 2)
        if at < 0:
            return False
        if body.startswith(b"u0000", at + 1):
            return True
    return _NUL.search(body, at) is not None


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    # In pieces: as a whole, one emoji would make every character take four bytes.
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        for start in range(0, len(body), _PIECE):
            decode(body[start : start + _PIECE])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


_PIECE = 16_384
"""Bytes of which, at four a character, malloc need not ask the system for memory."""


LONGEST_NUMBER = 400


def loads(body: bytes) -> Any:
    """JSON as leniently as can be: odd bytes, raw control characters, huge numbers, a BOM."""
    return json.loads(
        body.decode("utf-8-sig", errors="replace"),
        strict=False,
        parse_int=_integer,
        parse_float=_float,
        parse_constant=lambda name: math.nan,
    )


def _integer(digits: str) -> Any:
    """The number, or its digits if they are too many for Python's liking."""
    return int(digits) if len(digits) < LONGEST_NUMBER else Raw(digits.encode())


def _float(digits: str) -> Any:
    """The number, or its digits if no float can hold it: free-form values pass on as they came."""
    number = float(digits)
    return number if math.isfinite(number) else Raw(digits.encode())


def cleansed(value: Any, notes: Counter[str]) -> Any:
    """The same value without NUL, lone surrogates and numbers that JSON cannot hold."""
    if isinstance(value, str):
        return _text(value, notes)
    if isinstance(value, dict):
        return {_text(key, notes): cleansed(child, notes) for key, child in value.items()}
    if isinstance(value, list):
        return [cleansed(item, notes) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        notes["number beyond what JSON can hold: null written"] += 1
        return None
    return value


def _text(text: str, notes: Counter[str]) -> str:
    if "\0" in text:
        notes["NUL character removed from text"] += 1
        text = text.replace("\0", "")
    if not text.isascii() and not _encodable(text):
        notes["lone surrogate in text: replaced by U+FFFD"] += 1
        # Halves of one character may have come as two escapes; joined they are whole again.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
