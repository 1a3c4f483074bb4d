"""Parsers of single settings."""

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

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


STREAM_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


METRIC_CHOICE = {"metric", "integration"}


FAULTS = (ValueError, OverflowError, TypeError, LookupError, AttributeError, RecursionError)
"""What a parser may raise for what a user wrote."""


class Misuse(ValueError):
    """A value that makes no sense; the message says why, and holds nothing secret."""


def secret(value: Any) -> Secret:
    """A secret that can be sent in a header."""
    text = header(value)
    if " " in text:
        raise ValueError(value)
    return Secret(text)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(value)
    return value.strip()


def header(value: Any) -> str:
    """Text that can be sent in a header."""
    text = _text(value)
    if not text.isascii():
        raise ValueError(value)
    return text


def time(value: Any) -> datetime:
    """A date or time in UTC."""
    text = _text(value)
    if re.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}", text, re.ASCII):
        month, day, year = map(int, text.split("/"))
        return datetime(year, month, day, tzinfo=timezone.utc)
    return parse_utc(text)


def duration(value: Any) -> timedelta:
    """A duration of zero or more."""
    if isinstance(value, str) and value.upper().startswith("P"):
        parsed: Any = pendulum.parse(value.upper())
        if not isinstance(parsed, timedelta):
            raise ValueError(value)
        seconds = parsed.total_seconds()
    else:
        seconds = _number(value)
    if not 0 <= seconds <= 10 * 365 * 86_400:
        raise ValueError(value)
    return timedelta(seconds=seconds)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    return float(value)


def integer(low: int, high: int) -> Callable[[Any], int]:
    """A parser of whole numbers in a range."""

    def parse(value: Any) -> int:
        number = _number(value)
        if not number.is_integer() or not low <= number <= high:
            raise ValueError(value)
        return int(number)

    return parse


def timeout(value: Any) -> float:
    """Seconds above 0."""
    seconds = _number(value)
    if not 0 < seconds <= 86_400:
        raise ValueError(value)
    return seconds


def share(value: Any) -> float:
    """A number above 0, at most 1."""
    share = _number(value)
    if not 0 < share <= 1:
        raise ValueError(value)
    return share


def switch(value: Any) -> bool:
    """True or false."""
    known = {"true": True, "false": False}
    return value if isinstance(value, bool) else known[_text(value).lower()]


def _table(value: Any) -> dict[str, Any]:
    """An object, or the text of one: the environment knows nothing but texts."""
    table = json.loads(value) if isinstance(value, str) else value
    if not isinstance(table, dict):
        raise ValueError(value)
    return table


def metric_streams(value: Any) -> tuple[Stream, ...]:
    """Streams of events, each of a metric that the user names."""
    return tuple(_metric_stream(name, choice) for name, choice in _table(value).items())


def _metric_stream(name: str, choice: Any) -> Stream:
    chosen = {"metric": choice} if isinstance(choice, str) else _table(choice)
    if not STREAM_NAME.fullmatch(name) or name in BY_NAME or chosen.keys() - METRIC_CHOICE:
        raise ValueError(name)
    integration = chosen.get("integration")
    owner = "" if integration is None else _text(integration)
    return any_events(name, _text(chosen["metric"]), integration=owner)


def reports(value: Any) -> dict[str, ReportOptions]:
    """Reports by the names that the user gives them, each of a stream that can be what it wants."""
    reports = msgspec.convert(_table(value), dict[str, ReportOptions])
    for name, options in reports.items():
        report = options.stream in BY_NAME and BY_NAME[options.stream].report
        if not report:
            raise Misuse(f"{name}: there is no stream '{options.stream}' of reports")
        if options.interval == "hourly" and not report.series:
            raise Misuse(f"{name}: {options.stream} has no hourly rows")
        if options.conversion_metric and not report.conversion:
            raise Misuse(f"{name}: {options.stream} counts no conversions")
        if options.metrics and not report.aggregates:
            raise Misuse(f"{name}: {options.stream} is not made of metrics")
    return reports


def revision(value: Any) -> str:
    """A revision of the API."""
    text = _text(value)
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?", text, re.ASCII):
        raise ValueError(value)
    return text


def base_url(value: Any) -> str:
    """An origin to send requests to."""
    url = _text(value).rstrip("/")
    place = origin(url + "/")
    if place is None or url.count("/") != 2:
        raise ValueError(value)
    scheme, host, _ = place
    if scheme != "https" and host not in LOOPBACK_HOSTS:
        raise ValueError(value)
    return url
