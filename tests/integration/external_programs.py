"""Other people's programs, each in an environment of its own, and a way to run any program.

The environments lie in `.envs` of the checkout and are kept for the next run. No two of these
programs could share one, and none could share the tap's: their dependencies exclude each other.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
TAP = Path(sys.executable).with_name("tap-klaviyo")

REQUIREMENTS = {
    "meltano": "meltano==4.4.1",
    "singer-tools": "singer-tools==0.4.1",
    "target-csv": "meltanolabs-target-csv==0.5.0",
    "target-jsonl": "target-jsonl==0.1.4",
    "target-postgres-meltanolabs": "meltanolabs-target-postgres==0.8.1",
    "target-postgres-pipelinewise": "pipelinewise-target-postgres==2.1.2",
}

_DEVELOPERS_OWN = ("TAP_KLAVIYO_", "MELTANO_", "PG", "PYTHON", "VIRTUAL_ENV")
_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(_DEVELOPERS_OWN)},
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
_INSTALLING = 300.0


def ready(name: str) -> Path:
    """The folder of an environment's commands; made unless it is there in the pinned version."""
    folder = CHECKOUT / ".envs" / name
    stamp = folder / "ready"
    installed = REQUIREMENTS[name].replace("-", "_").replace("==", "-")
    if not stamp.exists() or not any(folder.glob(f"lib/*/site-packages/{installed}.dist-info")):
        stamp.unlink(missing_ok=True)
        install(folder, REQUIREMENTS[name])
        stamp.touch()
    return folder / "bin"


def install(folder: Path, *requirements: str | Path) -> Path:
    """Make an environment that holds `requirements`; returns the folder of its commands."""
    run(sys.executable, "-m", "venv", "--clear", folder, cwd=CHECKOUT)
    pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet")
    run(*pip, *requirements, cwd=folder, timeout=_INSTALLING)
    return folder / "bin"


def run(
    *command: str | Path,
    cwd: Path,
    code: int | None = 0,
    timeout: float = 120,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, free of the developer's own settings.

    Raises AssertionError with all that it wrote if its exit code is not `code` (None: any code
    will do), if it takes more than `timeout` seconds, or if it leaves a process running.
    """
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**_ENVIRONMENT, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        late = False
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            late = True
        left = _kill_group(process.pid)
        if late:
            out, err = process.communicate()
    told = f"{shlex.join(map(str, command))}\n{out}\n{err}"
    assert not late, f"not done after {timeout} s: {told}"
    assert not left, f"left a process running: {told}"
    assert code in (None, process.returncode), f"exit code {process.returncode}: {told}"
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def pipe(*commands: Sequence[str | Path], cwd: Path) -> str:
    """Run commands, each reading what the one before it writes; returns what the last one wrote.

    Raises AssertionError if any of them fails, as `run` does.
    """
    pipeline = " | ".join(shlex.join(map(str, command)) for command in commands)
    return run("bash", "-o", "pipefail", "-c", pipeline, cwd=cwd).stdout


def _kill_group(leader: int) -> bool:
    """End what is left of a process and its children; returns whether there was anything."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
