"""docs/cron/sync.sh goes on from the last whole state, whatever ended the run before."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from external_programs import CHECKOUT, TAP, run
from sandbox_account import SandboxAccount, bookmark

SCRIPT = CHECKOUT / "docs" / "cron" / "sync.sh"
README = (CHECKOUT / "README.md").read_text()
A = {"bookmarks": {"open": {"timestamp": 1}, "click": {"timestamp": 2}}, "currently_syncing": None}
B = {"bookmarks": {"open": {"timestamp": 3, "text": '\u2028 ü {"bookmarks"'}}}
ONE, TWO = json.dumps(A), json.dumps(B, ensure_ascii=False)

each_shell = pytest.mark.parametrize("shell", ["sh", "bash"])

Sync = Callable[..., str]


def _install(folder: Path, **programs: str) -> dict[str, str]:
    """Puts the script and programs into a folder; returns the environment variables for it."""
    shutil.copy(SCRIPT, folder)
    for name, text in programs.items():
        path = folder / "bin" / name.replace("_", "-")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    return {"HOME": str(folder), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


def _states(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "states.jsonl").read_text().splitlines()]


@pytest.fixture
def folder(klaviyo: SandboxAccount, environment: Callable[[str], Path], tmp_path: Path) -> Path:
    """The folder of the README: the script and the files of an account and of target-jsonl."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    klaviyo.write_files(folder)
    target, tap = environment("target-jsonl") / "target-jsonl", TAP
    _install(folder, tap_klaviyo=f'exec "{tap}" "$@"', target_jsonl=f'exec "{target}" "$@"')
    (valid,) = re.findall(r"the configuration is\n`(.+?)`", README)
    (folder / "target.json").write_text(valid.replace("/srv/klaviyo", str(folder)))
    return folder


@pytest.fixture
def sync(folder: Path, klaviyo: SandboxAccount) -> Sync:
    """Runs the line of the crontab, checks the exit code, and returns what cron would mail."""
    (line,) = re.findall(r"^```cron\n(.*)\n```", README, re.M)
    command = line.split(maxsplit=5)[5].replace("/srv/klaviyo/sync.sh", f'"{folder}/sync.sh"')

    def call(
        code: int | None = 0, *, shell: str = "sh", before: str = "", key: str = klaviyo.box.key
    ) -> str:
        environment = {
            "HOME": str(folder),
            "PATH": f"{folder / 'bin'}:{TAP.parent}:{os.environ['PATH']}",
            "TAP_KLAVIYO_API_KEY": key,
        }
        called = before + command.replace("sh ", f"{shell} ", 1)
        done = run("sh", "-c", called, cwd=folder, code=code, environment=environment)
        return done.stdout + done.stderr

    return call


def _written(folder: Path) -> list[str]:
    """Returns the ids of the whole records of `open` in the files of target-jsonl."""
    ids = set()
    for path in (folder / "data").glob("open*.jsonl"):
        for line in path.read_text().splitlines():
            try:
                ids.add(json.loads(line)["id"])
            except ValueError:
                continue  # The record that the full disk or the kill cut.
    return sorted(ids)


def _confirmed(folder: Path) -> int:
    """Returns the bookmark in the last state that the target printed."""
    return bookmark(_states(folder)[-1])


@each_shell
def test_cron(sync: Sync, folder: Path, klaviyo: SandboxAccount, shell: str) -> None:
    """A run goes on from the target's state; a failed one keeps it, and says what failed."""
    assert sync(shell=shell) == ""
    assert _written(folder) == klaviyo.keys(end=_confirmed(folder))["open"]
    confirmed = _states(folder)[-1]
    arrived = klaviyo.add_data()["open"]
    target = folder / "target.json"
    valid = target.read_text()
    target.write_text("not a configuration")
    assert "target-jsonl: exit code 1: simplejson" in sync(1, shell=shell)
    target.write_text(valid)
    assert "Klaviyo does not accept the API key (401)" in sync(3, shell=shell, key="pk_wrong")
    assert json.loads((folder / "state.json").read_text()) == confirmed
    assert sync(shell=shell) == ""
    assert _written(folder) == klaviyo.keys(end=_confirmed(folder))["open"]
    assert {*arrived} <= {*_written(folder)}


def test_cron_after_a_full_disk(sync: Sync, folder: Path, klaviyo: SandboxAccount) -> None:
    """Files that cannot grow end the run; the next run with more space writes what is missing."""
    for blocks in (0, 8, 400):
        assert "exit code" in sync(None, before=f"ulimit -f {blocks}; ") or blocks == 0
    assert sync() == ""
    assert _written(folder) == klaviyo.keys(end=_confirmed(folder))["open"]


@each_shell
def test_cron_after_a_killed_target(
    sync: Sync, folder: Path, klaviyo: SandboxAccount, shell: str
) -> None:
    """A target that is killed with a torn state gives its exit code; the next run is whole."""
    sync(shell=shell)
    confirmed = _states(folder)[-1]
    target = folder / "bin" / "target-jsonl"
    program = target.read_text()
    torn = json.dumps(confirmed)[:-9]
    target.write_text(f"#!/bin/sh\nhead -n 3 > /dev/null\nprintf %s '{torn}'\nkill -9 $$\n")
    assert "target-jsonl: exit code 137: " in sync(137, shell=shell)
    target.write_text(program)
    arrived = klaviyo.add_data()["open"]
    assert sync(shell=shell) == ""
    assert json.loads((folder / "state.json").read_text()) == confirmed
    assert {*arrived} <= {*_written(folder)}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (None, {}),
        ("", {}),
        ("\n", {}),
        (f"{ONE}\n", A),
        (f"{ONE}\n{TWO}\n", B),
        (f"{ONE}\n\n\n", A),
        (f"{ONE}\n{{}}\n", A),
        (TWO, B),
        (f"{ONE}\n{TWO[:-1]}", A),
        (f"{ONE}\n{TWO[:9]}\n", A),
        (f"{ONE}\n{TWO[:-1]}\n\n{{", A),
        (f"{ONE}{TWO}\n", B),
        (f"{TWO}{ONE[:-1]}", B),
        (f"{TWO[:-1]}{ONE}\n", A),
        (f"{TWO[:20]}{ONE}{TWO[:20]}\n", A),
        (f"{TWO[:1]}{ONE}\n", A),
        (f"{TWO}\n{ONE[9:]}\n", B),
        (f"{TWO}\n{ONE[14:]}\n", B),
        (f"{TWO}\n\0\0\0", B),
        (f"{TWO}\n\0\0\0{ONE}\n", A),
        (f"{TWO}\r\n", B),
        ('{"a": 1}\n{"a": 2}{"a": 3}\n', {"a": 3}),
        ("[1]\n12\nnull\n", {}),
    ],
)
def test_cron_takes_the_last_whole_state(
    tmp_path: Path, lines: str | None, expected: dict[str, Any]
) -> None:
    """The tap gets the last whole state, and what the target prints then is a line of its own."""
    environment = _install(
        tmp_path,
        tap_klaviyo="cp state.json given.json",
        target_jsonl="cat > /dev/null; echo '{\"new\": 1}'",
    )
    if lines is not None:
        (tmp_path / "states.jsonl").write_bytes(lines.encode())
    run("sh", "sync.sh", cwd=tmp_path, environment=environment)
    assert json.loads((tmp_path / "given.json").read_text()) == expected
    assert _states(tmp_path) == [{"new": 1}]


@pytest.mark.parametrize("lines", ["", "\n", ONE[:-1], "\0" * 100])
def test_cron_keeps_the_state_before(tmp_path: Path, lines: str) -> None:
    """Where a run left no whole state, the state that it started from is used again."""
    environment = _install(
        tmp_path, tap_klaviyo="cp state.json given.json", target_jsonl="cat > /dev/null"
    )
    (tmp_path / "state.json").write_text(ONE)
    (tmp_path / "states.jsonl").write_text(lines)
    for _ in range(2):
        run("sh", "sync.sh", cwd=tmp_path, environment=environment)
        assert json.loads((tmp_path / "given.json").read_text()) == A


@each_shell
@pytest.mark.parametrize(
    ("tap", "target", "code"), [(0, 0, 0), (1, 0, 1), (143, 0, 143), (0, 3, 3), (1, 3, 3)]
)
def test_cron_gives_the_exit_code_on(
    tmp_path: Path, shell: str, tap: int, target: int, code: int
) -> None:
    """The exit code is that of the target if it fails, or else that of the tap."""
    environment = _install(
        tmp_path,
        tap_klaviyo=f"echo why-tap >&2; exit {tap}",
        target_jsonl=f"cat > /dev/null; echo why-target >&2; exit {target}",
    )
    done = run(shell, "sync.sh", cwd=tmp_path, code=code, environment=environment)
    assert ("why-tap" in done.stdout, "why-target" in done.stdout) == (tap > 0, target > 0)


@each_shell
def test_cron_does_not_overlap(tmp_path: Path, shell: str) -> None:
    """A second run ends at once, also if only the first one's script was killed; then it works."""
    environment = _install(
        tmp_path,
        tap_klaviyo="echo started >> starts; cat block",
        target_jsonl="cat > /dev/null; echo done > done",
    )
    os.mkfifo(tmp_path / "block")
    variables = {**os.environ, **environment}
    with (
        subprocess.Popen([shell, "sync.sh"], cwd=tmp_path, env=variables) as first,
        (tmp_path / "block").open("w"),
    ):
        done = run(shell, "sync.sh", cwd=tmp_path, code=1, environment=environment)
        assert done.stderr == "The previous sync is still running.\n"
        first.send_signal(signal.SIGKILL)
        first.wait()
        run(shell, "sync.sh", cwd=tmp_path, code=1, environment=environment)
    assert (tmp_path / "starts").read_text() == "started\n"
    (tmp_path / "block").unlink()
    (tmp_path / "block").touch()
    deadline = time.monotonic() + 30
    while run("flock", "-n", "lock", "true", cwd=tmp_path, code=None).returncode:
        assert time.monotonic() < deadline
    run(shell, "sync.sh", cwd=tmp_path, environment=environment)


def test_cron_bounds_what_it_keeps(tmp_path: Path) -> None:
    """After many runs there are two logs of each program, and the states of the last run."""
    environment = _install(
        tmp_path,
        tap_klaviyo="head -c 600000 /dev/zero | tr '\\0' x >&2",
        target_jsonl=f"cat > /dev/null; head -c 600000 /dev/zero >&2; echo '{ONE}'; echo '{ONE}'",
    )
    for _ in range(7):
        run("sh", "sync.sh", cwd=tmp_path, environment=environment)
    logs = {path.name: path.stat().st_size for path in tmp_path.glob("*.log*")}
    assert logs.keys() == {"tap.log", "tap.log.old", "target.log", "target.log.old"}
    assert max(logs.values()) <= 1_600_000
    assert _states(tmp_path) == [A, A]
    assert {path.name for path in tmp_path.iterdir()} - logs.keys() == {
        *("bin", "sync.sh", "lock", "state.json", "states.jsonl")
    }


def test_cron_says_that_the_state_cannot_be_saved(tmp_path: Path) -> None:
    """If the state cannot be written, the run ends before it starts, and the old state stays."""
    environment = _install(tmp_path, tap_klaviyo="touch started", target_jsonl="cat > /dev/null")
    (tmp_path / "states.jsonl").write_text(f"{ONE}\n")
    (tmp_path / "state.json.new").symlink_to("/dev/full")
    done = run("sh", "sync.sh", cwd=tmp_path, code=1, environment=environment)
    assert done.stderr.endswith("The state cannot be saved: [Errno 28] No space left on device\n")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "started").exists()
    assert _states(tmp_path) == [A]
