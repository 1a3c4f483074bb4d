"""Generate the table of docs/settings.md from the settings' metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tap_klaviyo.about.metadata import SettingMetadata
from tap_klaviyo.about.render import table


def settings_table(settings: Iterable[SettingMetadata]) -> str:
    """Return a table with one row per setting: default, description and accepted values."""
    rows = [
        (
            f"`{setting['name']}`",
            _default(setting),
            setting["description"],
            setting["expected"].replace("|", "\\|"),
        )
        for setting in settings
    ]
    return table(("setting", "default", "description", "value"), rows)


def _default(setting: SettingMetadata) -> str:
    """Return the default as it would be written in config.json; text is without quotes."""
    if setting["required"]:
        return "required"
    value = setting["default"]
    if value is None:
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
