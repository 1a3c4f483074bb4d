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
import time
import traceback
from collections.abc import Iterable, Mapping

from tap_klaviyo.process import TIME_FORMAT
from tap_klaviyo.redaction import clean, escaped, masked

LONGEST_NAME = 100
"""Characters of a name that a log line shows."""

LONGEST_LIST = 20
"""How many names a log line shows before it only counts the others."""

LIBRARIES = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry", "backoff")
"""Loggers of libraries whose messages quote servers."""

METRIC = "metric"
"""The attribute of a log record, and the key of a JSON line, that holds a Singer metric."""

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


class TextFormatter(logging.Formatter):
    """``2026-01-31T12:00:00Z INFO message``; a traceback follows on lines of its own."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", TIME_FORMAT)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger and message, and metric or traceback if any."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """The line, in ASCII."""
        line = {
            "time": self.formatTime(record, TIME_FORMAT),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if metric := getattr(record, METRIC, None):
            line[METRIC] = metric
        if record.exc_text:
            line["traceback"] = record.exc_text
        return json.dumps(line)


def format_handlers(log_format: object) -> None:
    """Formats and redacts what all libraries log, and warnings of Python.

    For the command, which owns the handlers of the process. ``log_format`` is one of
    :data:`FORMATTERS`; anything else, which the settings will refuse, means text.
    """
    logging.captureWarnings(True)
    formatter = JsonFormatter if log_format == "json" else TextFormatter
    for handler in logging.getLogger().handlers:
        handler.addFilter(REDACTION)
        handler.setFormatter(formatter())


def log_counter(
    logger: logging.Logger, metric: str, value: float, tags: Mapping[str, object]
) -> None:
    """Logs a Singer counter at INFO."""
    _log_metric(logger, logging.INFO, "counter", metric, value, tags)


def log_timer(
    logger: logging.Logger, metric: str, seconds: float, tags: Mapping[str, object]
) -> None:
    """Logs a Singer timer at DEBUG: there is one for each request."""
    _log_metric(logger, logging.DEBUG, "timer", metric, seconds, tags)


def _log_metric(
    logger: logging.Logger,
    level: int,
    kind: str,
    metric: str,
    value: float,
    tags: Mapping[str, object],
) -> None:
    """Logs a metric in the form of ``singer.metrics.log``.

    That is not called because ``import singer`` configures the root logger.
    """
    if not logger.isEnabledFor(level):
        return
    point = {"type": kind, "metric": metric, "value": value, "tags": dict(tags)}
    logger.log(level, "METRIC: %s", json.dumps(point), extra={METRIC: point})


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
