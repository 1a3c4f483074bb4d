"""How a command ends: exit code, last line, and summary file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from log_lines import log_lines

from sandbox.account import Account
from sandbox.server import Sandbox
from tap_klaviyo import __version__
from tap_klaviyo.cli import main
from tap_klaviyo.messages import Writer

TIMEOUT = 60
WRONG_KEY = "pk_0123456789abcdef"


class Command:
    """The command on an account, with a summary file."""

    def __init__(self, box: Sandbox, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.box = box
        self._capfd = capfd
        self._config = folder / "config.json"
        self.file = folder / "summary.json"
        self.configure()

    def configure(self, **settings: Any) -> None:
        """Writes the configuration."""
        known = {"api_key": self.box.key, "base_url": self.box.url, "start_date": "2026-01-01"}
        self._config.write_text(json.dumps({**known, **settings}))

    def arguments(self, *arguments: str) -> list[str]:
        """All arguments of the command."""
        return ["-c", str(self._config), "--summary-file", str(self.file), *arguments]

    def run(self, *arguments: str) -> int:
        """Runs the command and returns its exit code."""
        return main(self.arguments(*arguments))

    def last_line(self) -> str:
        """The last line of the log, which is the message of the summary file."""
        last = self._capfd.readouterr().err.splitlines()[-1]
        (line,) = log_lines(last)
        assert line.split(" ", 1)[1] == self.summary["message"]
        return line

    @property
    def summary(self) -> dict[str, Any]:
        """The content of the summary file."""
        summary: dict[str, Any] = json.loads(self.file.read_text())
        return summary


@pytest.fixture
def command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], box: Sandbox, clock: Any
) -> Iterator[Command]:
    """The command on a small account; waits take no time."""
    yield Command(box, tmp_path, capfd)
    box.faults.clear()


def statuses(summary: dict[str, Any]) -> dict[str, str]:
    """The status of each stream."""
    return {one["stream"]: one["status"] for one in summary["streams"]}


def test_a_complete_run(command: Command) -> None:
    """The last line says how much was read, and the file how much of each stream."""
    assert command.run("--select", "open,lists") == 0
    summary = command.summary
    line = command.last_line()
    assert line.startswith(f"INFO Complete. Read {summary['records']:,} records of 2 streams in ")
    assert (summary["status"], summary["exit_code"], summary["resumes"]) == ("complete", 0, True)
    assert summary["version"] == __version__
    assert statuses(summary) == {"open": "complete", "lists": "complete"}
    opened, lists = summary["streams"]
    assert opened["records"] + lists["records"] == summary["records"]
    assert opened["bookmark"] >= summary["started_at"][:10]
    assert (lists["bookmark"], lists["error"]) == (None, None)
    assert summary["requests"] == opened["requests"] + lists["requests"] > 1
    assert summary["started_at"] <= summary["ended_at"]


def test_a_stream_that_fails(command: Command) -> None:
    """Code 1, and the last line says what failed, what was read and how to go on."""
    command.box.faults.add("status", path="/api/lists", times=None, status=503)
    assert command.run("--select", "open,lists") == 1
    line, summary = command.last_line(), command.summary
    assert line.startswith("CRITICAL 1 of 2 streams could not be read (lists); all others are")
    assert "Run again later" not in line
    assert "Read " in line
    assert line.endswith(" A new run continues from the last STATE.")
    assert summary["status"] == "failed"
    assert statuses(summary) == {"open": "complete", "lists": "failed"}
    assert "(503)" in summary["streams"][1]["error"]


UNREADABLE: dict[str, tuple[dict[str, Any], Callable[[Sandbox], object], str]] = {
    "a wrong key": ({"api_key": WRONG_KEY}, lambda box: None, "does not accept the API key (401)"),
    "no network": ({"base_url": "http://127.0.0.1:9"}, lambda box: None, "Connection refused"),
    "every endpoint fails": (
        {},
        lambda box: box.faults.add("status", times=None, status=503),
        "None of 2 streams could be read. Klaviyo fails at ",
    ),
}


@pytest.mark.parametrize("mode", [[], ["--test"]], ids=["sync", "test"])
@pytest.mark.parametrize(
    ("settings", "prepare", "expected"), UNREADABLE.values(), ids=UNREADABLE.keys()
)
def test_nothing_can_be_read(
    command: Command,
    mode: list[str],
    settings: dict[str, Any],
    prepare: Callable[[Sandbox], object],
    expected: str,
) -> None:
    """Code 3 if not one page could be read."""
    command.configure(**settings)
    prepare(command.box)
    assert command.run(*mode, "--select", "open,lists") == 3
    line = command.last_line()
    assert expected in line or mode
    assert line.startswith("CRITICAL ")
    assert mode or line.endswith(" Nothing was read. A new run starts from the same state.")
    assert (command.summary["status"], command.summary["records"]) == ("failed", 0)


INVALID: dict[str, tuple[list[str], str]] = {
    "an option": (["--sync"], "Invalid arguments: unrecognized arguments: --sync. See"),
    "a value": (["--about", "--format", "xml"], "Invalid arguments: argument --format"),
    "two modes": (["--discover", "--test"], "Invalid arguments: argument --test: not allowed"),
    "a config": (["-c", "absent.json"], "config: cannot read absent.json"),
    "a config for discovery": (["-c", "absent.json", "--discover"], "config: cannot read absent"),
    "a catalog": (["--catalog", "absent.json"], "catalog: cannot read absent.json"),
    "a catalog for discovery": (["--catalog", "absent.json", "--discover"], "catalog: cannot"),
    "a state": (["--state", "absent.json"], "state: cannot read absent.json"),
    "a pattern": (["--select", "opn"], "select: 'opn' matches no stream"),
    "no config": (["-c", ""], "--config: the name of the file is empty."),
    "no catalog": (["-p", ""], "--catalog: the name of the file is empty."),
    "no state": (["--state", ""], "--state: the name of the file is empty."),
    "no pattern": (["--select", " , "], "--select: there is no pattern"),
    "nothing to deselect": (["--discover", "--deselect", ""], "--deselect: there is no pattern"),
}


@pytest.mark.parametrize(("arguments", "expected"), INVALID.values(), ids=INVALID.keys())
def test_invalid_input(command: Command, arguments: list[str], expected: str) -> None:
    """Code 2 and one line for what a new run would not change, also in the file."""
    before = len(command.box.requests)
    assert command.run(*arguments) == 2
    assert command.last_line().startswith(f"CRITICAL {expected}")
    assert command.summary["status"] == "invalid"
    assert len(command.box.requests) == before


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--discover"], 0), (["--about"], 0), (["--test"], 0)]
)
def test_other_modes(command: Command, arguments: list[str], code: int) -> None:
    """The file is written in every mode."""
    assert command.run(*arguments, "--select", "lists") == code
    assert (command.summary["status"], command.summary["exit_code"]) == ("complete", code)


def test_a_check_in_part(command: Command) -> None:
    """--test ends with 1 if only some streams can be read, and counts them if all can."""
    assert command.run("--test", "--select", "open,lists") == 0
    assert command.last_line() == "INFO 2 of 2 ok: all that is selected can be read."
    command.box.faults.add("status", path="/api/lists", times=None, status=404)
    assert command.run("--test", "--select", "open,lists") == 1
    assert command.last_line().startswith("CRITICAL 1 of 2 streams cannot be read. ")


def test_scopes_of_the_whole_selection(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], clock: Any
) -> None:
    """Missing scopes end with one line per reason and one list of all scopes that are needed."""
    account = Account.seeded(seed=3, events=200)
    with Sandbox(account, scopes={"metrics:read", "lists:read", "tags:read"}) as box:
        command = Command(box, tmp_path, capfd)
        scopes = "events:read, lists:read, metrics:read, profiles:read, tags:read"
        advice = f"Settings > API keys, or authorize the OAuth app with them: {scopes}."
        arguments = ("--select", "receive,open,click,global_exclusions,lists")
        assert command.run(*arguments) == 1
        reasons = [line for line in capfd.readouterr().err.splitlines() if "ends here" in line]
        assert len(reasons) == len({line.split(" ends here: ")[1] for line in reasons}) == 2
        assert advice in command.summary["message"]
        assert command.run("--test", *arguments) == 1
        assert command.last_line().endswith(advice)


def test_a_signal(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that a signal stops says what was read, what failed, and how to go on."""
    command.box.faults.add("status", path="/api/lists", times=None, status=404)
    command.configure(concurrency=1)
    written = Writer.records

    def write_and_stop(writer: Writer, data: bytes) -> None:
        written(writer, data)
        if data:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Writer, "records", write_and_stop)
    assert command.run("--select", "receive,open,lists") == 128 + signal.SIGTERM
    line = command.last_line()
    assert line.startswith("WARNING Stopped by SIGTERM. ")
    assert " Read " in line
    assert line.endswith(" A new run continues from the last STATE.")
    summary = command.summary
    assert (summary["status"], summary["exit_code"]) == ("stopped", 143)
    assert "incomplete" in statuses(summary).values()


def test_a_closed_pipe(command: Command) -> None:
    """If the target closes the pipe there is no last line, but a summary."""
    python = [sys.executable, "-m", "tap_klaviyo", *command.arguments("--select", "open")]
    with subprocess.Popen(python, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        shown = process.stderr.read().decode()
        assert process.wait(TIMEOUT) == 1
    assert log_lines(shown) == []
    assert (command.summary["status"], command.summary["message"]) == ("failed", "")


def test_a_killed_process(command: Command) -> None:
    """The file of a process that was killed says that it is running, not how an older one ended."""
    assert command.run("--select", "lists") == 0
    command.box.faults.add("silence", path="/api/lists", times=None)
    python = [sys.executable, "-m", "tap_klaviyo", *command.arguments("--select", "lists")]
    with subprocess.Popen(python, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        while not any(seen.fault == "silence" for seen in command.box.requests):
            assert process.poll() is None
        process.kill()
    assert command.summary["status"] == "running"
    assert command.summary["pid"] == process.pid


def test_a_signal_before_the_run(command: Command) -> None:
    """A signal that comes while modules are imported is in the file, too."""
    started = command.file
    python = [sys.executable, "-X", "importtime", "-m", "tap_klaviyo", *command.arguments()]
    with subprocess.Popen(
        python, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while not started.exists():
            assert process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + signal.SIGTERM
    assert command.summary["status"] == "stopped"
    assert command.summary["message"].startswith("Stopped by SIGTERM")


@pytest.mark.parametrize("path", ["absent/summary.json", ".", "/dev/null"])
def test_a_file_that_cannot_be_written(
    command: Command, capfd: pytest.CaptureFixture[str], path: str
) -> None:
    """A file that cannot be written ends the command before any request; devices stay devices."""
    before = len(command.box.requests)
    assert command.run("--summary-file", path) == 2
    (line,) = log_lines(capfd.readouterr().err)
    assert line.startswith("CRITICAL --summary-file: ")
    assert len(command.box.requests) == before
    assert not os.path.isfile("/dev/null")


def test_a_file_that_cannot_be_replaced(
    command: Command, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file cannot be written at the end, the exit code is not 0 and a line says why."""
    written = Writer.state

    def write_and_remove(writer: Writer, value: Any) -> None:
        written(writer, value)
        command.file.unlink(missing_ok=True)
        if command.file.parent.exists():
            command.file.parent.rename(command.file.parent.with_name("moved"))

    monkeypatch.setattr(Writer, "state", write_and_remove)
    assert command.run("--select", "lists") == 1
    *_, error, last = log_lines(capfd.readouterr().err)
    assert error.startswith("ERROR --summary-file: cannot write ")
    assert last.startswith("INFO Complete. ")


def test_the_file_is_replaced_as_a_whole(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader finds a whole document at any time, and nothing else is left in the folder."""
    seen = []
    replace = Path.replace

    def look(path: Path, target: Path) -> Path:
        seen.append(command.file.exists() and bool(command.summary))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", look)
    assert command.run("--select", "lists") == 0
    assert seen == [False, True]
    assert {path.name for path in command.file.parent.iterdir()} == {"config.json", "summary.json"}
