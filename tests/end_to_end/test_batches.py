"""BATCH messages: files of records that a message names once they are complete."""

from __future__ import annotations

import gzip
import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from sync_runner import NOW, Message, Output, Tap, catalog_of, truth
from test_resume import account

from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.errors import ConfigError
from tap_klaviyo.streams import BY_NAME

TapOn = Callable[..., Tap]
STREAMS = ("receive", "open", "lists")
REQUIRED = {"api_key": "pk_1", "start_date": "2026-01-01"}


def batch_config(folder: Path | str, size: int = 50, compression: str = "gzip") -> dict[str, Any]:
    """The setting, for files in a folder, or at a URL."""
    encoding = {"format": "jsonl", "compression": compression}
    storage = {"root": folder if isinstance(folder, str) else folder.as_uri(), "prefix": "shop-"}
    return {"encoding": encoding, "storage": storage, "batch_size": size}


def ids_in(messages: list[Message], stream: str) -> list[str]:
    """The ids in the files that the messages of a stream name."""
    return [record["id"] for record in records_in(messages, stream)]


def records_in(messages: list[Message], stream: str) -> list[dict[str, Any]]:
    """The records in the files that the messages of a stream name."""
    records = []
    for message in messages:
        if message["type"] == "BATCH" and message["stream"] == stream:
            for url in message["manifest"]:
                with fsspec.open(url) as file:
                    data = file.read()
                compressed = message["encoding"]["compression"] == "gzip"
                text = gzip.decompress(data) if compressed else data
                records += [json.loads(line) for line in text.splitlines()]
    return records


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_files_hold_each_record_once(tap_on: TapOn, tmp_path: Path, compression: str) -> None:
    """All records are in named files, none in RECORD messages, and nothing else is left."""
    shop = account(events=600)
    tap = tap_on(shop)
    config = batch_config(tmp_path / "new folder", compression=compression)
    output = tap.sync(now=NOW, catalog=catalog_of(*STREAMS), page_size=20, batch_config=config)
    assert not output.of("RECORD")
    plain = tap.sync(now=NOW, catalog=catalog_of(*STREAMS))
    for stream in STREAMS:
        by_id = {record["id"]: record for record in records_in(output.messages, stream)}
        assert by_id == {record["id"]: record for record in plain.records(stream)}
        ids = ids_in(output.messages, stream)
        assert len(ids) == len(set(ids))
        assert set(ids) == truth(shop, BY_NAME[stream], NOW)
    named = [url.rsplit("/", 1)[1] for m in output.of("BATCH") for url in m["manifest"]]
    assert sorted(path.name for path in (tmp_path / "new folder").iterdir()) == sorted(named)
    assert len(named) < 30


@pytest.mark.parametrize("stop", [False, True])
def test_a_state_covers_named_files_only(tap_on: TapOn, tmp_path: Path, stop: bool) -> None:
    """From each STATE on, nothing is missing, also after a run that was stopped."""
    shop = account(events=600)
    tap = tap_on(shop)
    options: dict[str, Any] = {"catalog": catalog_of("receive", "open"), "page_size": 5, "now": NOW}
    options["batch_config"] = batch_config(tmp_path)
    files = 0

    def second_file(message: Message) -> bool:
        nonlocal files
        files += message["type"] == "BATCH"
        return stop and files == 2

    complete = tap.sync(message_seconds=1, stop_at=second_file, **options)
    places = [place for place, m in enumerate(complete.messages) if m["type"] == "STATE"]
    assert places[-1] == len(complete.messages) - 1
    for place in places:
        before = Output(complete.messages[: place + 1])
        after = tap.sync(before.state, lookback_window=0, sweep_window=0, **options)
        for stream in ("receive", "open"):
            messages = before.messages + after.messages
            assert set(ids_in(messages, stream)) == truth(shop, BY_NAME[stream], NOW)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"storage": {}}, "storage.root is missing"),
        ({"storage": {"root": "/data"}}, "storage.root: expected a URL"),
        ({"storage": {"root": "file:///d"}, "batch_size": 0}, "batch_size: expected a whole"),
        ({"storage": {"root": "file:///d", "prefix": "a/b"}}, "prefix: expected text"),
        ({"storage": {"root": "file:///d"}, "encoding": {"format": "parquet"}}, "only jsonl"),
        ({"storage": {"root": "file:///d"}, "encoding": {"compression": "zstd"}}, "gzip, none"),
        ({"storage": {"root": "file:///d"}, "size": 3}, "unknown key"),
    ],
)
def test_settings_that_cannot_work(settings: Any, message: str) -> None:
    """A wrong part of the setting is named."""
    with pytest.raises(ConfigError, match=message):
        parse_config({**REQUIRED, "batch_config": settings})


def test_files_have_no_table_version() -> None:
    """The setting cannot be used with activate_version: the target would delete the rows."""
    settings = {"storage": {"root": "file:///data"}}
    with pytest.raises(ConfigError, match="cannot be used with activate_version"):
        parse_config({**REQUIRED, "batch_config": settings, "activate_version": True})


def test_a_folder_that_cannot_be_written_to(tap_on: TapOn, tmp_path: Path) -> None:
    """It is one line, before anything is requested."""
    (tmp_path / "file").touch()
    tap = tap_on(account(events=10))
    with pytest.raises(ConfigError, match="cannot write to file://"):
        tap.sync(batch_config=batch_config(tmp_path / "file" / "x"))


def test_files_in_an_object_store(tap_on: TapOn) -> None:
    """Each storage that fsspec knows takes the files, and the target finds them by their URL."""
    shop = account(events=300)
    root = f"memory://batches-{uuid.uuid4().hex}"
    config = batch_config(root)
    output = tap_on(shop).sync(
        now=NOW, catalog=catalog_of("open"), page_size=20, batch_config=config
    )
    assert sorted(ids_in(output.messages, "open")) == sorted(truth(shop, BY_NAME["open"], NOW))
    (manifest, *_) = (message["manifest"] for message in output.of("BATCH"))
    assert manifest[0].startswith(f"{root}/shop-open-")
    files, folder = fsspec.core.url_to_fs(root)
    assert len(files.ls(folder)) == len(output.of("BATCH"))


def test_an_object_store_without_the_extra(tap_on: TapOn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fsspec the error names the extra, and nothing is read."""
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[batch\]'"):
        tap_on(account(events=10)).sync(batch_config=batch_config("s3://bucket/folder"))
