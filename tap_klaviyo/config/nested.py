"""Settings that are objects, with dotted keys in them.

Meltano exports ``{"orders": {"metric": "Placed Order"}}`` as ``{"orders.metric": "Placed Order"}``
(``meltano.core.utils.flatten``), and passes on an object or list that was set by ``meltano config
set`` as JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tap_klaviyo.config.settings import SETTINGS
from tap_klaviyo.logs import get_logger

logger = get_logger(__name__)

OBJECTS = tuple(s.name for s in SETTINGS if isinstance(s.metadata["default"], dict))
"""The settings whose value is an object. It has an object of options for each name in it."""

FOR_ALL = {"full_table_interval": "*"}
"""Settings whose values are no options but texts or numbers. One in place of the object stands for
the value of this name.
"""

SHORT_FORMS = {"metric_streams": "metric"}
"""The option that a text means which stands in place of the options."""


def nest_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with an object in place of each dotted key.

    A key may be dotted in the setting (``orders.metric`` in ``metric_streams``) or beside the other
    settings (``metric_streams.orders.metric``). Its last dot is before the option, so a name may
    have dots. Of two values of an option the one at the longer key is used, with a warning. What is
    no object stays as it is, and its parser refuses it.
    """
    nested = dict(settings)
    for setting in OBJECTS:
        beside = [key for key in settings if key.startswith(f"{setting}.")]
        dotted = {key.removeprefix(f"{setting}."): nested.pop(key) for key in beside}
        written = _decode(settings.get(setting), dict)
        if dotted and setting in FOR_ALL and not isinstance(written, dict | None):
            written = {FOR_ALL[setting]: written}
        if isinstance(written, dict) or (written is None and dotted):
            nested[setting] = _nest(setting, [written or {}, dotted])
    return nested


def _nest(setting: str, levels: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """An object of names and their options; ``levels`` are from shorter to longer keys."""
    given = [_entry(*item) for level in levels for item in level.items()]
    names: dict[str, Any] = dict.fromkeys(name for name, _, _ in given)
    for name, _, options in sorted(given, key=lambda entry: entry[1]):
        names[name] = _merge(setting, name, names[name], options)
    return {name: _decode_lists(options) for name, options in names.items()}


def _entry(key: str, written: Any) -> tuple[str, bool, Any]:
    """A name, whether the key is dotted and so has one option only, and the options."""
    value = _decode(written, dict)
    name, dot, option = key.rpartition(".")
    if not dot or isinstance(value, dict):
        return key, False, value
    return name, True, {option: value}


def _merge(setting: str, name: str, first: Any, second: Any) -> Any:
    """The options of both; those of ``second`` win. What is no object wins, to be refused."""
    if first is None or first == second:
        return second
    first, second = (_options(setting, written) for written in (first, second))
    if setting in FOR_ALL:
        _warn_two_values(setting, name)
        return second
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return second if isinstance(first, dict) else first
    for option in first.keys() & second.keys():
        if first[option] != second[option]:
            _warn_two_values(setting, f"{name}.{option}")
    return {**first, **second}


def _warn_two_values(setting: str, place: str) -> None:
    logger.warning(
        "config: %s has two values of %s; the one at the longest dotted key is used.",
        setting,
        place,
    )


def _options(setting: str, written: Any) -> Any:
    short = isinstance(written, str) and setting in SHORT_FORMS
    return {SHORT_FORMS[setting]: written} if short else written


def _decode_lists(options: Any) -> Any:
    if not isinstance(options, dict):
        return options
    return {option: _decode(value, list) for option, value in options.items()}


def _decode(value: Any, wanted: type) -> Any:
    """The value of JSON text if it is of the wanted type; everything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return decoded if isinstance(decoded, wanted) else value
