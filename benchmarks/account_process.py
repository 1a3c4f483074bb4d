"""An account in its own process, which serves it and checks what the programs wrote.

The account is not in the process that starts the measured programs: on Linux the memory of that
process counts towards the peak memory of the programs it starts.
"""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import select
import signal
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from sandbox import Account, Api, Request, Sandbox
from sandbox.get_requests import GetHandler
from sandbox.revisions import REVISION
from tap_klaviyo.streams import DEFAULT_STREAMS

TIMEOUT = 300.0
"""Maximum number of seconds for creating an account and for any other command to the process."""

HOST = "127.0.0.1"
EVENTS = "/api/events"

METRICS = {stream.name: stream.metrics for stream in DEFAULT_STREAMS if stream.metrics}
"""The event streams and the names of their metrics."""


@dataclass(frozen=True)
class Conditions:
    """How an account is served: seconds per response and seconds per record.

    ``limits`` is the share of Klaviyo's rate limits that is enforced, None for no limits.
    """

    latency: float = 0.0
    latency_per_record: float = 0.0
    limits: float | None = None


@dataclass(frozen=True)
class Seed:
    """The account to create: events in the tap's streams, and the sandbox's option ``tame``."""

    events: int
    tame: bool = False

    @property
    def all_events(self) -> int:
        """The number of all events, including those of metrics without a stream."""
        return math.ceil(self.events / IN_STREAMS)


IN_STREAMS = 0.863
"""The share of events that belong to Klaviyo's own metrics."""


@dataclass
class Server:
    """A sandbox at ``url``; ``cpu`` is its processor time in seconds, set when it has stopped."""

    url: str
    cpu: float = math.nan


@dataclass(frozen=True)
class CheckResult:
    """The number of records, of duplicates, and of missing and unexpected ids."""

    records: int
    duplicates: int
    missing: int
    unexpected: int


class AccountProcess:
    """The account of ``seed`` in another process, which runs until the context exits."""

    def __init__(self, seed: Seed) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve_commands, args=(other, seed))

    def __enter__(self) -> AccountProcess:
        self._process.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pipe.close()
        self._process.join(TIMEOUT)

    @contextmanager
    def serving(
        self, conditions: Conditions, parameters: Mapping[str, str] | None = None
    ) -> Iterator[Server]:
        """Serves the account with an empty request log.

        Events that are requested with ``parameters`` are serialized before, so that the server is
        not the bottleneck.
        """
        if parameters:
            self._call("prepare", dict(parameters))
        server = Server(self._call("serve", conditions))
        try:
            yield server
        finally:
            server.cpu = self._call("stop")

    def arrive(self, count: int) -> float:
        """Adds ``count`` events for each metric; returns the time of the earliest one."""
        moment: float = self._call("arrive", count)
        return moment

    def check(
        self,
        output: Path,
        output_format: str,
        streams: tuple[str, ...],
        required: tuple[float, float],
    ) -> CheckResult:
        """Compares the output of a program, in one of the ``OUTPUT_FORMATS``, with the account.

        Events in the interval ``required`` (Unix seconds, the end is exclusive) must be in the
        output; other events may be. Without streams all events of the account are compared.
        """
        checked: CheckResult = self._call("check", output, output_format, streams, required)
        return checked

    def _call(self, name: str, *arguments: Any) -> Any:
        self._pipe.send((name, arguments))
        if not self._pipe.poll(TIMEOUT):
            raise TimeoutError(f"the account process does not answer: {name}")
        answer = self._pipe.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer


class _AccountServer:
    """The commands that an account process executes."""

    def __init__(self, seed: Seed) -> None:
        self._account = Account.seeded(events=seed.all_events, tame=seed.tame)
        self._server = 0
        with socket.create_server((HOST, 0)) as free:
            self._port = free.getsockname()[1]
        self._get_handler = GetHandler(
            self._account, f"http://{HOST}:{self._port}", cache_events=True
        )
        self._prepared: list[dict[str, str]] = []
        _freeze()

    def prepare(self, parameters: dict[str, str]) -> None:
        """Serializes all events of the tap's streams for requests with these parameters."""
        if parameters in self._prepared:
            return
        self._prepared.append(parameters)
        api = Api(self._account, self._get_handler.url, get_handler=self._get_handler)
        headers = {"Authorization": f"Klaviyo-API-Key {api.key}", "revision": REVISION}
        for metric in self._own_metrics():
            page = {"filter": f'equals(metric_id,"{metric}")', "page[size]": "1000"}
            query: str | None = urlencode({**parameters, **page})
            while query is not None:
                answer = api.handle(Request("GET", EVENTS, query, headers))
                following = msgspec.json.decode(answer.body, type=_Page).links.next
                query = urlsplit(following).query if following else None
        _freeze()

    def serve(self, conditions: Conditions) -> str:
        """Serves the account from a forked process, which shares the memory of the account."""
        reading, writing = os.pipe()
        self._server = os.fork()
        if not self._server:
            self._serve_forever(conditions, writing)
        os.close(writing)
        ready, _, _ = select.select([reading], [], [], TIMEOUT)
        url = os.read(reading, 1024).decode() if ready else ""
        os.close(reading)
        if not url:
            raise RuntimeError("the sandbox did not start")
        return url

    def stop(self) -> float:
        """Stops the server; returns its processor time in seconds."""
        os.kill(self._server, signal.SIGTERM)
        _, _, usage = os.wait4(self._server, 0)
        return usage.ru_utime + usage.ru_stime

    def arrive(self, count: int) -> float:
        """See :meth:`AccountProcess.arrive`."""
        self._prepared.clear()
        events = [
            event
            for metric in self._own_metrics()
            for event in self._account.arrive(metric, count, late=0)
        ]
        return min(event.timestamp for event in events)

    def check(
        self,
        output: Path,
        output_format: str,
        streams: tuple[str, ...],
        required: tuple[float, float],
    ) -> CheckResult:
        """See :meth:`AccountProcess.check`."""
        ids: set[str] = set()
        records = 0
        for found in OUTPUT_FORMATS[output_format](output):
            ids.add(found)
            records += 1
        missing = len(self._expected_ids(streams, *required) - ids)
        unexpected = len(ids - self._expected_ids(streams))
        return CheckResult(records, records - len(ids), missing, unexpected)

    def _own_metrics(self) -> list[str]:
        """The ids of the metrics of the tap's streams."""
        wanted = {name.casefold() for names in METRICS.values() for name in names}
        return [
            metric["id"]
            for metric in self._account.metrics()
            if metric["integration"] == "Klaviyo" and metric["name"].casefold() in wanted
        ]

    def _expected_ids(
        self, streams: tuple[str, ...], start: float = 0, end: float = math.inf
    ) -> set[str]:
        if not streams:
            log = self._account.log
            return {log.id(position) for position in log.positions(None, start, end)}
        names = [name for stream in streams for name in METRICS.get(stream, ())]
        return set(self._account.event_ids(names, start=start, end=end))

    def _serve_forever(self, conditions: Conditions, writing: int) -> None:
        """Writes the URL to a pipe, serves the account and ends the process."""

        def ready() -> None:
            os.write(writing, box.url.encode())

        status = 1
        try:
            box = Sandbox(
                self._account,
                host=HOST,
                port=self._port,
                get_handler=self._get_handler,
                limits=conditions.limits,
                latency=conditions.latency,
                latency_per_record=conditions.latency_per_record,
            )
            box.run(ready)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)


def _freeze() -> None:
    """Excludes the account from garbage collection, which would copy it in each server."""
    gc.collect()
    gc.freeze()


def _serve_commands(pipe: Any, seed: Seed) -> None:
    server = _AccountServer(seed)
    while True:
        try:
            name, arguments = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer = getattr(server, name)(*arguments)
        except Exception as error:
            answer = error
        pipe.send(answer)


class _Record(msgspec.Struct):
    id: str = ""
    data: _Record | None = None


class _Message(msgspec.Struct):
    type: str
    stream: str = ""
    record: _Record = msgspec.field(default_factory=_Record)


class _Links(msgspec.Struct):
    next: str | None = None


class _Page(msgspec.Struct):
    data: list[_Record] = msgspec.field(default_factory=list)
    links: _Links = msgspec.field(default_factory=_Links)


def _singer(output: Path) -> Iterator[str]:
    decode = msgspec.json.Decoder(_Message).decode
    with output.open("rb") as lines:
        for line in lines:
            message = decode(line)
            if message.type == "RECORD" and message.stream in METRICS:
                yield message.record.id


def _airbyte(output: Path) -> Iterator[str]:
    decode = msgspec.json.Decoder(_Message).decode
    with output.open("rb") as lines:
        for line in lines:
            message = decode(line)
            if message.record.data is not None:
                yield message.record.data.id


def _bodies(output: Path) -> Iterator[str]:
    decode = msgspec.json.Decoder(_Page).decode
    with output.open("rb") as lines:
        for line in lines:
            for record in decode(line).data:
                yield record.id


def _rows(output: Path) -> Iterator[str]:
    decode = msgspec.json.Decoder(_Record).decode
    for name in METRICS:
        path = output.with_name(f"{name}.jsonl")
        with path.open("rb") if path.exists() else open(os.devnull, "rb") as lines:
            for line in lines:
                yield decode(line).id


OUTPUT_FORMATS: Mapping[str, Callable[[Path], Iterator[str]]] = {
    "singer": _singer,
    "airbyte": _airbyte,
    "bodies": _bodies,
    "rows": _rows,
}
"""Readers of the ids in a program's output: messages, response bodies, or files with rows."""
