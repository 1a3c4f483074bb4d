"""``--about``: settings and streams as text, JSON or Markdown."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from tap_klaviyo.about.metadata import SettingMetadata, StreamMetadata, TapMetadata, tap_metadata
from tap_klaviyo.streams import DEFAULT, Registry

MIN_WIDTH, MAX_WIDTH = 80, 100
"""The narrowest and the widest text, in columns."""

_NAME_WIDTH, _VALUE_WIDTH = 29, 12
"""Columns for the name of a setting or stream, and for its default or replication method."""


def about(form: str, registry: Registry = DEFAULT) -> str:
    """The description of the tap as "text", "json" or "markdown", with a registry's streams."""
    return _FORMS[form](tap_metadata(registry))


def by_area(streams: Iterable[StreamMetadata]) -> Iterator[tuple[str, list[StreamMetadata]]]:
    """The streams of each area, both in the order of the registry."""
    for area, members in groupby(streams, lambda stream: stream["area"]):
        yield area, list(members)


def settings_table(settings: Iterable[SettingMetadata]) -> str:
    """The settings as a Markdown table."""
    rows = [
        (
            f"`{setting['name']}`",
            f"`{default}`" if (default := _default(setting)) else "",
            _meaning(setting),
        )
        for setting in settings
    ]
    return table(("setting", "default", "description"), rows)


def streams_table(streams: Iterable[StreamMetadata]) -> str:
    """The streams as a Markdown table."""
    rows = [
        (
            f"`{stream['name']}`",
            replication(stream),
            ", ".join(f"`{key}`" for key in stream["key_properties"]),
            _content(stream),
        )
        for stream in streams
    ]
    return table(("stream", "replication", "key", "metric names, oldest first, or content"), rows)


def replication(stream: StreamMetadata) -> str:
    """The replication method of a stream, in Markdown."""
    key = stream["replication_key"]
    names = {"FULL_TABLE": "full table", "INCREMENTAL": f"incremental on `{key}`"}
    return ", or ".join(names[method] for method in stream["replication_methods"])


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _content(stream: StreamMetadata) -> str:
    return "; ".join(stream["metrics"]) or stream["description"]


def _meaning(setting: SettingMetadata) -> str:
    return f"{setting['description']} Expects {setting['expected']}."


def _default(setting: SettingMetadata) -> str:
    if setting["required"]:
        return "required"
    return "" if setting["default"] is None else str(setting["default"])


def _text(metadata: TapMetadata) -> str:
    width = min(MAX_WIDTH, max(MIN_WIDTH, shutil.get_terminal_size((MAX_WIDTH, 0)).columns))
    lines = [
        f"{metadata['name']} {metadata['version']}: {metadata['description']}",
        f"Capabilities: {', '.join(metadata['capabilities'])}",
        "",
        "SETTINGS, with their defaults",
        "",
    ]
    for setting in metadata["settings"]:
        lines += _entry(f"  {setting['name']}", _default(setting), _meaning(setting), width)
    lines += ["", "STREAMS, by area; * are selected by default"]
    for area, streams in by_area(metadata["streams"]):
        lines += ["", f"{area}:"]
        for stream in streams:
            mark = "*" if stream["selected_by_default"] else " "
            name = f"{mark} {stream['name']}"
            lines += _entry(name, _short_replication(stream), _content(stream), width)
    return "\n".join(lines)


def _short_replication(stream: StreamMetadata) -> str:
    if len(stream["replication_methods"]) > 1:
        return "either way"
    return "incremental" if stream["replication_method"] == "INCREMENTAL" else "full table"


def _entry(name: str, value: str, description: str, width: int) -> list[str]:
    """A name and a value in columns, followed by a description that is wrapped.

    If the first two do not fit their columns, the description starts on the next line.
    """
    head = f"{name:{_NAME_WIDTH}} {value:{_VALUE_WIDTH}} "
    indent = " " * (_NAME_WIDTH + _VALUE_WIDTH + 2)
    fits = len(head) == len(indent)
    lines = textwrap.wrap(
        description, width, initial_indent=head if fits else indent, subsequent_indent=indent
    )
    return lines if fits else [head.rstrip(), *lines]


def _markdown(metadata: TapMetadata) -> str:
    parts = [
        f"# {metadata['name']} {metadata['version']}",
        metadata["description"],
        f"Capabilities: {', '.join(metadata['capabilities'])}.",
        "## Settings",
        settings_table(metadata["settings"]),
        "## Streams",
    ]
    for area, streams in by_area(metadata["streams"]):
        parts += [f"### {area}", streams_table(streams)]
    return "\n\n".join(parts)


_FORMS: Mapping[str, Callable[[TapMetadata], str]] = {
    "text": _text,
    "json": lambda metadata: json.dumps(metadata, indent=2),
    "markdown": _markdown,
}
