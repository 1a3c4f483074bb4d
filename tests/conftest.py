"""Shared fixtures: a clean environment, configs, selections, a simulated clock and servers."""

from __future__ import annotations

import copy
import functools
import gc
import logging
import os
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tap_runner import PATIENCE, workers

from sandbox import Account, Sandbox
from tap_klaviyo import redaction
from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.loading import ENVIRONMENT_PREFIX, parse_config
from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.catalog import build_catalog, field_path
from tap_klaviyo.discovery.selection import SelectedStream, read_catalog
from tap_klaviyo.process import STOP_SIGNALS
from tap_klaviyo.streams import REGISTRIES
from tap_klaviyo.streams.model import DEFAULT_REVISION

settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile(
    "thorough", settings.get_profile("ci"), derandomize=False, max_examples=2000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

Configure = Callable[..., Config]
Select = Callable[..., SelectedStream]


@dataclass
class Clock:
    """Simulated time that only ``sleep`` advances."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def time(self) -> float:
        """Seconds since the clock was created."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advances the clock by ``seconds`` without waiting."""
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Server:
    """An HTTP server on loopback that sends its answers in order and repeats the last one.

    ``requests`` holds the received request lines, each with its headers.
    """

    url: str
    answers: list[bytes] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def answer(self, body: bytes, status: str = "200 OK", **headers: str) -> Server:
        """Adds an answer and returns the server."""
        named = {"Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return self.answer_raw(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    def answer_raw(self, answer: bytes) -> Server:
        """Adds the raw bytes of an answer and returns the server."""
        self.answers.append(answer)
        return self


def pytest_collection_finish() -> None:
    """Keeps the collected tests from the garbage collector, which takes a third of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes settings, proxies and certificates of the developer's environment."""
    for name in list(os.environ):
        if name.startswith(ENVIRONMENT_PREFIX) or name.lower().endswith(("_proxy", "_ca_bundle")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def forget_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides no secret of an earlier test, which may be a word of an expected message."""
    monkeypatch.setattr(redaction, "_secrets", [*redaction._secrets])


@pytest.fixture(autouse=True, scope="session")
def heed_signals() -> None:
    """Heeds signals that a shell made the tests ignore, with ``&`` or ``nohup``.

    The processes that tests start inherit this.
    """
    for number in STOP_SIGNALS:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def restore_process() -> Iterator[None]:
    """Restores the signal handlers and the logging that the command sets."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    signal_handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for handler in [one for one in root.handlers if one not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    for number, signal_handler in signal_handlers.items():
        signal.signal(number, signal_handler)


@pytest.fixture(scope="session")
def configure() -> Configure:
    """Makes a config from the required settings and the given ones."""

    def make(**settings: Any) -> Config:
        required = {"api_key": "pk_test_key", "start_date": "2026-01-01"}
        return parse_config({**required, **settings})

    return make


@functools.cache
def _entries(revision: str) -> dict[str, Any]:
    """The catalog entries of a revision by the name of their stream."""
    entries = build_catalog(REGISTRIES[revision].streams)["streams"]
    return {entry["tap_stream_id"]: entry for entry in entries}


@pytest.fixture(scope="session")
def select() -> Select:
    """Selects one stream of the catalog of a revision with all its fields except ``without``.

    ``without`` are dotted paths. Fields that are not selected by default are selected too. Further
    keyword arguments are set on the catalog entry.
    """

    def make(
        name: str, *without: str, revision: str = DEFAULT_REVISION, **entry_changes: Any
    ) -> SelectedStream:
        streams = REGISTRIES[revision].streams
        entry = copy.deepcopy(_entries(revision)[name]) | entry_changes
        for item in entry["metadata"]:
            path = ".".join(field_path(tuple(item["breadcrumb"])))
            item["metadata"]["selected"] = path not in without
        return read_catalog({"streams": [entry]}, streams=streams)[0]

    return make


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Simulated clock of the test; ``time.sleep`` and the clients of a ``Tap`` wait on it."""
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    client_on_clock = functools.partial(client_for, clock=clock.time, sleep=clock.sleep)
    monkeypatch.setattr("tap_klaviyo.tap.client_for", client_on_clock)
    return clock


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers, each on a free port, and stops them after the test.

    A server that is given a ``context`` uses TLS.
    """
    started: list[ThreadingHTTPServer] = []

    def start(context: ssl.SSLContext | None = None) -> Server:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append((self.requestline, dict(self.headers)))
                last = len(server.answers) == 1
                self.wfile.write(server.answers[0] if last else server.answers.pop(0))
                self.close_connection = True

            do_CONNECT = do_GET  # noqa: N815

            def log_message(self, *arguments: Any) -> None:
                """Keeps stderr clean."""

        listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            listening.socket = context.wrap_socket(listening.socket, server_side=True)
        scheme = "http" if context is None else "https"
        server = Server(f"{scheme}://127.0.0.1:{listening.server_port}")
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        started.append(listening)
        return server

    yield start
    for listening in started:
        listening.shutdown()
        listening.server_close()


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """A small account."""
    with Sandbox(Account.seeded(seed=3, events=2_000)) as box:
        yield box


@pytest.fixture
def settings(box: Sandbox) -> dict[str, Any]:
    """Settings for the account."""
    return {"api_key": box.key, "base_url": box.url, "start_date": "2000-01-01"}


@pytest.fixture
def no_worker_is_left() -> Iterator[None]:
    """Every test ends without a worker thread, within ``PATIENCE``."""
    yield
    for thread in workers():
        thread.join(PATIENCE)
        assert not thread.is_alive(), thread


@pytest.fixture(scope="module")
def disable_logging() -> Iterator[None]:
    """Disables logging: the lines about injected faults take longer than the runs themselves."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
