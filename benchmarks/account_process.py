"""An account in a process of its own, which serves it and holds what was read against the truth.

Not in the process that starts the programs to be measured: what that one takes of memory counts,
on Linux, into the peaks of the programs it starts.
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

SEEDING = 300.0
"""Seconds that an account may take to be made, and any other request to a stage."""

HOST = "127.0.0.1"
EVENTS = "/api/events"

METRICS = {stream.name: stream.metrics for stream in DEFAULT_STREAMS if stream.metrics}
"""The streams of events, and the names of the metrics that they are made of."""


@dataclass(frozen=True)
class Conditions:
    """How an account is served: seconds an answer takes, and seconds more for each record.

    ``limits`` is the share of Klaviyo's rate limits that holds, None for no limits.
    """

    latency: float = 0.0
    latency_per_record: float = 0.0
    limits: float | None = None


@dataclass(frozen=True)
class Seed:
    """What an account is made of: events in the tap's streams; ``tame`` as the sandbox has it."""

    events: int
    tame: bool = False

    @property
    def all_events(self) -> int:
        """The account's events, of which some belong to metrics that no stream is made of."""
        return math.ceil(self.events / IN_STREAMS)


IN_STREAMS = 0.863
"""The share of an account's events that are of Klaviyo's own metrics."""


@dataclass
class Server:
    """An account being served at ``url``; ``cpu`` is the seconds that took, once it is over."""

    url: str
    cpu: float = math.nan


@dataclass(frozen=True)
class Checked:
    """Records written, those that came again, and ids that are missing or do not belong there."""

    records: int
    again: int
    missing: int
    strange: int


class Stage:
    """The account of ``seed``, in another process from entry to exit of the context."""

    def __init__(self, seed: Seed) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_perform, args=(other, seed))

    def __enter__(self) -> Stage:
        self._process.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pipe.close()
        self._process.join(SEEDING)

    @contextmanager
    def serving(
        self, conditions: Conditions, asked: Mapping[str, str] | None = None
    ) -> Iterator[Server]:
        """Serves the account; whatever has been served before is forgotten.

        Events that are ``asked`` for with these parameters have been written before, so that the
        server is no bottleneck.
        """
        if asked:
            self._ask("rehearse", dict(asked))
        server = Server(self._ask("serve", conditions))
        try:
            yield server
        finally:
            server.cpu = self._ask("stop")

    def arrive(self, count: int) -> float:
        """Lets ``count`` events happen for each metric; returns the moment before them all."""
        moment: float = self._ask("arrive", count)
        return moment

    def check(
        self, output: Path, form: str, streams: tuple[str, ...], needed: tuple[float, float]
    ) -> Checked:
        """Holds what a program wrote, in one of the ``FORMS``, against the account.

        What happened from the first to before the second moment ``needed`` (Unix seconds) must be
        there; what happened at another time may be. Without streams every event counts.
        """
        checked: Checked = self._ask("check", output, form, streams, needed)
        return checked

    def _ask(self, name: str, *arguments: Any) -> Any:
        self._pipe.send((name, arguments))
        if not self._pipe.poll(SEEDING):
            raise TimeoutError(f"the account does not answer: {name}")
        answer = self._pipe.recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer


class _Actor:
    """The other end of a stage."""

    def __init__(self, seed: Seed) -> None:
        self._account = Account.seeded(events=seed.all_events, tame=seed.tame)
        self._server = 0
        with socket.create_server((HOST, 0)) as free:
            self._port = free.getsockname()[1]
        self._listing = GetHandler(self._account, f"http://{HOST}:{self._port}", cache_events=True)
        self._rehearsed: list[dict[str, str]] = []
        _freeze()

    def rehearse(self, asked: dict[str, str]) -> None:
        """Writes all events of the tap's streams, as they will be asked for."""
        if asked in self._rehearsed:
            return
        self._rehearsed.append(asked)
        api = Api(self._account, self._listing.url, get_handler=self._listing)
        headers = {"Authorization": f"Klaviyo-API-Key {api.key}", "revision": REVISION}
        for metric in self._own_metrics():
            page = {"filter": f'equals(metric_id,"{metric}")', "page[size]": "1000"}
            query: str | None = urlencode({**asked, **page})
            while query is not None:
                answer = api.handle(Request("GET", EVENTS, query, headers))
                following = msgspec.json.decode(answer.body, type=_Page).links.next
                query = urlsplit(following).query if following else None
        _freeze()

    def serve(self, conditions: Conditions) -> str:
        """Serves from a copy of this process, which shares the account's memory."""
        reading, writing = os.pipe()
        self._server = os.fork()
        if not self._server:
            self._play(conditions, writing)
        os.close(writing)
        ready, _, _ = select.select([reading], [], [], SEEDING)
        url = os.read(reading, 1024).decode() if ready else ""
        os.close(reading)
        if not url:
            raise RuntimeError("the sandbox did not start")
        return url

    def stop(self) -> float:
        """Ends the server; returns its processor time."""
        os.kill(self._server, signal.SIGTERM)
        _, _, usage = os.wait4(self._server, 0)
        return usage.ru_utime + usage.ru_stime

    def arrive(self, count: int) -> float:
        """See :meth:`Stage.arrive`."""
        self._rehearsed.clear()
        events = [
            event
            for metric in self._own_metrics()
            for event in self._account.arrive(metric, count, late=0)
        ]
        return min(event.timestamp for event in events)

    def check(
        self, output: Path, form: str, streams: tuple[str, ...], needed: tuple[float, float]
    ) -> Checked:
        """See :meth:`Stage.check`."""
        ids: set[str] = set()
        records = 0
        for found in FORMS[form](output):
            ids.add(found)
            records += 1
        missing = len(self._truth(streams, *needed) - ids)
        strange = len(ids - self._truth(streams))
        return Checked(records, records - len(ids), missing, strange)

    def _own_metrics(self) -> list[str]:
        """The ids of the metrics that the tap's streams are made of."""
        wanted = {name.casefold() for names in METRICS.values() for name in names}
        return [
            metric["id"]
            for metric in self._account.metrics()
            if metric["integration"] == "Klaviyo" and metric["name"].casefold() in wanted
        ]

    def _truth(self, streams: tuple[str, ...], start: float = 0, end: float = math.inf) -> set[str]:
        if not streams:
            log = self._account.log
            return {log.id(position) for position in log.positions(None, start, end)}
        names = [name for stream in streams for name in METRICS.get(stream, ())]
        return set(self._account.event_ids(names, start=start, end=end))

    def _play(self, conditions: Conditions, writing: int) -> None:
        """Serves, having said where, and ends the process."""

        def ready() -> None:
            os.write(writing, box.url.encode())

        status = 1
        try:
            box = Sandbox(
                self._account,
                host=HOST,
                port=self._port,
                get_handler=self._listing,
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
    """Or every server would search the whole account for garbage, and so copy it."""
    gc.collect()
    gc.freeze()


def _perform(pipe: Any, seed: Seed) -> None:
    actor = _Actor(seed)
    while True:
        try:
            name, arguments = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            answer = getattr(actor, name)(*arguments)
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


FORMS: Mapping[str, Callable[[Path], Iterator[str]]] = {
    "singer": _singer,
    "airbyte": _airbyte,
    "bodies": _bodies,
    "rows": _rows,
}
"""How ids stand in what a program wrote: a file of messages, or of bodies, or tables beside it."""
