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
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from benchmarks.bounds import EVENT_PAGES, PROFILE_PAGES, least_time, load_of
from benchmarks.output_ids import METRICS, OUTPUT_FORMATS, Page
from sandbox import Account, Api, Request, Sandbox
from sandbox.account import suppressed
from sandbox.get_requests import GetHandler
from sandbox.resources import EntrySort
from sandbox.revisions import REVISION
from sandbox.seeding.shapes import SHAPES, suppressions

TIMEOUT = 300.0
"""Maximum number of seconds for creating an account and for any other command to the process."""

HOST = "127.0.0.1"
EVENTS = "/api/events"


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
    """The account to create: events in the tap's streams, and the sandbox's option ``tame``.

    ``shape`` names one of the sandbox's ``SHAPES``: when all ``events`` happen, but a few of each
    metric. ``suppressed`` is the number of suppressed profiles, 0 for a few. ``lists`` are added
    with one member each. ``entry_sort`` says by which suppression profiles are sorted.
    """

    events: int
    tame: bool = False
    shape: str = ""
    suppressed: int = 0
    lists: int = 0
    entry_sort: EntrySort = "newest"

    @property
    def all_events(self) -> int:
        """The number of all events, including those of metrics without a stream."""
        return math.ceil(self.events / IN_STREAMS)

    def divided(self, divisor: int, least: int) -> Seed:
        """The account with fewer records of each sort, but not fewer than ``least``."""

        def fewer(count: int) -> int:
            return min(count, max(least, count // divisor))

        return replace(
            self,
            events=max(least, self.events // divisor),
            suppressed=fewer(self.suppressed),
            lists=fewer(self.lists),
        )

    def account(self) -> Account:
        """Creates the account."""
        end = int(time.time())
        shape = SHAPES.get(self.shape)
        account = Account.seeded(
            events=BACKGROUND if shape else self.all_events,
            tame=self.tame,
            times=shape(end, self.events) if shape else None,
            suppressions=suppressions(end, self.suppressed) if self.suppressed else None,
        )
        account.collections["profile"].entry_sort = self.entry_sort
        profiles = account.ids("profile")
        for number in range(self.lists):
            list_id = account.add_list(f"List {number}")
            account.join(list_id, profiles[number % len(profiles)], timestamp=end - HOUR)
        return account


IN_STREAMS = 0.863
"""The share of events that belong to Klaviyo's own metrics."""

HOUR = 3600
BACKGROUND = 200
"""Events of an account with a shape that do not follow it: a few of each metric."""


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
        self, conditions: Conditions, requests: Mapping[str, Mapping[str, str]] | None = None
    ) -> Iterator[Server]:
        """Serves the account with an empty request log.

        What is requested, by path with these query parameters, is serialized before, so that the
        server is not the bottleneck.
        """
        for path, parameters in (requests or {}).items():
            self._call("prepare", path, dict(parameters))
        server = Server(self._call("serve", conditions))
        try:
            yield server
        finally:
            server.cpu = self._call("stop")

    def arrive(self, count: int) -> float:
        """Adds ``count`` events for each metric; returns the time of the earliest one."""
        moment: float = self._call("arrive", count)
        return moment

    def bound(self, conditions: Conditions, streams: tuple[str, ...], start: float) -> float:
        """The least seconds that streams take, from the Unix second ``start``; 0 if not known."""
        seconds: float = self._call("bound", conditions, streams, start)
        return seconds

    def check(
        self,
        output: Path,
        output_format: str,
        streams: tuple[str, ...],
        required: tuple[float, float],
        tables: tuple[str, ...],
    ) -> CheckResult:
        """Compares the output of a program, in one of the ``OUTPUT_FORMATS``, with the account.

        Events in the interval ``required`` (Unix seconds, the end is exclusive) and all records of
        ``tables`` must be in the output; other records of the streams may be. Without streams all
        events of the account are compared.
        """
        checked: CheckResult = self._call("check", output, output_format, streams, required, tables)
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
        self._account = seed.account()
        self._server = 0
        with socket.create_server((HOST, 0)) as free:
            self._port = free.getsockname()[1]
        self._get_handler = GetHandler(
            self._account, f"http://{HOST}:{self._port}", cache_events=True
        )
        self._prepared: list[tuple[str, dict[str, str]]] = []
        _freeze()

    def prepare(self, path: str, parameters: dict[str, str]) -> None:
        """Serializes what requests with these parameters return: all pages.

        Of events, these are the pages of each metric of the tap's streams.
        """
        if (path, parameters) in self._prepared:
            return
        self._prepared.append((path, parameters))
        if path != EVENTS:
            self._read_all(path, parameters)
        else:
            for metric in self._own_metrics():
                page = {"filter": f'equals(metric_id,"{metric}")', "page[size]": "1000"}
                self._read_all(path, {**parameters, **page})
        _freeze()

    def _read_all(self, path: str, parameters: Mapping[str, str]) -> None:
        api = Api(self._account, self._get_handler.url, get_handler=self._get_handler)
        headers = {"Authorization": f"Klaviyo-API-Key {api.key}", "revision": REVISION}
        query: str | None = urlencode(parameters)
        while query is not None:
            answer = api.handle(Request("GET", path, query, headers))
            following = msgspec.json.decode(answer.body, type=Page).links.next
            query = urlsplit(following).query if following else None

    def bound(self, conditions: Conditions, streams: tuple[str, ...], start: float) -> float:
        """See :meth:`AccountProcess.bound`."""
        log, end = self._account.log, time.time()
        latencies = conditions.latency, conditions.latency_per_record
        seconds = 0.0
        if set(streams) & METRICS.keys():
            metrics = [
                self._account.collections["metric"][metric] for metric in self._own_metrics(streams)
            ]
            times = [log.timestamps(metric, start, end) for metric in metrics]
            events = load_of(times, EVENT_PAGES.page_size)
            seconds = least_time(events, EVENT_PAGES, *latencies, conditions.limits)
        if "global_exclusions" in streams:
            newest = [
                int(max(datetime.fromisoformat(one["timestamp"]).timestamp() for one in entries))
                for profile in self._account.collections["profile"]
                if (entries := suppressed(profile))
            ]
            profiles = load_of([newest], PROFILE_PAGES.page_size)
            seconds = max(
                seconds, least_time(profiles, PROFILE_PAGES, *latencies, conditions.limits)
            )
        return seconds

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
        tables: tuple[str, ...],
    ) -> CheckResult:
        """See :meth:`AccountProcess.check`."""
        ids: set[str] = set()
        records = 0
        for found in OUTPUT_FORMATS[output_format](output):
            ids.add(found)
            records += 1
        missing = len((self._event_ids(streams, *required) | self._table_ids(tables)) - ids)
        unexpected = len(ids - self._event_ids(streams) - self._table_ids(streams))
        return CheckResult(records, records - len(ids), missing, unexpected)

    def _own_metrics(self, streams: Iterable[str] = METRICS) -> list[str]:
        """The ids of the metrics of event streams, by default of all."""
        wanted = {name.casefold() for stream in streams for name in METRICS.get(stream, ())}
        return [
            metric["id"]
            for metric in self._account.metrics()
            if metric["integration"] == "Klaviyo" and metric["name"].casefold() in wanted
        ]

    def _table_ids(self, streams: Iterable[str]) -> set[str]:
        """The identifiers of all records of the streams that are not of events."""
        return {
            id for stream in streams if stream in _TABLES for id in _TABLES[stream](self._account)
        }

    def _event_ids(
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


def _suppressed_emails(account: Account) -> Iterator[str]:
    for profile in account.collections["profile"]:
        if suppressed(profile) and profile.attributes["email"]:
            yield profile.attributes["email"]


def _list_members(account: Account) -> Iterator[str]:
    for list_id in account.list_ids():
        for profile_id in account.members(list_id):
            yield f"{list_id}/{profile_id}"


_TABLES: Mapping[str, Callable[[Account], Iterable[str]]] = {
    "global_exclusions": _suppressed_emails,
    "list_members": _list_members,
    "lists": Account.list_ids,
    "campaigns": Account.campaign_ids,
}
"""The identifiers of the records of streams, as ``output_ids.TABLE_IDS`` has them."""


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
