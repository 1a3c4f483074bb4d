"""States and catalogs that version 1.0.0 wrote are read as they are."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from tap_runner import messages, only

from tap_klaviyo import Tap

pytestmark = pytest.mark.usefixtures("no_worker_is_left")


DATA = Path(__file__).parent / "data" / "1.0.0"


@pytest.mark.parametrize("name", ["state.json", "state_interrupted.json"])
def test_states_of_1_0_are_read(settings: dict[str, Any], name: str) -> None:
    """A state that 1.0 wrote is continued: bookmarks only move forward, unknown keys stay."""
    state = json.loads((DATA / name).read_text())
    state["bookmarks"]["open"]["from_a_newer_version"] = [1]
    state["from_a_newer_version"] = {"a": 1}
    lines: list[bytes] = []
    tap = Tap(settings)
    catalog = only(tap, "receive", "open", "clicked_sms", "profiles")
    assert Tap(settings, catalog, state).sync(lines.append).complete
    written = messages(lines)[-1]["value"]
    assert written["from_a_newer_version"] == {"a": 1}
    assert written["bookmarks"]["open"]["from_a_newer_version"] == [1]
    for stream, bookmark in state["bookmarks"].items():
        if "timestamp" in bookmark and stream in ("receive", "profiles"):
            assert written["bookmarks"][stream]["timestamp"] >= min(
                bookmark["timestamp"], int(time.time())
            )


def test_catalogs_of_1_0_are_read(settings: dict[str, Any]) -> None:
    """A catalog that 1.0 wrote selects the same streams with the same fields."""
    catalog = json.loads(gzip.decompress((DATA / "catalog.json.gz").read_bytes()))
    old: list[bytes] = []
    assert Tap(settings, catalog).sync(old.append).complete
    new: list[bytes] = []
    assert Tap(settings).sync(new.append).complete
    fields = [
        {
            message["stream"]: list(message["schema"]["properties"])
            for message in messages(lines)
            if message["type"] == "SCHEMA"
        }
        for lines in (old, new)
    ]
    assert fields[0] == fields[1]
