"""The combinations of Pythons and dependencies that `make test-versions` runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.version_matrix import PYTHONS, combinations, interpreter, short_tests

ROOT = Path(__file__).resolve().parent.parent


def python(path: Path, version: str, code: int = 0) -> str:
    """Writes a program that answers as Python does to ``--version``; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho Python {version}\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the PATH; pyenv's folder is next to it."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path / "path"


def test_each_python_has_both_ends() -> None:
    """Each Python is combined with the lowest and the newest dependencies."""
    assert combinations(["3.10", "3.11"], ends=False) == [
        *(("3.10", "lowest"), ("3.10", "newest")),
        *(("3.11", "lowest"), ("3.11", "newest")),
    ]


@pytest.mark.parametrize("pythons", [["3.10", "3.11", "3.13"], ["3.12"]])
def test_the_ends(pythons: list[str]) -> None:
    """The oldest Python gets the lowest, and the latest Python the newest dependencies."""
    expected = [(pythons[0], "lowest"), (pythons[-1], "newest")]
    assert combinations(pythons, ends=True) == expected


def test_a_python_on_the_path_comes_first(path: Path) -> None:
    """A Python on the PATH is preferred to those of pyenv."""
    python(path.parent / "pyenv/versions/3.10.13/bin/python", "3.10.13")
    on_the_path = python(path / "python3.10", "3.10.4")
    assert interpreter("3.10") == on_the_path


def test_a_shim_without_a_python_is_passed_over(path: Path) -> None:
    """A command that does not start a Python is not used; the newest of pyenv is."""
    python(path / "python3.10", "", code=127)
    python(path.parent / "pyenv/versions/3.10.9/bin/python", "3.10.9")
    newest = python(path.parent / "pyenv/versions/3.10.13/bin/python", "3.10.13")
    assert interpreter("3.10") == newest


@pytest.mark.usefixtures("path")
def test_a_python_that_is_not_installed() -> None:
    """There is no path of a Python that is not installed."""
    assert interpreter("3.10") is None


def test_the_oldest_python_is_that_of_setup_py() -> None:
    """The first Python that is tested is the oldest one that setup.py allows."""
    (oldest,) = re.findall(r'python_requires=">=(.+)"', (ROOT / "setup.py").read_text("utf-8"))
    assert PYTHONS[0] == oldest


def test_the_short_tests_exist() -> None:
    """Each test that ``--short`` runs exists and is named once."""
    tests = short_tests()
    assert not [path for path in tests if not (ROOT / path).is_file()]
    assert len(tests) == len(set(tests))
