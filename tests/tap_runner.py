"""What the tests of ``Tap`` share."""

from __future__ import annotations

import json
import threading
from typing import Any

from tap_klaviyo import Tap

PATIENCE = 5.0
"""Seconds after which a thread counts as left behind."""


def workers() -> list[threading.Thread]:
    """The worker threads of this process that are alive."""
    return [thread for thread in threading.enumerate() if "_loop" in thread.name]


def only(tap: Tap, *names: str) -> dict[str, Any]:
    """A catalog that selects just these streams."""
    catalog = tap.discover()
    for entry in catalog["streams"]:
        entry["metadata"][0]["metadata"]["selected"] = entry["stream"] in names
    return catalog


def messages(lines: list[bytes]) -> list[dict[str, Any]]:
    """The messages in what ``write`` was called with."""
    return [json.loads(line) for line in b"".join(lines).splitlines()]
