"""Shared fixtures of the integration tests: programs, a database server and an account."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from external_programs import CHECKOUT, ready
from postgres import Server, find_programs, serving
from sandbox_account import SandboxAccount, serve_account

_IGNORED = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks all tests of this folder as integration tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def environment() -> Callable[[str], Path]:
    """Returns the `bin` folder of a program's own environment."""
    return ready


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, because an installation writes files into it."""
    copy = tmp_path_factory.mktemp("clone")
    shutil.copytree(CHECKOUT, copy, ignore=_IGNORED, dirs_exist_ok=True)
    return copy


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server."""
    programs = find_programs()
    if programs is None:
        reason = "PostgreSQL is not installed (initdb is neither on the PATH nor in Debian's)"
        # In CI a missing program is a failure, because skipped tests are not noticed.
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with serving(programs) as server:
        yield server


@pytest.fixture
def klaviyo() -> Iterator[SandboxAccount]:
    """A small account that is served."""
    with serve_account() as opened:
        yield opened
