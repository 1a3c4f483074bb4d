"""The process of the command: early signals, closed standard files, and limits of the system."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from log_lines import log_lines
from tap_processes import METRIC, TIMEOUT, Command, Lines, account_with_events, running_command

pytestmark = pytest.mark.usefixtures("disable_logging")

EVENTS = 2_000
ROOT = Path(__file__).parents[2]

LIMITED = "reached its limit of"

PROCESS_1 = ["unshare", "--pid", "--fork", "--kill-child"]
"""Starts a command as process 1 of a namespace, as a container does."""


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """A command for an account with 2,000 events in 20 pages."""
    with running_command(tmp_path, account_with_events(EVENTS), {"page_size": 100}) as command:
        yield command


def run(command: Command, redirections: str) -> subprocess.CompletedProcess[str]:
    """Runs a sync to its end in a shell with redirections, or after ``ulimit``."""
    shell = ["bash", "-c", redirections, "bash", *command.arguments()]
    return subprocess.run(shell, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def is_complete(command: Command, output: str) -> bool:
    """Whether all events were written."""
    return set(Lines.of(output.encode()).ids) == set(command.box.account.event_ids([METRIC]))


def can_be_process_1() -> bool:
    """Whether this user may create a namespace of processes."""
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run([*PROCESS_1, "true"], capture_output=True, check=False, timeout=TIMEOUT)
    return done.returncode == 0


def started(process: subprocess.Popen[str], *, of_parent: bool) -> int:
    """The ID of the tap's process, as soon as it loads the module ``argparse``."""
    assert process.stderr is not None
    while (line := process.stderr.readline()) and not line.endswith(" argparse\n"):
        pass
    if not of_parent:
        return process.pid
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(path.read_text().split()[0])


@pytest.mark.parametrize("process_1", [False, True], ids=["process", "process 1"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_during_the_imports(
    command: Command, number: signal.Signals, *, process_1: bool
) -> None:
    """A signal that arrives while modules are imported ends the command with one line."""
    if process_1 and not can_be_process_1():
        pytest.skip("no namespaces of processes here")
    python, *arguments = command.arguments()
    full = [*(PROCESS_1 if process_1 else []), python, "-X", "importtime", *arguments]
    with subprocess.Popen(
        full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        subprocess.run(
            ["kill", f"-{int(number)}", str(started(process, of_parent=process_1))], check=True
        )
        written, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + number
    assert written == ""
    assert log_lines(errors) == [f"WARNING Stopped by {number.name} before anything was read."]
    assert command.box.requests == []


def ignore(*numbers: signal.Signals) -> Callable[[], None]:
    """Ignores signals in a new process, as ``nohup`` and a shell's ``&`` do."""
    return lambda: [signal.signal(number, signal.SIG_IGN) for number in numbers] and None


def block(*numbers: signal.Signals) -> Callable[[], None]:
    """Blocks signals in a new process, as some supervisors do by mistake."""
    return lambda: signal.pthread_sigmask(signal.SIG_BLOCK, numbers) and None


@pytest.mark.parametrize(
    ("prepare", "sent", "stopped_by"),
    [
        (ignore(signal.SIGHUP), [signal.SIGHUP, signal.SIGTERM], signal.SIGTERM),
        (ignore(signal.SIGINT), [signal.SIGINT, signal.SIGTERM], signal.SIGTERM),
        (ignore(signal.SIGTERM), [signal.SIGTERM], signal.SIGTERM),
        (block(signal.SIGTERM), [signal.SIGTERM], signal.SIGTERM),
    ],
    ids=["nohup", "background job", "SIGTERM ignored", "SIGTERM blocked"],
)
def test_signals_that_the_parent_process_ignores(
    command: Command,
    prepare: Callable[[], None],
    sent: list[signal.Signals],
    stopped_by: signal.Signals,
) -> None:
    """SIGHUP and SIGINT stay ignored if they are at the start; SIGTERM always ends a run."""
    command.box.faults.add("silence", path="/api/events", at=3, times=None)
    process = command.start(prepare=prepare)
    process.read_until(lambda: any(seen.fault == "silence" for seen in command.box.requests))
    process.send(*sent)
    assert process.end(TIMEOUT) == 128 + stopped_by
    assert f"Stopped by {stopped_by.name}. " in process.errors


@pytest.mark.parametrize(
    "closed", ["<&-", "2>&-", "<&- 2>&-", "2>/dev/full", "2>&- </dev/null", "2</dev/null"]
)
def test_a_run_without_stdin_or_stderr(command: Command, closed: str) -> None:
    """Without stdin and stderr, or with a stderr that cannot be written to, a run is complete."""
    done = run(command, f'"$@" {closed}')
    assert done.returncode == 0
    assert is_complete(command, done.stdout)


@pytest.mark.parametrize(
    ("closed", "is_told"),
    [(">&-", True), ("<&- >&-", True), ("1</dev/null", True), ("<&- >&- 2>&-", False)],
)
@pytest.mark.parametrize("catalog", [True, False], ids=["sync", "discovery"])
def test_a_run_without_stdout(
    command: Command, closed: str, *, is_told: bool, catalog: bool
) -> None:
    """If stdout is closed or read-only, the command exits 1 with one line and requests nothing."""
    done = run(command, f'"$@" {"" if catalog else "--discover"} {closed}')
    assert done.returncode == 1
    assert command.box.requests == []
    message = "CRITICAL Cannot write to stdout: Bad file descriptor. Redirect it to a file, or"
    assert [line.startswith(message) for line in log_lines(done.stderr)] == [True] * is_told


@pytest.mark.parametrize("mode", ["", "--test"])
def test_what_is_meant_for_stderr_never_reaches_stdout(command: Command, mode: str) -> None:
    """With a closed stderr, log lines and the results of --test are not written to stdout."""
    done = run(command, f'"$@" {mode} 2>&-')
    assert done.returncode == 0
    assert all(line.startswith("{") for line in done.stdout.splitlines())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems set no limit of memory")
@pytest.mark.parametrize(
    "limit", ["-v 600000", "-v 400000", "-n 32", "-n 12", "-n 32 -v 500000", "-s 256"]
)
def test_limits_that_allow_fewer_workers(command: Command, limit: str) -> None:
    """Where memory or files do not suffice for all workers, a run is complete with fewer."""
    done = run(command, f'ulimit {limit} && "$@"')
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert is_complete(command, done.stdout)
    warned = "WARNING Concurrency is " in done.stderr
    assert warned == ("-s" not in limit)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems set no limit of memory")
@pytest.mark.parametrize(
    "limit",
    [
        *(f"-v {size}" for size in range(40_000, 100_000, 10_000)),
        *(f"-n {number}" for number in range(4, 8)),
    ],
)
def test_limits_that_allow_no_run(command: Command, limit: str) -> None:
    """Where memory or files do not suffice at all, the last line names the limit."""
    done = run(command, f'ulimit {limit} && "$@"')
    if done.returncode == 0:
        assert is_complete(command, done.stdout)
    elif "CRITICAL" in done.stderr:  # Python itself could start.
        assert "Internal error" not in done.stderr
        assert "Traceback" not in done.stderr
        *_, last = done.stderr.splitlines()
        assert LIMITED in last or "cannot start" in last


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ("PYTHONWARNINGS=error", ""),
        ("LC_ALL=xx_YY LANG=zz", ""),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0", ""),
        ("PYTHONIOENCODING=ascii:strict", ""),
        ("HOME=/nowhere TMPDIR=/nowhere", ""),
        ("", "-OO"),
        ("", "-P" if sys.version_info >= (3, 11) else "-u"),
    ],
)
def test_an_odd_environment(command: Command, environment: str, options: str) -> None:
    """Neither variables of Python and of the locale nor Python's options change a run."""
    done = run(command, f'python=$1; shift; env {environment} "$python" {options} "$@"')
    assert done.returncode == 0, done.stderr
    assert is_complete(command, done.stdout)


def test_a_folder_that_no_longer_exists(command: Command, tmp_path: Path) -> None:
    """A run needs no current folder."""
    gone = tmp_path / "gone"
    gone.mkdir()
    done = run(command, f'cd {gone} && rmdir {gone} && PYTHONPATH={ROOT} "$@"')
    assert done.returncode == 0, done.stderr
    assert is_complete(command, done.stdout)
