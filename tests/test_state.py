"""The state document: reading, migrating from other taps, advancing, writing."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.errors import StateError
from tap_klaviyo.state import FullRead, State

JAN = 1767225600  # 2026-01-01T00:00:00Z
FEB = 1769904000  # 2026-02-01T00:00:00Z

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
KEYS = [
    *("timestamp", "since", "start_date", "swept_at", "metrics", "joining", "definition"),
    *("full_table_read_at", "full_table_of", "updated_read_at", "parents"),
    *("replication_key", "replication_key_value", "partitions", "progress_markers", "updated"),
]
NAMES = st.sampled_from(["receive", "click", "Mt0001", "currently_syncing"])
BOOKMARKS = st.dictionaries(
    NAMES,
    JSON
    | st.dictionaries(st.sampled_from(KEYS), JSON)
    | st.sampled_from([{"since": "2026-01-01"}, {"timestamp": JAN, "metrics": ["Mt0001"]}]),
)
DOCUMENTS = (
    st.dictionaries(NAMES | st.just("bookmarks"), JSON)
    | st.fixed_dictionaries({"bookmarks": BOOKMARKS})
    | BOOKMARKS
)


def bookmarks(**entries: Any) -> dict[str, Any]:
    """A state document with the given bookmarks."""
    return {"bookmarks": entries}


@pytest.mark.parametrize(
    "document", [{}, {"bookmarks": {}}, {"bookmarks": None}, {"receive": None}]
)
def test_empty(document: dict[str, Any]) -> None:
    """A stream without a bookmark has never been read."""
    state = State(document)
    assert state.bookmark("receive") is None
    assert state.swept_at("receive") is None
    assert not state.covers("receive", "Mt0001")
    assert state.document(None) == {"bookmarks": {}, "currently_syncing": None}


@pytest.mark.parametrize(
    ("bookmark", "seconds"),
    [
        ({"timestamp": JAN}, JAN),
        ({"timestamp": float(JAN)}, JAN),
        ({"timestamp": "2026-01-01T00:00:00Z"}, JAN),
        ({"timestamp": 0}, 0),
        ({"since": "2026-01-01T00:00:00Z"}, JAN),
        ({"since": "2026-01-01 00:00:00+00:00"}, JAN),
        ({"since": JAN}, JAN),
        ({"timestamp": FEB, "since": "2026-01-01"}, FEB),
        ({"timestamp": None, "since": "2026-01-01"}, JAN),
        ({"timestamp": -1}, 0),
        ({"timestamp": -2208988800}, 0),
        ({"timestamp": "1900-01-01"}, 0),
        ({"timestamp": "0001-01-01T00:00:00Z"}, 0),
        ({"timestamp": "9999-12-31T23:59:59Z"}, 253402300799),
        ({"timestamp": None}, None),
        (dict.fromkeys(["timestamp", "since", "start_date", "swept_at", "metrics"]), None),
        (dict.fromkeys(["joining", "definition", "an unknown key"]), None),
        ({}, None),
        (None, None),
    ],
)
def test_bookmarks(bookmark: Any, seconds: int | None) -> None:
    """A bookmark is Unix seconds or a date, under this tap's property or singer-io's."""
    assert State(bookmarks(receive=bookmark)).bookmark("receive") == seconds


def test_flat() -> None:
    """The flat state of early taps has one date for each stream."""
    state = State({"receive": "2026-01-01T00:00:00Z", "currently_syncing": None})
    state.migrate("receive", ["receive"], [])
    assert state.bookmark("receive") == JAN
    assert state.document(None)["bookmarks"] == {"receive": {"timestamp": JAN}}


def test_adopts_metric_ids() -> None:
    """A bookmark under a metric id moves to the stream and covers only that metric."""
    state = State(bookmarks(Mt1={"since": "2026-01-01"}, Mt9={"since": "2026-02-01"}))
    state.migrate("receive", ["receive"], ["Mt1", "Mt2"])
    assert state.bookmark("receive") == JAN
    assert state.covers("receive", "Mt1")
    assert not state.covers("receive", "Mt2")
    assert state.document(None)["bookmarks"].keys() == {"receive", "Mt9"}


def test_adopts_the_oldest() -> None:
    """The oldest of several bookmarks for one stream is used, so that no event is lost."""
    state = State(bookmarks(Mt1={"since": "2026-02-01"}, Mt2={"since": "2026-01-01"}))
    state.migrate("clicked_sms", ["clicked_text_message"], ["Mt1", "Mt2"])
    assert state.bookmark("clicked_sms") == JAN
    assert state.covers("clicked_sms", "Mt1")
    assert state.covers("clicked_sms", "Mt2")


def test_adopts_aliases() -> None:
    """A bookmark under an alias of the stream covers all its metrics."""
    state = State(bookmarks(clicked_text_message={"since": "2026-01-01"}))
    state.migrate("clicked_sms", ["clicked_text_message"], ["Mt1"])
    assert state.bookmark("clicked_sms") == JAN
    assert state.covers("clicked_sms", "Mt1")


def test_own_bookmark_wins() -> None:
    """Bookmarks of other taps are dropped if the stream has its own."""
    state = State(bookmarks(receive={"timestamp": FEB}, Mt1={"since": "2026-01-01"}))
    state.migrate("receive", ["receive"], ["Mt1"])
    assert state.document(None)["bookmarks"] == {"receive": {"timestamp": FEB}}


def test_metrics_that_the_bookmark_covers() -> None:
    """A bookmark does not cover metrics that are new to the stream."""
    state = State(bookmarks(receive={"timestamp": JAN}))
    assert state.covers("receive", "Mt1")
    state.set_metrics("receive", metrics=["Mt1"], swept_at=FEB)
    assert state.covers("receive", "Mt1")
    assert not state.covers("receive", "Mt2")
    assert state.swept_at("receive") == FEB
    assert state.bookmark("receive") == JAN


@pytest.mark.parametrize(
    ("known", "proposed", "latest", "expected"),
    [
        (None, JAN, FEB, JAN),
        (JAN, JAN + 1, FEB, JAN + 1),
        (JAN, JAN, FEB, JAN),
        (JAN + 5, JAN, FEB, JAN + 5),
        (JAN, FEB + 5, FEB, FEB),
        (FEB + 5, JAN, FEB, FEB),
    ],
    ids=["first", "forward", "same", "never back", "never past the start", "from the future"],
)
def test_advance(known: int | None, proposed: int, latest: int, expected: int) -> None:
    """A bookmark only moves forward, at most to the start of the run; advance returns if it did."""
    state = State(bookmarks(receive={"timestamp": known}))
    assert state.advance("receive", proposed, latest=latest) is (known != expected)
    assert state.bookmark("receive") == expected


@pytest.mark.parametrize(
    ("known", "proposed", "latest", "backfill", "covered"),
    [
        (None, JAN, FEB, JAN, False),
        (JAN, JAN + 1, FEB, JAN + 1, False),
        (JAN + 5, JAN, FEB, JAN + 5, False),
        (JAN, FEB - 1, FEB, None, True),
        (JAN, FEB, FEB - 1, None, True),
        (JAN, FEB, JAN + 3, JAN + 3, False),
    ],
    ids=["first", "forward", "never back", "caught up", "past", "never past the start"],
)
def test_a_metric_that_is_backfilled(
    known: int | None, proposed: int, latest: int, backfill: int | None, covered: bool
) -> None:
    """A new metric has its own bookmark until that reaches the bookmark of the stream."""
    document = bookmarks(receive={"timestamp": FEB - 1, "metrics": ["Mt1"]})
    state = State(document)
    if known is not None:
        assert state.advance_backfill("receive", "Mt2", known, latest=FEB)
    assert state.advance_backfill("receive", "Mt2", proposed, latest=latest) is (known != backfill)
    again = State(state.document(None))
    assert again.backfill_bookmark("receive", "Mt2") == backfill
    assert again.covers("receive", "Mt2") is covered
    assert again.bookmark("receive") == FEB - 1
    assert ("joining" in again.document(None)["bookmarks"]["receive"]) is not covered


def test_a_backfilled_metric_is_not_covered_early() -> None:
    """A finished stream keeps the bookmark of a metric that is still being backfilled."""
    state = State(bookmarks(receive={"timestamp": FEB, "metrics": ["Mt1"]}))
    for metric in ("Mt2", "Mt9"):
        state.advance_backfill("receive", metric, JAN, latest=FEB)
    state.set_metrics("receive", metrics=["Mt1", "Mt2", "Mt3"])
    assert state.document(None)["bookmarks"]["receive"] == {
        "timestamp": FEB,
        "metrics": ["Mt1"],
        "joining": {"Mt2": JAN, "Mt9": JAN},
    }


@pytest.mark.parametrize(("set_aside_at", "mark"), [(None, FEB), (JAN, JAN)])
def test_a_missing_metric_keeps_a_bookmark(set_aside_at: int | None, mark: int) -> None:
    """A metric that the account lacks now keeps a bookmark of its own for its return."""
    state = State(bookmarks(receive={"timestamp": FEB, "metrics": ["Mt1", "Mt2"]}))
    state.set_metrics("receive", metrics=["Mt1"], set_aside_at=set_aside_at)
    state.advance("receive", FEB + 60, latest=FEB + 60)
    assert not state.covers("receive", "Mt2")
    assert state.backfill_bookmark("receive", "Mt2") == mark
    assert state.metric_ids("receive") == ["Mt1", "Mt2"]


@pytest.mark.parametrize(
    ("known", "mark", "start_date", "stored"),
    [
        ({}, FEB, JAN, JAN),
        ({"timestamp": JAN + 5}, FEB, JAN, JAN),
        ({"timestamp": JAN + 5, "start_date": JAN}, FEB, JAN - 5, JAN),
        ({"timestamp": JAN + 5, "start_date": JAN}, FEB, JAN + 3, JAN),
        ({"timestamp": JAN, "start_date": JAN - 5}, FEB, JAN + 3, JAN + 3),
        ({"timestamp": FEB, "start_date": JAN}, FEB, FEB + 3, JAN),
        ({"timestamp": FEB}, FEB, JAN, None),
    ],
    ids=["first", "unknown", "earlier", "later", "a gap", "a gap, nothing read", "nothing read"],
)
def test_start_date(known: dict[str, int], mark: int, start_date: int, stored: int | None) -> None:
    """The state remembers from where on there is no gap before the bookmark."""
    state = State(bookmarks(receive=known))
    state.advance("receive", mark, latest=FEB, start_date=start_date)
    assert state.start_date("receive") == stored


@pytest.mark.parametrize(
    ("known", "start_date", "stored"),
    [(None, JAN - 5, JAN), (None, JAN + 5, JAN + 5), (JAN, JAN + 5, JAN + 5), (FEB, JAN + 5, JAN)],
)
def test_start_date_of_a_backfill(known: int | None, start_date: int, stored: int) -> None:
    """A metric that is backfilled from a later date than the stream makes that the first one."""
    bookmark = {"timestamp": FEB + 9, "start_date": JAN, "metrics": [], "joining": {"Mt2": known}}
    state = State(bookmarks(receive=bookmark))
    state.advance_backfill("receive", "Mt2", FEB + 3, latest=FEB + 9, start_date=start_date)
    assert state.start_date("receive") == stored


@pytest.mark.parametrize(
    ("read", "stored"),
    [
        (FullRead(JAN, "a1"), {"full_table_read_at": JAN, "full_table_of": "a1"}),
        (
            FullRead(JAN, "a1", FEB, ("F1", "F2")),
            {
                "full_table_read_at": JAN,
                "full_table_of": "a1",
                "updated_read_at": FEB,
                "parents": ["F1", "F2"],
            },
        ),
        (None, {}),
    ],
)
@pytest.mark.parametrize("others", [{}, {"timestamp": JAN, "note": 1}])
def test_a_full_read(read: FullRead | None, stored: dict[str, Any], others: dict[str, Any]) -> None:
    """When a table was read is stored beside the other keys, replaced, and removed."""
    state = State(bookmarks(flows=others) if others else {})
    state.set_full_read("flows", FullRead(FEB, "b2", FEB, ("F3",)))
    state.set_full_read("flows", read)
    document = state.document(None)
    assert document["bookmarks"].get("flows", {}) == {**others, **stored}
    assert State(document).full_read("flows") == read


def test_a_stream_that_was_never_remembered_is_not_stored() -> None:
    """To forget a full read leaves a state without one as it is."""
    document = {"bookmarks": {"lists": None, "tags": {"note": 1}}, "currently_syncing": None}
    state = State(document)
    for stream in ("lists", "tags", "flows"):
        state.set_full_read(stream, None)
    assert state.document(None) == document


def test_keys_that_are_not_understood() -> None:
    """A bookmark without any key of this tap is told from one that is only empty."""
    state = State(
        bookmarks(events={"partitions": [], "cursor": 1}, open={"swept_at": JAN}, click=None)
    )
    assert state.unknown_keys("events") == ["cursor", "partitions"]
    assert state.unknown_keys("open") == state.unknown_keys("click") == []


def test_negative_times_are_not_written_again() -> None:
    """Times before 1970, as older versions stored them, become 0 also where nothing moves."""
    old = {"timestamp": -5, "swept_at": -5.0, "metrics": ["A"], "joining": {"B": -5, "C": None}}
    written = State(bookmarks(receive=old)).document(None)["bookmarks"]["receive"]
    expected = {"timestamp": 0, "swept_at": 0, "metrics": ["A"], "joining": {"B": 0, "C": None}}
    assert written == expected


def test_unknown_content_is_kept() -> None:
    """Content that this version does not know stays in the state."""
    document = {"bookmarks": {"receive": {"timestamp": JAN, "note": [1]}, "x": {"y": 1}}, "z": 1}
    state = State(document)
    state.advance("receive", FEB, latest=FEB)
    written = state.document("receive")
    assert written["bookmarks"]["receive"] == {"timestamp": FEB, "note": [1]}
    assert (written["bookmarks"]["x"], written["z"]) == ({"y": 1}, 1)
    assert written["currently_syncing"] == "receive"


def test_copies() -> None:
    """Changes of the state change neither the document that was read nor one that was returned."""
    document = bookmarks(receive={"timestamp": JAN, "metrics": ["Mt1"]})
    before = copy.deepcopy(document)
    state = State(document)
    before_changes = state.document(None)
    state.advance("receive", FEB, latest=FEB)
    state.set_metrics("receive", metrics=["Mt2"])
    state.migrate("receive", [], [])
    assert document == before
    assert before_changes["bookmarks"] == before["bookmarks"]


@pytest.mark.parametrize(
    ("document", "location"),
    [
        ({"bookmarks": []}, "'bookmarks'"),
        ({"bookmarks": "receive"}, "'bookmarks'"),
        (bookmarks(receive="2026-01-01"), "bookmarks.receive"),
        (bookmarks(receive=[]), "bookmarks.receive"),
        (bookmarks(receive={"timestamp": "soon"}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"timestamp": -(10**15)}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"timestamp": 10**400}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"start_date": "soon"}), "bookmarks.receive.start_date"),
        (bookmarks(receive={"definition": "Placed Order"}), "bookmarks.receive.definition"),
        (bookmarks(receive={"timestamp": True}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"timestamp": {}}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"timestamp": float("nan")}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"timestamp": JAN * 1000}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"since": "12"}), "bookmarks.receive.since"),
        (bookmarks(receive={"timestamp": JAN, "swept_at": []}), "bookmarks.receive.swept_at"),
        (bookmarks(receive={"metrics": "Mt1"}), "bookmarks.receive.metrics"),
        (bookmarks(receive={"metrics": [1]}), "bookmarks.receive.metrics"),
        (bookmarks(lists={"full_table_read_at": "soon"}), "bookmarks.lists.full_table_read_at"),
        (bookmarks(lists={"full_table_of": 1}), "bookmarks.lists.full_table_of"),
        (bookmarks(flows={"updated_read_at": []}), "bookmarks.flows.updated_read_at"),
        (bookmarks(flows={"parents": "F1"}), "bookmarks.flows.parents must be an array of IDs"),
        (bookmarks(flows={"parents": [1]}), "bookmarks.flows.parents"),
        (bookmarks(receive={"joining": ["Mt1"]}), "bookmarks.receive.joining"),
        (bookmarks(receive={"joining": {"Mt1": "x"}}), "bookmarks.receive.joining.Mt1"),
        ({"receive": 1767225600}, "'receive'"),
        ({"receive": {"timestamp": JAN}}, "'receive'"),
        ({"value": 1}, "'value' is neither 'bookmarks' nor a date"),
        ({"receive": "soon"}, "'receive' is neither 'bookmarks' nor a date"),
    ],
)
def test_errors_name_the_location(document: dict[str, Any], location: str) -> None:
    """An invalid state is an error with the location, never a silent full sync."""
    with pytest.raises(StateError) as caught:
        State(document)
    assert str(caught.value).startswith("state: ")
    assert location in str(caught.value)


def test_deep_nesting() -> None:
    """A document that is nested too deeply raises StateError."""
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    with suppress(StateError):
        State({"bookmarks": {"receive": {"timestamp": JAN}}, "note": deep}).document(None)


@given(DOCUMENTS, NAMES)
def test_broken_documents(document: dict[str, Any], stream: str) -> None:
    """Any document either raises StateError or can be advanced and written."""
    try:
        state = State(document)
        state.migrate(stream, ["Mt0001"], ["click"], ("updated",))
    except StateError:
        return
    state.define(stream, ["Placed Order"], without=state.metric_ids(stream)[:1])
    state.set_metrics(stream, metrics=["Mt0001"])
    before = state.bookmark(stream)
    state.advance(stream, FEB, latest=FEB + 1, start_date=JAN)
    after = state.bookmark(stream)
    assert after is not None
    assert after <= FEB + 1
    assert before is None or after >= min(before, FEB + 1)
    assert State(state.document(stream)).bookmark(stream) == after
