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


STATE = {"bookmarks": {"open": {"timestamp": JAN}, "click": {"timestamp": 1}}}
LATER = {"bookmarks": {"click": {"timestamp": JAN}}}
FLAT = {"open": "2026-01-01T00:00:00Z", "click": "2026-01-01"}

WRAPPED: dict[str, tuple[dict[str, Any], int | None, int | None]] = {
    "message": ({"type": "STATE", "value": STATE}, JAN, 1),
    "message of a target": ({"type": "STATE", "value": STATE, "stream": None}, JAN, 1),
    "message, flat": ({"type": "STATE", "value": FLAT}, JAN, JAN),
    "message, empty": ({"type": "STATE", "value": {}}, None, None),
    "value": ({"value": STATE}, JAN, 1),
    "Meltano, state get": ({"singer_state": STATE}, JAN, 1),
    "Meltano, a first run": ({"singer_state": {}}, None, None),
    "Meltano, completed": ({"completed": {"singer_state": STATE}, "partial": {}}, JAN, 1),
    "Meltano, no partial": ({"completed": {"singer_state": STATE}, "partial": None}, JAN, 1),
    "Meltano, partial": ({"completed": {}, "partial": {"singer_state": LATER}}, None, JAN),
    "Meltano, both": (
        {"completed": {"singer_state": STATE}, "partial": {"singer_state": LATER}},
        JAN,
        JAN,
    ),
    "Meltano, both in a wrapper": ({"state": {"completed": STATE, "partial": LATER}}, JAN, JAN),
    "message in Meltano's": ({"singer_state": {"type": "STATE", "value": STATE}}, JAN, 1),
}


@pytest.mark.parametrize(("document", "opened", "clicked"), WRAPPED.values(), ids=WRAPPED.keys())
def test_a_state_in_something_else(
    document: dict[str, Any], opened: int | None, clicked: int | None
) -> None:
    """The state in a message, or in what Meltano stores, is read, and written without it."""
    state = State(document)
    assert (state.bookmark("open"), state.bookmark("click")) == (opened, clicked)
    assert state.document(None).keys() == {"bookmarks", "currently_syncing"}


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"type": "RECORD", "stream": "open", "record": {"id": "1"}}, "'type' is neither"),
        ({"type": "STATE", "value": [STATE]}, "'type' is neither"),
        ({"streams": []}, "'streams' is neither"),
        ({"singer_state": {"open": "soon"}}, "'open' is neither"),
        ({"completed": {"bookmarks": []}}, "'bookmarks' must be an object"),
        ({"completed": {"singer_state": 1}}, "'singer_state' is neither"),
        ({"partial": {"bookmarks": {"open": {"timestamp": "x"}}}}, "bookmarks.open.timestamp"),
    ],
)
def test_what_holds_no_state(document: dict[str, Any], named: str) -> None:
    """It is an error that names what it has instead, and shows no value that may be a secret."""
    with pytest.raises(StateError) as caught:
        State(document)
    assert named in str(caught.value)


@pytest.mark.parametrize("value", ["soon", True, [], JAN * 1000])
def test_a_bookmark_of_another_tap_that_is_no_date(value: Any) -> None:
    """It is an error with the location when its stream is read, and carried along otherwise."""
    state = State({"bookmarks": {"events": {"replication_key_value": value}}})
    with pytest.raises(StateError, match="replication_key_value must be"):
        state.migrate("events", [], [], ("timestamp", "datetime"))
