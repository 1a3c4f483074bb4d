"""Run the tests and the demo on each Python with the lowest and the newest dependencies.

``make test-versions`` calls ``python -m tools.version_matrix``. Each combination of a Python and a
resolution gets an environment of its own, which uv makes new at each run. The lowest versions are
those that setup.py allows for its own dependencies; theirs are the newest (``lowest-direct``).

Prints a line per combination and exits with 1 if one failed, or if no Python was found.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = (sys.executable, "-m", "uv")

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""The Pythons that the tap supports; the first is `python_requires` of setup.py."""

RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
"""What uv calls each choice of versions."""

ENDS = (("oldest", "lowest"), ("latest", "newest"))
"""What ``--ends`` runs: the oldest Python that is installed, and the latest."""

SHORT = {
    "tests/test_": """
        about account arguments catalog_checks catalog_values check cli client compatibility config
        conform counts credentials dates discovery ending environment errors event_tally failures
        foreign_answers foreign_states hash_fields hashing limits logs messages metadata
        nested_settings object_settings page_parser parent_dates patterns planner progress_bars
        queries rate_limits report_builder report_dates report_queries report_rows reshaped_values
        scheduler server_clock single_resources state stored_counts sweeps tap tap_stop
        target_counts target_watch token_file value_types workers
    """,
    "tests/end_to_end/test_": """
        account_check batches by_id faults increments log metric_streams report_days reports resync
        revision_switch sql truth verify
    """,
    "tests/reliability/test_reliability_": "http network oauth process proxies socks",
}
"""The tests that ``--short`` runs, by the start of their path.

They run each part of the tap, and all that it uses of Python and of its dependencies. Left out are
the same checks for each stream, random accounts and large ones, and the tests of the sandbox, the
documents and the tools. What these find does not depend on a version; `make check` runs them.
"""

Combination = tuple[str, str]


def main() -> int:
    """Runs the combinations one after the other and returns the exit code."""
    options = _arguments()
    found = {version: path for version in options.pythons if (path := interpreter(version))}
    for version in options.pythons:
        if version not in found:
            print(f"Python {version}: not installed; skipped.")
    if not found:
        print("Install one of these Pythons, for example with: pyenv install 3.10")
        return 1
    tests = short_tests() if options.short else []
    results = {}
    for version, choice in combinations(list(found), ends=options.ends):
        print(f"Python {version} with the {choice} dependencies ...", flush=True)
        started = time.monotonic()
        failed = run(version, choice, found[version], options, tests)
        results[version, choice] = (failed, time.monotonic() - started)
    for (version, choice), (failed, seconds) in results.items():
        print(f"Python {version}, {choice}: {failed or 'passed'} ({seconds:.0f} s)")
    return int(any(failed for failed, _ in results.values()))


def interpreter(version: str) -> str | None:
    """The path of a Python such as "3.10": the one on the PATH, or else the newest of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    numbered = sorted(pyenv.glob(f"{version}.*/bin/python"), key=_numbers, reverse=True)
    candidates = (shutil.which(f"python{version}"), *map(str, numbered))
    return next((path for path in candidates if path and _is_python(path, version)), None)


def short_tests() -> list[str]:
    """The test files that ``--short`` runs."""
    return [f"{start}{name}.py" for start, names in SHORT.items() for name in names.split()]


def combinations(pythons: Sequence[str], *, ends: bool) -> list[Combination]:
    """Python and choice of versions of each run; ``pythons`` are in order, the oldest first.

    With ``ends`` only the oldest Python with the lowest versions and the latest with the newest.
    """
    if ends:
        edges = {"oldest": pythons[0], "latest": pythons[-1]}
        return [(edges[end], choice) for end, choice in ENDS]
    return [(version, choice) for version in pythons for choice in RESOLUTIONS]


def run(
    version: str, choice: str, base: str, options: argparse.Namespace, tests: Sequence[str]
) -> str:
    """Installs, tests and runs the demo; returns the name of the step that failed, or ""."""
    folder = options.folder / f"{version}-{choice}"
    for step, command in _steps(folder, base, RESOLUTIONS[choice], options, tests):
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            return f"{step} failed"
    return ""


def _steps(
    folder: Path, base: str, resolution: str, options: argparse.Namespace, tests: Sequence[str]
) -> Iterator[tuple[str, Sequence[str | Path]]]:
    python = folder / "bin" / "python"
    uv_pip = (*UV, "pip", "install", "--quiet", "--python")
    target = folder.with_name(f"{folder.name}-target-jsonl")
    pytest = ("-m", "pytest", "--numprocesses", "auto", "--dist", "worksteal")
    demo = ("-m", "demo", "--folder", folder / "demo", "--target", target / "bin" / "target-jsonl")
    for environment in (folder, target):
        venv = (*UV, "venv", "--quiet", "--no-project", "--clear", "--python", base)
        yield "uv venv", (*venv, environment)
    yield "installation", (*uv_pip, python, "--resolution", resolution, "--editable", ".[dev]")
    yield "installation", (*uv_pip, target / "bin" / "python", options.target)
    yield "tests", (python, *pytest, "-p", "no:cacheprovider", "-m", "not integration", *tests)
    yield "demo", (python, *demo)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.version_matrix", description=__doc__)
    parser.add_argument("--target", required=True, help="target-jsonl and its version")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the environments")
    parser.add_argument("--ends", action="store_true", help="the oldest Python and the latest")
    parser.add_argument("--short", action="store_true", help="only the tests named in SHORT")
    parser.add_argument("pythons", nargs="*", default=PYTHONS, help="such as 3.10 3.13")
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    return options


def _is_python(path: str, version: str) -> bool:
    """Whether a command is this Python; a shim of pyenv may exist and not start one."""
    asked = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return asked.returncode == 0 and asked.stdout.startswith(f"Python {version}.")


def _numbers(path: Path) -> list[int]:
    """The numbers in the version of a pyenv folder, to compare 3.10.9 with 3.10.13."""
    return [int(digits) for digits in re.findall(r"\d+", path.parts[-3])]


if __name__ == "__main__":
    sys.exit(main())
