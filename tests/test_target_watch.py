"""A target that does not read is named in the log."""

from __future__ import annotations

import logging
import threading

import pytest

from tap_klaviyo.sync.target_watch import TargetWatch

INTERVAL = 0.005
TIMEOUT = 60


class Handler(logging.Handler):
    """Collects messages, and tells when there are enough."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.complete = threading.Event()
        self._enough = enough

    def emit(self, record: logging.LogRecord) -> None:
        """Adds a message."""
        self.messages.append(record.getMessage())
        if len(self.messages) >= self._enough:
            self.complete.set()


def test_a_target_that_hangs() -> None:
    """While a write lasts, a line per interval says so; then the run goes on."""
    handler = Handler(enough=3)
    logger = logging.getLogger("tap_klaviyo.sync.target_watch")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    written = []

    def write(data: bytes) -> None:
        assert handler.complete.wait(TIMEOUT)
        written.append(data)

    try:
        with TargetWatch(write, INTERVAL) as watched:
            watched(b"line")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert written == [b"line"]
    assert all("The target has read nothing for " in message for message in handler.messages)


def test_errors_pass() -> None:
    """What the output raises is raised, and the thread ends."""

    def fail(data: bytes) -> None:
        raise BrokenPipeError

    before = threading.active_count()
    with pytest.raises(BrokenPipeError), TargetWatch(fail) as watched:
        watched(b"line")
    assert threading.active_count() == before
