"""Syncs in this process against a sandbox on loopback, and the truth to hold them against."""

from __future__ import annotations

import copy
import io
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sandbox.account import Account
from sandbox.server import Sandbox
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import read_catalog
from tap_klaviyo.errors import TapError
from tap_klaviyo.messages import Writer
from tap_klaviyo.state import State
from tap_klaviyo.streams import DEFAULT_STREAMS, STREAMS
from tap_klaviyo.streams.model import Stream
from tap_klaviyo.sync.run import Run
from tap_klaviyo.tap import client_for

Message = dict[str, Any]
Key = tuple[str, ...]


@dataclass
class Output:
    """What one sync wrote, in order, and the fault it ended with."""

    messages: list[Message]
    fault: TapError | None = None
    ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for message in self.of("RECORD"):
            # A record that is keyed by several properties has no id of its own.
            self.ids[message["stream"]].append(message["record"].get("id", ""))

    def of(self, kind: str) -> list[Message]:
        """The messages of one type."""
        return [message for message in self.messages if message["type"] == kind]

    def records(self, stream: str) -> list[dict[str, Any]]:
        """The records of one stream."""
        return [m["record"] for m in self.of("RECORD") if m["stream"] == stream]

    def keys(self, stream: str) -> list[Key]:
        """The values of the key properties in each record of one stream."""
        (schema,) = (m for m in self.of("SCHEMA") if m["stream"] == stream)
        names = schema["key_properties"]
        return [tuple(record[name] for name in names) for record in self.records(stream)]

    @property
    def state(self) -> dict[str, Any]:
        """The value of the last STATE."""
        value: dict[str, Any] = self.of("STATE")[-1]["value"]
        return value


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Lets the time pass at once."""
        self.slept.append(seconds)
        self.now += seconds


class Heard(io.BytesIO):
    """An output that tells of each message before it takes it."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        super().__init__()
        self._tell = tell

    def write(self, data: Any, /) -> int:
        """Takes whole lines."""
        for line in bytes(data).splitlines():
            self._tell(json.loads(line))
        return super().write(data)


@dataclass
class Tap:
    """The tap, pointed at one sandbox."""

    box: Sandbox
    settings: dict[str, Any]
    clock: Clock = field(default_factory=Clock)

    def sync(
        self,
        state: dict[str, Any] | None = None,
        catalog: dict[str, Any] | None = None,
        now: float | None = None,
        stop_at: Callable[[Message], bool] = lambda message: False,
        **settings: Any,
    ) -> Output:
        """One run. ``now`` stands for the clock; ``settings`` are added to the tap's own.

        The run is stopped, as by a signal, with the first message for which ``stop_at`` is true.
        """
        # Pauses of other threads pass on the same clock, so no request may count as too long.
        long = {"request_timeout": 86_400}
        parsed = parse_config({**self.settings, **long, **settings})
        streams = [*STREAMS, *parsed.metric_streams]
        selection = read_catalog(catalog or build_catalog(streams), streams=streams)
        out = Heard(lambda message: run.stop() if stop_at(message) else None)
        client = client_for(parsed, clock=lambda: self.clock.now, sleep=self.clock.sleep)
        clock = {} if now is None else {"now": lambda: now}
        run = Run(parsed, client, Writer(out.write), selection, State(state or {}), **clock)
        fault: TapError | None
        try:
            fault = run.sync().error
        except TapError as error:
            fault = error
        return Output([json.loads(line) for line in out.getvalue().splitlines()], fault)


def truth(account: Account, stream: Stream, end: float) -> set[str]:
    """The ids that belong in a stream, in the account's own words, for a run begun at ``end``."""
    if stream.metrics:
        return set(account.event_ids(stream.metrics, end=end))
    return {
        "campaigns": lambda: set(account.campaign_ids()),
        "lists": lambda: set(account.list_ids()),
        "global_exclusions": lambda: keyed_exclusions(account),
    }[stream.name]()


def keyed_exclusions(account: Account) -> set[str]:
    """The suppressed profiles that have an email address."""
    emails = {p.id: p.attributes["email"] for p in account.collections["profile"]}
    return {identifier for identifier in account.suppressed_profiles() if emails[identifier]}


def catalog_of(
    *names: str,
    method: str = "",
    without: Collection[str] = (),
    whole: bool = False,
) -> dict[str, Any]:
    """The catalog with just these streams, all selected.

    ``method`` overrides how they are read. ``without`` are dotted fields to deselect; if ``whole``,
    fields that are not selected by default are selected too.
    """
    streams = [entry for entry in build_catalog()["streams"] if entry["stream"] in names]
    streams = copy.deepcopy(streams)
    for entry in streams:
        for item in entry["metadata"]:
            field = dotted(item["breadcrumb"])
            if field in without:
                item["metadata"]["selected"] = False
            elif whole or not field:
                item["metadata"]["selected"] = True
            if method and not field:
                item["metadata"]["replication-method"] = method
    return {"streams": streams}


def dotted(breadcrumb: Sequence[str]) -> str:
    """The names on the way to a field, one of which may be "properties" or "items" itself."""
    steps = iter(breadcrumb)
    return ".".join(next(steps) for step in steps if step == "properties")


@contextmanager
def tap_of(account: Account, **options: Any) -> Iterator[Tap]:
    """A tap on a sandbox that serves an account."""
    with Sandbox(account, **options) as box:
        settings = {"api_key": box.key, "base_url": box.url, "start_date": "2000-01-01"}
        yield Tap(box, settings)


NOW = 1_793_534_400
"""2026-11-01T12:00:00Z, the start of a first run."""

EVENT_STREAMS = [stream.name for stream in DEFAULT_STREAMS if stream.metrics]
