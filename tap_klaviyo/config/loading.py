"""Reads the settings from a file and the environment, and checks them all at once."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec

from tap_klaviyo.config.credentials import credentials_error
from tap_klaviyo.config.hash_fields import hashing_errors
from tap_klaviyo.config.nested import nest_settings
from tap_klaviyo.config.parsers import PARSE_ERRORS, ValueRefused, is_day, is_us_date, text
from tap_klaviyo.config.settings import REQUIRED, SETTINGS, SOURCE, Config, streams_of
from tap_klaviyo.errors import ConfigError, did_you_mean
from tap_klaviyo.logs import get_logger, listed, quoted
from tap_klaviyo.streams import Registry, registry_of
from tap_klaviyo.streams.model import Stream

logger = get_logger(__name__)

ENVIRONMENT_PREFIX = "TAP_KLAVIYO_"

PLUGIN_VARIABLE = "MELTANO_EXTRACTOR_NAME"
"""The variable in which Meltano passes the name of the plugin that it runs."""

EMPTY_HINTS = {"state": ": run without --state for a first sync"}
WRONG_HINTS = {"state": ": pass the last line that the target printed"}
"""What to do about a file that does not hold one JSON object, by what the file is for."""

Document = Mapping[str, Any] | str | PathLike[str]
"""A JSON object, or the path of a file that holds one."""

JSON_TYPES = {
    list: "an array",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings that ``TAP_KLAVIYO_...`` variables give; an empty variable gives none."""
    values = {s.name: environment.get(ENVIRONMENT_PREFIX + s.name.upper()) for s in SETTINGS}
    return {name: value for name, value in values.items() if value}


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return ENVIRONMENT_PREFIX + name.upper()


def parse_config(settings: Mapping[str, Any], environment: Mapping[str, str] = {}) -> Config:
    """The settings as a user wrote them, parsed; variables of ``environment`` override them.

    Raises :class:`ConfigError` that names every wrong setting and what is expected there. Unknown
    settings are a warning, since a newer or older tap may know them.
    """
    settings, given = nest_settings(settings), nest_settings(from_environment(environment))
    _warn_unknown(settings, environment)
    _log_overridden(settings, given)
    variables = {name: variable_of(name) for name in given}
    settings = {**settings, **given}
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for setting in SETTINGS:
        try:
            values[setting.name] = _parse_setting(setting, settings.get(setting.name))
        except PARSE_ERRORS as error:
            wrong.append(_expected(setting, error, variables))
    if contradiction := credentials_error(settings, lambda name: _source(name, variables)):
        wrong.insert(0, contradiction)
    start, end = values.get("start_date"), values.get("end_date")
    if start and end and start >= end:
        wrong.append(f"end_date: expected a time after start_date, which is {start.isoformat()}")
    if values.get("batch_config") and values.get("activate_version"):
        wrong.append(
            "batch_config: cannot be used with activate_version, since files carry no table "
            "version, and the target would delete their rows"
        )
    if values.get("account_column") and values.get("activate_version"):
        wrong.append(
            "account_column: cannot be used with activate_version, since the target would delete "
            "the rows of the other accounts in a table"
        )
    if {"metric_streams", "revision"} <= values.keys():
        wrong += _taken_names(values["metric_streams"], registry_of(values["revision"]))
    wrong += hashing_errors(values, lambda name: _source(name, variables))
    if wrong:
        raise ConfigError(f"config: {'; '.join(wrong)}.")
    _log_us_dates(settings, values)
    return Config(
        **values,
        variables=variables,
        start_day=start.date() if start and is_day(settings.get("start_date")) else None,
        end_day=end.date() if end and is_day(settings.get("end_date")) else None,
    )


def parse_metric_streams(
    settings: Mapping[str, Any], environment: Mapping[str, str] = {}
) -> tuple[Stream, ...]:
    """The streams that the setting ``metric_streams`` adds; other settings are not looked at.

    So a catalog can be written without a key. Raises :class:`ConfigError`.
    """
    streams: tuple[Stream, ...] = _parse_alone("metric_streams", settings, environment)
    return streams


def parse_registry(settings: Mapping[str, Any], environment: Mapping[str, str] = {}) -> Registry:
    """The registry for the setting ``revision``; other settings are not looked at.

    Raises :class:`ConfigError`.
    """
    return registry_of(_parse_alone("revision", settings, environment))


def parse_streams(
    settings: Mapping[str, Any], environment: Mapping[str, str] = {}
) -> tuple[Stream, ...]:
    """All streams that a run with these settings may read; it needs no other settings.

    Raises :class:`ConfigError`.
    """
    registry = parse_registry(settings, environment)
    added = parse_metric_streams(settings, environment)
    if taken := _taken_names(added, registry):
        raise ConfigError(f"config: {'; '.join(taken)}.")
    account_column = _parse_alone("account_column", settings, environment)
    return streams_of(registry, added, account_column=account_column)


def _parse_alone(name: str, settings: Mapping[str, Any], environment: Mapping[str, str]) -> Any:
    """The value of one setting. Raises :class:`ConfigError`."""
    (setting,) = (setting for setting in SETTINGS if setting.name == name)
    given = nest_settings(from_environment(environment))
    written = {**nest_settings(settings), **given}.get(name)
    try:
        return _parse_setting(setting, written)
    except PARSE_ERRORS as error:
        variables = {name: variable_of(name) for name in given}
        raise ConfigError(f"config: {_expected(setting, error, variables)}.") from None


def _taken_names(streams: Iterable[Stream], registry: Registry) -> list[str]:
    """What is wrong with streams of ``metric_streams`` that the registry has too."""
    return [
        f"metric_streams: revision {registry.revision} has a stream {quoted(stream.name)}; choose "
        "another name"
        for stream in streams
        if stream.name in registry.by_name
    ]


def read_object(path: str | Path, what: str, error_type: type[ConfigError]) -> dict[str, Any]:
    """The JSON object in the file at ``path``.

    ``what`` names the file in messages ("config", "catalog", "state"). Raises ``error_type``.
    """
    hint = WRONG_HINTS.get(what, "")
    try:
        content = Path(path).read_bytes()
        if not content.strip():
            raise error_type(f"{what}: {path} is empty{EMPTY_HINTS.get(what, '')}.")
        document = json.loads(content)
        # Parts of it may be written to stdout later, so it has to be encodable.
        msgspec.json.encode(document)
    except OSError as error:
        raise error_type(f"{what}: cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        if str(error).startswith("Extra data"):
            raise error_type(f"{what}: {path} holds more than one JSON object{hint}.") from None
        raise error_type(f"{what}: {path} is not JSON ({error}).") from None
    if not isinstance(document, dict):
        kind = JSON_TYPES[type(document)]
        raise error_type(f"{what}: {path} must hold a JSON object, not {kind}{hint}.")
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


def object_from(document: Document, what: str, error_type: type[ConfigError]) -> dict[str, Any]:
    """A copy of a mapping as JSON has it, or the JSON object in the file at a path.

    ``what`` names it in messages. Raises ``error_type`` for what is neither.
    """
    if isinstance(document, str | PathLike):
        return read_object(Path(document), what, error_type)
    if not isinstance(document, Mapping):
        raise error_type(f"{what}: expected a mapping or a path.")
    return copy_object(document, what, error_type)


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


def _warn_unknown(settings: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Warns of unknown settings, and of variables whose names are similar to those of settings."""
    known = [setting.name for setting in SETTINGS]
    unknown = [
        quoted(name) + did_you_mean(name, known) for name in sorted(settings.keys() - {*known})
    ]
    variables = {variable_of(name) for name in known}
    inherited = _prefix_of_inherited_plugin(environment)
    for name in sorted(environment.keys() - variables):
        if name.startswith(ENVIRONMENT_PREFIX) and not (inherited and name.startswith(inherited)):
            meant = did_you_mean(name.removeprefix(ENVIRONMENT_PREFIX), known)
            unknown += [f"{name}{meant}"] if meant else []
    if unknown:
        logger.warning("config: unknown settings are ignored: %s.", listed(unknown))


def _prefix_of_inherited_plugin(environment: Mapping[str, str]) -> str:
    """The start of the variables that Meltano adds for an inherited plugin; empty if it is not one.

    For ``tap-klaviyo--acme`` it exports each setting as ``TAP_KLAVIYO_...`` and once more as
    ``TAP_KLAVIYO__ACME_...`` (``meltano.core.utils.to_env_var``).
    """
    plugin = environment.get(PLUGIN_VARIABLE, "")
    prefix = re.sub(r"[^A-Za-z0-9]", "_", plugin).upper() + "_"
    is_inherited = prefix.startswith(ENVIRONMENT_PREFIX) and prefix != ENVIRONMENT_PREFIX
    return prefix if is_inherited else ""


def _log_overridden(settings: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Logs which variables override another value, since a variable may be a forgotten one."""
    overriding = [
        variable_of(name)
        for name, value in given.items()
        if settings.get(name) is not None and str(settings[name]).lower() != str(value).lower()
    ]
    if overriding:
        logger.info("config: environment variables override the file: %s.", listed(overriding))


def _expected(
    setting: dataclasses.Field[Any], error: BaseException, variables: Mapping[str, str]
) -> str:
    """What is expected of a setting, and the reason where it holds no secret."""
    reason = f" ({error})" if isinstance(error, ValueRefused) else ""
    source = _source(setting.name, variables)
    return f"{setting.name}{source}: expected {setting.metadata['expected']}{reason}"


def _source(name: str, variables: Mapping[str, str]) -> str:
    """Says after the name of a setting that a variable sets it; empty if none does."""
    return SOURCE.format(variables[name]) if name in variables else ""


def _parse_setting(setting: dataclasses.Field[Any], written: Any) -> Any:
    """The parsed value; null or an absent setting means the default."""
    default = setting.metadata["default"]
    if written is None:
        if default is REQUIRED:
            raise ValueError(setting.name)
        written = default
    return None if written is None else setting.metadata["parse"](written)
