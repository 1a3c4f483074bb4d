"""The real command in a process that is killed, stopped, or left by its target."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from repeated_kills import RUN_AHEAD, kill_repeatedly
from tap_processes import METRIC, TIMEOUT, Command, Lines, Process, comes_about, running, shop

IN_TIME = 5.0
"""Seconds in which a signal has to end a run."""

SETTLED = 0.5
"""Seconds without a request after which a stalled run counts as waiting."""

MEBIBYTE = 2**20


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A sandbox has much to say of clients that vanish."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """A command on an account of 6,000 events, 60 pages."""
    with running(tmp_path, shop(6_000), {"page_size": 100, "concurrency": 4}) as command:
        yield command


def silenced(command: Command, path: str, at: int) -> Process:
    """A sync whose requests to a path get no answer from one on, and which has come to that."""
    command.box.faults.add("silence", path=path, at=at, times=None)
    process = command.start()
    process.read_until(lambda: any(s.fault == "silence" for s in command.box.requests))
    return process


def assert_quiet(process: Process) -> None:
    """Nothing on stderr is a traceback or a complaint of the interpreter."""
    assert "Traceback" not in process.errors
    assert "Exception ignored" not in process.errors


def test_a_backfill_survives_kills(tmp_path: Path) -> None:
    """Killed at ten moments and resumed, a backfill is whole, and repeats only the run-ahead."""
    toll = kill_repeatedly(tmp_path, kills=10, seed=1)
    assert toll.lost == 0
    assert toll.backfills
    assert max(toll.reread) <= RUN_AHEAD


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ([signal.SIGTERM], 143),
        ([signal.SIGINT], 130),
        ([signal.SIGINT, signal.SIGINT], 130),
        ([signal.SIGTERM, signal.SIGINT, signal.SIGTERM], None),
    ],
    ids=["SIGTERM", "SIGINT", "twice", "mixed"],
)
def test_a_signal_ends_a_run_in_time(
    command: Command, signals: list[signal.Signals], code: int | None
) -> None:
    """Though nobody answers, a signal ends the run soon, with whole lines and a STATE."""
    process = silenced(command, "/api/events", at=20)
    process.send(*signals)
    assert process.end(IN_TIME) in ([code] if code else [130, 143])
    lines = Lines.of(process.seen)
    assert lines.rest == b""
    assert lines.messages[-1]["type"] == "STATE"
    assert_quiet(process)


def test_a_stopped_run_is_resumed(command: Command) -> None:
    """What a stopped run wrote and what the next one reads is all there is."""
    process = silenced(command, "/api/events", at=20)
    process.send(signal.SIGTERM)
    assert process.end(IN_TIME) == 143
    first = Lines.of(process.seen)
    command.box.faults.clear()
    again = command.start(first.state)
    assert again.end(TIMEOUT) == 0
    truth = set(command.box.account.event_ids([METRIC]))
    assert set(first.ids) | set(Lines.of(again.seen).ids) == truth


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_ends_a_run_that_has_not_begun(
    command: Command, number: signal.Signals, code: int
) -> None:
    """While the metrics of the account are still being asked for, a signal is heeded too."""
    process = silenced(command, "/api/metrics", at=1)
    process.send(number)
    assert process.end(IN_TIME) == code
    assert_quiet(process)


def test_a_target_that_dies(command: Command) -> None:
    """When the reader is gone the run ends, not as a success, and without a traceback."""
    process = command.start()
    process.read(enough=MEBIBYTE)
    assert process.process.stdout is not None
    process.process.stdout.close()
    assert process.wait() == 1
    assert_quiet(process)


def test_a_target_that_stalls(command: Command) -> None:
    """While nobody reads, no more pages are fetched than there are workers for; memory stays."""
    process = command.start()
    process.read(enough=MEBIBYTE)
    asked = command.box.requests
    count = 0
    while comes_about(lambda: len(asked) > count, SETTLED):  # noqa: B023
        count = len(asked)
    before = process.memory
    assert count < 6_000 / 100 / 2
    assert not comes_about(lambda: len(asked) > count, 4 * SETTLED)
    assert process.memory - before < 4 * MEBIBYTE
    assert process.end(TIMEOUT) == 0
    assert len(set(Lines.of(process.seen).ids)) == 6_000


def test_a_full_disk(command: Command) -> None:
    """When stdout takes nothing more, one line says so, and the exit code is 1."""
    with open("/dev/full", "wb") as full:
        process = command.start(stdout=full)
        assert process.wait() == 1
    assert_quiet(process)
    (line,) = (line for line in process.errors.splitlines() if line.startswith("CRITICAL"))
    assert "No space left on device" in line
