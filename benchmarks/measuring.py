"""Takes, and how they are run: whole processes, measured by the operating system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.account_process import EVENTS, METRICS, Checked, Conditions, Seed, Server, Stage
from benchmarks.programs import Job, Side, asked_of_events

LONGEST = 900.0
"""Seconds that one run may take."""

UNIT_OF_PEAK = 1 if sys.platform == "darwin" else 1024
ALL_TIME = timedelta(days=95)
MINUTE = 60.0
"""Seconds of the sandbox's window of a quota, which begins with a minute of the clock."""


class Failed(Exception):
    """A run that cannot be measured: what went wrong, in a line or two."""


@dataclass(frozen=True)
class Take:
    """One program on one account.

    ``arriving`` events happen for each metric before a run, which then goes on from the state of
    the run before it. ``span`` is how far back from now the program shall read. With
    ``on_the_minute`` the program starts with a minute of the clock, and so with a whole quota.
    """

    side: Side
    seed: Seed
    conditions: Conditions = Conditions()
    streams: tuple[str, ...] = tuple(METRICS)
    without: tuple[str, ...] = ()
    arriving: int = 0
    span: timedelta = ALL_TIME
    on_the_minute: bool = False
    label: str = ""

    @property
    def name(self) -> str:
        """What the take is called among those of its scenario."""
        return self.label or self.side.name


@dataclass(frozen=True)
class Usage:
    """What one process took: seconds of wall time and of processor time, peak memory in bytes."""

    wall: float
    cpu: float
    peak: int


@dataclass(frozen=True)
class Run:
    """What one run took: that of the program, of a target behind it, and of the sandbox.

    ``events`` were written, and some of them ``again``. ``pages`` of events were served and
    ``throttled`` requests refused (429); ``sent`` is in bytes.
    """

    usage: Usage
    target_cpu: float
    server_cpu: float
    events: int
    again: int
    pages: int
    throttled: int
    sent: int


class Theatre:
    """The accounts, each made when it is first needed and kept until the end of the context."""

    def __init__(self) -> None:
        self._stages: dict[Seed, Stage] = {}
        self._open = ExitStack()

    def __enter__(self) -> Theatre:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def stage(self, seed: Seed) -> Stage:
        """The account of a seed."""
        if seed not in self._stages:
            self._stages[seed] = self._open.enter_context(Stage(seed))
        return self._stages[seed]

    def measure(self, takes: Sequence[Take], rounds: int) -> Iterator[tuple[Take, Run]]:
        """Runs takes in turn, ``rounds`` times. Raises :class:`Failed`."""
        pages: tuple[str, ...] = ()
        states: dict[str, str] = {}
        for take in takes:
            if take.arriving:
                rehearsed = replace(take, conditions=Conditions(), arriving=0)
                rehearsal = _Performance(self.stage(take.seed), rehearsed)
                rehearsal.run()
                states[take.name] = rehearsal.state
        for _ in range(rounds):
            for take in takes:
                state = states.get(take.name, "")
                performance = _Performance(self.stage(take.seed), take, pages, state)
                yield take, performance.run()
                pages = performance.pages
                if take.arriving:
                    states[take.name] = performance.state


class _Performance:
    """One run. Afterwards ``pages`` are the requests for events, ``state`` is the last one."""

    def __init__(
        self,
        stage: Stage,
        take: Take,
        pages: tuple[str, ...] = (),
        state: str = "",
    ) -> None:
        self._stage, self._take = stage, take
        self.pages, self.state = pages, state

    def run(self) -> Run:
        """Serves the account, runs the program and checks what it wrote."""
        take = self._take
        arrived = self._stage.arrive(take.arriving) if take.arriving else 0.0
        now = time.time()
        needed = max(arrived, now - take.span.total_seconds()), now
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            output = folder / "output"
            asked = {} if take.arriving else asked_of_events(take.streams, take.without)
            with self._stage.serving(take.conditions, asked) as server:
                usages = self._play(server, folder, output, now)
                seen = _requests(server)
            return self._told(usages, server, seen, output, needed)

    def _play(self, server: Server, folder: Path, output: Path, now: float) -> list[Usage]:
        take = self._take
        start = datetime.fromtimestamp(now, timezone.utc) - take.span
        job = Job(server.url, folder, take.streams, take.without, start, self.pages, self.state)
        commands = take.side.commands(job)
        if take.on_the_minute:
            time.sleep(-time.time() % MINUTE)
        return run_measured(commands, output, folder, job.environment)

    def _told(
        self,
        usages: list[Usage],
        server: Server,
        seen: list[dict[str, Any]],
        output: Path,
        needed: tuple[float, float],
    ) -> Run:
        take = self._take
        events = [one for one in seen if one["path"].rstrip("/") == EVENTS]
        checked = self._checked(output, needed) if take.side.form else Checked(0, 0, 0, 0)
        if checked.missing or checked.strange:
            raise Failed(f"{take.name}: the ids are not those of the account: {checked}")
        if take.side.form == "singer":
            self.state = _last_state(output)
            self.pages = tuple(_address(one) for one in events if one["status"] == 200)
        return Run(
            usage=usages[0],
            target_cpu=sum(usage.cpu for usage in usages[1:]),
            server_cpu=server.cpu,
            events=checked.records - checked.again,
            again=checked.again,
            pages=sum(one["status"] == 200 for one in events),
            throttled=sum(one["status"] == 429 for one in seen),
            sent=sum(one["sent"] for one in events),
        )

    def _checked(self, output: Path, needed: tuple[float, float]) -> Checked:
        side = self._take.side
        streams = () if side.every_event else self._take.streams
        return self._stage.check(output, side.form, streams, needed)


def run_measured(
    commands: Sequence[Sequence[str]], output: Path, folder: Path, environment: dict[str, str]
) -> list[Usage]:
    """Runs commands piped into each other, the last one into ``output``; what each of them took.

    Raises :class:`Failed` with the end of stderr if one fails or takes too long.
    """
    errors = folder / "errors"
    started = time.perf_counter()
    with output.open("wb") as out, errors.open("wb") as err:
        processes: list[subprocess.Popen[bytes]] = []
        for command in commands:
            before = processes[-1].stdout if processes else subprocess.DEVNULL
            last = len(processes) + 1 == len(commands)
            processes.append(
                subprocess.Popen(
                    command,
                    stdin=before,
                    stdout=out if last else subprocess.PIPE,
                    stderr=err,
                    cwd=folder,
                    env=environment,
                )
            )
            if len(processes) > 1:
                pipe = processes[-2].stdout
                assert pipe is not None
                pipe.close()
        usages = [_await(process, started) for process in processes]
    if any(process.returncode for process in processes):
        told = errors.read_bytes()[-2000:].decode("utf-8", "replace")
        raise Failed(f"{commands[0][0]} failed: {told}")
    return usages


def _await(process: subprocess.Popen[bytes], started: float) -> Usage:
    too_long = threading.Timer(LONGEST, process.kill)
    too_long.start()
    _, status, usage = os.wait4(process.pid, 0)
    too_long.cancel()
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * UNIT_OF_PEAK)


def _requests(server: Server) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.url}/sandbox/requests", timeout=60) as answer:
        seen: list[dict[str, Any]] = json.load(answer)["requests"]
    return seen


def _address(seen: dict[str, Any]) -> str:
    return f"{seen['path']}?{urlencode([*map(tuple, seen['query'])])}"


def _last_state(output: Path) -> str:
    """The value of the last STATE, which stands among the last lines; empty if there is none."""
    with output.open("rb") as lines:
        lines.seek(max(0, output.stat().st_size - 2**20))
        for line in reversed(lines.read().splitlines()):
            if line.startswith(b'{"type":"STATE"'):
                return json.dumps(json.loads(line)["value"])
    return ""
