"""Four targets by different authors take what the tap writes, all of it and nothing twice."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from external_programs import TAP, pipe
from sandbox_account import EVENT_STREAMS, KEY_OF, LOOKBACK, Keys, Shop, mark, open_shop
from targets import DATABASES, FILES, Row, Target

Environment = Callable[[str], Path]

_DATE = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|([+-]\d\d:\d\d))?")


@dataclass(frozen=True)
class Synced:
    """Two syncs through one target: what they brought, and what there was to bring.

    `first` and `second` are the keys in the tables after each sync, `brought` those in the
    second's messages; each has its counterpart in the account's own words.
    """

    shop: Shop
    target: Target
    first: Keys
    first_truth: Keys
    arrived: Keys
    brought: Keys
    brought_truth: Keys
    second: Keys
    second_truth: Keys

    def latest(self, stream: str) -> dict[str, Row]:
        """The rows of a table by key; of those with the same key, the last one."""
        return {row[KEY_OF[stream]]: row for row in self.target.rows(stream)}


@pytest.fixture(scope="module", params=[*FILES, *DATABASES])
def synced(
    request: pytest.FixtureRequest,
    environment: Environment,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Synced]:
    """Runs the tap into the target, lets the account live on, and runs it again."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param in FILES:
        target = FILES[request.param](folder)
    else:
        server = request.getfixturevalue("postgres")
        target = DATABASES[request.param](server.database(request.param))
    command = environment(target.environment) / target.executable
    (folder / "target.json").write_text(json.dumps(target.settings))
    with open_shop(3000) as shop:
        shop.furnish(folder)
        (folder / "state.json").write_text("{}")
        first = _sync(folder, command)
        tables, truth = _keys(target), shop.keys(end=mark(first))
        arrived = shop.live_on()
        second = _sync(folder, command)
        yield Synced(
            shop=shop,
            target=target,
            first=tables,
            first_truth=truth,
            arrived=arrived,
            brought=_messages(folder),
            brought_truth=shop.keys(start=mark(first) - LOOKBACK, end=mark(second)),
            second=_keys(target),
            second_truth=shop.keys(end=mark(second)),
        )


def _sync(folder: Path, target: Path) -> dict[str, Any]:
    """`tap | target`, with a copy of the messages; the state that the target confirmed is kept."""
    tap = (TAP, "--config=config.json", "--catalog=catalog.json", "--state=state.json")
    written = pipe(tap, ("tee", "messages.jsonl"), (target, "--config=target.json"), cwd=folder)
    last = written.splitlines()[-1]
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
    """After one sync each of the 21 tables holds what the account has, each key exactly once."""
    assert synced.first == synced.first_truth
    assert all(synced.first.values())


def test_a_second_sync_brings_what_is_new(synced: Synced) -> None:
    """The second sync reads on from the target's state: what has come since, or within an hour."""
    assert synced.brought == synced.brought_truth
    for stream in EVENT_STREAMS:
        assert synced.arrived[stream] == sorted({*synced.brought[stream]} - {*synced.first[stream]})


def test_tables_stay_true(synced: Synced) -> None:
    """After the second sync the tables hold the whole account again, each key once by upsert."""
    for stream, keys in synced.second.items():
        once = keys if synced.target.upserts else sorted({*keys})
        assert once == synced.second_truth[stream], stream


@pytest.mark.parametrize("stream", ["open", "unsubscribe", "received_sms", "campaigns", "lists"])
def test_rows_are_whole(synced: Synced, stream: str) -> None:
    """Every value of a row is what Klaviyo's API tells, nested ones and other scripts included."""
    told, rows = synced.shop.records(stream), synced.latest(stream)
    assert not json.dumps(told, ensure_ascii=False).isascii()
    for key, row in rows.items():
        expected = {name: told[key][name] for name in told[key].keys() & row.keys()}
        assert len(expected) >= 5
        assert _canonical({name: row[name] for name in expected}) == _canonical(expected)


def test_dates_are_in_utc(synced: Synced) -> None:
    """The date of every event is the moment that its Unix seconds tell."""
    for stream in EVENT_STREAMS:
        for row in synced.target.rows(stream):
            moment = datetime.fromtimestamp(row["timestamp"], timezone.utc)
            assert _canonical(row["datetime"]) == moment


def _canonical(value: Any) -> Any:
    """A value with all dates as moments; one without a zone is taken for UTC."""
    if isinstance(value, dict):
        return {name: _canonical(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_canonical(child) for child in value]
    if isinstance(value, str) and (date := _DATE.fullmatch(value)):
        moment, fraction, zone = date.groups(default="")
        return datetime.fromisoformat(f"{moment}.{fraction:0<6}{zone or '+00:00'}")
    return value
