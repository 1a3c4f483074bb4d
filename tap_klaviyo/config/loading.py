"""Reads the settings from a file and the environment, and checks them all at once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tap_klaviyo.config.nested import nest_settings
from tap_klaviyo.config.parsers import PARSE_ERRORS, ValueRefused, is_day, is_us_date, text
from tap_klaviyo.config.settings import REQUIRED, SETTINGS, Config
from tap_klaviyo.errors import ConfigError, StateError, did_you_mean
from tap_klaviyo.logs import get_logger, quoted
from tap_klaviyo.streams.model import Stream

logger = get_logger(__name__)

ENVIRONMENT_PREFIX = "TAP_KLAVIYO_"

_EMPTY: Mapping[type[ConfigError], str] = {
    StateError: ": no target has confirmed a state yet, so run without --state"
}
"""What an empty file means."""


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings that ``TAP_KLAVIYO_...`` variables give; an empty variable gives none."""
    values = {s.name: environment.get(ENVIRONMENT_PREFIX + s.name.upper()) for s in SETTINGS}
    return {name: value for name, value in values.items() if value}


def parse_config(settings: Mapping[str, Any]) -> Config:
    """The settings as a user wrote them, parsed.

    Raises :class:`ConfigError` that names every wrong setting and what is expected there. An
    unknown setting is a warning, since a newer or older tap may know it.
    """
    settings = nest_settings(settings)
    known = [setting.name for setting in SETTINGS]
    for name in sorted(settings.keys() - {*known}):
        suggestion = did_you_mean(name, known)
        logger.warning("config: unknown setting %s%s is ignored.", quoted(name), suggestion)
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for setting in SETTINGS:
        try:
            values[setting.name] = _parse_setting(setting, settings.get(setting.name))
        except PARSE_ERRORS as error:
            wrong.append(_expected(setting, error))
    start, end = values.get("start_date"), values.get("end_date")
    if start and end and start >= end:
        wrong.append(f"end_date: expected a time after start_date, which is {start.isoformat()}")
    if wrong:
        raise ConfigError(f"config: {'; '.join(wrong)}.")
    _log_us_dates(settings, values)
    start_day = start.date() if start and is_day(settings.get("start_date")) else None
    end_day = end.date() if end and is_day(settings.get("end_date")) else None
    return Config(**values, start_day=start_day, end_day=end_day)


def parse_metric_streams(settings: Mapping[str, Any]) -> tuple[Stream, ...]:
    """The streams that the setting ``metric_streams`` adds; other settings are not looked at.

    So a catalog can be written without a key. Raises :class:`ConfigError`.
    """
    (setting,) = (setting for setting in SETTINGS if setting.name == "metric_streams")
    try:
        written = nest_settings(settings).get(setting.name)
        streams: tuple[Stream, ...] = _parse_setting(setting, written)
    except PARSE_ERRORS as error:
        raise ConfigError(f"config: {_expected(setting, error)}.") from None
    return streams


def read_object(path: str | Path, what: str, error_type: type[ConfigError]) -> dict[str, Any]:
    """The JSON object in the file at ``path``.

    ``what`` names the file in messages ("config", "catalog", "state"). Raises ``error_type``.
    """
    try:
        content = Path(path).read_bytes()
        if not content.strip():
            raise error_type(f"{what}: {path} is empty{_EMPTY.get(error_type, '')}.")
        document = json.loads(content)
        # Parts of it may be written to stdout later, so it has to be encodable.
        msgspec.json.encode(document)
    except OSError as error:
        raise error_type(f"{what}: cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise error_type(f"{what}: {path} is not JSON ({error}){_hint(error, what)}.") from None
    if not isinstance(document, dict):
        raise error_type(f"{what}: {path} must hold a JSON object.")
    return document


def copy_object(
    document: Mapping[str, Any], what: str, error_type: type[ConfigError]
) -> dict[str, Any]:
    """A copy of a mapping as JSON has it: dates and durations become text.

    ``what`` names it in messages. Raises ``error_type`` for what JSON cannot hold.
    """
    try:
        copied: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(dict(document)))
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise error_type(f"{what}: the mapping is not JSON ({error}).") from None
    return copied


def _hint(error: Exception, what: str) -> str:
    """What to do about a file of several states, which are the output of a target."""
    several = isinstance(error, json.JSONDecodeError) and error.msg == "Extra data"
    return "; pass only the last line of a file of states" if several and what == "state" else ""


def _log_us_dates(settings: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Logs how dates in the form MM/DD/YYYY were read: others read them as DD/MM/YYYY."""
    for name, value in values.items():
        if isinstance(value, datetime) and is_us_date(settings.get(name)):
            logger.info(
                "config: %s '%s' is read as %s (month/day/year).",
                name,
                text(settings[name]),
                value.date(),
            )


def _expected(setting: dataclasses.Field[Any], error: BaseException) -> str:
    """What is expected of a setting, and the reason where it holds no secret."""
    reason = f" ({error})" if isinstance(error, ValueRefused) else ""
    return f"{setting.name}: expected {setting.metadata['expected']}{reason}"


def _parse_setting(setting: dataclasses.Field[Any], written: Any) -> Any:
    """The parsed value; null or an absent setting means the default."""
    default = setting.metadata["default"]
    if written is None:
        if default is REQUIRED:
            raise ValueError(setting.name)
        written = default
    return None if written is None else setting.metadata["parse"](written)
