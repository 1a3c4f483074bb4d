"""The tap in its own process: kills, signals, and targets that exit or stall."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from log_lines import criticals
from repeated_kills import MAX_READ_AHEAD, kill_repeatedly
from tap_processes import (
    METRIC,
    TIMEOUT,
    Command,
    Lines,
    Process,
    account_with_events,
    running_command,
    wait_until,
)

pytestmark = pytest.mark.usefixtures("disable_logging")

IN_TIME = 5.0
"""Seconds within which a signal must end a run."""

SETTLED = 0.5
"""Seconds without a request after which a run is considered stalled."""

MEBIBYTE = 2**20


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """A command for an account with 6,000 events in 60 pages."""
    with running_command(
        tmp_path, account_with_events(6_000), {"page_size": 100, "concurrency": 4}
    ) as command:
        yield command


def unanswered(command: Command, path: str, at: int) -> Process:
    """A sync that waits for an answer: requests to ``path`` get none from number ``at`` on."""
    command.box.faults.add("silence", path=path, at=at, times=None)
    process = command.start()
    process.read_until(lambda: any(s.fault == "silence" for s in command.box.requests))
    return process


def assert_no_traceback(process: Process) -> None:
    """Checks that stderr has neither a traceback nor an interpreter error."""
    assert "Traceback" not in process.errors
    assert "Exception ignored" not in process.errors


def test_a_backfill_survives_kills(tmp_path: Path) -> None:
    """A backfill that is killed ten times, and stopped, rereads at most the read-ahead."""
    statistics = kill_repeatedly(tmp_path, kills=10, seed=1)
    assert statistics.lost == 0
    assert statistics.backfills
    assert max(statistics.reread) <= MAX_READ_AHEAD


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ([signal.SIGTERM], 143),
        ([signal.SIGINT], 130),
        ([signal.SIGHUP], 129),
        ([signal.SIGINT, signal.SIGINT], 130),
        ([signal.SIGTERM, signal.SIGINT, signal.SIGTERM], None),
    ],
    ids=["SIGTERM", "SIGINT", "SIGHUP", "twice", "mixed"],
)
def test_a_signal_ends_a_run_in_time(
    command: Command, signals: list[signal.Signals], code: int | None
) -> None:
    """A signal ends a run that waits for an answer, with complete lines and a STATE."""
    process = unanswered(command, "/api/events", at=20)
    process.send(*signals)
    assert process.end(IN_TIME) in ([code] if code else [130, 143])
    lines = Lines.of(process.seen)
    assert lines.partial_line == b""
    assert lines.messages[-1]["type"] == "STATE"
    assert_no_traceback(process)


def test_a_stopped_run_is_resumed(command: Command) -> None:
    """A stopped run and the next one together write every event."""
    process = unanswered(command, "/api/events", at=20)
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
    """A signal also ends a run that waits for the list of metrics."""
    process = unanswered(command, "/api/metrics", at=1)
    process.send(number)
    assert process.end(IN_TIME) == code
    assert_no_traceback(process)


def test_a_target_that_dies(command: Command) -> None:
    """A run exits 1 without a traceback when its target dies."""
    process = command.start()
    process.read(enough=MEBIBYTE)
    process.close_pipe()
    assert process.wait() == 1
    assert_no_traceback(process)


def test_a_target_that_stalls(command: Command) -> None:
    """A stalled target stops the fetching of pages, and memory stays bounded."""
    process = command.start()
    process.read(enough=MEBIBYTE)
    requests = command.box.requests
    count = 0
    while wait_until(lambda: len(requests) > count, SETTLED):  # noqa: B023
        count = len(requests)
    before = process.memory
    assert count < 6_000 / 100 / 2
    assert not wait_until(lambda: len(requests) > count, 4 * SETTLED)
    assert process.memory - before < 4 * MEBIBYTE
    assert process.end(TIMEOUT) == 0
    assert len(set(Lines.of(process.seen).ids)) == 6_000


def test_a_full_disk(command: Command) -> None:
    """A full disk exits 1 with one line that names the reason."""
    with open("/dev/full", "wb") as full:
        process = command.start(stdout=full)
        assert process.wait() == 1
    assert_no_traceback(process)
    (line,) = criticals(process.errors)
    assert "No space left on device" in line
