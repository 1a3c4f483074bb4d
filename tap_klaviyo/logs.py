"""Log lines in the form that Singer's tools read."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping


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
