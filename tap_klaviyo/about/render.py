"""``--about``: what the tap is, can do and can be told, as text, JSON or Markdown."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from tap_klaviyo.about.metadata import Facts, SettingFacts, StreamFacts, facts

NARROWEST, WIDEST = 80, 100
"""Columns of a terminal: less is not worth breaking lines for, more is hard to read."""


_NAMES, _VALUES = 29, 12
"""Columns of the text for names, and for how a stream is read."""


def about(form: str) -> str:
    """The facts in the ``form`` "text", "json" or "markdown"."""
    return _FORMS[form](facts())


def by_area(streams: Iterable[StreamFacts]) -> Iterator[tuple[str, list[StreamFacts]]]:
    """The streams of each area, both in the order of the registry."""
    for area, members in groupby(streams, lambda stream: stream["area"]):
        yield area, list(members)


def settings_table(settings: Iterable[SettingFacts]) -> str:
    """The settings as a Markdown table."""
    rows = [
        (
            f"`{setting['name']}`",
            f"`{default}`" if (default := _default(setting)) else "",
            f"{setting['description']} Expects {setting['expected']}.",
        )
        for setting in settings
    ]
    return table(("setting", "default", "what it does"), rows)


def streams_table(streams: Iterable[StreamFacts]) -> str:
    """The streams as a Markdown table."""
    rows = [
        (
            f"`{stream['name']}`",
            way(stream),
            ", ".join(f"`{key}`" for key in stream["key_properties"]),
            _content(stream),
        )
        for stream in streams
    ]
    return table(("stream", "read", "key", "metric names, oldest first, or content"), rows)


def way(stream: StreamFacts) -> str:
    """How a stream is read, in Markdown."""
    key = stream["replication_key"]
    if key is None:
        return "full table"
    if stream["replication_method"] == "INCREMENTAL":
        return f"incremental on `{key}`"
    return f"full table, or incremental on `{key}`"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _content(stream: StreamFacts) -> str:
    return "; ".join(stream["metrics"]) or stream["description"]


def _default(setting: SettingFacts) -> str:
    if setting["required"]:
        return "required"
    return "" if setting["default"] is None else str(setting["default"])


def _text(known: Facts) -> str:
    width = min(WIDEST, max(NARROWEST, shutil.get_terminal_size((WIDEST, 0)).columns))
    lines = [
        f"{known['name']} {known['version']}: {known['description']}",
        f"Capabilities: {', '.join(known['capabilities'])}",
        "",
        "SETTINGS, with their defaults",
        "",
    ]
    for setting in known["settings"]:
        lines += _entry(f"  {setting['name']}", _default(setting), setting["description"], width)
    lines += ["", "STREAMS, by area; * are selected by default"]
    for area, streams in by_area(known["streams"]):
        lines += ["", f"{area}:"]
        for stream in streams:
            mark = "*" if stream["selected_by_default"] else " "
            lines += _entry(f"{mark} {stream['name']}", _short_way(stream), _content(stream), width)
    return "\n".join(lines)


def _short_way(stream: StreamFacts) -> str:
    if stream["replication_key"] is None:
        return "full table"
    return "incremental" if stream["replication_method"] == "INCREMENTAL" else "either way"


def _entry(name: str, value: str, words: str, width: int) -> list[str]:
    """A name, what stands beside it, and words broken into lines behind both.

    Where the first two do not fit their columns, the words begin on the next line.
    """
    head = f"{name:{_NAMES}} {value:{_VALUES}} "
    indent = " " * (_NAMES + _VALUES + 2)
    fits = len(head) == len(indent)
    lines = textwrap.wrap(
        words, width, initial_indent=head if fits else indent, subsequent_indent=indent
    )
    return lines if fits else [head.rstrip(), *lines]


def _markdown(known: Facts) -> str:
    parts = [
        f"# {known['name']} {known['version']}",
        known["description"],
        f"Capabilities: {', '.join(known['capabilities'])}.",
        "## Settings",
        settings_table(known["settings"]),
        "## Streams",
    ]
    for area, streams in by_area(known["streams"]):
        parts += [f"### {area}", streams_table(streams)]
    return "\n\n".join(parts)


_FORMS: Mapping[str, Callable[[Facts], str]] = {
    "text": _text,
    "json": lambda known: json.dumps(known, indent=2),
    "markdown": _markdown,
}
