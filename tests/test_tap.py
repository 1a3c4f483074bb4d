"""``Tap``, the public API: what it takes, what it returns, and what it leaves alone."""

from __future__ import annotations

import itertools
import json
import threading
from collections import UserDict
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from tap_runner import messages, only

import tap_klaviyo
from sandbox import Sandbox
from tap_klaviyo import CatalogError, ConfigError, StateError, StreamError, Tap, TapError
from tap_klaviyo.errors import ApiError, InternalError, OutputError, Stopped
from tap_klaviyo.streams import DEFAULT_STREAMS

pytestmark = pytest.mark.usefixtures("no_worker_is_left")


CONFIG = {"api_key": "pk_test", "start_date": "2026-01-01"}


def test_names_are_few_and_lazy() -> None:
    """The package has at most ten public names, and each can be imported."""
    assert len(tap_klaviyo.__all__) <= 10
    for name in tap_klaviyo.__all__:
        assert getattr(tap_klaviyo, name)
    with pytest.raises(AttributeError, match="no attribute 'Tab'"):
        _ = tap_klaviyo.Tab  # type: ignore[attr-defined]


def test_sync(settings: dict[str, Any], box: Sandbox) -> None:
    """All lines are whole, SCHEMA comes first, and the summary counts what was written."""
    lines: list[bytes] = []
    summary = Tap(settings).sync(lines.append)
    assert all(line.endswith(b"\n") for line in lines)
    written = messages(lines)
    schemas = [message["stream"] for message in written[: len(DEFAULT_STREAMS)]]
    assert schemas == [stream.name for stream in DEFAULT_STREAMS]
    assert written[-1]["type"] == "STATE"
    assert summary.complete
    assert summary.error is None
    assert not summary.stopped
    assert summary.records == sum(message["type"] == "RECORD" for message in written)
    by_name = {stream.stream: stream for stream in summary.streams}
    bookmarks = written[-1]["value"]["bookmarks"]
    assert by_name["open"].bookmark == bookmarks["open"]["timestamp"]
    assert by_name["lists"].bookmark is None
    assert by_name["lists"].records == len(box.account.ids("list"))
    assert 0 < by_name["lists"].pages <= by_name["lists"].requests


def test_sync_continues_from_a_state(settings: dict[str, Any]) -> None:
    """With the last STATE, a second sync writes only what the lookback window reads again."""
    lines: list[bytes] = []
    Tap(settings).sync(lines.append)
    state = messages(lines)[-1]["value"]
    again = Tap(settings, state=state).sync(lambda data: None)
    assert again.complete
    assert {s.stream: s.records for s in again.streams if s.bookmark}["receive"] < 100


def test_documents_may_be_files(settings: dict[str, Any], tmp_path: Path) -> None:
    """Configuration, catalog and state may be paths, as text or ``Path``."""
    documents = {"config": settings, "catalog": only(Tap(settings), "lists"), "state": {}}
    paths = []
    for name, document in documents.items():
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(document))
    for given in (paths, map(str, paths)):
        summary = Tap(*given).sync(lambda data: None)
        assert [stream.stream for stream in summary.streams] == ["lists"]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (({},), ConfigError, "api_key: expected"),
        (("/no/such/file.json",), ConfigError, "config: cannot read /no/such/file.json"),
        ((7,), ConfigError, "config: expected a mapping or a path"),
        (({**CONFIG, "a": object()},), ConfigError, "the mapping is not JSON"),
        ((CONFIG, {"streams": ["\ud800"]}), CatalogError, "the mapping is not JSON"),
        ((CONFIG, None, {"bookmarks": {"a": {"b": {1, object()}}}}), StateError, "is not JSON"),
        ((CONFIG, {}), CatalogError, "'streams' must be an array"),
        ((CONFIG, "/no/such/file.json"), CatalogError, "catalog: cannot read"),
        ((CONFIG, None, {"bookmarks": 1}), StateError, "'bookmarks' must be an object"),
        ((CONFIG, None, "/no/such/file.json"), StateError, "state: cannot read"),
    ],
)
def test_invalid_documents(arguments: Any, error: type[TapError], says: str) -> None:
    """The constructor refuses what the command refuses, with a class for each document."""
    with pytest.raises(error, match=says) as caught:
        Tap(*arguments)
    assert type(caught.value) is error


def test_nothing_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that the command reads have no effect."""
    monkeypatch.setenv("TAP_KLAVIYO_API_KEY", "pk_other")
    with pytest.raises(ConfigError, match="api_key: expected"):
        Tap({"start_date": "2026-01-01"})


def test_each_catalog_is_new(settings: dict[str, Any]) -> None:
    """A catalog may be changed without a change of the next one."""
    tap = Tap({**settings, "metric_streams": {"orders": "Placed Order"}})
    first = tap.discover()
    first["streams"][0]["schema"]["properties"].clear()
    assert tap.discover()["streams"][0]["schema"]["properties"]
    assert tap.discover()["streams"][-1]["stream"] == "orders"


def test_check(settings: dict[str, Any], box: Sandbox) -> None:
    """A check tells for each selected stream whether it can be read; a wrong key is an error."""
    tap = Tap(settings)
    catalog = only(tap, "open", "lists")
    checks = Tap(settings, catalog).check()
    assert [(check.stream, check.ok) for check in checks] == [("open", True), ("lists", True)]
    with pytest.raises(ConfigError, match="does not accept the API key"):
        Tap({**settings, "api_key": "pk_wrong"}, catalog).check()


def test_records(settings: dict[str, Any], box: Sandbox) -> None:
    """The records of a stream are dicts; a stream that does not exist is an error at once."""
    tap = Tap(settings)
    assert {one["id"] for one in tap.records("lists")} == set(box.account.ids("list"))
    assert {one["id"] for one in tap.records("receive")} == set(
        box.account.event_ids(["Received Email"])
    )
    with pytest.raises(CatalogError, match="There is no stream 'recieve'"):
        tap.records("recieve")


def test_records_of_a_child(settings: dict[str, Any]) -> None:
    """A child is read through its parent, whose records are not returned."""
    members = list(Tap(settings).records("list_members"))
    assert members
    assert all({"list_id", "profile_id"} <= member.keys() for member in members)


def test_records_of_a_refused_stream(settings: dict[str, Any], box: Sandbox) -> None:
    """The error of the stream is raised while iterating, and not that of another one."""
    box.faults.add("status", path="/api/lists", status=403, times=None)
    try:
        with pytest.raises(ApiError, match="lacks access to /api/lists") as caught:
            list(Tap(settings).records("lists"))
        assert caught.value.status == 403
    finally:
        box.faults.clear()


def test_records_are_read_while_iterating(settings: dict[str, Any], box: Sandbox) -> None:
    """An iterator that is closed early has read a few pages ahead and no more."""
    before = len(box.requests)
    records = Tap({**settings, "page_size": 10, "concurrency": 2}).records("receive")
    assert len(box.requests) == before
    assert len(list(itertools.islice(records, 3))) == 3
    records.close()  # type: ignore[attr-defined]
    read = len(box.requests) - before
    assert read < 20 < len(box.account.event_ids(["Received Email"])) / 10


def test_an_error_of_write_is_raised_as_it_is(settings: dict[str, Any]) -> None:
    """What ``write`` raises ends the run, and ``write`` is not called again."""
    calls: list[bytes] = []

    def write(data: bytes) -> None:
        calls.append(data)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Tap(settings).sync(write)
    assert len(calls) == 1


def test_write_may_raise_anything(settings: dict[str, Any]) -> None:
    """``StopIteration`` of a generator's ``send`` is raised as it is, too."""

    def write(data: bytes) -> None:
        raise StopIteration

    with pytest.raises(StopIteration):
        Tap(settings).sync(write)


def test_records_with_numbers_that_no_float_holds(serve: Callable[[], Any]) -> None:
    """A free-form value that ``sync`` copies as it is does not end ``records``."""
    page = b'{"data": [{"type": "segment", "id": "S", "attributes": {"definition": {"a": 1e999}}}]}'
    tap = Tap({**CONFIG, "base_url": serve().answer(page).url})
    (segment,) = tap.records("segments")
    assert segment["id"] == "S"


def test_records_of_a_stopped_tap(settings: dict[str, Any]) -> None:
    """Records that are not complete do not look complete."""
    tap = Tap(settings)
    tap.stop()
    with pytest.raises(Stopped):
        list(tap.records("lists"))


def test_mappings_of_any_kind(settings: dict[str, Any]) -> None:
    """A mapping need not be a dict, its values may be dates, and it may change afterwards."""
    settings["start_date"] = datetime(2026, 1, 1, tzinfo=timezone.utc)
    settings["lookback_window"] = timedelta(hours=2)
    catalog = only(Tap(MappingProxyType(settings)), "lists")
    tap = Tap(MappingProxyType(settings), UserDict(catalog))
    catalog.clear()
    assert tap.sync(lambda data: None).complete


def test_a_bug_is_an_internal_error(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error is one line without its text, which may hold data of the account."""

    def broken(*_: Any) -> None:
        raise RuntimeError("jo@example.com")

    monkeypatch.setattr("tap_klaviyo.sync.run.Run._take_page", broken)
    with pytest.raises(InternalError, match=r"RuntimeError at test_tap\.py:\d+") as caught:
        Tap(settings).sync(lambda data: None)
    assert "example.com" not in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_errors_tell_what_to_do() -> None:
    """Errors that end a run are no StreamError; only one class is worth a later retry."""
    for error in (ConfigError, OutputError, InternalError, Stopped):
        assert not issubclass(error, StreamError)
    assert issubclass(tap_klaviyo.errors.RetryableError, StreamError)


def test_two_taps_at_once(settings: dict[str, Any]) -> None:
    """Two syncs side by side write the same records, each through its own ``write``."""
    written: dict[str, list[bytes]] = {"a": [], "b": []}

    def sync(name: str) -> None:
        Tap(settings).sync(written[name].append)

    threads = [threading.Thread(target=sync, args=(name,)) for name in written]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    ids = [
        sorted(str(m["record"].get("id")) for m in messages(lines) if m["type"] == "RECORD")
        for lines in written.values()
    ]
    assert ids[0] == ids[1] != []
