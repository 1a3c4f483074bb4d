"""The log lines of a command, as a reader of stderr takes them apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ((?:DEBUG|INFO|WARNING|ERROR|CRITICAL) .*)")


def log_lines(stderr: str) -> list[str]:
    """The lines of a log without their times, ``INFO message``, in whatever form they are.

    Other lines are left out.
    """
    return list(_lines(stderr))


def criticals(stderr: str) -> list[str]:
    """The lines that say why a command fails."""
    return [line for line in log_lines(stderr) if line.startswith("CRITICAL ")]


def _lines(stderr: str) -> Iterator[str]:
    for line in stderr.splitlines():
        if line.startswith('{"time": '):
            parts = json.loads(line)
            yield f"{parts['level']} {parts['message']}"
        elif match := _TEXT.fullmatch(line):
            yield match[1]
