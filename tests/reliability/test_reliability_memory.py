"""All workers receive the largest answers at once: memory is bounded, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from weakref import WeakSet

import pytest
from tap_runner import PATIENCE, only, workers

from tap_klaviyo import Tap
from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.errors import ApiError, StreamError, TapError
from tap_klaviyo.klaviyo.account import Account
from tap_klaviyo.klaviyo.mapped_bytes import MappedBytes
from tap_klaviyo.klaviyo.memory_budget import BUDGET, MemoryBudget, NoRoom
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.response import MAX_BODY, MAX_WIDE_TEXT, Body

LISTS = Query("/api/lists", {}, scopes=("lists:read",), tier="L")
MOST_MEMORY = 300 * 2**20
WORKERS = 64
TIMEOUT = 120
Configure = Callable[..., Config]

MEASURED = """
import sys
from tap_klaviyo.cli import main
code = main(sys.argv[1:])
print(*(line for line in open("/proc/self/status") if "VmHWM" in line), end="", file=sys.stderr)
sys.exit(code)
"""
"""Runs the command and shows its peak memory."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
METRIC_ID = re.compile(r'metric_id,"(\w+)"')
FILLING = bytes([ord("x")]) * MAX_BODY


def metrics(count: int) -> bytes:
    """A list of metrics with the same name. An event stream reads each of them."""
    attributes = {"name": "Opened Email", "integration": {"name": "Klaviyo"}}
    data = [{"type": "metric", "id": f"M{n}", "attributes": attributes} for n in range(count)]
    return json.dumps({"data": data}).encode()


def largest_page(metric_id: str, text: bytes, after: bytes = b"") -> tuple[bytes, int, bytes]:
    """A page with one event: its begin, how many bytes to fill in, and its end."""
    event = {
        "type": "event",
        "id": f"of {metric_id}",
        "attributes": {"timestamp": 1_767_300_000, "event_properties": {"text": "TEXT"}},
        "relationships": {"metric": {"data": {"type": "metric", "id": metric_id}}},
    }
    begin, _, end = json.dumps({"data": [event]}).encode().partition(b"TEXT")
    begin += text
    end += after
    return begin, MAX_BODY - len(begin) - len(end), end


@dataclass
class LargeAnswers:
    """A server with ``metrics`` metrics whose events are pages of the largest size.

    ``most`` is how many it was sending at once. The first answers wait until more have begun than
    the memory has room for.
    """

    metrics: int
    text: bytes = b""
    after: bytes = b""
    most: int = 0
    _sending: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def answer(self, connection: socket.socket, line: str) -> None:
        """Answers a request."""
        metric_id = METRIC_ID.search(unquote(line))
        if metric_id is None:
            body = metrics(self.metrics)
            connection.sendall(HEAD % len(body) + body)
            return
        self._count(1)
        try:
            begin, count, end = largest_page(metric_id[1], self.text, self.after)
            connection.sendall(HEAD % MAX_BODY + begin)
            with self._changed:
                self._changed.wait_for(lambda: self.most > BUDGET // MAX_BODY, TIMEOUT / 4)
            connection.sendall(memoryview(FILLING)[:count])
            connection.sendall(end)
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._changed:
            self._sending += more
            self.most = max(self.most, self._sending)
            self._changed.notify_all()


@contextmanager
def serving(answer: Callable[[socket.socket, str], object]) -> Iterator[str]:
    """A server that answers each request line; its URL."""

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection, closing(connection.makefile("rb")) as lines:
            while line := lines.readline().decode():
                while lines.readline().strip():
                    pass
                answer(connection, line)

    def accept(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with closing(socket.create_server(("127.0.0.1", 0), backlog=128)) as listening:
        threading.Thread(target=accept, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        # To close a socket does not wake the thread that accepts on it.
        listening.shutdown(socket.SHUT_RDWR)


def command(folder: Path, url: str, **settings: Any) -> list[str]:
    """The command line of a sync of one event stream with the most workers."""
    entries = [one for one in build_catalog()["streams"] if one["tap_stream_id"] == "open"]
    config = {"api_key": "pk_0", "start_date": "2026-01-01", "base_url": url}
    config |= {"concurrency": WORKERS, **settings}
    arguments = [sys.executable, "-c", MEASURED]
    for name, content in {"config": config, "catalog": {"streams": entries}}.items():
        (folder / name).write_text(json.dumps(content))
        arguments += [f"--{name}", str(folder / name)]
    return arguments


@dataclass
class Written:
    """What a process has written: its records, its log without metrics, and its peak memory."""

    code: int
    records: int
    log: list[str]
    peak: int


def run(arguments: list[str], errors: Path) -> Written:
    """Runs a command and counts its records."""
    records = 0
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=stderr) as process,
    ):
        assert process.stdout is not None
        while piece := os.read(process.stdout.fileno(), 2**20):
            records += piece.count(b'{"type":"RECORD"')
        process.wait(TIMEOUT)
    *log, peak = errors.read_text().splitlines()
    shown = [line for line in log if "METRIC" not in line]
    return Written(process.returncode, records, shown, int(peak.split()[1]) * 1024)


ANSWERS: dict[str, tuple[int, bytes, bytes, int]] = {
    "valid": (WORKERS, b"", b"", 0),
    "to be converted": (20, rb"\ud800", b"", 0),
    "unreadable": (WORKERS, b"", b"{", 1),
}
"""How many metrics there are, how the text begins, what follows the page, and max_retry_wait."""


@pytest.mark.parametrize(
    ("count", "text", "after", "retries"), ANSWERS.values(), ids=ANSWERS.keys()
)
def test_all_workers_receive_the_largest_answers_at_once(
    tmp_path: Path, count: int, text: bytes, after: bytes, retries: int
) -> None:
    """The command takes less than 300 MB, and reads all that can be read."""
    server = LargeAnswers(count, text, after)
    with serving(server.answer) as url:
        written = run(command(tmp_path, url, max_retry_wait=retries), tmp_path / "stderr")
    assert written.peak < MOST_MEMORY, written.peak
    assert written.records == (0 if after else count)
    assert written.code == (0 if not after else 3 if not written.records else 1), written.log
    assert "is not a page of Klaviyo's API" in written.log[-1] or not after
    assert server.most > BUDGET // MAX_BODY


STREAMS = ("profiles", "lists", "segments", "templates", "campaigns", "flows", "tags", "images")


def test_stop_while_workers_wait_for_memory() -> None:
    """``stop`` ends the requests whose answers have to wait until others have arrived."""
    waiting = threading.Event()

    def stall(connection: socket.socket, line: str) -> None:
        try:
            connection.sendall(HEAD % MAX_BODY + FILLING[:-1])
            connection.recv(1)
        finally:
            waiting.set()  # The tap has closed the connection: there is no room for its answer.

    with serving(stall) as url:
        settings = {"api_key": "pk_0", "start_date": "2026-01-01", "base_url": url}
        tap = Tap(settings, only(Tap(settings), *STREAMS))
        summaries: list[Any] = []
        run = threading.Thread(target=lambda: summaries.append(tap.sync(lambda data: None)))
        run.start()
        assert waiting.wait(TIMEOUT)
        tap.stop()
        run.join(PATIENCE)
        assert summaries[0].stopped
        for worker in workers():
            worker.join(PATIENCE)
            assert not worker.is_alive()


SIZE = 2_000


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> MemoryBudget:
    """The budget of all clients that are created: room for one answer of ``SIZE`` bytes."""
    budget = MemoryBudget(lambda: True, SIZE)
    monkeypatch.setattr("tap_klaviyo.klaviyo.exchange.MemoryBudget", lambda ended: budget)
    monkeypatch.setattr("tap_klaviyo.klaviyo.exchange.MAX_BODY", SIZE)
    monkeypatch.setattr("tap_klaviyo.klaviyo.response.MAX_ELEMENTS", SIZE // 2)
    return budget


def is_free(budget: MemoryBudget) -> bool:
    """Whether nothing of the budget is taken."""
    try:
        budget.take(SIZE)
    except NoRoom:
        return False
    budget.release(SIZE)
    return True


def answer(status: str, size: int, body: bytes) -> bytes:
    """An answer that says that its body has ``size`` bytes."""
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), size, body)


FAILURES = {
    "unreadable": answer("200 OK", SIZE, b"x" * SIZE),
    "incomplete": answer("200 OK", SIZE, b"x" * 1000),
    "too large": answer("200 OK", SIZE + 1, b"x" * (SIZE + 1)),
    "too many values": answer("200 OK", SIZE, b"," * SIZE),
    "damaged gzip": answer("200 OK\r\nContent-Encoding: gzip", SIZE, b"x" * SIZE),
    "refused": answer("400 Bad Request", SIZE, b'{"errors":[]}' + b" " * (SIZE - 13)),
    "failed": answer("503 Service Unavailable", SIZE, b"x" * SIZE),
    "throttled": answer("429 Too Many Requests\r\nRetry-After: 99999", SIZE, b"x" * SIZE),
    "no HTTP": b"x" * SIZE,
    "valid": answer("200 OK", SIZE, b"[" + b" " * (SIZE - 2) + b"]"),
}


@pytest.mark.parametrize("raw", FAILURES.values(), ids=FAILURES.keys())
def test_a_request_gives_its_memory_back(
    budget: MemoryBudget, configure: Configure, serve: Callable[..., Any], clock: Any, raw: bytes
) -> None:
    """However a request ends, its bytes are free when it waits for a retry and at its end."""
    url = serve().answer_raw(raw).url
    free: list[bool] = []

    def sleep(seconds: float) -> None:
        free.append(is_free(budget))
        clock.sleep(seconds)

    client = client_for(configure(base_url=url, max_retry_wait=60), clock=clock.time, sleep=sleep)
    for _ in range(5):
        with suppress(TapError):
            client.request("/api/lists", LISTS, lambda body: json.loads(body.decompressed()))
        free.append(is_free(budget))
    assert all(free)


@pytest.mark.parametrize("raw", [FAILURES["unreadable"], FAILURES["too many values"]])
def test_a_failed_lookup_gives_its_memory_back(
    budget: MemoryBudget, configure: Configure, serve: Callable[..., Any], clock: Any, raw: bytes
) -> None:
    """An error that is kept for all streams that need the account's metrics holds no answer."""
    url = serve().answer_raw(raw).url
    config = configure(base_url=url, max_retry_wait=0)
    account = Account(client_for(config, clock=clock.time, sleep=clock.sleep))
    with suppress(StreamError):
        _ = account.metrics
    assert is_free(budget)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("😀" + "x" * (MAX_WIDE_TEXT - 1), True),
        ("😀" + "x" * MAX_WIDE_TEXT, False),
        ("中" + "x" * MAX_WIDE_TEXT, True),
        ("😀" * (MAX_WIDE_TEXT // 2), True),
    ],
    ids=["the longest", "longer", "without emojis", "only emojis"],
)
def test_a_text_whose_characters_take_four_bytes(text: str, fits: bool) -> None:
    """A body with emojis may have 8,388,608 characters, and a longer one is too large."""
    body = Body(text.encode(), gzipped=False)
    if fits:
        assert body.decompressed() == body.raw
    else:
        with pytest.raises(ApiError, match="8,388,608 characters with emojis") as caught:
            body.decompressed()
        assert caught.value.is_page_size


def test_a_request_that_waits_for_memory_holds_none(
    budget: MemoryBudget,
    configure: Configure,
    serve: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has arrived of an answer without room is dropped before the request waits."""
    received: WeakSet[MappedBytes] = WeakSet()
    held: list[int] = []

    class Noted(MappedBytes):
        def __init__(self) -> None:
            super().__init__()
            received.add(self)

    def wait_for(size: int) -> None:
        held.append(len(received))
        budget.release(500)
        budget.take(size)

    monkeypatch.setattr("tap_klaviyo.klaviyo.exchange.MappedBytes", Noted)
    monkeypatch.setattr(budget, "wait_for", wait_for)
    budget.take(500)
    client = client_for(configure(base_url=serve().answer_raw(FAILURES["valid"]).url))
    assert client.request("/api/lists", LISTS, lambda body: json.loads(body.decompressed())) == []
    assert held == [0]
