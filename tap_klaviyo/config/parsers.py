"""Parsers of single settings: a value as a user writes it in, the value that the tap uses out.

A parser raises one of :data:`PARSE_ERRORS` for a value that it cannot accept. The message of a
:class:`ValueRefused` is shown to the user, so it holds no secret; other messages are not shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import Any, TypeAlias, TypeVar

import msgspec
import pendulum

from tap_klaviyo.dates import parse_utc
from tap_klaviyo.errors import did_you_mean
from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.klaviyo.urls import origin
from tap_klaviyo.logs import LONGEST_NAME, quoted
from tap_klaviyo.reports.options import ReportOptions
from tap_klaviyo.streams import BY_NAME, REGISTRIES, STREAMS
from tap_klaviyo.streams.events import any_events
from tap_klaviyo.streams.model import Stream

Entry = TypeVar("Entry")
Value = TypeVar("Value")

Intervals: TypeAlias = Mapping[str, timedelta]
"""Durations by pattern of stream names, such as ``list*``."""

PARSE_ERRORS = (ValueError, OverflowError, TypeError, LookupError, AttributeError, RecursionError)

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_STREAM_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_METRIC_KEYS = ("metric", "integration")
_MSGSPEC_PLACE = re.compile(r"(.*) - at `\$\.?(.*)`")
_LONGEST_DURATION = 10 * 365 * 86_400
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}/\d{4}", re.ASCII)
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


def client_id(value: Any) -> str:
    """The ID of an OAuth app, which is sent by HTTP Basic: one word of ASCII without a colon."""
    parsed = header(value)
    if " " in parsed or ":" in parsed:
        raise ValueError(value)
    return parsed


def account_id(value: Any) -> str:
    """The ID of a Klaviyo account: letters and digits. A private API key is none."""
    parsed = text(value)
    if not re.fullmatch("[A-Za-z0-9]{1,32}", parsed):
        raise ValueError(value)
    return parsed


def date(value: Any) -> datetime:
    """A UTC time from RFC 3339, an ISO date, or MM/DD/YYYY."""
    parsed = text(value)
    if is_us_date(parsed):
        month, day, year = map(int, parsed.split("/"))
        return datetime(year, month, day, tzinfo=timezone.utc)
    return parse_utc(parsed)


def is_day(value: Any) -> bool:
    """Whether a date is written without a time."""
    return isinstance(value, str) and bool(_DAY.fullmatch(_EDGES.sub("", value)))


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


def intervals(value: Any) -> Intervals:
    """Durations by pattern of stream names, sorted; one duration holds for all streams."""
    is_object = isinstance(value, dict) or (isinstance(value, str) and "{" in value)
    if not is_object:
        return {"*": duration(value)}
    written = {pattern: one for pattern, one in json_object(value).items() if one is not None}
    return dict(sorted(_entries(written, _interval).items()))


def _interval(pattern: str, written: Any) -> timedelta:
    tables = {
        stream.name: stream
        for registry in REGISTRIES.values()
        for stream in registry.streams
        if "FULL_TABLE" in stream.replication_methods
    }
    if not any(fnmatchcase(name, pattern) for name in tables):
        raise ValueRefused(f"no stream of this name is a full table{did_you_mean(pattern, tables)}")
    return _expected(written, duration, DURATION.format("P1D"))


def choice(*values: str) -> Callable[[Any], str]:
    """A parser of one of ``values``."""

    def parse(value: Any) -> str:
        if value not in values:
            raise ValueError(value)
        return str(value)

    return parse


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
    return tuple(_entries(value, _metric_stream).values())


def reports(value: Any) -> dict[str, ReportOptions]:
    """Options of reports by the name that the user gives each report."""
    return _entries(value, lambda _, written: _report(written))


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


def json_object(value: Any) -> dict[str, Any]:
    """An object, or its JSON text, since environment variables hold only text."""
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueRefused(f"it is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise ValueRefused(f"it is {_shown(parsed)}")
    return parsed


def _entries(value: Any, parse: Callable[[str, Any], Entry]) -> dict[str, Entry]:
    """What ``parse`` makes of each name and value of an object.

    All that it refuses is one :class:`ValueRefused`.
    """
    entries: dict[str, Entry] = {}
    refused: list[str] = []
    for name, written in json_object(value).items():
        try:
            entries[name] = parse(name, written)
        except ValueRefused as error:
            refused.append(f"{name[:LONGEST_NAME]}: {error}")
    if refused:
        raise ValueRefused("; ".join(refused))
    return entries


def known_options(written: Any, known: Collection[str]) -> dict[str, Any]:
    """An object with ``known`` keys only; null is the same as an absent key."""
    if not isinstance(written, dict):
        raise ValueRefused(f"expected an object, not {_shown(written)}")
    unknown = [f"{quoted(key)}{did_you_mean(key, known)}" for key in written if key not in known]
    if unknown:
        raise ValueRefused(f"unknown key {', '.join(unknown)}; known are {', '.join(known)}")
    return {key: value for key, value in written.items() if value is not None}


def option(key: str, value: Any, parse: Callable[[Any], Value], expected: str) -> Value:
    """The parsed value of one key of an object."""
    try:
        return _expected(value, parse, expected)
    except ValueRefused as error:
        raise ValueRefused(f"{key}: {error}") from None


def _expected(value: Any, parse: Callable[[Any], Value], expected: str) -> Value:
    """The parsed value; raises :class:`ValueRefused` that says what is expected."""
    try:
        return parse(value)
    except PARSE_ERRORS as error:
        reason = f" ({error})" if isinstance(error, ValueRefused) else ""
        raise ValueRefused(f"expected {expected}, not {_shown(value)}{reason}") from None


def _metric_stream(name: str, written: Any) -> Stream:
    if not _STREAM_NAME.fullmatch(name):
        raise ValueRefused(
            "not a name of a stream: lower-case letters, digits and underscores, a letter first"
        )
    if name in BY_NAME:
        raise ValueRefused("this tap has a stream of that name; choose another one")
    options = known_options(
        {"metric": written} if isinstance(written, str) else written, _METRIC_KEYS
    )
    metric = option("metric", options.get("metric"), metric_name, "the name or ID of a metric")
    integration = ""
    if "integration" in options:
        expected = "the name of an integration"
        integration = option("integration", options["integration"], metric_name, expected)
    return any_events(name, metric, integration=integration)


def _report(written: Any) -> ReportOptions:
    given = known_options(written, ReportOptions.__struct_fields__)
    if "window" in given:
        expected = DURATION.format("P30D")
        given["window"] = option("window", given["window"], duration, expected)
    try:
        options = msgspec.convert(given, ReportOptions)
    except msgspec.ValidationError as error:
        raise ValueRefused(_MSGSPEC_PLACE.sub(r"\2: \1", str(error))) from None
    stream = options.stream
    report = BY_NAME[stream].report if stream in BY_NAME else None
    if not report:
        meant = did_you_mean(stream, [stream.name for stream in STREAMS if stream.report])
        raise ValueRefused(f"there is no report stream {quoted(stream)}{meant}")
    if options.interval == "hourly" and not report.series:
        raise ValueRefused(f"{stream} has no hourly rows")
    if options.conversion_metric and not report.conversion:
        raise ValueRefused(f"{stream} does not count conversions")
    if options.metrics and not report.aggregates:
        raise ValueRefused(f"{stream} is not made of metrics")
    return options


def _shown(value: Any) -> str:
    """A wrong value as JSON, cut."""
    return json.dumps(value)[:LONGEST_NAME]
