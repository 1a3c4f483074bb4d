"""The commands of the Makefile that say in one line what is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools import audit

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()
ANSWER = '{{"dependencies": [{}], "fixes": []}}'
SKIPPED = '{"name": "rich", "skip_reason": "Dependency not found on PyPI"}'
CLEAN = '{"name": "backoff", "version": "2.2.1", "vulns": []}'
FOUND = (
    '{"name": "requests", "version": "2.32.3", '
    '"vulns": [{"id": "CVE-1", "fix_versions": ["2.33"]}]}'
)
NO_ANSWERS = (
    "Nothing was audited: the package index has no answers about vulnerabilities for any of 2 "
    "packages. Run make audit on a machine that reaches https://pypi.org itself.\n"
)


def _audit(tmp_path: Path, program: str, *options: str) -> tuple[int, str]:
    """Runs the audit with a script in place of pip-audit; returns the exit code and stdout."""
    path = tmp_path / "pip-audit"
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    command = [sys.executable, "-m", "tools.audit", str(path), *options]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("packages", "code", "expected"),
    [
        (f"{CLEAN}, {CLEAN}", 0, "Audited 2 packages: no known vulnerabilities.\n"),
        (f"{SKIPPED}, {SKIPPED}", 1, NO_ANSWERS),
        (f"{CLEAN}, {FOUND}", 1, "requests 2.32.3: CVE-1, fixed in 2.33\n"),
        (f"{CLEAN}, {SKIPPED}", 1, "rich was not audited: Dependency not found on PyPI\n"),
    ],
)
def test_audit(tmp_path: Path, packages: str, code: int, expected: str) -> None:
    """The result says what was found and what was not audited; only a whole audit passes."""
    found, printed = _audit(tmp_path, f"echo '{ANSWER.format(packages)}'; exit 1")
    assert found == code
    assert printed.startswith(expected)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (f"echo '{ANSWER.format(f'{SKIPPED}, {SKIPPED}')}'", NO_ANSWERS),
        (
            "echo 'ERROR: Could not connect to PyPI.' >&2; exit 1",
            "ERROR: Could not connect to PyPI.",
        ),
        ("exit 1", "pip-audit printed nothing"),
    ],
)
def test_audit_of_nothing(tmp_path: Path, program: str, reason: str) -> None:
    """An audit without answers is one line; it fails unless it was asked for if possible."""
    code, printed = _audit(tmp_path, program)
    assert (code, printed.count("\n")) == (1, 1)
    assert printed.startswith("Nothing was audited: ")
    assert reason in printed
    assert _audit(tmp_path, program, "--if-possible") == (0, printed)


def test_audit_without_an_answer_in_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An audit that takes too long is an audit of nothing."""

    def expire(command: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, audit.TIMEOUT)

    monkeypatch.setattr(subprocess, "run", expire)
    assert audit.main(["pip-audit"]) == 1
    assert capsys.readouterr().out.startswith("Nothing was audited: no answer within 300 s. ")


@pytest.mark.parametrize("missing", ["ensurepip", "venv"])
def test_python_without_venv(tmp_path: Path, missing: str) -> None:
    """Where Python cannot create environments, make says in one line what to install."""
    (tmp_path / "missing").mkdir()
    (tmp_path / "missing" / f"{missing}.py").write_text("raise ImportError")
    for name in ("Makefile", "setup.py", "tools"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = subprocess.run(
        ["make", "demo", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "missing")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    first, *rest = done.stderr.splitlines()
    assert "Debian and Ubuntu: sudo apt install python3-venv" in first
    assert all(line.startswith("make: *** ") for line in rest)
    assert done.returncode == 2
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("command", ["soak", "fuzz"])
def test_commands_that_only_developers_run(command: str) -> None:
    """They start: the suite runs their parts, but not the commands themselves."""
    (shown,) = re.findall(
        rf"^\tPYTHONPATH=(\S+) \S+ (tests/reliability/{command}\.py)", MAKEFILE, re.M
    )
    path, script = shown
    done = subprocess.run(
        [sys.executable, script, "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
