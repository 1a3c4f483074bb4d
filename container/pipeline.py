"""Process 1 of the container: runs `tap | target` once, from the state of the last run.

Arguments are further options of the tap. The exit code is that of the target if it fails, or else
that of the tap. docs/container.md describes the files.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAMS = Path(__file__).parent
TAP = PROGRAMS / "tap" / "bin" / "tap-klaviyo"
TARGET = PROGRAMS / "target" / "bin" / "target"

STATE = Path("state", "state.json")
TAP_FILES = {
    "--config": Path("config", "config.json"),
    "--catalog": Path("config", "catalog.json"),
    "--state": STATE,
}
"""Options of the tap; each is given if its file exists."""
TARGET_FILES = {"--config": Path("config", "target.json")}

STOP_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
SIGNAL_EXIT = 128
"""What is added to the number of a signal for the exit code, as shells do."""


def main(arguments: Sequence[str]) -> int:
    """Runs the pipeline and returns its exit code.

    A stop signal goes to the tap alone. It ends after its current page with a STATE; the target
    reads up to the end and prints its last state.
    """
    os.umask(0o077)
    lock = _lock()
    stopped: list[int] = []
    taps: list[subprocess.Popen[bytes]] = []

    def stop(number: int, _frame: object) -> None:
        stopped.append(number)
        for tap in taps:
            tap.send_signal(number)

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
    # A session of its own keeps the signals of a terminal from each program.
    target = subprocess.Popen(
        [TARGET, *_existing(TARGET_FILES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert target.stdin
    assert target.stdout
    tap = subprocess.Popen(
        [TAP, *_existing(TAP_FILES), *arguments], stdout=target.stdin, start_new_session=True
    )
    target.stdin.close()
    taps.append(tap)
    for received in stopped:  # A signal that came before there was a tap.
        tap.send_signal(received)
    try:
        for line in target.stdout:
            _keep(line)
    except OSError as error:
        tap.kill()
        target.kill()
        sys.exit(f"The state cannot be saved: {error}")
    codes = [_exit_code(process) for process in (target, tap)]
    os.close(lock)
    return next(filter(None, codes), 0)


def _lock() -> int:
    """Locks the folder of the state, and returns the file number that holds the lock.

    Ends the program if another run holds it, or if the folder is missing or read-only.
    """
    folder = STATE.parent.absolute()
    try:
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("The previous sync is still running.")
    except OSError as error:
        sys.exit(f"{folder}: {error.strerror}. Mount a folder for the state there.")
    if not os.access(folder, os.W_OK):
        sys.exit(f"{folder}: user {os.getuid()} cannot write to this folder.")
    return lock


def _existing(files: Mapping[str, Path]) -> list[str]:
    """Returns the options whose files exist, each with its file."""
    return [part for option, file in files.items() if file.exists() for part in (option, str(file))]


def _keep(line: bytes) -> None:
    """Replaces the state by a line of the target; what is no state goes to stderr.

    Raises OSError if the state cannot be written.
    """
    try:
        state = json.loads(line)
    except ValueError:
        state = None
    if not isinstance(state, dict) or "bookmarks" not in state:
        sys.stderr.write(line.decode(errors="replace"))
        return
    new = STATE.with_suffix(".json.new")
    with new.open("wb") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    new.replace(STATE)


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    """Waits for a process and returns its exit code as a shell does."""
    code = process.wait()
    return code if code >= 0 else SIGNAL_EXIT - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
