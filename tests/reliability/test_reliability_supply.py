"""Dependencies are bounded and pinned, and importing the tap makes no connection."""

from __future__ import annotations

import runpy
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 60


def setup_arguments() -> dict[str, Any]:
    """The arguments of setup() in setup.py."""
    arguments: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        stub = SimpleNamespace(setup=arguments.update, find_packages=lambda include: include)
        patch.setitem(sys.modules, "setuptools", stub)
        runpy.run_path(str(ROOT / "setup.py"))
    return arguments


SETUP = setup_arguments()
NEEDED = [Requirement(line) for line in SETUP["install_requires"]]
EXTRA = {line for lines in SETUP["extras_require"].values() for line in lines}
PINS = {
    canonicalize_name(pin.name): pin
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line.strip() and not line.lstrip().startswith("#")
    for pin in [Requirement(line)]
}


def version(pin: Requirement) -> str:
    """The pinned version."""
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    return specifier.version


def all_needed(requirements: list[Requirement]) -> set[str]:
    """The names of all direct and indirect dependencies in this environment."""
    found: set[str] = set()
    while requirements:
        requirement = requirements.pop()
        name = canonicalize_name(requirement.name)
        if name not in found and (not requirement.marker or requirement.marker.evaluate()):
            found.add(name)
            lines = [Requirement(line) for line in metadata.requires(name) or ()]
            requirements += [r for r in lines if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


@pytest.mark.parametrize("line", sorted({*SETUP["install_requires"], *EXTRA}))
def test_dependencies_are_bounded(line: str) -> None:
    """Every dependency has a lower and an upper bound, or an exact version."""
    operators = {specifier.operator for specifier in Requirement(line).specifier}
    assert operators == {"=="} or operators == {">=", "<"}


@pytest.mark.parametrize("requirement", NEEDED, ids=lambda requirement: requirement.name)
def test_what_is_needed_is_pinned(requirement: Requirement) -> None:
    """constraints.txt pins each dependency to a version that setup.py allows."""
    pin = PINS[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version(pin))
    assert str(pin.marker) == str(requirement.marker)


def test_all_below_is_pinned() -> None:
    """constraints.txt pins indirect dependencies too."""
    assert all_needed([*NEEDED]) <= PINS.keys()
    assert all(version(pin) for pin in PINS.values())


QUIET_IMPORT = """
import sys
ASKING = {"connect", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr"}
def hook(event, arguments):
    if event.startswith("socket.") and event.split(".")[1] in ASKING:
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(hook)
import importlib, pkgutil, tap_klaviyo
for module in pkgutil.walk_packages(tap_klaviyo.__path__, "tap_klaviyo."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""


def test_an_import_asks_nobody() -> None:
    """Importing the tap's modules makes no network connection.

    urllib3 binds a local socket to test for IPv6; that is allowed.
    """
    command = [sys.executable, "-c", QUIET_IMPORT]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=TIMEOUT, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "tap_klaviyo.klaviyo.client" in done.stdout.split()
