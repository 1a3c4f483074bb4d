"""Syncs in this process against a sandbox on loopback, and the truth to hold them against."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from sandbox.account import Account
from sandbox.server import Sandbox
from tap_klaviyo import config, discovery
from tap_klaviyo.client import Client
from tap_klaviyo.errors import TapError
from tap_klaviyo.kinds import Stream
from tap_klaviyo.messages import Writer
from tap_klaviyo.progress import Progress
from tap_klaviyo.state import State
from tap_klaviyo.streams import DEFAULT, STREAMS
from tap_klaviyo.sync import Run

Message = dict[str, Any]


@dataclass
class Output:
    """What one sync wrote, in order, and the fault it ended with."""

    messages: list[Message]
    fault: TapError | None = None
    ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for message in self.of("RECORD"):
            self.ids[message["stream"]].append(message["record"].get("id", ""))

    def of(self, kind: str) -> list[Message]:
        """The messages of one type."""
        return [message for message in self.messages if message["type"] == kind]

    def records(self, stream: str) -> list[dict[str, Any]]:
        """The records of one stream."""
        return [m["record"] for m in self.of("RECORD") if m["stream"] == stream]

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
        **settings: Any,
    ) -> Output:
        """One run. ``now`` stands for the clock; ``settings`` are added to the tap's own."""
        parsed = config.parse({**self.settings, **settings})
        streams = [*STREAMS, *parsed.metric_streams]
        selection = discovery.read_catalog(catalog or discovery.catalog(streams), streams=streams)
        out = io.BytesIO()
        client = Client(parsed, clock=lambda: self.clock.now, sleep=self.clock.sleep)
        clock = {} if now is None else {"now": lambda: now}
        run = Run(parsed, client, Writer(out), Progress(), selection, State(state or {}), **clock)
        fault = None
        try:
            run.sync()
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


def catalog_of(*names: str) -> dict[str, Any]:
    """The catalog with just these streams."""
    streams = [entry for entry in discovery.catalog()["streams"] if entry["stream"] in names]
    return {"streams": streams}


NOW = 1_793_534_400
"""2026-11-01T12:00:00Z, the start of a first run."""

EVENT_STREAMS = [stream.name for stream in DEFAULT if stream.metrics]
