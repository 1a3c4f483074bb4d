"""Any content of config, catalog and state: an exit code, one error line, complete messages."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from command_runs import CONFIG, DAY, STATE, catalog, run_with
from hypothesis import given, settings
from hypothesis import strategies as st
from mutated_files import CONFIG as RIGHT_CONFIG
from mutated_files import ROLES, STREAMS_READ, Files, mutated_files, with_methods
from mutated_runs import RIGHT_FILES, check_answers, check_files
from mutations import METHODS, mutated_bytes, states
from simulated_klaviyo import NOW, Arrival, SimulatedKlaviyo

from tap_klaviyo.state import SWEPT_AT


def deselected(document: dict[str, Any], stream: str, *breadcrumb: str) -> dict[str, Any]:
    """The catalog with a field of a stream, or the stream, deselected."""
    for entry in document["streams"]:
        for item in entry["metadata"]:
            if entry["stream"] == stream and item["breadcrumb"] == list(breadcrumb):
                item["metadata"]["selected"] = False
    return document


def config(**changes: Any) -> dict[str, Any]:
    """The valid config with some changes."""
    return CONFIG | changes


def state(**bookmarks: Any) -> dict[str, Any]:
    """A state with these bookmarks."""
    return {"bookmarks": bookmarks}


BROKEN: dict[str, tuple[bytes | Path | list[Any], str]] = {
    "empty": (b"", "is empty"),
    "blank": (b" \n", "is empty"),
    "broken": (b'{"streams": [', "is not JSON"),
    "two documents": (b"{}{}", "more than one JSON object"),
    "not UTF-8": (b'{"a": "\xff"}', "is not JSON"),
    "a lone surrogate": (b'{"a": "\\ud83d"}', "is not JSON"),
    "deep": (b"[" * 100_000, "is not JSON"),
    "a list": ([], "must hold a JSON object"),
    "a number": (b"1", "must hold a JSON object"),
    "a directory": (Path("/"), "cannot read /: Is a directory"),
    "absent": (Path("/absent.json"), "cannot read /absent.json: No such file"),
    "unreadable": (Path("/dev/null/config.json"), "cannot read /dev/null/config.json: Not a dir"),
}


@pytest.mark.parametrize("role", ["config", "catalog", "state"])
@pytest.mark.parametrize(("content", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_files(tmp_path: Path, role: str, content: Any, expected: str) -> None:
    """A file that is not a JSON object ends the command with a line that names its role."""
    outcome = run_with(tmp_path, **{role: content})
    assert outcome.code == 2
    assert outcome.errors[0].startswith(f"CRITICAL {role}: ")
    assert expected in outcome.errors[0]
    assert not outcome.messages


NO_DAY = "2026-02-30"
FUTURE = NOW + 400 * DAY

FILES: dict[str, tuple[dict[str, Any], int, str]] = {
    "config: nothing in it": ({"config": {}}, 2, "api_key: expected"),
    "config: an unknown key": ({"config": config(color="red")}, 0, "settings are ignored: 'color'"),
    "config: a key with a line break": ({"config": config(**{"a\nb": 1})}, 0, "unknown setting"),
    "config: wrong types": ({"config": config(start_date=[1])}, 2, "start_date: expected"),
    "config: no such day": ({"config": config(start_date=NO_DAY)}, 2, "start_date: expected"),
    "config: start after end": ({"config": config(end_date="2020-01-01")}, 2, "after start_date"),
    "config: start in the future": (
        {"config": config(start_date="2999-01-01")},
        0,
        "Read 27 records",
    ),
    "config: no worker": ({"config": config(concurrency=0)}, 2, "concurrency: expected"),
    "config: too many workers": ({"config": config(concurrency=10**30)}, 2, "concurrency"),
    "config: a huge text": ({"config": config(user_agent="x" * 5_000_000)}, 0, "Read"),
    "state: empty object": ({"state": {}}, 0, "Read 32 records"),
    "state: no bookmarks": ({"state": {"bookmarks": None}}, 0, "Read 32 records"),
    "state: bookmarks a list": ({"state": {"bookmarks": []}}, 2, "'bookmarks' must be an object"),
    "state: no such day": ({"state": state(open={"timestamp": NO_DAY})}, 2, "open.timestamp"),
    "state: a time out of range": (
        {"state": state(open={"timestamp": 10**30})},
        2,
        "open.timestamp",
    ),
    "state: a huge text": ({"state": state(open={"timestamp": "9" * 5_000_000})}, 2, "open.timest"),
    "state: a name with a line break": ({"state": state(**{"a\nb": 1})}, 2, "must be an object"),
    "state: an unknown stream": ({"state": state(gone={"timestamp": 1})}, 0, "unknown streams"),
    "state: nulls": (
        {"state": state(open=dict.fromkeys(("timestamp", "joining", "metrics", "swept_at")))},
        0,
        "Read 32 records",
    ),
    "state: before 1970": ({"state": state(open={"timestamp": -1})}, 0, "Read 32 records"),
    "state: of Meltano's SDK, no date": (
        {"state": state(open={"replication_key": "datetime", "replication_key_value": "x"})},
        2,
        "open.replication_key_value must be",
    ),
    "state: from the future": ({"state": state(open={"timestamp": FUTURE})}, 0, "future"),
    "catalog: nothing in it": ({"catalog": {}}, 2, "'streams' must be an array"),
    "catalog: no streams": ({"catalog": {"streams": []}}, 0, "No stream is selected"),
    "catalog: none selected": (
        {"catalog": deselected(catalog("lists"), "lists")},
        0,
        "No stream is selected",
    ),
    "catalog: a stream twice": (
        {"catalog": {"streams": catalog("lists")["streams"] * 2}},
        2,
        "'lists' is selected twice",
    ),
    "catalog: an unknown stream": (
        {
            "catalog": {
                "streams": [
                    {**catalog("lists")["streams"][0], "stream": "x\ny", "tap_stream_id": "x\ny"}
                ]
            }
        },
        2,
        "no such stream",
    ),
    "catalog: a key deselected": (
        {"catalog": deselected(catalog("lists"), "lists", "properties", "id")},
        0,
        "Read",
    ),
}


@pytest.mark.parametrize(("files", "code", "expected"), FILES.values(), ids=FILES.keys())
def test_odd_files(tmp_path: Path, files: dict[str, Any], code: int, expected: str) -> None:
    """Each unusual file is refused in one line or accepted with a log line."""
    outcome = run_with(tmp_path, **files)
    assert outcome.code == code, outcome.shown
    assert expected in outcome.shown
    assert max(map(len, outcome.shown.splitlines())) < 2_000, "a line is too long"


def test_a_key_is_always_written(tmp_path: Path) -> None:
    """Records have their key even if the catalog deselects it."""
    without_id = deselected(catalog("lists"), "lists", "properties", "id")
    records = [m for m in run_with(tmp_path, catalog=without_id).messages if m["type"] == "RECORD"]
    assert records
    assert all(message["record"]["id"] for message in records)


def test_a_state_from_the_future_comes_back(tmp_path: Path) -> None:
    """A bookmark in the future is set back to the start of the run."""
    outcome = run_with(tmp_path, state=state(open={"timestamp": FUTURE}))
    assert outcome.messages[-1]["value"]["bookmarks"]["open"]["timestamp"] <= NOW


def test_a_sweep_of_the_future_is_due() -> None:
    """A sweep time in the future does not delay the next sweep."""
    klaviyo = SimulatedKlaviyo("open")
    future_state = state(open={"timestamp": NOW - 60, SWEPT_AT: FUTURE})
    klaviyo.arrive(Arrival(0, 3 * DAY, "Opened Email"))
    output = klaviyo.sync(future_state)
    assert [m for m in output.messages if m["type"] == "RECORD"]
    assert output.messages[-1]["value"]["bookmarks"]["open"][SWEPT_AT] <= NOW


DATES = st.sampled_from(
    ["0001-01-01", "1900-01-01", "2026-08-10", "2026-12-31", "9999-12-31T23:59:59Z"]
)
METHOD_OF = st.builds(with_methods, METHODS, st.sampled_from(STREAMS_READ))


@settings(max_examples=80)
@given(states("open", "profiles", "list_members"), METHOD_OF, DATES, st.none() | DATES)
def test_fuzzed_starts(state: Any, catalog: Any, start: str, end: str | None) -> None:
    """Bookmarks of any tap, methods and dates: refused in a line, or all that they ask for."""
    dates = {"start_date": start, "end_date": end}
    check_files(Files("starts", {**RIGHT_CONFIG, **dates}, catalog, state))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role or "any")
@settings(max_examples=70)
@given(data=st.data())
def test_fuzzed_documents(role: str, data: st.DataObject) -> None:
    """With any changes of its files a command refuses them, reads all, or names the rest."""
    check_files(data.draw(mutated_files(role)))


@settings(max_examples=150)
@given(data=st.data())
def test_fuzzed_answers(data: st.DataObject) -> None:
    """With any changes of some answers all is read, or named, and nothing is lost after a rerun."""
    check_answers(data.draw(RIGHT_FILES), data.draw)


@pytest.mark.parametrize(
    ("role", "valid"), [("config", CONFIG), ("catalog", catalog("lists")), ("state", STATE)]
)
@settings(max_examples=60)
@given(data=st.data())
def test_fuzzed_bytes(role: str, valid: Any, data: st.DataObject) -> None:
    """A file with any bytes never crashes the command."""
    content = data.draw(st.binary(max_size=200) | mutated_bytes(json.dumps(valid).encode()))
    with tempfile.TemporaryDirectory() as folder:
        run_with(Path(folder), **{role: content})
