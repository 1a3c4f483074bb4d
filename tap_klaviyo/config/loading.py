"""Reads the settings, and checks them all at once."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tap_klaviyo.config.parsers import FAULTS, Misuse
from tap_klaviyo.config.settings import REQUIRED, SETTINGS, Config
from tap_klaviyo.errors import ConfigError
from tap_klaviyo.streams.model import Stream

logger = logging.getLogger(__name__)


ENVIRONMENT_PREFIX = "TAP_KLAVIYO_"


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
