"""A simulated Klaviyo account and network for deterministic runs of the tap.

The simulation runs in one thread on a simulated clock: the same history gives the same bytes. The
HTTP adapter of requests is replaced, so the tap's client runs unchanged. The worker pool is
replaced by :class:`SimulatedWorkers`, which run their tasks in an order drawn from a seed.
"""

from __future__ import annotations

import heapq
import io
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import formatdate
from functools import cache, partial
from itertools import count
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
import urllib3
from outages import OUTAGES, Outage
from requests.adapters import HTTPAdapter
from run_output import MEMBERS, Killed, Pipe, RunOutput
from simulated_workers import SimulatedWorkers

from sandbox import Account, Api, Request, Response
from sandbox.events import EventLog
from sandbox.resources import Collection
from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import SelectedStream, read_catalog
from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.tokens import TokenStore
from tap_klaviyo.messages import Writer
from tap_klaviyo.state import State
from tap_klaviyo.sync.run import Run

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
TIME_LIMIT = 60
"""Real seconds after which a test fails as hanging."""

REQUEST = 0.25
"""Simulated seconds that a request takes."""


@dataclass(frozen=True)
class KnownEvent:
    """An event of the account; ``arrived`` is when Klaviyo received it.

    ``position`` is its number in the order of arrival.
    """

    id: str
    metric: str
    stream: str
    timestamp: int
    arrived: float
    position: int


@dataclass(frozen=True)
class Arrival:
    """``count`` events of one second that arrive after ``after`` seconds, ``age`` seconds late."""

    after: float
    age: int
    metric: str
    count: int = 1


class SimulatedKlaviyo:
    """A Klaviyo account that changes while the tap reads it."""

    def __init__(self, *streams: str, **settings: Any) -> None:
        self.account = empty_account()
        self.now = float(NOW)
        self.events: dict[str, KnownEvent] = {}
        self.members: dict[str, float] = {}
        """When each profile joined each list: "list/profile" to Unix seconds."""
        self.api = Api(self.account, URL, clock=self.clock)
        self.requests = 0
        self.injected_faults = 0
        self.on_answer: Callable[[Request, Response], Response] = lambda request, answer: answer
        self.clock_offset = 0.0
        """Seconds by which the local wall clock is ahead."""
        self._outages: list[tuple[float, Outage]] = []
        self._numbers = count()
        self._coming: list[tuple[float, int, Callable[[], object]]] = []
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
            self.events[event.id] = KnownEvent(
                event.id, metric, METRICS[metric], seconds, self.now, event.position
            )

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
        self.account.delete_events([id])
        del self.events[id]

    def join(self, list_number: int, profile_number: int) -> None:
        """Makes a profile a member of a list now; both are numbers in the account's order."""
        group = self.account.ids("list")[list_number]
        profile = self.account.ids("profile")[profile_number]
        self.account.join(group, profile, timestamp=self.now)
        self.members[f"{group}/{profile}"] = self.now

    def begin(self, outage: Outage) -> None:
        """Announces an outage; its times count from now."""
        self._outages.append((self.now, outage))

    def end_outages(self) -> None:
        """Ends all outages."""
        self._outages.clear()

    def shift_clock(self, seconds: float) -> None:
        """Lets the local wall clock jump."""
        self.clock_offset += seconds

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Calls ``action`` as soon as the simulated time has advanced by ``seconds``."""
        heapq.heappush(self._coming, (self.now + seconds, next(self._numbers), action))

    def expect(self, arrivals: list[Arrival]) -> None:
        """Schedules events that arrive later."""
        for arrival in arrivals:
            self.later(arrival.after, partial(self.arrive, arrival))

    def pass_time(self, seconds: float) -> None:
        """Advances the clock and lets happen what is due in the meantime."""
        end = self.now + seconds
        while self._coming and self._coming[0][0] <= end:
            moment, _, action = heapq.heappop(self._coming)
            self.now = max(self.now, moment)
            action()
        self.now = max(self.now, end)

    def sync(
        self,
        state: Mapping[str, Any],
        pipe: Pipe | None = None,
        order: int = 0,
        on_request: Callable[[Run, int], None] = lambda run, number: None,
        stop_after: float | None = None,
        **settings: Any,
    ) -> RunOutput:
        """Runs one sync from ``state``, and stops it after some seconds.

        ``on_request`` gets the number of each request.
        """
        parsed = parse_config({**self._settings, **settings})
        pipe, started, ends = pipe or Pipe(), self.now, min(self.now, self.wall())
        with self.mounted(order):
            run = Run(
                parsed,
                self.client(parsed),
                Writer(pipe.write),
                self._selection,
                State(json.loads(json.dumps(state))),
                now=self.wall,
                clock=self.clock,
            )
            if stop_after is not None:
                self.later(stop_after, run.stop)
            before = self.requests
            self.on_request = lambda: on_request(run, self.requests - before)
            fault: BaseException | None = None
            try:
                fault = run.sync().error
            except (TapError, Killed, MemoryError, RuntimeError) as error:
                fault = error
        *lines, rest = bytes(pipe.got).split(b"\n")
        messages = [json.loads(line) for line in lines]
        return RunOutput(started, ends, messages, rest, fault, settings)

    def clock(self) -> float:
        """The simulated time in Unix seconds."""
        return self.now

    def wall(self) -> float:
        """The local wall clock in Unix seconds."""
        return self.now + self.clock_offset

    def client(self, settings: Config, tokens: TokenStore | None = None) -> Client:
        """A client that uses the simulated clock."""
        return client_for(
            settings, tokens=tokens, clock=self.clock, now=self.wall, sleep=self.pass_time
        )

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
        answer = self._outage(url.path) or self.on_answer(received, self.api.handle(received))
        self.injected_faults += answer.fault is not None
        body = self._received_body(answer)
        headers = {"Date": formatdate(self.now, usegmt=True), **answer.headers}
        raw = urllib3.HTTPResponse(
            body=body,
            headers={"Content-Length": str(len(answer.body)), **headers},
            status=answer.status,
            preload_content=False,
            request_method=request.method,
        )
        return adapter.build_response(request, raw)

    def _outage(self, path: str) -> Response | None:
        """What an outage answers; raises its error. None if there is no outage of this path."""
        for begun, outage in self._outages:
            if outage.covers(self.now - begun, path):
                seconds, outcome = OUTAGES[outage.kind]
                self.pass_time(seconds)
                self.injected_faults += 1
                if isinstance(answer := outcome(), Exception):
                    raise answer
                return answer
        return None

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
    for entry in entries:
        method = {"replication-method": "INCREMENTAL"} if entry["tap_stream_id"] == MEMBERS else {}
        entry["metadata"][0]["metadata"] |= {"selected": True, **method}
    return read_catalog({"streams": entries})
