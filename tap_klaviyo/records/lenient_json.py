"""Reads JSON that strict parsers refuse, and cleans text that targets cannot store. Pure."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from msgspec import Raw

LONGEST_INTEGER = 400
"""Digits above which a number stays text: Python limits the conversion of long integers."""

_SURROGATES = re.compile("[\ud800-\udfff]+")


def loads(body: bytes) -> Any:
    """Decodes JSON with invalid UTF-8, raw control characters, huge numbers, NaN or a BOM.

    A number that no Python number holds becomes :class:`msgspec.Raw`. Raises ValueError.
    """
    return json.loads(
        body.decode("utf-8-sig", errors="replace"),
        strict=False,
        parse_int=_integer,
        parse_float=_float,
        parse_constant=lambda name: math.nan,
    )


def cleaned(value: Any, warnings: Counter[str]) -> Any:
    """The value without NUL characters, lone surrogates and numbers that JSON cannot hold.

    Each change is counted in ``warnings``.
    """
    if isinstance(value, str):
        return _cleaned_text(value, warnings)
    if isinstance(value, dict):
        return {
            _cleaned_text(key, warnings): cleaned(child, warnings) for key, child in value.items()
        }
    if isinstance(value, list):
        return [cleaned(item, warnings) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        warnings["number beyond what JSON can hold: null written"] += 1
        return None
    return value


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) < LONGEST_INTEGER else Raw(digits.encode())


def _float(digits: str) -> Any:
    number = float(digits)
    return number if math.isfinite(number) else Raw(digits.encode())


def _cleaned_text(text: str, warnings: Counter[str]) -> str:
    if "\0" in text:
        warnings["NUL character removed from text"] += 1
        text = text.replace("\0", "")
    if not text.isascii() and not _is_encodable(text):
        warnings["lone surrogate in text: replaced by U+FFFD"] += 1
        text = _SURROGATES.sub(_joined, text)
    return text


def _joined(surrogates: re.Match[str]) -> str:
    """Halves of one character, which may have been two escapes, joined; U+FFFD for others."""
    return surrogates[0].encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
