"""``--about``: what the tap is, can do and can be told, as text, JSON or Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tap_klaviyo import __version__
from tap_klaviyo.config import REQUIRED, SETTINGS
from tap_klaviyo.streams import STREAMS

CAPABILITIES = ("catalog", "discover", "state", "about")


def facts() -> dict[str, Any]:
    """Everything there is to say, as one JSON object."""
    return {
        "name": "tap-klaviyo",
        "version": __version__,
        "description": "Singer tap for Klaviyo.",
        "capabilities": list(CAPABILITIES),
        "settings": [
            {
                "name": setting.name,
                "description": setting.metadata["description"],
                "expected": setting.metadata["expected"],
                "required": setting.metadata["default"] is REQUIRED,
                "default": None
                if setting.metadata["default"] is REQUIRED
                else setting.metadata["default"],
                "secret": setting.type == "Secret",
            }
            for setting in SETTINGS
        ],
        "streams": [
            {
                "name": stream.name,
                "description": stream.description,
                "replication_method": stream.replication_method,
                "replication_key": stream.replication_key or None,
                "key_properties": list(stream.keys),
                "scopes": sorted({*stream.scopes, *(i.scope for i in stream.includes if i.scope)}),
                "metrics": list(stream.metrics),
            }
            for stream in STREAMS
        ],
    }


def about(form: str) -> str:
    """The facts in the ``form`` "text", "json" or "markdown"."""
    return _FORMS[form](facts())


def settings_table(known: Mapping[str, Any]) -> str:
    """The settings as a Markdown table."""
    rows = [
        (
            f"`{setting['name']}`",
            f"`{default}`" if (default := _default(setting)) else "",
            f"{setting['description']} Expects {setting['expected']}.",
        )
        for setting in known["settings"]
    ]
    return _table(("setting", "default", "what it does"), rows)


def streams_table(known: Mapping[str, Any]) -> str:
    """The streams as a Markdown table."""
    rows = [
        (
            f"`{stream['name']}`",
            _method(stream),
            ", ".join(f"`{key}`" for key in stream["key_properties"]),
            "; ".join(stream["metrics"]) or stream["description"],
        )
        for stream in known["streams"]
    ]
    return _table(("stream", "read", "key", "metric names, oldest first, or content"), rows)


def _method(stream: Mapping[str, Any]) -> str:
    key = stream["replication_key"]
    return f"incremental on `{key}`" if key else "full table"


def _default(setting: Mapping[str, Any]) -> str:
    if setting["required"]:
        return "required"
    return "" if setting["default"] is None else str(setting["default"])


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _text(known: Mapping[str, Any]) -> str:
    settings = [f"  {s['name']:18}{_default(s):25}{s['description']}" for s in known["settings"]]
    streams = [f"  {s['name']:38}{s['description']}" for s in known["streams"]]
    return "\n".join(
        [
            f"{known['name']} {known['version']}: {known['description']}",
            f"Capabilities: {', '.join(known['capabilities'])}",
            "",
            "Settings, with their defaults:",
            *settings,
            "",
            "Streams:",
            *streams,
        ]
    )


def _markdown(known: Mapping[str, Any]) -> str:
    return "\n\n".join(
        [
            f"# {known['name']} {known['version']}",
            known["description"],
            f"Capabilities: {', '.join(known['capabilities'])}.",
            "## Settings",
            settings_table(known),
            "## Streams",
            streams_table(known),
        ]
    )


_FORMS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "text": _text,
    "json": lambda known: json.dumps(known, indent=2),
    "markdown": _markdown,
}
