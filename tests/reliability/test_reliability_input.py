"""Any content of config, catalog and state: an exit code, one error line, complete messages."""

from __future__ import annotations

import io
import json
import tempfile
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import JSON, METHODS, mutated_bytes, mutated_document, states
from run_output import Message, Pipe
from simulated_klaviyo import NOW, URL, Arrival, SimulatedKlaviyo, time_limit
from tap_processes import restored_logging

from tap_klaviyo import cli
from tap_klaviyo.config.settings import SETTINGS as SETTINGS_OF_THE_TAP
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.state import METRICS, SWEPT_AT
from tap_klaviyo.sync.run import Run

LEVELS = ("DEBUG ", "INFO ", "WARNING ", "ERROR ", "CRITICAL ")
STREAMS = ("open", "lists")
DAY = 86_400

CONFIG = {"api_key": "pk_test", "start_date": "2026-08-10", "base_url": URL}
STATE = {
    "bookmarks": {
        "open": {"timestamp": NOW - DAY, SWEPT_AT: NOW - DAY, METRICS: ["M1"]},
        "click": {"since": "2026-10-01T00:00:00Z"},
    },
    "currently_syncing": "open",
}


def catalog(*names: str) -> dict[str, Any]:
    """A catalog with these streams only, each with a few fields."""
    entries = []
    for entry in build_catalog()["streams"]:
        if entry["stream"] in names:
            fields = dict(list(entry["schema"]["properties"].items())[:6])
            schema = {**entry["schema"], "properties": fields}
            kept = [m for m in entry["metadata"] if len(m["breadcrumb"]) < 3]
            entries.append({**entry, "schema": schema, "metadata": kept})
    return {"streams": json.loads(json.dumps(entries))}


@dataclass
class Outcome:
    """The exit code, the messages and the log lines of a command."""

    code: int
    messages: list[Message]
    shown: str

    @property
    def errors(self) -> list[str]:
        """The log lines that explain the failure."""
        return [line for line in self.shown.splitlines() if line.startswith("CRITICAL ")]


def run(arguments: list[str]) -> Outcome:
    """Runs the command in a simulation and checks what is true for every run."""
    klaviyo, pipe, shown = SimulatedKlaviyo(*STREAMS), Pipe(), io.StringIO()
    klaviyo.api.key = "pk_test"
    klaviyo.arrive(Arrival(0, 3 * DAY, "Opened Email", 5))
    with (
        time_limit(),
        restored_logging(),
        klaviyo.mounted(),
        redirect_stderr(shown),
        patch("tap_klaviyo.cli.write_stdout", pipe.write),
        patch("tap_klaviyo.tap.client_for", klaviyo.client),
        patch("tap_klaviyo.tap.Run", partial(Run, now=klaviyo.clock)),
    ):
        code = cli.main(arguments)
    assert code in (0, 1)
    assert "Traceback" not in shown.getvalue()
    assert "Internal error" not in shown.getvalue(), shown.getvalue()
    for line in shown.getvalue().splitlines():
        assert line.startswith(LEVELS), line
    *lines, rest = bytes(pipe.got).split(b"\n")
    assert rest == b"", "the last line is incomplete"
    outcome = Outcome(code, [json.loads(line) for line in lines], shown.getvalue())
    assert len(outcome.errors) == code
    return outcome


def run_with(folder: Path, **files: Any) -> Outcome:
    """Runs the command with these files; content that is not bytes is written as JSON."""
    arguments = []
    for role, content in {"config": CONFIG, "catalog": catalog(*STREAMS), **files}.items():
        path = folder / f"{role}.json"
        if isinstance(content, Path):
            path = content
        else:
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            path.write_bytes(raw)
        arguments += [f"--{role}", str(path)]
    return run(arguments)


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
    "empty": (b"", "is not JSON"),
    "blank": (b" \n", "is not JSON"),
    "broken": (b'{"streams": [', "is not JSON"),
    "two documents": (b"{}{}", "is not JSON"),
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
    assert outcome.code == 1
    assert outcome.errors[0].startswith(f"CRITICAL {role}: ")
    assert expected in outcome.errors[0]
    assert not outcome.messages


NO_DAY = "2026-02-30"
FUTURE = NOW + 400 * DAY

FILES: dict[str, tuple[dict[str, Any], int, str]] = {
    "config: nothing in it": ({"config": {}}, 1, "api_key: expected"),
    "config: an unknown key": ({"config": config(color="red")}, 0, "unknown setting 'color'"),
    "config: a key with a line break": ({"config": config(**{"a\nb": 1})}, 0, "unknown setting"),
    "config: wrong types": ({"config": config(start_date=[1])}, 1, "start_date: expected"),
    "config: no such day": ({"config": config(start_date=NO_DAY)}, 1, "start_date: expected"),
    "config: start after end": ({"config": config(end_date="2020-01-01")}, 1, "after start_date"),
    "config: start in the future": (
        {"config": config(start_date="2999-01-01")},
        0,
        "Read 27 records",
    ),
    "config: no worker": ({"config": config(concurrency=0)}, 1, "concurrency: expected"),
    "config: too many workers": ({"config": config(concurrency=10**30)}, 1, "concurrency"),
    "config: a huge text": ({"config": config(user_agent="x" * 5_000_000)}, 0, "Read"),
    "state: empty object": ({"state": {}}, 0, "Read 32 records"),
    "state: no bookmarks": ({"state": {"bookmarks": None}}, 0, "Read 32 records"),
    "state: bookmarks a list": ({"state": {"bookmarks": []}}, 1, "'bookmarks' must be an object"),
    "state: no such day": ({"state": state(open={"timestamp": NO_DAY})}, 1, "open.timestamp"),
    "state: a time out of range": (
        {"state": state(open={"timestamp": 10**30})},
        1,
        "open.timestamp",
    ),
    "state: a huge text": ({"state": state(open={"timestamp": "9" * 5_000_000})}, 1, "open.timest"),
    "state: a name with a line break": ({"state": state(**{"a\nb": 1})}, 1, "must be an object"),
    "state: an unknown stream": ({"state": state(gone={"timestamp": 1})}, 0, "unknown streams"),
    "state: nulls": (
        {"state": state(open=dict.fromkeys(("timestamp", "joining", "metrics", "swept_at")))},
        0,
        "Read 32 records",
    ),
    "state: before 1970": ({"state": state(open={"timestamp": -1})}, 0, "Read 32 records"),
    "state: of Meltano's SDK, no date": (
        {"state": state(open={"replication_key": "datetime", "replication_key_value": "x"})},
        1,
        "open.replication_key_value must be",
    ),
    "state: from the future": ({"state": state(open={"timestamp": FUTURE})}, 0, "future"),
    "catalog: nothing in it": ({"catalog": {}}, 1, "'streams' must be an array"),
    "catalog: no streams": ({"catalog": {"streams": []}}, 0, "No stream is selected"),
    "catalog: none selected": (
        {"catalog": deselected(catalog("lists"), "lists")},
        0,
        "No stream is selected",
    ),
    "catalog: a stream twice": (
        {"catalog": {"streams": catalog("lists")["streams"] * 2}},
        1,
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
        1,
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


SETTINGS = sorted(setting.name for setting in SETTINGS_OF_THE_TAP if setting.name != "api_key")
DOCUMENTS = {
    "config": JSON
    | mutated_document(CONFIG)
    | st.dictionaries(st.sampled_from(SETTINGS), JSON, max_size=3).map(
        lambda changes: CONFIG | changes
    ),
    "catalog": JSON | mutated_document(catalog(*STREAMS)),
    "state": JSON | mutated_document(STATE),
}


def with_method(method: Any) -> dict[str, Any]:
    """A catalog in which all streams have this replication method, and one is unknown."""
    document = catalog("open", "lists", "profiles", "reviews")
    unknown = {**document["streams"][0], "stream": "gone", "tap_stream_id": "gone"}
    document["streams"].append(json.loads(json.dumps(unknown)))
    for entry in document["streams"]:
        entry["metadata"][0]["metadata"] |= {"replication-method": method, "selected": True}
    return deselected(document, "gone")


DATES = ["0001-01-01", "1900-01-01", "2026-08-10", "2026-12-31", "9999-12-31T23:59:59Z"]


@settings(max_examples=200)
@given(states("open", "profiles"), METHODS, st.sampled_from(DATES), st.sampled_from([None, *DATES]))
def test_fuzzed_starts(state: Any, method: Any, start: str, end: str | None) -> None:
    """Bookmarks of any tap, methods and dates: refused in a line, or read up to valid bookmarks."""
    files = {"config": config(start_date=start, end_date=end), "state": state}
    with tempfile.TemporaryDirectory() as folder:
        outcome = run_with(Path(folder), catalog=with_method(method), **files)
        states = [m["value"] for m in outcome.messages if m["type"] == "STATE"]
        if not outcome.code and states:
            for stream in ("open", "profiles"):
                stored = states[-1]["bookmarks"].get(stream) or {}
                assert 0 <= (stored.get("timestamp") or 0) <= NOW + DAY
            again = {**files, "state": states[-1]}
            assert not run_with(Path(folder), catalog=with_method(method), **again).code


@pytest.mark.parametrize("role", DOCUMENTS)
@settings(max_examples=150)
@given(data=st.data())
def test_fuzzed_documents(role: str, data: st.DataObject) -> None:
    """A file with any JSON never crashes the command."""
    content = data.draw(DOCUMENTS[role])
    with tempfile.TemporaryDirectory() as folder:
        run_with(Path(folder), **{role: json.dumps(content).encode()})


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
