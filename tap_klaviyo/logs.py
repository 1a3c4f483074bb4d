"""Log lines: in the form that Singer's tools read, and without secrets and forged lines.

Every record of the tap's loggers passes :class:`Redaction`, wherever its handlers are: it is a
filter of each logger that :func:`get_logger` returns, and of the loggers of the libraries that
quote servers. A filter of a parent does not apply to its children, so no module calls
``logging.getLogger`` itself; a test checks that. The command puts the filter on its handlers, too,
through which the records of all libraries pass.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterable, Mapping

from tap_klaviyo.redaction import clean, escaped, masked

LONGEST_NAME = 100
"""Characters of a name that a log line shows."""

LONGEST_LIST = 20
"""How many names a log line shows before it only counts the others."""

LIBRARIES = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry", "backoff")
"""Loggers of libraries whose messages quote servers."""

_INDENT = "\n    "
"""Begins each line of a traceback but the first, so that none looks like a log line."""


class Redaction(logging.Filter):
    """Hides secrets, and escapes control characters, in the message and the traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Changes the record; all pass."""
        try:
            record.msg = clean(record.getMessage())
        except Exception:
            record.msg = clean(f"{record.msg!r} with {record.args!r}")
        record.args = ()
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = "".join(traceback.format_exception(record.exc_info[1]))
            record.exc_info = None
        if record.exc_text:
            lines = masked(record.exc_text).splitlines()
            record.exc_text = _INDENT.join(map(escaped, lines))
        return True


REDACTION = Redaction()


def get_logger(name: str) -> logging.Logger:
    """The logger of a module, or of a library, whose records are redacted."""
    logger = logging.getLogger(name)
    logger.addFilter(REDACTION)
    return logger


def redact_handlers() -> None:
    """Redacts what all libraries log. For the command, which owns the handlers of the process."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(REDACTION)


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


for _name in LIBRARIES:
    get_logger(_name)
