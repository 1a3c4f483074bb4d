"""The settings: one frozen dataclass, read from a file and the environment, checked all at once.

Each field of :class:`Config` is one setting. Its default, its parser and the sentence that tells a
user what is expected stand beside it, so ``--about``, the README's table and the error messages
speak of the same thing.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pendulum

from tap_klaviyo import __version__
from tap_klaviyo.errors import ConfigError
from tap_klaviyo.jsonapi import origin
from tap_klaviyo.kinds import ReportOptions, Stream, any_events
from tap_klaviyo.streams import BY_NAME
from tap_klaviyo.times import parse_utc

logger = logging.getLogger(__name__)

ENVIRONMENT_PREFIX = "TAP_KLAVIYO_"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
REQUIRED = object()
STREAM_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
METRIC_CHOICE = {"metric", "integration"}
FAULTS = (ValueError, OverflowError, TypeError, LookupError, AttributeError, RecursionError)
"""What a parser may raise for what a user wrote."""


class Misuse(ValueError):
    """A value that makes no sense; the message says why, and holds nothing secret."""


class Secret:
    """A value that shows itself only when asked: prints, logs and tracebacks get asterisks."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"


def _secret(value: Any) -> Secret:
    text = _header(value)
    if " " in text:
        raise ValueError(value)
    return Secret(text)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(value)
    return value.strip()


def _header(value: Any) -> str:
    text = _text(value)
    if not text.isascii():
        raise ValueError(value)
    return text


def _time(value: Any) -> datetime:
    text = _text(value)
    if re.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}", text, re.ASCII):
        month, day, year = map(int, text.split("/"))
        return datetime(year, month, day, tzinfo=timezone.utc)
    return parse_utc(text)


def _duration(value: Any) -> timedelta:
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


def _integer(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        number = _number(value)
        if not number.is_integer() or not low <= number <= high:
            raise ValueError(value)
        return int(number)

    return parse


def _timeout(value: Any) -> float:
    seconds = _number(value)
    if not 0 < seconds <= 86_400:
        raise ValueError(value)
    return seconds


def _share(value: Any) -> float:
    share = _number(value)
    if not 0 < share <= 1:
        raise ValueError(value)
    return share


def _switch(value: Any) -> bool:
    known = {"true": True, "false": False}
    return value if isinstance(value, bool) else known[_text(value).lower()]


def _table(value: Any) -> dict[str, Any]:
    """An object, or the text of one: the environment knows nothing but texts."""
    table = json.loads(value) if isinstance(value, str) else value
    if not isinstance(table, dict):
        raise ValueError(value)
    return table


def _metric_streams(value: Any) -> tuple[Stream, ...]:
    """Streams of events, each of a metric that the user names."""
    return tuple(_metric_stream(name, choice) for name, choice in _table(value).items())


def _metric_stream(name: str, choice: Any) -> Stream:
    chosen = {"metric": choice} if isinstance(choice, str) else _table(choice)
    if not STREAM_NAME.fullmatch(name) or name in BY_NAME or chosen.keys() - METRIC_CHOICE:
        raise ValueError(name)
    integration = chosen.get("integration")
    owner = "" if integration is None else _text(integration)
    return any_events(name, _text(chosen["metric"]), integration=owner)


def _reports(value: Any) -> dict[str, ReportOptions]:
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


def _revision(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?", text, re.ASCII):
        raise ValueError(value)
    return text


def _base_url(value: Any) -> str:
    url = _text(value).rstrip("/")
    place = origin(url + "/")
    if place is None or url.count("/") != 2:
        raise ValueError(value)
    scheme, host, _ = place
    if scheme != "https" and host not in LOOPBACK_HOSTS:
        raise ValueError(value)
    return url


def _setting(
    parse: Callable[[Any], Any], expected: str, description: str, default: Any = REQUIRED
) -> Any:
    """A dataclass field; ``default`` is in the form a user would write, and is parsed the same."""
    return dataclasses.field(
        metadata={
            "parse": parse,
            "expected": expected,
            "description": description,
            "default": default,
        }
    )


@dataclass(frozen=True)
class Config:
    """What the user can set. Times are UTC; durations are timedeltas of zero or more."""

    api_key: Secret = _setting(
        _secret, "a private API key such as pk_...", "Private API key of the Klaviyo account."
    )
    start_date: datetime = _setting(
        _time,
        "a date such as 2026-01-31 or 2026-01-31T00:00:00Z",
        "Where incremental streams begin (events, profiles, reports) that have no bookmark yet.",
    )
    end_date: datetime | None = _setting(
        _time,
        "a date such as 2026-01-31 or 2026-01-31T00:00:00Z",
        "Where incremental streams end; by default at the start of the run.",
        None,
    )
    lookback_window: timedelta = _setting(
        _duration,
        "an ISO 8601 duration such as PT1H, or seconds",
        "Each run reads this much before the bookmark again, for late events; 0 for none.",
        "PT1H",
    )
    sweep_window: timedelta = _setting(
        _duration,
        "an ISO 8601 duration such as P7D, or seconds",
        "How far back a sweep looks for events that came very late; 0 for no sweeps.",
        "P7D",
    )
    sweep_interval: timedelta = _setting(
        _duration,
        "an ISO 8601 duration such as P1D, or seconds",
        "The time between two sweeps; 0 for no sweeps.",
        "P1D",
    )
    page_size: int = _setting(
        _integer(1, 1000),
        "a whole number from 1 to 1000",
        "Events asked for in one request; 200 is used if Klaviyo refuses it.",
        1000,
    )
    concurrency: int = _setting(
        _integer(1, 64), "a whole number from 1 to 64", "Requests under way at once.", 32
    )
    quota_share: float = _setting(
        _share,
        "a number above 0, at most 1",
        "The part of Klaviyo's rate limits to use; less leaves room for other integrations.",
        1,
    )
    request_timeout: float = _setting(
        _timeout,
        "a number of seconds above 0",
        "The longest one request may take, in seconds.",
        300,
    )
    max_retry_wait: timedelta = _setting(
        _duration,
        "an ISO 8601 duration such as PT10M, or seconds",
        "The longest wait that Klaviyo may ask for (Retry-After); beyond it the run ends.",
        "PT10M",
    )
    activate_version: bool = _setting(
        _switch,
        "true or false",
        "Sends ACTIVATE_VERSION behind a stream that was read whole, so that a target which knows "
        "that message drops the rows that are no more.",
        False,
    )
    metric_streams: tuple[Stream, ...] = _setting(
        _metric_streams,
        'an object such as {"placed_order": {"metric": "Placed Order", "integration": "Shopify"}}, '
        "with new names of small letters, digits and underscores",
        "Streams of your own: the events of a metric by its name, by its id, or by its name and "
        "integration.",
        {},
    )
    reports: Mapping[str, ReportOptions] = _setting(
        _reports,
        'an object such as {"monthly": {"stream": "campaign_values_report", "conversion_metric": '
        '"Placed Order"}}, each with a stream and perhaps interval (hourly, daily, weekly, '
        "monthly), statistics, group_by, filter, conversion_metric, metrics, window (P30D)",
        "Reports of your own, by name; a stream of reports without any has one named default.",
        {},
    )
    user_agent: str = _setting(
        _header,
        "a text in ASCII",
        "What the tap calls itself; add a contact of yours.",
        f"tap-klaviyo/{__version__}",
    )
    revision: str = _setting(
        _revision,
        "a revision such as 2026-07-15",
        "Revision of Klaviyo's API; this tap is made for 2026-07-15.",
        "2026-07-15",
    )
    base_url: str = _setting(
        _base_url,
        "an https address without a path, or http on this machine",
        "Address of Klaviyo's API; requests go nowhere else.",
        "https://a.klaviyo.com",
    )


SETTINGS = dataclasses.fields(Config)


def own_streams(path: str | None, environment: Mapping[str, str] = os.environ) -> list[Stream]:
    """The streams that the settings add, whatever else is in them: a catalog needs no key."""
    raw = _read(path, environment)
    (setting,) = (setting for setting in SETTINGS if setting.name == "metric_streams")
    try:
        return list(_value(setting, raw.get(setting.name)))
    except FAULTS as error:
        raise ConfigError(f"config: {_expected(setting, error)}.") from None


def load(path: str | None, environment: Mapping[str, str] = os.environ) -> Config:
    """The settings of the file at ``path``, overridden by ``TAP_KLAVIYO_...`` variables.

    Raises :class:`ConfigError` with every fault found, each with its setting and what is expected.
    An unknown setting is a warning, since a newer or older tap may know it.
    """
    raw = _read(path, environment)
    for name in sorted(raw.keys() - {setting.name for setting in SETTINGS}):
        logger.warning("config: unknown setting %r is ignored.", name)
    return parse(raw)


def _read(path: str | None, environment: Mapping[str, str]) -> dict[str, Any]:
    raw = read_object(path, "config") if path else {}
    for setting in SETTINGS:
        if value := environment.get(ENVIRONMENT_PREFIX + setting.name.upper()):
            raw[setting.name] = value
    return raw


def parse(raw: Mapping[str, Any]) -> Config:
    """Settings as written by a user, checked together; :class:`ConfigError` names all faults."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for setting in SETTINGS:
        try:
            values[setting.name] = _value(setting, raw.get(setting.name))
        except FAULTS as error:
            faults.append(_expected(setting, error))
    start, end = values.get("start_date"), values.get("end_date")
    if start and end and start >= end:
        faults.append("end_date: expected a moment after start_date")
    if faults:
        raise ConfigError(f"config: {'; '.join(faults)}.")
    return Config(**values)


def _expected(setting: dataclasses.Field[Any], error: BaseException) -> str:
    """What is expected, and what is wrong if the error says so without quoting a secret."""
    told = isinstance(error, Misuse | msgspec.ValidationError)
    said = f" ({error})" if told else ""
    return f"{setting.name}: expected {setting.metadata['expected']}{said}"


def _value(setting: dataclasses.Field[Any], written: Any) -> Any:
    """The parsed value; a null or an absent setting means its default."""
    default = setting.metadata["default"]
    if written is None:
        if default is REQUIRED:
            raise ValueError(setting.name)
        written = default
    return None if written is None else setting.metadata["parse"](written)


def read_object(path: str, what: str) -> dict[str, Any]:
    """The JSON object in the file at ``path``; :class:`ConfigError` says what is wrong with it.

    ``what`` names the file's role ("config", "catalog", "state") in the message.
    """
    try:
        document = json.loads(Path(path).read_bytes())
        # What is read here may have to be written again, so it must be fit for that.
        msgspec.json.encode(document)
    except OSError as error:
        raise ConfigError(f"{what}: cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{what}: {path} is not JSON ({error}).") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{what}: {path} must hold a JSON object.")
    return document
