"""Parts of log lines: metrics in the form that Singer's tools read, and lists of names."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping

LONGEST_NAME = 100
"""Characters of a name that a log line shows."""

LONGEST_LIST = 20
"""How many names a log line shows before it only counts the others."""


def log_metric(
    logger: logging.Logger, kind: str, metric: str, value: float, tags: Mapping[str, object]
) -> None:
    """Logs a Singer metric at INFO.

    ``kind`` is "counter" or "timer"; a timer's ``value`` is in seconds. The form is that of
    ``singer.metrics.log``, which is not called because ``import singer`` configures the root
    logger.
    """
    point = {"type": kind, "metric": metric, "value": value, "tags": dict(tags)}
    logger.info("METRIC: %s", json.dumps(point))


def listed(names: Iterable[str]) -> str:
    """The names in one line: ``open, click and 16 more``."""
    names = list(names)
    more = len(names) - LONGEST_LIST
    shown = ", ".join(names[:LONGEST_LIST])
    return f"{shown} and {more} more" if more > 0 else shown


def quoted(name: str) -> str:
    """A name that somebody else chose, in quotes, cut and without control characters."""
    return repr(name[:LONGEST_NAME])
