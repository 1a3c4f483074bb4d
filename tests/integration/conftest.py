"""What the integration tests share: programs, a database server and an account."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from external_programs import CHECKOUT, ready
from postgres import Server, find_programs, serving
from sandbox_account import Shop, open_shop

_NOT_IN_A_CLONE = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are integration tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def environment() -> Callable[[str], Path]:
    """Gives the folder of a program's commands, in an environment of its own."""
    return ready


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, since installing from it leaves traces."""
    copy = tmp_path_factory.mktemp("clone")
    shutil.copytree(CHECKOUT, copy, ignore=_NOT_IN_A_CLONE, dirs_exist_ok=True)
    return copy


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server."""
    programs = find_programs()
    if programs is None:
        reason = "PostgreSQL is not installed (initdb is neither on the PATH nor in Debian's)"
        # Where nobody looks, a test that is left out is a test that fails.
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with serving(programs) as server:
        yield server


@pytest.fixture
def shop() -> Iterator[Shop]:
    """A small account that is being served."""
    with open_shop() as opened:
        yield opened
