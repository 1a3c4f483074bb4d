"""The state document: read, taken over from other taps, advanced, dumped."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.errors import StateError
from tap_klaviyo.state import State

JAN = 1767225600  # 2026-01-01T00:00:00Z
FEB = 1769904000  # 2026-02-01T00:00:00Z

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
KEYS = ["timestamp", "since", "swept_at", "metrics", "joining"]
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
    """A state document with these bookmarks."""
    return {"bookmarks": entries}


@pytest.mark.parametrize("document", [{}, {"bookmarks": {}}, {"bookmarks": None}])
def test_empty(document: dict[str, Any]) -> None:
    """Without a bookmark a stream has never been read."""
    state = State(document)
    assert state.bookmark("receive") is None
    assert state.swept_at("receive") is None
    assert not state.covers("receive", "Mt0001")
    assert state.document(None) == {"bookmarks": {}, "currently_syncing": None}


@pytest.mark.parametrize(
    ("bookmark", "mark"),
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
        ({"timestamp": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_marks(bookmark: Any, mark: int | None) -> None:
    """A mark is Unix seconds or a date, under the tap's own name or singer-io's."""
    assert State(bookmarks(receive=bookmark)).bookmark("receive") == mark


def test_flat() -> None:
    """The flat state of early taps is one date for each stream."""
    state = State({"receive": "2026-01-01T00:00:00Z", "currently_syncing": None})
    state.migrate("receive", ["receive"], [])
    assert state.bookmark("receive") == JAN
    assert state.document(None)["bookmarks"] == {"receive": {"timestamp": JAN}}


def test_adopts_metric_ids() -> None:
    """A bookmark under a metric's id moves to the stream and speaks of that metric alone."""
    state = State(bookmarks(Mt1={"since": "2026-01-01"}, Mt9={"since": "2026-02-01"}))
    state.migrate("receive", ["receive"], ["Mt1", "Mt2"])
    assert state.bookmark("receive") == JAN
    assert state.covers("receive", "Mt1")
    assert not state.covers("receive", "Mt2")
    assert state.document(None)["bookmarks"].keys() == {"receive", "Mt9"}


def test_adopts_the_oldest() -> None:
    """Of several bookmarks for one stream the oldest counts: nothing is lost by it."""
    state = State(bookmarks(Mt1={"since": "2026-02-01"}, Mt2={"since": "2026-01-01"}))
    state.migrate("clicked_sms", ["clicked_text_message"], ["Mt1", "Mt2"])
    assert state.bookmark("clicked_sms") == JAN
    assert state.covers("clicked_sms", "Mt1")
    assert state.covers("clicked_sms", "Mt2")


def test_adopts_aliases() -> None:
    """A bookmark under another name of the stream speaks of all its metrics."""
    state = State(bookmarks(clicked_text_message={"since": "2026-01-01"}))
    state.migrate("clicked_sms", ["clicked_text_message"], ["Mt1"])
    assert state.bookmark("clicked_sms") == JAN
    assert state.covers("clicked_sms", "Mt1")


def test_own_mark_wins() -> None:
    """Once a stream has its own mark, what other taps left behind is dropped."""
    state = State(bookmarks(receive={"timestamp": FEB}, Mt1={"since": "2026-01-01"}))
    state.migrate("receive", ["receive"], ["Mt1"])
    assert state.document(None)["bookmarks"] == {"receive": {"timestamp": FEB}}


def test_metrics_that_the_mark_covers() -> None:
    """A metric that is new to a stream is not covered by its mark."""
    state = State(bookmarks(receive={"timestamp": JAN}))
    assert state.covers("receive", "Mt1")
    state.set_metrics("receive", metrics=["Mt1"], swept_at=FEB)
    assert state.covers("receive", "Mt1")
    assert not state.covers("receive", "Mt2")
    assert state.swept_at("receive") == FEB
    assert state.bookmark("receive") == JAN


@pytest.mark.parametrize(
    ("known", "mark", "latest", "expected"),
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
def test_advance(known: int | None, mark: int, latest: int, expected: int) -> None:
    """A mark moves forward only, and not past the start of the run; whether it moved is told."""
    state = State(bookmarks(receive={"timestamp": known}))
    assert state.advance("receive", mark, latest=latest) is (known != expected)
    assert state.bookmark("receive") == expected


@pytest.mark.parametrize(
    ("known", "mark", "latest", "joining", "covered"),
    [
        (None, JAN, FEB, JAN, False),
        (JAN, JAN + 1, FEB, JAN + 1, False),
        (JAN + 5, JAN, FEB, JAN + 5, False),
        (JAN, FEB - 1, FEB, None, True),
        (JAN, FEB, FEB - 1, None, True),
        (JAN, FEB, JAN + 3, JAN + 3, False),
    ],
    ids=["first", "forward", "never back", "come up", "beyond", "never past the start"],
)
def test_a_metric_that_joins(
    known: int | None, mark: int, latest: int, joining: int | None, covered: bool
) -> None:
    """A new metric has a mark of its own until it has come up to the stream's, a second ago."""
    document = bookmarks(receive={"timestamp": FEB - 1, "metrics": ["Mt1"]})
    state = State(document)
    if known is not None:
        assert state.advance_backfill("receive", "Mt2", known, latest=FEB)
    assert state.advance_backfill("receive", "Mt2", mark, latest=latest) is (known != joining)
    again = State(state.document(None))
    assert again.backfill_bookmark("receive", "Mt2") == joining
    assert again.covers("receive", "Mt2") is covered
    assert again.bookmark("receive") == FEB - 1
    assert ("joining" in again.document(None)["bookmarks"]["receive"]) is not covered


def test_what_joins_is_not_covered_before_its_time() -> None:
    """A stream that is finished while a metric still joins keeps that metric's mark."""
    state = State(bookmarks(receive={"timestamp": FEB, "metrics": ["Mt1", "Mt8"]}))
    for metric in ("Mt2", "Mt9"):
        state.advance_backfill("receive", metric, JAN, latest=FEB)
    state.set_metrics("receive", metrics=["Mt1", "Mt2", "Mt3"])
    assert state.document(None)["bookmarks"]["receive"] == {
        "timestamp": FEB,
        "metrics": ["Mt1"],
        "joining": {"Mt2": JAN},
    }


def test_keeps_what_it_does_not_know() -> None:
    """What another version or a person wrote into the state stays there."""
    document = {"bookmarks": {"receive": {"timestamp": JAN, "note": [1]}, "x": {"y": 1}}, "z": 1}
    state = State(document)
    state.advance("receive", FEB, latest=FEB)
    written = state.document("receive")
    assert written["bookmarks"]["receive"] == {"timestamp": FEB, "note": [1]}
    assert (written["bookmarks"]["x"], written["z"]) == ({"y": 1}, 1)
    assert written["currently_syncing"] == "receive"


def test_copies() -> None:
    """Neither the document read nor a document given out changes with the state."""
    document = bookmarks(receive={"timestamp": JAN, "metrics": ["Mt1"]})
    before = copy.deepcopy(document)
    state = State(document)
    given_out = state.document(None)
    state.advance("receive", FEB, latest=FEB)
    state.set_metrics("receive", metrics=["Mt2"])
    state.migrate("receive", [], [])
    assert document == before
    assert given_out["bookmarks"] == before["bookmarks"]


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"bookmarks": []}, "'bookmarks'"),
        ({"bookmarks": "receive"}, "'bookmarks'"),
        (bookmarks(receive="2026-01-01"), "bookmarks.receive"),
        (bookmarks(receive=[]), "bookmarks.receive"),
        (bookmarks(receive={"timestamp": "soon"}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"timestamp": -1}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"timestamp": True}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"timestamp": {}}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"timestamp": float("nan")}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"timestamp": JAN * 1000}), "bookmarks.receive.timestamp"),
        (bookmarks(receive={"since": "12"}), "bookmarks.receive.since"),
        (bookmarks(receive={"timestamp": JAN, "swept_at": []}), "bookmarks.receive.swept_at"),
        (bookmarks(receive={"metrics": "Mt1"}), "bookmarks.receive.metrics"),
        (bookmarks(receive={"metrics": [1]}), "bookmarks.receive.metrics"),
        (bookmarks(receive={"joining": ["Mt1"]}), "bookmarks.receive.joining"),
        (bookmarks(receive={"joining": {"Mt1": "x"}}), "bookmarks.receive.joining.Mt1"),
        ({"receive": 1767225600}, "'receive'"),
        ({"receive": {"timestamp": JAN}}, "'receive'"),
        ({"value": {"bookmarks": {}}}, "'value'"),
        ({"receive": "soon"}, "bookmarks.receive.since"),
    ],
)
def test_errors_name_the_place(document: dict[str, Any], place: str) -> None:
    """What cannot be understood is an error that names the place, never a silent fresh start."""
    with pytest.raises(StateError) as caught:
        State(document)
    assert str(caught.value).startswith("state: ")
    assert place in str(caught.value)


def test_deep_nesting() -> None:
    """A document too deep to be a state is refused like any other."""
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    with suppress(StateError):
        State({"bookmarks": {"receive": {"timestamp": JAN}}, "note": deep}).document(None)


@given(DOCUMENTS, NAMES)
def test_broken_documents(document: dict[str, Any], stream: str) -> None:
    """Any document is either refused with a StateError or works from then on."""
    try:
        state = State(document)
    except StateError:
        return
    state.migrate(stream, ["Mt0001"], ["click"])
    state.set_metrics(stream, metrics=["Mt0001"])
    before = state.bookmark(stream)
    state.advance(stream, FEB, latest=FEB + 1)
    mark = state.bookmark(stream)
    assert mark is not None
    assert mark <= FEB + 1
    assert before is None or mark >= min(before, FEB + 1)
    assert State(state.document(stream)).bookmark(stream) == mark
