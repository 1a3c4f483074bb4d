"""``Tap``, the public API: what it takes, what it returns, and what it leaves alone."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tap_klaviyo
from sandbox import Account, Sandbox
from tap_klaviyo import CatalogError, ConfigError, StateError, StreamError, Tap, TapError
from tap_klaviyo.errors import InternalError, OutputError, Stopped
from tap_klaviyo.streams import DEFAULT_STREAMS

PATIENCE = 5.0
"""Seconds after which a thread counts as left behind."""

CONFIG = {"api_key": "pk_test", "start_date": "2026-01-01"}


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A small account."""
    with Sandbox(Account.seeded(seed=3, events=2_000)) as box:
        yield box


@pytest.fixture
def settings(box: Sandbox) -> dict[str, Any]:
    """Settings for the account."""
    return {"api_key": box.key, "base_url": box.url, "start_date": "2000-01-01"}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every test ends with the threads that it started with, within ``PATIENCE``."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        # The sandbox answers each connection in a thread of its own.
        if "_loop" in thread.name:
            thread.join(PATIENCE)
            assert not thread.is_alive(), thread


def only(tap: Tap, *names: str) -> dict[str, Any]:
    """A catalog that selects just these streams."""
    catalog = tap.discover()
    for entry in catalog["streams"]:
        entry["metadata"][0]["metadata"]["selected"] = entry["stream"] in names
    return catalog


def messages(lines: list[bytes]) -> list[dict[str, Any]]:
    """The messages in what ``write`` was called with."""
    return [json.loads(line) for line in b"".join(lines).splitlines()]


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
        with pytest.raises(StreamError, match="lacks access to /api/lists"):
            list(Tap(settings).records("lists"))
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


def test_stop_from_another_thread(settings: dict[str, Any]) -> None:
    """A stopped run returns a summary that says so; another tap is not stopped."""
    lines: list[bytes] = []
    tap = Tap({**settings, "page_size": 10})

    def write(data: bytes) -> None:
        lines.append(data)
        if b'"RECORD"' in data:
            threading.Thread(target=tap.stop).start()
            time.sleep(0.05)

    summary = tap.sync(write)
    assert summary.stopped
    assert not summary.complete
    assert messages(lines)[-1]["type"] == "STATE"
    assert Tap(settings, only(tap, "lists")).sync(lambda data: None).complete


def test_a_stopped_tap_stays_stopped(settings: dict[str, Any], box: Sandbox) -> None:
    """A stop that comes before the run is not lost."""
    tap = Tap(settings)
    tap.stop()
    before = len(box.requests)
    assert tap.sync(lambda data: None).stopped
    with pytest.raises(Stopped):
        tap.check()
    assert len(box.requests) == before


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def in_time(call: Callable[[], Any]) -> Any:
    """The result of a call that must end within ``PATIENCE``."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "still running"
    return results[0] if results else None


def workers() -> list[threading.Thread]:
    """The worker threads of this process that are alive."""
    return [thread for thread in threading.enumerate() if "_loop" in thread.name]


def wait_until(true: Callable[[], object]) -> None:
    """Returns as soon as something is true; fails after ``PATIENCE``."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_stop_while_the_server_is_silent(silent: str) -> None:
    """``stop`` wakes workers that wait for an answer; no thread is left."""
    tap = Tap({**CONFIG, "base_url": silent})
    summaries: list[Any] = []
    run = threading.Thread(target=lambda: summaries.append(tap.sync(lambda data: None)))
    run.start()
    wait_until(workers)
    time.sleep(0.1)
    tap.stop()
    run.join(PATIENCE)
    assert not run.is_alive()
    wait_until(lambda: not workers())
    assert summaries[0].stopped


def test_stop_while_waiting_for_a_retry(serve: Callable[[], Any]) -> None:
    """``stop`` ends the pause before a retry."""
    server = serve().answer(b"", "503 Service Unavailable")
    tap = Tap({**CONFIG, "base_url": server.url})
    run = threading.Thread(target=lambda: tap.sync(lambda data: None))
    run.start()
    wait_until(lambda: len(server.requests) > 20)
    tap.stop()
    run.join(PATIENCE)
    assert not run.is_alive()
    wait_until(lambda: not workers())


def test_stop_while_waiting_for_a_rate_limit(serve: Callable[[], Any]) -> None:
    """``stop`` ends the wait for a rate limit."""
    server = serve().answer(b"", "429 Too Many Requests", **{"Retry-After": "300"})
    tap = Tap({**CONFIG, "base_url": server.url})
    run = threading.Thread(target=lambda: tap.sync(lambda data: None))
    run.start()
    wait_until(lambda: len(server.requests) > 3)
    tap.stop()
    run.join(PATIENCE)
    assert not run.is_alive()
    wait_until(lambda: not workers())


def test_a_check_can_be_stopped(silent: str) -> None:
    """A check that waits for a silent server raises :class:`Stopped` when it is stopped."""
    tap = Tap({**CONFIG, "base_url": silent})
    threading.Timer(0.2, tap.stop).start()

    def check() -> type[BaseException]:
        with pytest.raises(Stopped) as caught:
            tap.check()
        return caught.type

    assert in_time(check) is Stopped


UNCHANGED = """
import gc, json, locale, logging, signal, sys, threading
def looks():
    root = logging.getLogger()
    return {
        "handlers": list(root.handlers),
        "level": root.level,
        "disabled": logging.root.manager.disable,
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "stdout": sys.stdout,
        "stderr": sys.stderr,
        "locale": locale.setlocale(locale.LC_ALL),
        "collecting": gc.isenabled(),
        "frozen": gc.get_freeze_count(),
        "threshold": gc.get_threshold(),
        "excepthook": sys.excepthook,
    }
before = looks()
import tap_klaviyo
assert "requests" not in sys.modules and "tap_klaviyo.tap" not in sys.modules
from tap_klaviyo import Tap
after_import = looks()
tap = Tap(json.loads(sys.argv[1]))
summary = tap.sync(lambda data: None)
assert summary.complete, summary
for record in tap.records("receive"):
    break
tap.stop()
after = looks()
assert "singer" not in sys.modules
for name, value in before.items():
    assert value == after_import[name] == after[name], name
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(5)
assert threading.active_count() == 1, threading.enumerate()
"""


def test_the_process_is_left_as_it_was(settings: dict[str, Any]) -> None:
    """Import, sync, an early end and stop change no handler, signal, stream or collector."""
    done = subprocess.run(
        [sys.executable, "-c", UNCHANGED, json.dumps(settings)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


DATA = Path(__file__).parent / "data" / "1.0.0"


@pytest.mark.parametrize("name", ["state.json", "state_interrupted.json"])
def test_states_of_1_0_are_read(settings: dict[str, Any], name: str) -> None:
    """A state that 1.0 wrote is continued: bookmarks only move forward, unknown keys stay."""
    state = json.loads((DATA / name).read_text())
    state["bookmarks"]["open"]["from_a_newer_version"] = [1]
    state["from_a_newer_version"] = {"a": 1}
    lines: list[bytes] = []
    tap = Tap(settings)
    catalog = only(tap, "receive", "open", "clicked_sms", "profiles")
    assert Tap(settings, catalog, state).sync(lines.append).complete
    written = messages(lines)[-1]["value"]
    assert written["from_a_newer_version"] == {"a": 1}
    assert written["bookmarks"]["open"]["from_a_newer_version"] == [1]
    for stream, bookmark in state["bookmarks"].items():
        if "timestamp" in bookmark and stream in ("receive", "profiles"):
            assert written["bookmarks"][stream]["timestamp"] >= min(
                bookmark["timestamp"], int(time.time())
            )


def test_catalogs_of_1_0_are_read(settings: dict[str, Any]) -> None:
    """A catalog that 1.0 wrote selects the same streams with the same fields."""
    catalog = json.loads(gzip.decompress((DATA / "catalog.json.gz").read_bytes()))
    old: list[bytes] = []
    assert Tap(settings, catalog).sync(old.append).complete
    new: list[bytes] = []
    assert Tap(settings).sync(new.append).complete
    fields = [
        {
            message["stream"]: list(message["schema"]["properties"])
            for message in messages(lines)
            if message["type"] == "SCHEMA"
        }
        for lines in (old, new)
    ]
    assert fields[0] == fields[1]
