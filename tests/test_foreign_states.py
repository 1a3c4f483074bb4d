"""Bookmarks that taps of Meltano's SDK and taps with singer-python have written."""

from __future__ import annotations

from typing import Any

import pytest

from tap_klaviyo.errors import StateError
from tap_klaviyo.state import State

JAN = 1767225600  # 2026-01-01T00:00:00Z


FOREIGN: dict[str, tuple[dict[str, Any], int | None]] = {
    "SDK": ({"replication_key": "datetime", "replication_key_value": "2026-01-01T00:00:00Z"}, JAN),
    "SDK, interrupted": (
        {
            "replication_key": "datetime",
            "replication_key_value": "2026-01-01T00:00:00+00:00",
            "starting_replication_value": "2025-01-01",
            "progress_markers": {"replication_key_value": "2026-02-01T00:00:00Z"},
            "replication_key_signpost": "2026-02-01",
        },
        JAN,
    ),
    "SDK, a number": ({"replication_key": "timestamp", "replication_key_value": JAN}, JAN),
    "SDK, no key": ({"replication_key_value": "2026-01-01"}, JAN),
    "SDK, null": ({"replication_key": "datetime", "replication_key_value": None}, None),
    "SDK, first run interrupted": (
        {
            "starting_replication_value": "2026-01-01",
            "progress_markers": {"replication_key_value": "2026-02-01T00:00:00Z"},
        },
        None,
    ),
    "SDK, partitions": (
        {"partitions": [{"context": {"id": "A"}, "replication_key_value": "2026-01-01"}]},
        None,
    ),
    "SDK, partitions and a value": (
        {"replication_key_value": "2026-02-01", "partitions": [{"context": {"id": "A"}}]},
        None,
    ),
    "SDK, no partitions": ({"replication_key_value": "2026-01-01", "partitions": []}, JAN),
    "SDK, another key": ({"replication_key": "id", "replication_key_value": "01HX"}, None),
    "SDK, own bookmark": ({"replication_key_value": "2026-02-01", "timestamp": JAN}, JAN),
    "write_bookmark": ({"datetime": "2026-01-01T00:00:00.000000Z"}, JAN),
}


@pytest.mark.parametrize(("bookmark", "seconds"), FOREIGN.values(), ids=FOREIGN.keys())
def test_bookmarks_of_other_taps(bookmark: dict[str, Any], seconds: int | None) -> None:
    """A date by which the whole stream was read completely is continued, anything less is not."""
    state = State({"bookmarks": {"events": {**bookmark, "note": 1}}})
    state.migrate("events", [], [], ("timestamp", "datetime"))
    assert state.bookmark("events") == seconds
    if seconds is not None:
        expected = {"timestamp": seconds, "note": 1}
        assert state.document(None)["bookmarks"]["events"] == expected


@pytest.mark.parametrize("value", ["soon", True, [], JAN * 1000])
def test_a_bookmark_of_another_tap_that_is_no_date(value: Any) -> None:
    """It is an error with the location when its stream is read, and carried along otherwise."""
    state = State({"bookmarks": {"events": {"replication_key_value": value}}})
    with pytest.raises(StateError, match="replication_key_value must be"):
        state.migrate("events", [], [], ("timestamp", "datetime"))
