"""What a failed request means."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from tap_klaviyo.errors import ApiError, TapError
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.streams.model import TIERS

DEFAULT_RETRY_AFTER = 1.0
"""Seconds to wait after a 429 that does not say how long."""


LONGEST_QUOTE = 200
"""Characters of a text from outside that a message may hold."""


RETRYABLE_STATUS = frozenset({408, 500, 502, 503, 504, *range(520, 525)})


def too_long(seconds: float, longest: float, query: Query) -> TapError:
    """A quota of a day ends its own stream; whatever else asks for so long a wait ends the run."""
    daily = TIERS[query.tier].daily
    if daily is not None:
        return ApiError(
            f"Klaviyo lets {query.path} be asked {daily} times a day, and asks to wait "
            f"{seconds:.0f} s now (429). Run again then; the state keeps what is done.",
            status=429,
        )
    return TapError(
        f"Klaviyo asks to wait {seconds:.0f} s for {query.path} (429), longer than "
        f"max_retry_wait ({longest:.0f} s). Run again then; the state keeps what is done."
    )


def said_in(body: Body) -> tuple[str, str]:
    """Klaviyo's own words in the body of an error, and the parameter it blames."""
    try:
        return error_detail(body.unpacked())
    except (ValueError, ApiError):
        return "", ""


def retry_after(value: str | None, now: Callable[[], float] = time.time) -> float:
    """The seconds that a ``Retry-After`` of seconds or a date asks for."""
    if value is None:
        return DEFAULT_RETRY_AFTER
    try:
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else DEFAULT_RETRY_AFTER
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except (ValueError, TypeError, OverflowError):
        return DEFAULT_RETRY_AFTER


def reason(error: BaseException) -> str:
    """What went wrong, in one short line without addresses of objects or URLs with queries."""
    cause: Any = error
    while cause.args and isinstance(cause.args[0], BaseException):
        cause = cause.args[0]
    cause = getattr(cause, "reason", None) or cause
    text = one_line(str(cause).rsplit(">: ", 1)[-1].split("?")[0])
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place_of(url: str) -> str:
    """Where a link leads, in one short line without its query."""
    return one_line(url.split("?")[0].removeprefix("https://").removeprefix("http://"))


def one_line(text: str) -> str:
    """A text from outside, cut and in one line."""
    return " ".join(text.split())[:LONGEST_QUOTE]


def error_detail(body: bytes) -> tuple[str, str]:
    """Klaviyo's own words on an error and the parameter it blames, each empty if it has none.

    An error can also come from what stands before Klaviyo, as HTML.
    """
    try:
        first = json.loads(body)["errors"][0]
        detail = " ".join(str(first.get("detail") or first.get("title") or "").split())
        source = first.get("source") or {}
        return detail, str(source.get("parameter") or "")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "", ""
