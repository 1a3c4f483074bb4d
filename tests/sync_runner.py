"""Runs syncs in this process against a sandbox, and reads the expected ids from its account."""

from __future__ import annotations

import copy
import io
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sandbox.account import Account
from sandbox.server import Sandbox
from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import read_catalog
from tap_klaviyo.errors import TapError
from tap_klaviyo.messages import Writer
from tap_klaviyo.state import State
from tap_klaviyo.streams import DEFAULT_STREAMS, REGISTRIES
from tap_klaviyo.streams.model import DEFAULT_REVISION, Stream
from tap_klaviyo.sync.resync import resync_run
from tap_klaviyo.sync.run import Run
from tap_klaviyo.verify.target_counts import TargetCounts
from tap_klaviyo.verify.verification import Verification, verify

Message = dict[str, Any]
Key = tuple[str, ...]


@dataclass
class Output:
    """The messages that one sync wrote, in order, and the error it ended with."""

    messages: list[Message]
    fault: TapError | None = None
    ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _records: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for message in self.of("RECORD"):
            self._records[message["stream"]].append(message["record"])
            # Records with several key properties have no id.
            self.ids[message["stream"]].append(message["record"].get("id", ""))

    def of(self, kind: str) -> list[Message]:
        """The messages of one type."""
        return [message for message in self.messages if message["type"] == kind]

    def records(self, stream: str) -> list[dict[str, Any]]:
        """The records of one stream."""
        return [*self._records[stream]]

    def keys(self, stream: str) -> list[Key]:
        """The key of each record of one stream."""
        (schema,) = (m for m in self.of("SCHEMA") if m["stream"] == stream)
        names = schema["key_properties"]
        return [tuple(record[name] for name in names) for record in self.records(stream)]

    @property
    def state(self) -> dict[str, Any]:
        """The value of the last STATE."""
        value: dict[str, Any] = self.of("STATE")[-1]["value"]
        return value


class Clock:
    """Simulated time that only ``sleep`` advances."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Advances the clock without waiting."""
        self.slept.append(seconds)
        self.now += seconds


class ObservedOutput(io.BytesIO):
    """An output that calls ``on_message`` before it accepts a message."""

    def __init__(self, on_message: Callable[[Message], None]) -> None:
        super().__init__()
        self._on_message = on_message

    def write(self, data: Any, /) -> int:
        """Accepts complete lines."""
        for line in bytes(data).splitlines():
            self._on_message(json.loads(line))
        return super().write(data)


@dataclass
class Tap:
    """The tap, configured for one sandbox."""

    box: Sandbox
    settings: dict[str, Any]
    clock: Clock = field(default_factory=Clock)

    def sync(
        self,
        state: dict[str, Any] | None = None,
        catalog: dict[str, Any] | None = None,
        now: float | None = None,
        stop_at: Callable[[Message], bool] = lambda message: False,
        message_seconds: float = 0,
        **settings: Any,
    ) -> Output:
        """Runs one sync. ``now`` replaces the clock; ``settings`` are added to the tap's own.

        From ``now`` on, time stands still but for ``message_seconds`` that each message takes.

        The run is stopped, as by a signal, at the first message for which ``stop_at`` is true.
        """
        # Pauses of other threads advance the same clock, so requests must not time out.
        no_timeout = {"request_timeout": 86_400}
        parsed = parse_config({**self.settings, **no_timeout, **settings})
        streams = parsed.streams
        selection = read_catalog(catalog or build_catalog(streams), streams=streams)
        target = Clock()

        def accept(message: Message) -> None:
            target.sleep(message_seconds)
            if stop_at(message):
                run.stop()

        out = ObservedOutput(accept)
        client = client_for(parsed, clock=lambda: self.clock.now, sleep=self.clock.sleep)
        clock = {} if now is None else {"now": lambda: now, "clock": lambda: target.now}
        run = Run(parsed, client, Writer(out.write), selection, State(state or {}), **clock)
        fault: TapError | None
        try:
            fault = run.sync().error
        except TapError as error:
            fault = error
        return Output([json.loads(line) for line in out.getvalue().splitlines()], fault)

    def resync(
        self,
        state: dict[str, Any],
        catalog: dict[str, Any],
        now: float,
        *days: str,
        stop_at: Callable[[Message], bool] = lambda message: False,
        **settings: Any,
    ) -> Output:
        """Reads days again, such as ``open:2026-01-30..2026-01-31``, from ``now`` on."""
        parsed = parse_config({**self.settings, "request_timeout": 86_400, **settings})

        def accept(message: Message) -> None:
            if stop_at(message):
                run.stop()

        out = ObservedOutput(accept)
        client = client_for(parsed, clock=lambda: self.clock.now, sleep=self.clock.sleep)
        selection = read_catalog(catalog, streams=parsed.streams)
        writer = Writer(out.write)
        clock = {"now": lambda: now, "clock": lambda: 0.0}
        with closing(client):
            run = resync_run(parsed, client, writer, selection, state, days, **clock)
            fault = run.sync().error
        return Output([json.loads(line) for line in out.getvalue().splitlines()], fault)

    def verify(
        self,
        state: dict[str, Any],
        catalog: dict[str, Any],
        now: float,
        held: TargetCounts | None = None,
        **settings: Any,
    ) -> Verification:
        """Compares what a state remembers with the account at ``now``, and with what is held."""
        parsed = parse_config({**self.settings, "request_timeout": 86_400, **settings})
        client = client_for(parsed, clock=lambda: self.clock.now, sleep=self.clock.sleep)
        selection = read_catalog(catalog, streams=parsed.streams)
        with closing(client):
            return verify(parsed, client, selection, State(state), held, now=lambda: now)


def truth(account: Account, stream: Stream, end: float) -> set[str]:
    """The ids of a stream according to the account, for a run that began at ``end``."""
    if stream.metrics:
        return set(account.event_ids(stream.metrics, end=end))
    return {
        "campaigns": lambda: set(account.campaign_ids()),
        "lists": lambda: set(account.list_ids()),
        "global_exclusions": lambda: exclusions_with_email(account),
    }[stream.name]()


def exclusions_with_email(account: Account) -> set[str]:
    """The suppressed profiles that have an email address."""
    emails = {p.id: p.attributes["email"] for p in account.collections["profile"]}
    return {identifier for identifier in account.suppressed_profiles() if emails[identifier]}


def catalog_of(
    *names: str,
    method: str = "",
    without: Collection[str] = (),
    all_fields: bool = False,
    revision: str = DEFAULT_REVISION,
) -> dict[str, Any]:
    """A catalog of a revision with these streams only, all selected.

    ``method`` sets the replication method. ``without`` are dotted paths of deselected fields.
    ``all_fields`` also selects the fields that are not selected by default.
    """
    entries = build_catalog(REGISTRIES[revision].streams)["streams"]
    streams = [entry for entry in entries if entry["stream"] in names]
    streams = copy.deepcopy(streams)
    for entry in streams:
        for item in entry["metadata"]:
            field = dotted(item["breadcrumb"])
            if field in without:
                item["metadata"]["selected"] = False
            elif all_fields or not field:
                item["metadata"]["selected"] = True
            if method and not field:
                item["metadata"]["replication-method"] = method
    return {"streams": streams}


def dotted(breadcrumb: Sequence[str]) -> str:
    """The dotted path of a breadcrumb; a field may itself be named "properties" or "items"."""
    steps = iter(breadcrumb)
    return ".".join(next(steps) for step in steps if step == "properties")


@contextmanager
def tap_of(account: Account, **options: Any) -> Iterator[Tap]:
    """A tap and a sandbox that serves an account."""
    with Sandbox(account, **options) as box:
        settings = {"api_key": box.key, "base_url": box.url, "start_date": "2000-01-01"}
        yield Tap(box, settings)


NOW = 1_793_534_400
"""2026-11-01T12:00:00Z, the start of a first run."""

EVENT_STREAMS = [stream.name for stream in DEFAULT_STREAMS if stream.metrics]
