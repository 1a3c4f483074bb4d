"""The shape of the house: imports go down only, and no room is too large."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TAP = sorted((ROOT / "tap_klaviyo").glob("*.py"))
SANDBOX = sorted((ROOT / "sandbox").glob("*.py"))

FLOORS = [
    {"__main__"},
    {"cli"},
    {"sync", "check"},
    {"turns"},
    {"report", "reading", "questions"},
    {"plan"},
    {"account"},
    {"client", "engine", "messages", "progress", "records", "state", "about"},
    {"repair", "timeframes", "facts"},
    {"discovery", "config", "body"},
    {"jsonapi"},
    {"streams"},
    {"events", "reports", "limits"},
    {"kinds", "compiled", "windows"},
    {"errors", "times", "__init__"},
]
"""The modules of the tap from the roof to the ground; an import leads to a floor below."""

ALONE: dict[str, set[str]] = {
    "body": {"errors"},
    "engine": set(),
    "limits": {"kinds"},
    "windows": set(),
    "messages": {"errors"},
    "streams": {"events", "reports", "kinds"},
    "events": {"kinds"},
    "reports": {"kinds"},
    "kinds": set(),
    "compiled": set(),
    "times": set(),
    "errors": set(),
    "state": {"errors", "times"},
    "jsonapi": {"errors", "kinds"},
    "timeframes": {"kinds"},
}
"""Modules that can be understood on their own, with all they may import of the tap."""

OUTSIDE: dict[str, set[str]] = {
    "requests": {"client"},
    "backoff": {"client"},
    "threading": {"client", "engine", "limits"},
    "rich": {"progress"},
    "socket": set(),
}
"""Who alone may import what touches the world outside."""


def imported(file: Path) -> set[str]:
    """The full names of all modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def rooms(file: Path) -> set[str]:
    """The modules of the tap that a file imports."""
    known = {path.stem for path in TAP}
    parts = {name.split(".")[1] for name in imported(file) if name.startswith("tap_klaviyo.")}
    return parts & known


def test_every_module_has_a_floor() -> None:
    """The list of floors is complete."""
    assert sorted(name for floor in FLOORS for name in floor) == sorted(path.stem for path in TAP)


@pytest.mark.parametrize("file", TAP, ids=lambda file: file.stem)
def test_imports_go_down(file: Path) -> None:
    """A module imports from the floors below its own only."""
    own = next(index for index, floor in enumerate(FLOORS) if file.stem in floor)
    below = {name for floor in FLOORS[own + 1 :] for name in floor}
    assert rooms(file) <= below


@pytest.mark.parametrize("name", ALONE)
def test_modules_that_stand_alone(name: str) -> None:
    """The pure modules know nothing of the rest."""
    assert rooms(ROOT / "tap_klaviyo" / f"{name}.py") <= ALONE[name]


@pytest.mark.parametrize("package", OUTSIDE)
def test_the_world_outside(package: str) -> None:
    """Threads, HTTP and the screen each have one place."""
    users = {
        file.stem for file in TAP if package in {name.split(".")[0] for name in imported(file)}
    }
    assert users <= OUTSIDE[package]


def test_stdout_has_one_writer() -> None:
    """Nobody prints to stdout or opens it, but the writer of messages."""
    for file in TAP:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in ("sys.stdout", "sys.__stdout__"), file
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
                assert "file=sys.stderr" in ast.unparse(node)


def test_tap_and_sandbox_are_strangers() -> None:
    """Tap and sandbox share no code, so that they can disagree."""
    assert SANDBOX
    for files, other in ((TAP, "sandbox"), (SANDBOX, "tap_klaviyo")):
        for file in files:
            assert other not in {name.split(".")[0] for name in imported(file)}, file


@pytest.mark.parametrize("folder", ["tap_klaviyo", "sandbox", "tools", "tests"])
def test_size(folder: str) -> None:
    """No file is longer than 400 lines, the registry apart, which is a table."""
    for file in {*(ROOT / folder).rglob("*.py")} - {ROOT / "tap_klaviyo" / "streams.py"}:
        assert len(file.read_text("utf-8").splitlines()) <= 400, file
