"""Says that the target does not read, while a write to it lasts.

The thread that writes also logs how far a run is, so a target that hangs would silence the log. A
thread of its own looks once per interval whether a write has lasted that long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tap_klaviyo.logs import get_logger

logger = get_logger(__name__)

INTERVAL = 60.0
"""Seconds of a write after which a line is logged, and between two lines."""


class TargetWatch:
    """Passes bytes on to ``write`` and watches how long that takes; a context manager."""

    def __init__(self, write: Callable[[bytes], object], interval: float = INTERVAL) -> None:
        self._write = write
        self._interval = interval
        self._since: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Callable[[bytes], object]:
        self._thread.start()
        return self._pass_on

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _pass_on(self, data: bytes) -> None:
        self._since = time.monotonic()
        try:
            self._write(data)
        finally:
            self._since = None

    def _watch(self) -> None:
        while not self._ended.wait(self._interval):
            since = self._since
            if since is not None and (seconds := time.monotonic() - since) >= self._interval:
                logger.info("The target has read nothing for %.0f s; waiting for it.", seconds)
