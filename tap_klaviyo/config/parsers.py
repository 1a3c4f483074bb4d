"""Parsers of single settings: a value as a user writes it in, the value that the tap uses out.

A parser raises one of :data:`PARSE_ERRORS` for a value that it cannot accept. The message of a
:class:`ValueRefused` is shown to the user, so it holds no secret; other messages are not shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pendulum

from tap_klaviyo.dates import parse_utc
from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.klaviyo.urls import origin
from tap_klaviyo.reports.options import ReportOptions
from tap_klaviyo.streams import BY_NAME
from tap_klaviyo.streams.events import any_events
from tap_klaviyo.streams.model import Stream

PARSE_ERRORS = (ValueError, OverflowError, TypeError, LookupError, AttributeError, RecursionError)

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_STREAM_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_METRIC_STREAM_KEYS = {"metric", "integration"}
_LONGEST_DURATION = 10 * 365 * 86_400
_US_DATE = re.compile(r"\d{1,2}/\d{1,2}/\d{4}", re.ASCII)
_NEGATIVE_DURATION = re.compile(r"-|P[^/]*-", re.IGNORECASE)
_EDGES = re.compile(r"^[\s\ufeff\u200b]+|[\s\ufeff\u200b]+$")
"""Blanks, line ends and characters without a width that copying a text may add to it."""


DURATION = "an ISO 8601 duration such as {}, or seconds"
"""What is expected of each duration, with an example."""


class ValueRefused(ValueError):
    """A setting has a value that cannot work; the message says why and is shown to the user."""


def text(value: Any) -> str:
    """Printable text that is not empty, without surrounding blanks and line ends."""
    parsed = _EDGES.sub("", value) if isinstance(value, str) else ""
    if not parsed or not parsed.isprintable():
        raise ValueError(value)
    return parsed


def metric_name(value: Any) -> str:
    """Text in which any blanks, also those that are not printable, are one blank each."""
    return text(" ".join(value.split()) if isinstance(value, str) else value)


def header(value: Any) -> str:
    """Text that can be sent as an HTTP header: ASCII only."""
    parsed = text(value)
    if not parsed.isascii():
        raise ValueError(value)
    return parsed


def secret(value: Any) -> Secret:
    """A secret that is sent in a header: one word of ASCII."""
    parsed = header(value)
    if " " in parsed:
        raise ValueError(value)
    return Secret(parsed)


def date(value: Any) -> datetime:
    """A UTC time from RFC 3339, an ISO date, or MM/DD/YYYY."""
    parsed = text(value)
    if is_us_date(parsed):
        month, day, year = map(int, parsed.split("/"))
        return datetime(year, month, day, tzinfo=timezone.utc)
    return parse_utc(parsed)


def is_us_date(value: Any) -> bool:
    """Whether a date is written as MM/DD/YYYY."""
    return isinstance(value, str) and bool(_US_DATE.fullmatch(_EDGES.sub("", value)))


def duration(value: Any) -> timedelta:
    """A :data:`DURATION`, zero or more, at most ten years; a month has 30 days, a year 365."""
    written = text(value) if isinstance(value, str) else value
    if isinstance(written, str) and _NEGATIVE_DURATION.match(written):
        raise ValueRefused("it is negative")
    if isinstance(written, str) and written.upper().startswith("P"):
        parsed: Any = pendulum.parse(written.upper())
        if not isinstance(parsed, timedelta) or not re.search(r"\d", written):
            raise ValueError(value)
        seconds = parsed.total_seconds()
    else:
        seconds = _number(written)
    if seconds < 0:
        raise ValueRefused("it is negative")
    if seconds > _LONGEST_DURATION:
        raise ValueRefused("it is more than ten years")
    return timedelta(seconds=seconds)


def integer(low: int, high: int) -> Callable[[Any], int]:
    """A parser of whole numbers from ``low`` to ``high``."""

    def parse(value: Any) -> int:
        number = _number(value)
        if not number.is_integer() or not low <= number <= high:
            raise ValueError(value)
        return int(number)

    return parse


def number_up_to(high: float) -> Callable[[Any], float]:
    """A parser of numbers above 0 and at most ``high``."""

    def parse(value: Any) -> float:
        number = _number(value)
        if not 0 < number <= high:
            raise ValueError(value)
        return number

    return parse


def boolean(value: Any) -> bool:
    """True or false, also as text."""
    known = {"true": True, "false": False}
    return value if isinstance(value, bool) else known[text(value).lower()]


def metric_streams(value: Any) -> tuple[Stream, ...]:
    """Event streams by name, each of a metric that the user names."""
    return tuple(_metric_stream(name, metric) for name, metric in _object(value).items())


def reports(value: Any) -> dict[str, ReportOptions]:
    """Options of reports by the name that the user gives each report."""
    parsed = msgspec.convert(_object(value), dict[str, ReportOptions])
    for name, options in parsed.items():
        report = options.stream in BY_NAME and BY_NAME[options.stream].report
        if not report:
            raise ValueRefused(f"{name}: there is no report stream '{options.stream}'")
        if options.interval == "hourly" and not report.series:
            raise ValueRefused(f"{name}: {options.stream} has no hourly rows")
        if options.conversion_metric and not report.conversion:
            raise ValueRefused(f"{name}: {options.stream} does not count conversions")
        if options.metrics and not report.aggregates:
            raise ValueRefused(f"{name}: {options.stream} is not made of metrics")
    return parsed


def revision(value: Any) -> str:
    """A revision of Klaviyo's API: a date, perhaps with a suffix such as ``.pre``."""
    parsed = text(value)
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?", parsed, re.ASCII):
        raise ValueError(value)
    return parsed


def base_url(value: Any) -> str:
    """An https origin, or an http origin on the loopback interface; without a trailing slash."""
    url = text(value).rstrip("/")
    parsed = origin(url + "/")
    if parsed is None or url.count("/") != 2:
        raise ValueError(value)
    scheme, host, _ = parsed
    if scheme != "https" and host not in _LOOPBACK_HOSTS:
        raise ValueError(value)
    return url


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    return float(value)


def _object(value: Any) -> dict[str, Any]:
    """An object, or its JSON text, since environment variables hold only text."""
    parsed = json.loads(value) if isinstance(value, str) else value
    if not isinstance(parsed, dict):
        raise ValueError(value)
    return parsed


def _metric_stream(name: str, written: Any) -> Stream:
    options = {"metric": written} if isinstance(written, str) else _object(written)
    if not _STREAM_NAME.fullmatch(name) or name in BY_NAME or options.keys() - _METRIC_STREAM_KEYS:
        raise ValueError(name)
    integration = options.get("integration")
    owner = "" if integration is None else metric_name(integration)
    return any_events(name, metric_name(options["metric"]), integration=owner)
