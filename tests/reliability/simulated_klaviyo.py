"""A simulated Klaviyo account and network for deterministic runs of the tap.

The simulation runs in one thread on a simulated clock: the same history gives the same bytes. The
HTTP adapter of requests is replaced, so the tap's client runs unchanged. The worker pool is
replaced by :class:`SimulatedWorkers`, which run their tasks in an order drawn from a seed.
"""

from __future__ import annotations

import io
import json
import signal
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from simulated_workers import SimulatedWorkers

from sandbox import Account, Api, Request, Response
from sandbox.events import EventLog
from sandbox.resources import Collection
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import SelectedStream, read_catalog
from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.messages import Writer
from tap_klaviyo.state import State
from tap_klaviyo.sync.run import Run
from tap_klaviyo.tap import client_for

NOW = 1_793_534_400
"""2026-11-01T12:00:00Z, the start of every simulation."""

START = NOW - 90 * 86_400
URL = "https://klaviyo.example"
STREAMS = ("open", "clicked_sms")
"""A stream with one metric and a stream with two."""

METRICS = {
    "Opened Email": "open",
    "Clicked SMS": "clicked_sms",
    "Clicked Text Message": "clicked_sms",
}
TIME_LIMIT = 20
"""Real seconds after which a test fails as hanging."""

REQUEST = 0.25
"""Simulated seconds that a request takes."""

Message = dict[str, Any]


class Killed(BaseException):
    """The simulated process was killed; later writes have no effect."""


class Pipe(io.RawIOBase):
    """The bytes that a reader received from a process that may be killed during a write.

    Of write number ``last`` only ``fraction`` of the bytes arrive, and no write after it.
    """

    def __init__(self, last: int | None = None, fraction: float = 0.0) -> None:
        self.got = bytearray()
        self._left = last
        self._fraction = fraction
        self.broken = False

    def write(self, data: Any) -> int:
        """Receives bytes; raises :class:`Killed` from the fatal write on."""
        if self.broken:
            raise Killed
        if self._left == 0:
            self.got += data[: int(len(data) * self._fraction)]
            self.broken = True
            raise Killed
        if self._left is not None:
            self._left -= 1
        self.got += data
        return len(data)


@dataclass(frozen=True)
class KnownEvent:
    """An event of the account; ``arrived`` is when Klaviyo received it."""

    id: str
    metric: str
    stream: str
    timestamp: int
    arrived: float


@dataclass(frozen=True)
class Arrival:
    """``count`` events of one second that arrive after ``after`` seconds, ``age`` seconds late."""

    after: float
    age: int
    metric: str
    count: int = 1


@dataclass
class RunOutput:
    """The output of one run: complete messages, a partial last line and the error.

    ``started`` is the start of the run; ``fault`` is the exception that ended it.
    """

    started: float
    messages: list[Message]
    partial_line: bytes
    fault: BaseException | None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def states(self) -> list[int]:
        """The positions of the STATE messages."""
        return [position for position, m in enumerate(self.messages) if m["type"] == "STATE"]


class SimulatedKlaviyo:
    """A Klaviyo account that changes while the tap reads it."""

    def __init__(self, *streams: str, **settings: Any) -> None:
        self.account = empty_account()
        self.now = float(NOW)
        self.events: dict[str, KnownEvent] = {}
        self.api = Api(self.account, URL, clock=self.clock)
        self.requests = 0
        self.injected_faults = 0
        self.on_answer: Callable[[Request, Response], Response] = lambda request, answer: answer
        self._arrivals: list[Arrival] = []
        self.on_request: Callable[[], None] = lambda: None
        self._settings = {
            "api_key": self.api.key,
            "base_url": URL,
            "start_date": datetime.fromtimestamp(START, timezone.utc).isoformat(),
            **settings,
        }
        self._selection = _selection(streams or STREAMS)

    def arrive(self, arrival: Arrival) -> None:
        """Adds events to the account now."""
        seconds = int(self.now) - arrival.age
        made = self.account.arrive(
            arrival.metric, timestamps=[seconds] * arrival.count, now=self.now
        )
        for event in made:
            metric = arrival.metric
            self.events[event.id] = KnownEvent(event.id, metric, METRICS[metric], seconds, self.now)

    def hide(self, *metrics: str) -> None:
        """Removes the metrics with these names from the account."""
        kept = [
            m for m in self.account.collections["metric"] if m.attributes["name"] not in metrics
        ]
        self.account.collections["metric"] = Collection(kept)
        self.account.version += 1

    def show(self, metric: str) -> None:
        """Restores a hidden metric."""
        if self.metric_id(metric) not in self.account.ids("metric"):
            found = next(m for m in self.account.log.metrics if m.attributes["name"] == metric)
            self.account.collections["metric"].add(found)
            self.account.version += 1

    def metric_id(self, name: str) -> str:
        """The id of a metric."""
        return next(m.id for m in self.account.log.metrics if m.attributes["name"] == name)

    def delete(self, id: str) -> None:
        """Deletes an event."""
        log = self.account.log

        def kept(order: array[int]) -> array[int]:
            return array("q", (row for row in order if log.event(row).id != id))

        log._order = kept(log._order)
        log._order_of = {metric: kept(order) for metric, order in log._order_of.items()}
        self.account.version += 1
        del self.events[id]

    def expect(self, arrivals: list[Arrival]) -> None:
        """Schedules events that arrive later."""
        moments = [Arrival(self.now + a.after, a.age, a.metric, a.count) for a in arrivals]
        self._arrivals = sorted([*self._arrivals, *moments], key=lambda a: a.after)

    def pass_time(self, seconds: float) -> None:
        """Advances the clock and adds the events that arrive in the meantime."""
        end = self.now + seconds
        while self._arrivals and self._arrivals[0].after <= end:
            arrival = self._arrivals.pop(0)
            self.now = max(self.now, arrival.after)
            self.arrive(arrival)
        self.now = end

    def sync(
        self,
        state: Mapping[str, Any],
        pipe: Pipe | None = None,
        order: int = 0,
        on_request: Callable[[Run, int], None] = lambda run, number: None,
        **settings: Any,
    ) -> RunOutput:
        """Runs one sync from ``state``; ``on_request`` gets the number of each request."""
        parsed = parse_config({**self._settings, **settings})
        pipe, started = pipe or Pipe(), self.now
        with self.mounted(order):
            run = Run(
                parsed,
                self.client(parsed),
                Writer(pipe.write),
                self._selection,
                State(json.loads(json.dumps(state))),
                now=self.clock,
                clock=self.clock,
            )
            before = self.requests
            self.on_request = lambda: on_request(run, self.requests - before)
            fault: BaseException | None = None
            try:
                fault = run.sync().error
            except (TapError, Killed, MemoryError, RuntimeError) as error:
                fault = error
        *lines, rest = bytes(pipe.got).split(b"\n")
        return RunOutput(started, [json.loads(line) for line in lines], rest, fault, settings)

    def clock(self) -> float:
        """The simulated time in Unix seconds."""
        return self.now

    def client(self, settings: Config) -> Client:
        """A client that uses the simulated clock."""
        return client_for(settings, clock=self.clock, now=self.clock, sleep=self.pass_time)

    @contextmanager
    def mounted(self, order: int = 0) -> Iterator[None]:
        """Replaces the network, ``time.sleep`` and the worker pool of this process."""
        with (
            patch.object(HTTPAdapter, "send", self._sender()),
            patch.object(time, "sleep", self.pass_time),
            patch(
                "tap_klaviyo.sync.run.WorkerPool",
                lambda size, work, _limited: SimulatedWorkers(size, work, order),
            ),
        ):
            yield

    def _sender(self) -> Callable[..., requests.Response]:
        def send(adapter: HTTPAdapter, request: Any, **_: Any) -> requests.Response:
            return self._send(adapter, request)

        return send

    def _send(self, adapter: HTTPAdapter, request: Any) -> requests.Response:
        self.requests += 1
        self.on_request()
        self.pass_time(REQUEST)
        url = urlsplit(request.url)
        sent = request.body or b""
        received = Request(request.method, url.path, url.query, dict(request.headers), sent)
        answer = self.on_answer(received, self.api.handle(received))
        self.injected_faults += answer.fault is not None
        body = self._received_body(answer)
        raw = urllib3.HTTPResponse(
            body=body,
            headers={"Content-Length": str(len(answer.body)), **answer.headers},
            status=answer.status,
            preload_content=False,
            request_method=request.method,
        )
        return adapter.build_response(request, raw)

    def _received_body(self, answer: Response) -> io.BytesIO:
        """The bytes of the body that arrive; raises the connection fault of the answer."""
        name = answer.connection_fault.name if answer.connection_fault else ""
        options = dict(answer.connection_fault.options) if answer.connection_fault else {}
        half = answer.body[: len(answer.body) // 2]
        if name == "reset":
            raise requests.ConnectionError("Connection reset by peer")
        if name == "silence":
            self.pass_time(options["seconds"])
            raise requests.ReadTimeout("Read timed out.")
        if name == "drip":
            self.pass_time(options["pieces"] * options["seconds"])
        if name == "reset_in_body":
            return _Reset(half)
        return io.BytesIO(half if name == "truncated" else answer.body)


class _Reset(io.BytesIO):
    """A body that ends with a connection reset."""

    def read1(self, size: int | None = -1, /) -> bytes:
        """Returns the next bytes; raises ConnectionResetError after the last."""
        piece = super().read1(size)
        if not piece:
            raise ConnectionResetError("Connection reset by peer")
        return piece


@contextmanager
def time_limit() -> Iterator[None]:
    """Fails if the block takes too long; works in the main thread only."""

    def fail(*_: object) -> None:
        raise AssertionError("hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, TIME_LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@cache
def _template() -> Account:
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    account = Account.seeded(seed=5, events=500, naming="both", now=moment)
    native = [m for m in account.collections["metric"] if m.attributes["name"] in METRICS]
    return Account(account.log, {**account.collections, "metric": Collection(native)}, seed=5)


def empty_account() -> Account:
    """An account without events; all accounts share the same resources."""
    template = _template()
    log = EventLog(5, [*template.log.metrics], template.log.profiles, [*template.log.payloads])
    metrics = Collection(template.collections["metric"])
    return Account(log, {**template.collections, "metric": metrics}, seed=5)


@cache
def _selection(streams: tuple[str, ...]) -> list[SelectedStream]:
    entries = [e for e in build_catalog()["streams"] if e["tap_stream_id"] in streams]
    return read_catalog({"streams": entries})


def ids(messages: list[Message]) -> dict[str, set[str]]:
    """The ids of the records by stream."""
    found: dict[str, set[str]] = defaultdict(set)
    for message in messages:
        if message["type"] == "RECORD":
            found[message["stream"]].add(message["record"]["id"])
    return found
