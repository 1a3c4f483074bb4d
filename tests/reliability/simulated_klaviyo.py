"""A tap, an account and a network in one thread on one clock, so that a run can be told as a story.

Nothing here depends on the scheduler or on real time: the same story gives the same bytes. The
network is cut short at the adapter of requests, so that all of the client is in play; the workers
are replaced by :class:`Workers`, which do their tasks in an order drawn from a seed.
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
from simulated_workers import Workers

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
"""2026-11-01T12:00:00Z, when every story begins."""

START = NOW - 90 * 86_400
URL = "https://klaviyo.example"
STREAMS = ("open", "clicked_sms")
"""A stream of one metric and a stream of two."""

METRICS = {
    "Opened Email": "open",
    "Clicked SMS": "clicked_sms",
    "Clicked Text Message": "clicked_sms",
}
PATIENCE = 20
"""Real seconds after which something counts as hanging."""

REQUEST = 0.25
"""Seconds that a request takes."""

Message = dict[str, Any]


class Killed(BaseException):
    """The process is no more: whatever it still tries to write goes nowhere."""


class Pipe(io.RawIOBase):
    """What a reader got of a process that may be killed within a write.

    The write with the number ``last`` arrives up to ``fraction`` of its bytes, and none after it.
    """

    def __init__(self, last: int | None = None, fraction: float = 0.0) -> None:
        self.got = bytearray()
        self._left = last
        self._fraction = fraction
        self.broken = False

    def write(self, data: Any) -> int:
        """Takes bytes; raises :class:`Killed` from the fatal write on."""
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
class Happened:
    """An event as the account knows it; ``arrived`` is when Klaviyo heard of it."""

    id: str
    metric: str
    stream: str
    timestamp: int
    arrived: float


@dataclass(frozen=True)
class Arrival:
    """``count`` events of one second that arrive ``after`` seconds, and are ``age`` old by then."""

    after: float
    age: int
    metric: str
    count: int = 1


@dataclass
class Written:
    """What a reader got of one run: whole messages, what is left of a line, and how it ended.

    ``started`` is the start of the run. ``fault`` is what the run raised.
    """

    started: float
    messages: list[Message]
    rest: bytes
    fault: BaseException | None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def states(self) -> list[int]:
        """Where the STATEs stand among the messages."""
        return [place for place, m in enumerate(self.messages) if m["type"] == "STATE"]


class World:
    """An account that lives on while a tap reads it."""

    def __init__(self, *streams: str, **settings: Any) -> None:
        self.account = empty_account()
        self.now = float(NOW)
        self.events: dict[str, Happened] = {}
        self.api = Api(self.account, URL, clock=self.clock)
        self.requests = 0
        self.struck = 0
        self.on_answer: Callable[[Request, Response], Response] = lambda request, answer: answer
        self._arrivals: list[Arrival] = []
        self._on_request: Callable[[], None] = lambda: None
        self._settings = {
            "api_key": self.api.key,
            "base_url": URL,
            "start_date": datetime.fromtimestamp(START, timezone.utc).isoformat(),
            **settings,
        }
        self._selection = _selection(streams or STREAMS)

    def arrive(self, arrival: Arrival) -> None:
        """Events arrive now."""
        seconds = int(self.now) - arrival.age
        made = self.account.arrive(
            arrival.metric, timestamps=[seconds] * arrival.count, now=self.now
        )
        for event in made:
            metric = arrival.metric
            happened = Happened(event.id, metric, METRICS[metric], seconds, self.now)
            self.events[event.id] = happened

    def hide(self, *metrics: str) -> None:
        """The account has no metrics of these names, for now."""
        kept = [
            m for m in self.account.collections["metric"] if m.attributes["name"] not in metrics
        ]
        self.account.collections["metric"] = Collection(kept)
        self.account.version += 1

    def show(self, metric: str) -> None:
        """The account has a metric that was hidden."""
        if self.metric_id(metric) not in self.account.ids("metric"):
            found = next(m for m in self.account.log.metrics if m.attributes["name"] == metric)
            self.account.collections["metric"].add(found)
            self.account.version += 1

    def metric_id(self, name: str) -> str:
        """The id of a metric."""
        return next(m.id for m in self.account.log.metrics if m.attributes["name"] == name)

    def delete(self, id: str) -> None:
        """An event is gone, as if it had never been."""
        log = self.account.log

        def kept(order: array[int]) -> array[int]:
            return array("q", (row for row in order if log.event(row).id != id))

        log._order = kept(log._order)
        log._order_of = {metric: kept(order) for metric, order in log._order_of.items()}
        self.account.version += 1
        del self.events[id]

    def expect(self, arrivals: list[Arrival]) -> None:
        """Events will arrive, each so many seconds after now."""
        moments = [Arrival(self.now + a.after, a.age, a.metric, a.count) for a in arrivals]
        self._arrivals = sorted([*self._arrivals, *moments], key=lambda a: a.after)

    def pass_time(self, seconds: float) -> None:
        """Lets time pass, and happen what was to happen in it."""
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
    ) -> Written:
        """One run from ``state``. ``on_request`` is told of each request of it, counted from 1."""
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
            )
            before = self.requests
            self._on_request = lambda: on_request(run, self.requests - before)
            fault: BaseException | None = None
            try:
                fault = run.sync().error
            except (TapError, Killed, MemoryError, RuntimeError) as error:
                fault = error
        *lines, rest = bytes(pipe.got).split(b"\n")
        return Written(started, [json.loads(line) for line in lines], rest, fault, settings)

    def clock(self) -> float:
        """The world's clock, in Unix seconds."""
        return self.now

    def client(self, settings: Config) -> Client:
        """A client on the world's clock."""
        return client_for(settings, clock=self.clock, sleep=self.pass_time)

    @contextmanager
    def mounted(self, order: int = 0) -> Iterator[None]:
        """All requests of this process come to this world, all sleep is its, and so are workers."""
        with (
            patch.object(HTTPAdapter, "send", self._sender()),
            patch.object(time, "sleep", self.pass_time),
            patch("tap_klaviyo.sync.run.WorkerPool", lambda size, work: Workers(size, work, order)),
        ):
            yield

    def _sender(self) -> Callable[..., requests.Response]:
        def send(adapter: HTTPAdapter, request: Any, **_: Any) -> requests.Response:
            return self._send(adapter, request)

        return send

    def _send(self, adapter: HTTPAdapter, request: Any) -> requests.Response:
        self.requests += 1
        self._on_request()
        self.pass_time(REQUEST)
        place = urlsplit(request.url)
        asked = Request(request.method, place.path, place.query, dict(request.headers))
        answer = self.on_answer(asked, self.api.handle(asked))
        self.struck += answer.fault is not None
        body = self._carried(answer)
        raw = urllib3.HTTPResponse(
            body=body,
            headers={**answer.headers, "Content-Length": str(len(answer.body))},
            status=answer.status,
            preload_content=False,
            request_method=request.method,
        )
        return adapter.build_response(request, raw)

    def _carried(self, answer: Response) -> io.BytesIO:
        """The body as far as it comes; breaks the connection as the answer asks."""
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
    """A body whose connection is reset where it ends."""

    def read1(self, size: int | None = -1, /) -> bytes:
        """The next bytes; raises ConnectionResetError after the last."""
        piece = super().read1(size)
        if not piece:
            raise ConnectionResetError("Connection reset by peer")
        return piece


@contextmanager
def patience() -> Iterator[None]:
    """Fails whatever hangs; for the main thread."""

    def lose(*_: object) -> None:
        raise AssertionError("hangs")

    before = signal.signal(signal.SIGALRM, lose)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
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
    """An account without events; the resources themselves are shared by all."""
    template = _template()
    log = EventLog(5, [*template.log.metrics], template.log.profiles, [*template.log.payloads])
    metrics = Collection(template.collections["metric"])
    return Account(log, {**template.collections, "metric": metrics}, seed=5)


@cache
def _selection(streams: tuple[str, ...]) -> list[SelectedStream]:
    entries = [e for e in build_catalog()["streams"] if e["tap_stream_id"] in streams]
    return read_catalog({"streams": entries})


def ids(messages: list[Message]) -> dict[str, set[str]]:
    """The ids of the records, by stream."""
    found: dict[str, set[str]] = defaultdict(set)
    for message in messages:
        if message["type"] == "RECORD":
            found[message["stream"]].add(message["record"]["id"])
    return found
