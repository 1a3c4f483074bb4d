"""Four targets of different authors load everything that the tap writes, without duplicates."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from external_programs import TAP, pipe
from sandbox_account import (
    EVENT_STREAMS,
    KEY_OF,
    LOOKBACK,
    Keys,
    SandboxAccount,
    bookmark,
    serve_account,
)
from stored_values import canonical
from targets import DATABASES, FILES, Row, Target

Environment = Callable[[str], Path]


@dataclass(frozen=True)
class Synced:
    """Two syncs into one target: the loaded keys and the expected ones.

    `first` and `second` are the keys in the tables after each sync, `written` those in the messages
    of the second; each has its expected counterpart from the account.
    """

    klaviyo: SandboxAccount
    target: Target
    first: Keys
    expected_first: Keys
    arrived: Keys
    written: Keys
    expected_written: Keys
    second: Keys
    expected_second: Keys

    def latest(self, stream: str) -> dict[str, Row]:
        """The rows of a table by key; the last one of rows with the same key."""
        return {row[KEY_OF[stream]]: row for row in self.target.rows(stream)}


@pytest.fixture(scope="module", params=[*FILES, *DATABASES])
def synced(
    request: pytest.FixtureRequest,
    environment: Environment,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Synced]:
    """Runs the tap into the target, adds data to the account, and runs it again."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param in FILES:
        target = FILES[request.param](folder)
    else:
        server = request.getfixturevalue("postgres")
        target = DATABASES[request.param](server.database(request.param))
    command = environment(target.environment) / target.executable
    (folder / "target.json").write_text(json.dumps(target.settings))
    with serve_account(3000) as klaviyo:
        klaviyo.write_files(folder)
        (folder / "state.json").write_text("{}")
        first = _sync(folder, command, target)
        tables, truth = _keys(target), klaviyo.keys(end=bookmark(first))
        arrived = klaviyo.add_data()
        second = _sync(folder, command, target)
        yield Synced(
            klaviyo=klaviyo,
            target=target,
            first=tables,
            expected_first=truth,
            arrived=arrived,
            written=_messages(folder),
            expected_written=klaviyo.keys(start=bookmark(first) - LOOKBACK, end=bookmark(second)),
            second=_keys(target),
            expected_second=klaviyo.keys(end=bookmark(second)),
        )


def _sync(folder: Path, command: Path, target: Target) -> dict[str, Any]:
    """Runs `tap | target`, and saves a copy of the messages and the confirmed state."""
    tap = (TAP, "--config=config.json", "--catalog=catalog.json", "--state=state.json")
    target_output = pipe(
        *(tap, ("tee", "messages.jsonl"), (command, "--config=target.json")),
        cwd=folder,
        environment=target.variables,
    )
    last = target_output.splitlines()[-1]
    (folder / "state.json").write_text(last)
    state: dict[str, Any] = json.loads(last)
    return state


def _keys(target: Target) -> Keys:
    return {
        stream: sorted(row[key] for row in target.rows(stream)) for stream, key in KEY_OF.items()
    }


def _messages(folder: Path) -> Keys:
    """The keys of the records that the last sync wrote, by stream."""
    keys: Keys = defaultdict(list)
    for line in (folder / "messages.jsonl").read_bytes().splitlines():
        message = json.loads(line)
        if message["type"] == "RECORD":
            stream = message["stream"]
            keys[stream].append(message["record"][KEY_OF[stream]])
    return {stream: sorted(found) for stream, found in keys.items()}


def test_a_first_sync_fills_every_table(synced: Synced) -> None:
    """After one sync each of the 21 tables has the data of the account, each key once."""
    assert synced.first == synced.expected_first
    assert all(synced.first.values())


def test_a_second_sync_is_incremental(synced: Synced) -> None:
    """The second sync writes the data since the target's state, and the look-back."""
    assert synced.written == synced.expected_written
    for stream in EVENT_STREAMS:
        assert synced.arrived[stream] == sorted({*synced.written[stream]} - {*synced.first[stream]})


def test_tables_are_complete_after_a_second_sync(synced: Synced) -> None:
    """After the second sync the tables are complete, with each key once if the target upserts."""
    for stream, keys in synced.second.items():
        unique = keys if synced.target.upserts else sorted({*keys})
        assert unique == synced.expected_second[stream], stream


@pytest.mark.parametrize("stream", ["open", "unsubscribe", "received_sms", "campaigns", "lists"])
def test_rows_are_complete(synced: Synced, stream: str) -> None:
    """Every value of a row is the one of Klaviyo's API, also nested and non-ASCII values."""
    from_api, rows = synced.klaviyo.records(stream), synced.latest(stream)
    assert not json.dumps(from_api, ensure_ascii=False).isascii()
    for key, row in rows.items():
        expected = {name: from_api[key][name] for name in from_api[key].keys() & row.keys()}
        assert len(expected) >= 5
        assert canonical({name: row[name] for name in expected}) == canonical(expected)


def test_dates_are_in_utc(synced: Synced) -> None:
    """The date of every event agrees with its Unix seconds."""
    for stream in EVENT_STREAMS:
        for row in synced.target.rows(stream):
            moment = datetime.fromtimestamp(row["timestamp"], timezone.utc)
            assert canonical(row["datetime"]) == moment
