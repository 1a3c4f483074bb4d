"""Every way of installing the tap gives a working command."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from external_programs import CHECKOUT, install, run

from tap_klaviyo import __version__

Installed = tuple[Path, list[str | Path]]
"""The working directory and the command."""


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from the checkout."""
    return _build("wheel", clone, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution."""
    return _build("sdist", clone, tmp_path_factory.mktemp("sdist"))


def _build(format_: str, clone: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "build", f"--{format_}", "--outdir", folder, clone, cwd=folder)
    (built,) = folder.iterdir()
    return built


def _from_wheel(request: pytest.FixtureRequest, folder: Path) -> Installed:
    return folder, [install(folder / "env", request.getfixturevalue("wheel")) / "tap-klaviyo"]


def _from_sdist(request: pytest.FixtureRequest, folder: Path) -> Installed:
    return folder, [install(folder / "env", request.getfixturevalue("sdist")) / "tap-klaviyo"]


def _editable(request: pytest.FixtureRequest, folder: Path) -> Installed:
    clone = request.getfixturevalue("clone")
    return folder, [install(folder / "env", "--editable", clone) / "tap-klaviyo"]


def _bare(request: pytest.FixtureRequest, folder: Path) -> Installed:
    """The checkout, with only its dependencies installed."""
    python = install(folder / "env", request.getfixturevalue("wheel")) / "python"
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "tap-klaviyo", cwd=folder)
    return request.getfixturevalue("clone"), [python, "-m", "tap_klaviyo"]


@pytest.mark.parametrize(
    "installed",
    [
        pytest.param(_from_wheel, id="wheel"),
        pytest.param(_from_sdist, id="sdist"),
        pytest.param(_editable, id="editable"),
        pytest.param(_bare, id="bare checkout"),
    ],
)
def test_installed(
    installed: Callable[[pytest.FixtureRequest, Path], Installed],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    """Each installation has a command that prints its version and the catalog."""
    folder, tap = installed(request, tmp_path)
    assert run(*tap, "--version", cwd=folder).stdout == f"tap-klaviyo {__version__}\n"
    discovered = run(*tap, "--discover", cwd=folder).stdout
    assert discovered == (CHECKOUT / "catalog.json").read_text()
