"""The container of Containerfile runs the tap and a target, keeps the state and heeds signals.

No image is built: the steps run as an unprivileged user in an empty folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from containerfile import Image, build, find_user, instructions
from external_programs import CHECKOUT, run
from sandbox_account import KEY_OF, LOOKBACK, SandboxAccount, bookmark, serve_account

PIPELINE = CHECKOUT / "container" / "pipeline.py"
STATE = {"bookmarks": {"open": {"timestamp": 1}}}

Programs = Callable[[str, str], list[str | Path]]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """What the steps of Containerfile make."""
    user = find_user()
    if user is None:
        reason = "no Python of this machine can be run by an unprivileged user"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    # Not a folder of pytest, which an unprivileged user cannot read.
    with tempfile.TemporaryDirectory() as name:
        yield build(Path(name), user)


@pytest.fixture
def mounted(image: Image) -> Iterator[Callable[..., Path]]:
    """Mounts the folders of the container: config with the files for an account, state and data."""
    folders = [image.place / name for name in ("config", "state", "data")]

    def mount(klaviyo: SandboxAccount, *streams: str, **settings: Any) -> Path:
        for folder in folders:
            folder.mkdir()
        config, _, data = folders
        klaviyo.write_files(config, *streams)
        given = json.loads((config / "config.json").read_text())
        (config / "config.json").write_text(json.dumps({**given, **settings}))
        (config / "target.json").write_text(json.dumps({"destination_path": str(data)}))
        image.give(image.place)
        return image.place

    before = image.files()
    yield mount
    for folder in folders:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    assert image.files() == before, "a run wrote into the image"


def _states(place: Path) -> Any:
    return json.loads((place / "state" / "state.json").read_text())


def _keys(place: Path) -> dict[str, list[str]]:
    """The keys in the files of target-jsonl, by table, in the order in which they were written."""
    keys: dict[str, list[str]] = {}
    for path in sorted((place / "data").iterdir()):
        stream = path.name.partition("-")[0]
        rows = map(json.loads, path.read_text().splitlines())
        keys.setdefault(stream, []).extend(row[KEY_OF[stream]] for row in rows)
    return keys


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "the condition does not become true"


@contextmanager
def _running(
    command: Sequence[str | Path], place: Path, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a command in a session of its own; kills it at the end if it has not ended."""
    environment = {**os.environ, **(variables or {})}
    with subprocess.Popen(command, cwd=place, env=environment, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_container_loads_the_account(
    image: Image, mounted: Callable[..., Path], klaviyo: SandboxAccount
) -> None:
    """The rows are those of the account, and the next run reads only from the state on."""
    place = mounted(klaviyo)
    run(*image.command, cwd=place, environment=image.variables)
    first_end = bookmark(_states(place))
    first = _keys(place)
    expected = klaviyo.keys(end=first_end)
    assert {stream: sorted(keys) for stream, keys in first.items()} == expected
    arrived = klaviyo.add_data()["open"]
    run(*image.command, cwd=place, environment=image.variables)
    second = _keys(place)["open"][len(first["open"]) :]
    assert sorted(second) == klaviyo.keys(first_end - LOOKBACK, bookmark(_states(place)))["open"]
    assert {*arrived} <= {*second}


def test_a_container_that_is_stopped(image: Image, mounted: Callable[..., Path]) -> None:
    """SIGTERM ends a run with exit code 143 and a state, from which the next run goes on."""
    with serve_account() as klaviyo:
        place = mounted(klaviyo, "open", page_size=20, concurrency=1)
        klaviyo.box.faults.add("silence", path="/api/events", at=5, times=None)
        with _running(image.command, place, image.variables) as container:
            _wait_until(lambda: any(request.fault for request in klaviyo.box.requests))
            container.send_signal(signal.SIGTERM)
            assert container.wait(30) == 128 + signal.SIGTERM
        assert _states(place)["bookmarks"]["open"]
        loaded = {*_keys(place)["open"]}
        assert 0 < len(loaded) < len(klaviyo.keys()["open"])
        klaviyo.box.faults.clear()
        run(*image.command, cwd=place, environment=image.variables)
        expected = klaviyo.keys(end=bookmark(_states(place)))["open"]
        assert sorted({*_keys(place)["open"]}) == expected


def test_a_container_without_a_valid_key(
    image: Image, mounted: Callable[..., Path], klaviyo: SandboxAccount
) -> None:
    """The exit code is that of the tap, the log goes to stderr, and there is no state."""
    place = mounted(klaviyo, api_key="pk_wrong")
    done = run(*image.command, cwd=place, code=3, environment=image.variables)
    assert "Klaviyo does not accept the API key (401)" in done.stderr
    assert not [*(place / "state").iterdir()]


def test_a_folder_that_is_read_only(
    image: Image, mounted: Callable[..., Path], klaviyo: SandboxAccount
) -> None:
    """If the state could not be saved, nothing is read."""
    place = mounted(klaviyo, "lists")
    (place / "state").chmod(0o555)
    done = run(*image.command, cwd=place, code=1, environment=image.variables)
    assert done.stderr.endswith(" cannot write to this folder.\n")
    assert not klaviyo.box.requests
    assert not [*(place / "data").iterdir()]


def test_arguments_are_options_of_the_tap(
    image: Image, mounted: Callable[..., Path], klaviyo: SandboxAccount
) -> None:
    """What follows the name of the image is given to the tap."""
    place = mounted(klaviyo, "lists")
    summary = place / "state" / "summary.json"
    run(*image.command, "--summary-file", summary, cwd=place, environment=image.variables)
    assert json.loads(summary.read_text())["exit_code"] == 0


def test_a_container_has_an_unprivileged_user(image: Image) -> None:
    """The user is a number other than that of root, so that Kubernetes can check it."""
    user, group = map(int, image.account.split(":"))
    assert user > 0 < group


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    """.dockerignore leaves out everything but the sources of COPY."""
    steps = instructions(CHECKOUT / "Containerfile")
    copied = {
        source
        for name, text in steps
        if name == "COPY" and not text.startswith("--from")
        for source in text.split()[:-1]
    }
    first, *others = [
        line
        for line in (CHECKOUT / ".dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert first == "*"
    assert {line[1:] for line in others if line.startswith("!")} == copied


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """Puts two shell scripts where the pipeline expects tap and target; returns its command."""

    def make(tap: str, target: str) -> list[str | Path]:
        pipeline = tmp_path / PIPELINE.name
        pipeline.write_bytes(PIPELINE.read_bytes())
        (tmp_path / "state").mkdir()
        for name, text in {"tap/bin/tap-klaviyo": tap, "target/bin/target": target}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True)
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        return [sys.executable, pipeline]

    return make


@pytest.mark.parametrize(
    ("tap", "target", "code"),
    [
        ("exit 0", "exit 0", 0),
        ("exit 1", "exit 0", 1),
        ("exit 143", "exit 0", 143),
        ("exit 0", "exit 3", 3),
        ("exit 1", "exit 3", 3),
        ("exit 0", "kill -9 $$", 137),
    ],
)
def test_exit_codes(programs: Programs, tmp_path: Path, tap: str, target: str, code: int) -> None:
    """The exit code is that of the target if it fails, or else that of the tap."""
    run(*programs(tap, f"cat > /dev/null; {target}"), cwd=tmp_path, code=code)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_tap(programs: Programs, tmp_path: Path, number: signal.Signals) -> None:
    """A signal to all processes of a terminal ends the tap, and the target reads what it wrote."""
    stop = f"""trap 'echo "{{\\"bookmarks\\": {number}}}"; exit {128 + number}' {number}"""
    minute = "for tenth in $(seq 600); do sleep 0.1; done"
    command = programs(f"{stop}\ntouch started\n{minute}", "exec cat")
    with _running(command, tmp_path) as pipeline:
        _wait_until((tmp_path / "started").exists)
        os.killpg(pipeline.pid, number)
        assert pipeline.wait(30) == 128 + number
    assert _states(tmp_path) == {"bookmarks": number}


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ([STATE], STATE),
        ([{"bookmarks": {}}, STATE], STATE),
        ([STATE, {}], STATE),
        ([STATE, "rows: 12"], STATE),
        ([STATE, [1]], STATE),
        ([STATE, {"level": "info"}], STATE),
    ],
    ids=["one", "several", "empty", "text", "array", "a line of a log"],
)
def test_the_last_state_is_kept(
    programs: Programs, tmp_path: Path, printed: list[Any], expected: Any
) -> None:
    """The next run gets the last state; what else the target prints is in the log."""
    lines = [line if isinstance(line, str) else json.dumps(line) for line in printed]
    out = "\n".join(lines)
    command = programs('echo "$@" > given', f"cat > /dev/null\ncat << 'END'\n{out}\nEND")
    logged = run(*command, cwd=tmp_path).stderr
    assert _states(tmp_path) == expected
    assert [line for line in lines if line in logged.splitlines()] == [
        line for line in lines if line in ("rows: 12", "[1]", "{}", '{"level": "info"}')
    ]
    run(*command, cwd=tmp_path)
    assert (tmp_path / "given").read_text() == "--state state/state.json\n"


def test_a_torn_state_is_not_kept(programs: Programs, tmp_path: Path) -> None:
    """A target that is killed while it prints a state leaves the state before."""
    torn = json.dumps(STATE)[:-3]
    command = programs("exit 0", f"cat > /dev/null\nprintf %s '{torn}'\nkill -9 $$")
    (tmp_path / "state" / "state.json").write_text(json.dumps(STATE))
    run(*command, cwd=tmp_path, code=137)
    assert _states(tmp_path) == STATE


def test_a_state_that_cannot_be_saved(programs: Programs, tmp_path: Path) -> None:
    """A full disk ends both programs with one line, and the state before is kept."""
    command = programs("exec sleep 60", f"echo '{json.dumps(STATE)}'; exec cat")
    (tmp_path / "state" / "state.json.new").symlink_to("/dev/full")
    done = run(*command, cwd=tmp_path, code=1)
    assert done.stderr == "The state cannot be saved: [Errno 28] No space left on device\n"
    assert not (tmp_path / "state" / "state.json").exists()


def test_runs_do_not_overlap(programs: Programs, tmp_path: Path) -> None:
    """A second run with the same state ends at once."""
    command = programs("touch started", "cat > /dev/null")
    lock = os.open(tmp_path / "state", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    done = run(*command, cwd=tmp_path, code=1)
    os.close(lock)
    assert done.stderr == "The previous sync is still running.\n"
    assert not (tmp_path / "started").exists()


def test_a_folder_for_the_state_is_required(programs: Programs, tmp_path: Path) -> None:
    """Without a folder for the state nothing is read, since the state would be lost."""
    command = programs("touch started", "cat > /dev/null")
    (tmp_path / "state").rmdir()
    done = run(*command, cwd=tmp_path, code=1)
    assert "Mount a folder for the state" in done.stderr
    assert not (tmp_path / "started").exists()
