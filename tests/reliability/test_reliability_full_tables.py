"""Full tables that are not read by each run, in simulated time: kills, clocks, random histories."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from run_output import Pipe, RunOutput
from simulated_klaviyo import NOW, SimulatedKlaviyo

from sandbox import Request, Response
from sandbox.resources import Collection, Resource

HOUR, DAY = 3600, 86_400
TABLES = ("lists", "tags", "templates", "forms", "images", "segments")
FLOWS = 6


class Flows(SimulatedKlaviyo):
    """An account with a few flows, of which the requests for their actions are noted."""

    def __init__(self, *streams: str) -> None:
        super().__init__(*streams)
        flows = [self._own(flow) for flow in [*self.account.collections["flow"]][:FLOWS]]
        self.flows = {flow.id: flow for flow in flows}
        self.account.collections["flow"] = Collection(flows)
        self.asked: set[str] = set()
        self.on_answer = self._note

    def touch(self, flow: str) -> None:
        """Updates a flow now."""
        self.account.update("flow", flow, now=self.now)

    def hide(self, *flows: str) -> None:
        """Removes flows from the list; all others are on it."""
        shown = [flow for flow in self.flows.values() if flow.id not in flows]
        self.account.collections["flow"] = Collection(shown)
        self.account.version += 1

    def _own(self, flow: Resource) -> Resource:
        attributes = copy.deepcopy(flow.attributes)
        old = datetime.fromtimestamp(NOW - 30 * DAY, timezone.utc).isoformat()
        return replace(flow, attributes={**attributes, "updated": old}, json_cache={})

    def _note(self, request: Request, answer: Response) -> Response:
        if request.path.rstrip("/").endswith("/flow-actions"):
            self.asked.add(request.path.split("/")[3])
        return answer


def state_of(output: RunOutput, before: dict[str, Any]) -> dict[str, Any]:
    """The last STATE of a run, or the state that it has started with."""
    return next((m["value"] for m in reversed(output.messages) if m["type"] == "STATE"), before)


def records(outputs: Sequence[RunOutput]) -> dict[str, int]:
    """How many records of each stream some runs have written."""
    written = [m["stream"] for out in outputs for m in out.messages if m["type"] == "RECORD"]
    return {stream: written.count(stream) for stream in written}


def killed_after(klaviyo: SimulatedKlaviyo, seconds: float) -> Pipe:
    """A pipe whose writer is killed at its first write after some seconds."""
    end = klaviyo.now + seconds

    def on_write(_: int) -> None:
        pipe.broken |= klaviyo.now > end

    pipe = Pipe(on_write=on_write)
    return pipe


@pytest.mark.parametrize("by", ["kill", "stop"])
def test_a_job_that_never_ends_gets_through_all_tables(by: str) -> None:
    """Each hourly run is ended after 2.5 seconds; after some of them every table is complete."""
    klaviyo = SimulatedKlaviyo(*TABLES)
    options: dict[str, Any] = {"full_table_interval": "P1D", "concurrency": 1}
    whole = klaviyo.sync({}, **options)
    runs, state = list[RunOutput](), dict[str, Any]()
    while len(state.get("bookmarks", ())) < len(TABLES) and len(runs) < 23:
        begun = klaviyo.now
        end: dict[str, Any] = (
            {"stop_after": 2.5} if by == "stop" else {"pipe": killed_after(klaviyo, 2.5)}
        )
        runs.append(klaviyo.sync(state, **end, **options))
        state = state_of(runs[-1], state)
        klaviyo.pass_time(begun + HOUR - klaviyo.now)
    assert len(runs) > 1
    assert set(state["bookmarks"]) == set(TABLES)
    assert records(runs).keys() == records([whole]).keys() == {*TABLES}
    rest = klaviyo.sync(state, **options)
    assert not records([rest])


@pytest.mark.parametrize("offset", [-2 * HOUR, 2 * HOUR])
def test_a_clock_that_is_wrong(offset: int) -> None:
    """An update is read although the local clock is two hours ahead of Klaviyo's or behind it."""
    klaviyo = Flows("flow_actions")
    klaviyo.shift_clock(offset)
    state = state_of(klaviyo.sync({}), {})
    klaviyo.pass_time(60)
    touched = next(iter(klaviyo.flows))
    klaviyo.touch(touched)
    klaviyo.pass_time(HOUR)
    klaviyo.asked.clear()
    klaviyo.sync(state)
    assert klaviyo.asked == {touched}


@pytest.mark.parametrize("streams", [("flow_actions",), ("flows", "flow_actions", "flow_messages")])
@pytest.mark.parametrize("seed", range(15))
def test_no_update_is_missed(seed: int, streams: tuple[str, ...]) -> None:
    """Whatever is updated, hidden and killed: what the state covers has been read."""
    chance, klaviyo = random.Random(seed), Flows(*streams)
    state: dict[str, Any] = {"bookmarks": {}}
    children = [name for name in streams if name != "flows"]
    unread, seen = {*klaviyo.flows}, set[str]()
    """The flows that were updated since they were read, and those that a run has listed."""
    for _ in range(25):
        klaviyo.pass_time(chance.choice([1, 600, HOUR, 5 * HOUR]))
        klaviyo.hide()
        for flow in chance.sample(sorted(klaviyo.flows), chance.choice([0, 0, 1, 2])):
            klaviyo.touch(flow)
            unread.add(flow)
        hidden = {*chance.sample(sorted(klaviyo.flows), chance.choice([0, 0, 1]))}
        klaviyo.hide(*hidden)
        listed = klaviyo.flows.keys() - hidden
        klaviyo.asked.clear()
        last = chance.choice([None, None, 1, 5, 10])
        output = klaviyo.sync(state, Pipe(last), seed, full_table_interval={"flow_*": "P2D"})
        state = state_of(output, state)
        marks = [state["bookmarks"].get(name, {}).get("updated_read_at") for name in children]
        assert output.fault is not None or marks == [int(output.started)] * len(children)
        if marks == [int(output.started)] * len(children):
            assert (unread | (listed - seen)) & listed <= klaviyo.asked
            seen = listed
            unread -= listed
