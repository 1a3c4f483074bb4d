"""Runs the cases of a scenario as processes that the operating system measures."""

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

from benchmarks.account_process import (
    EVENTS,
    AccountProcess,
    CheckResult,
    Conditions,
    Seed,
    Server,
)
from benchmarks.output_ids import METRICS
from benchmarks.programs import Job, Program, requests_of
from tap_klaviyo.streams import BY_NAME

TIMEOUT = 900.0
"""Maximum number of seconds of one run."""

UNIT_OF_PEAK = 1 if sys.platform == "darwin" else 1024
ALL_TIME = timedelta(days=95)
MINUTE = 60.0
"""Seconds of the sandbox's rate limit window, which begins with each minute of the clock."""


class Failed(Exception):
    """A run failed; the message is one or two lines."""


@dataclass(frozen=True)
class Case:
    """One program on one account.

    ``new_events`` are added for each metric before a run. ``incremental`` names streams to read
    INCREMENTAL that are not by default. A case with ``new_events``, or that ``continues``, starts
    from the state of the previous run. ``span`` is the period before now that the program reads.
    With ``start_on_minute`` the program starts at a full minute, and so with an unused quota.
    """

    program: Program
    seed: Seed
    conditions: Conditions = Conditions()
    streams: tuple[str, ...] = tuple(METRICS)
    without: tuple[str, ...] = ()
    new_events: int = 0
    incremental: tuple[str, ...] = ()
    continues: bool = False
    span: timedelta = ALL_TIME
    start_on_minute: bool = False
    label: str = ""

    @property
    def name(self) -> str:
        """The name of the case in its scenario."""
        return self.label or self.program.name

    @property
    def has_state(self) -> bool:
        """Whether it starts from the state of the previous run."""
        return bool(self.new_events) or self.continues


@dataclass(frozen=True)
class Usage:
    """Resources of one process: wall time and processor time in seconds, peak memory in bytes."""

    wall: float
    cpu: float
    peak: int


@dataclass(frozen=True)
class Run:
    """Measurements of one run: the program, its target and the sandbox.

    ``events`` is the number of distinct records written and ``duplicates`` that of repeated ones.
    ``pages`` of events were served, in all ``answers`` were sent, ``throttled`` requests were
    refused (429), and ``sent`` bytes of events were sent. ``chain`` is the length of the longest
    chain of dependent requests, ``bound`` the least number of seconds in which the account can be
    read, 0 if not known.
    """

    usage: Usage
    target_cpu: float
    server_cpu: float
    events: int
    duplicates: int
    pages: int
    throttled: int
    sent: int
    answers: int = 0
    chain: int = 0
    bound: float = 0.0


class Accounts:
    """The accounts, each created on first use and kept until the end of the context."""

    def __init__(self) -> None:
        self._processes: dict[Seed, AccountProcess] = {}
        self._open = ExitStack()

    def __enter__(self) -> Accounts:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def account(self, seed: Seed) -> AccountProcess:
        """The account process of a seed."""
        if seed not in self._processes:
            self._processes[seed] = self._open.enter_context(AccountProcess(seed))
        return self._processes[seed]

    def measure(self, cases: Sequence[Case], rounds: int) -> Iterator[tuple[Case, Run]]:
        """Runs the cases alternately for ``rounds`` rounds. Raises :class:`Failed`."""
        pages: tuple[str, ...] = ()
        states: dict[str, str] = {}
        for case in cases:
            if case.has_state:
                initial_case = replace(case, conditions=Conditions(), new_events=0)
                initial_run = _CaseRun(self.account(case.seed), initial_case)
                initial_run.run()
                states[case.name] = initial_run.state
        for _ in range(rounds):
            for case in cases:
                state = states.get(case.name, "")
                case_run = _CaseRun(self.account(case.seed), case, pages, state)
                yield case, case_run.run()
                pages = case_run.pages
                if case.has_state:
                    states[case.name] = case_run.state


class _CaseRun:
    """One run; afterwards ``pages`` are its requests for events and ``state`` is its last state."""

    def __init__(
        self,
        account: AccountProcess,
        case: Case,
        pages: tuple[str, ...] = (),
        state: str = "",
    ) -> None:
        self._account_process, self._case = account, case
        self.pages, self.state = pages, state

    def run(self) -> Run:
        """Serves the account, runs the program and checks its output."""
        case = self._case
        arrived = self._account_process.arrive(case.new_events) if case.new_events else 0.0
        now = time.time()
        start = max(arrived, now - case.span.total_seconds())
        complete = self._complete_tables()
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            output = folder / "output"
            requests = {} if case.has_state else requests_of(case.streams, case.without)
            with self._account_process.serving(case.conditions, requests) as server:
                usages = self._run_programs(server, folder, output, now)
                log = _request_log(server)
            checked = self._checked(output, (start, now), complete)
            run = self._result(usages, server, log, output, checked)
        if case.has_state or not case.conditions.latency:
            return run
        return replace(run, bound=self._account_process.bound(case.conditions, case.streams, start))

    def _complete_tables(self) -> tuple[str, ...]:
        """The streams, other than those of events, that this run reads as a whole."""
        case = self._case
        return tuple(
            name
            for name in case.streams
            if name not in METRICS
            and not (
                self.state
                and (name in case.incremental or BY_NAME[name].replication_method == "INCREMENTAL")
            )
        )

    def _run_programs(self, server: Server, folder: Path, output: Path, now: float) -> list[Usage]:
        case = self._case
        start = datetime.fromtimestamp(now, timezone.utc) - case.span
        job = Job(
            url=server.url,
            folder=folder,
            streams=case.streams,
            without=case.without,
            start=start,
            incremental=case.incremental,
            pages=self.pages,
            state=self.state,
        )
        commands = case.program.commands(job)
        if case.start_on_minute:
            time.sleep(-time.time() % MINUTE)
        return run_measured(commands, output, folder, job.environment)

    def _result(
        self,
        usages: list[Usage],
        server: Server,
        log: dict[str, Any],
        output: Path,
        checked: CheckResult,
    ) -> Run:
        case = self._case
        seen = log["requests"]
        events = [one for one in seen if one["path"].rstrip("/") == EVENTS]
        if checked.missing or checked.unexpected:
            raise Failed(f"{case.name}: the written ids differ from the account: {checked}")
        if case.program.output_format == "singer":
            self.state = _last_state(output)
            self.pages = tuple(_address(one) for one in events if one["status"] == 200)
        return Run(
            usage=usages[0],
            target_cpu=sum(usage.cpu for usage in usages[1:]),
            server_cpu=server.cpu,
            events=checked.records - checked.duplicates,
            duplicates=checked.duplicates,
            pages=sum(one["status"] == 200 for one in events),
            throttled=sum(one["status"] == 429 for one in seen),
            sent=sum(one["sent"] for one in events),
            answers=sum(one["status"] == 200 for one in seen),
            chain=log["longest_chain"],
        )

    def _checked(
        self, output: Path, required: tuple[float, float], complete: tuple[str, ...]
    ) -> CheckResult:
        program = self._case.program
        if not program.output_format:
            return CheckResult(0, 0, 0, 0)
        streams = () if program.every_event else self._case.streams
        return self._account_process.check(
            output, program.output_format, streams, required, complete
        )


def run_measured(
    commands: Sequence[Sequence[str]], output: Path, folder: Path, environment: dict[str, str]
) -> list[Usage]:
    """Runs commands as a pipeline into the file ``output``; returns the usage of each.

    Raises :class:`Failed` with the end of stderr if a command fails or exceeds TIMEOUT.
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
        usages = [_wait(process, started) for process in processes]
    if any(process.returncode for process in processes):
        stderr = errors.read_bytes()[-2000:].decode("utf-8", "replace")
        raise Failed(f"{commands[0][0]} failed: {stderr}")
    return usages


def _wait(process: subprocess.Popen[bytes], started: float) -> Usage:
    timer = threading.Timer(TIMEOUT, process.kill)
    timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * UNIT_OF_PEAK)


def _request_log(server: Server) -> dict[str, Any]:
    with urllib.request.urlopen(f"{server.url}/sandbox/requests", timeout=60) as answer:
        log: dict[str, Any] = json.load(answer)
    return log


def _address(seen: dict[str, Any]) -> str:
    return f"{seen['path']}?{urlencode([*map(tuple, seen['query'])])}"


def _last_state(output: Path) -> str:
    """The value of the last STATE in the last MiB of the output; empty if there is none."""
    with output.open("rb") as lines:
        lines.seek(max(0, output.stat().st_size - 2**20))
        for line in reversed(lines.read().splitlines()):
            if line.startswith(b'{"type":"STATE"'):
                return json.dumps(json.loads(line)["value"])
    return ""
