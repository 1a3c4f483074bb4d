"""External programs, each in its own virtual environment, and functions that run programs.

The environments are in `.envs` of the checkout and are reused by the next run. The programs cannot
share an environment, because their dependencies conflict.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.version_matrix import UV

CHECKOUT = Path(__file__).parents[2]
ENVIRONMENTS = CHECKOUT / ".envs"
TAP = Path(sys.executable).with_name("tap-klaviyo")

REQUIREMENTS = {
    "airflow": "apache-airflow==3.3.2 --requirements examples/airflow/requirements.txt",
    # Targets of which only the mapping of types is tested. Not all of them start with the newest
    # versions of what they depend on.
    "columns-bigquery": "z3-target-bigquery==0.7.2 setuptools<81",
    "columns-snowflake-meltanolabs": "meltanolabs-target-snowflake==0.20.4",
    "columns-snowflake-pipelinewise": "pipelinewise-target-snowflake==2.3.0 numpy<2",
    "dagster": "dagster==1.13.27 --requirements examples/dagster/requirements.txt",
    "meltano": "meltano==4.4.1",
    "singer-tools": "singer-tools==0.4.1",
    "target-csv": "meltanolabs-target-csv==0.5.0",
    "target-jsonl": "target-jsonl==0.1.4",
    "target-postgres-meltanolabs": "meltanolabs-target-postgres==0.8.1",
    "target-postgres-pipelinewise": "pipelinewise-target-postgres==2.1.2",
}

_REMOVED_VARIABLES = ("TAP_KLAVIYO_", "MELTANO_", "PG", "PYTHON", "VIRTUAL_ENV")
_ENVIRONMENT = {
    **{
        name: value for name, value in os.environ.items() if not name.startswith(_REMOVED_VARIABLES)
    },
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
_INSTALL_TIMEOUT = 300.0


def ready(name: str) -> Path:
    """Returns the `bin` folder of an environment; makes it unless it has what is required."""
    folder = ENVIRONMENTS / name
    stamp = folder / "ready"
    requirements = REQUIREMENTS[name].split()
    pinned = [(CHECKOUT / file).read_text() for file in requirements if file.endswith(".txt")]
    wanted = "\n".join([sys.version, *requirements, *pinned])
    with locked(name):
        if not stamp.exists() or stamp.read_text() != wanted:
            install(folder, *requirements)
            stamp.write_text(wanted)
    return folder / "bin"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Lets only one process of the tests at a time work on a folder of `.envs`."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install(folder: Path, *requirements: str | Path) -> Path:
    """Creates an environment with `requirements` and without pip; returns its `bin` folder."""
    venv = (*UV, "venv", "--quiet", "--no-project", "--clear", "--python", sys.executable)
    run(*venv, folder, cwd=CHECKOUT)
    uv_pip = (*UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python")
    run(*uv_pip, *requirements, cwd=CHECKOUT, timeout=_INSTALL_TIMEOUT)
    return folder / "bin"


def run(
    *command: str | Path,
    cwd: Path,
    code: int | None = 0,
    timeout: float = 120,
    environment: Mapping[str, str] | None = None,
    stdin: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a command without the developer's environment variables.

    Raises AssertionError with the output if the exit code is not `code` (None: any code), if the
    command takes more than `timeout` seconds, or if it leaves a process running.
    """
    with (
        (stdin or Path(os.devnull)).open("rb") as given,
        subprocess.Popen(
            command,
            cwd=cwd,
            env=program_environment(environment),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        timed_out = False
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        left = _kill_group(process.pid)
        if timed_out:
            out, err = process.communicate()
    output = f"{shlex.join(map(str, command))}\n{out}\n{err}"
    assert not timed_out, f"not done after {timeout} s: {output}"
    assert not left, f"left a process running: {output}"
    assert code in (None, process.returncode), f"exit code {process.returncode}: {output}"
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def pipe(
    *commands: Sequence[str | Path], cwd: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Runs commands as a pipeline; returns the stdout of the last one.

    Raises AssertionError if any of them fails, like `run`.
    """
    pipeline = " | ".join(shlex.join(map(str, command)) for command in commands)
    return run("bash", "-o", "pipefail", "-c", pipeline, cwd=cwd, environment=environment).stdout


def pipe_until_killed(
    tap: Sequence[str | Path],
    target: Sequence[str | Path],
    *,
    lines: int,
    with_target: bool,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Kills the tap, and the target too if `with_target`, after some lines of a pipeline.

    Returns the stdout of the target, which otherwise ends by itself. Raises AssertionError if the
    tap ended before, or the target failed.
    """
    variables = program_environment(environment)
    with (
        subprocess.Popen(
            tap, cwd=cwd, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as source,
        subprocess.Popen(
            target,
            cwd=cwd,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as sink,
    ):
        assert source.stdout
        assert sink.stdin
        for _ in range(lines):
            line = source.stdout.readline()
            assert line.endswith(b"\n"), "the tap has ended"
            sink.stdin.write(line)
        sink.stdin.flush()
        source.kill()
        if with_target:
            sink.kill()
        out, _ = sink.communicate(timeout=60)
        assert with_target or sink.returncode == 0, "the target failed"
    return out.decode()


def program_environment(environment: Mapping[str, str] | None) -> dict[str, str]:
    """The environment of a program: `environment`, and this one without the developer's own."""
    return {**_ENVIRONMENT, **(environment or {})}


def _kill_group(leader: int) -> bool:
    """Kills the remaining processes of a group; returns whether there were any."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
