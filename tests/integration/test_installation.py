"""Every way of installing the tap gives a working command."""

from __future__ import annotations

import json
import re
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from external_programs import CHECKOUT, install, run
from packaging.metadata import Metadata
from sandbox_account import SandboxAccount

from tap_klaviyo import __version__
from tools.version_matrix import PYTHONS

NAME = "tap-klaviyo-complete"
"""The distribution; `tap-klaviyo` on PyPI is singer-io's tap."""

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


def _pip_install(folder: Path, *requirements: str | Path) -> Path:
    """Creates an environment in which pip installs `requirements`; returns its `bin` folder."""
    programs = install(folder, "pip")
    run(programs / "python", "-m", "pip", "install", "--quiet", *requirements, cwd=folder)
    return programs


def _from_wheel(request: pytest.FixtureRequest, folder: Path) -> Installed:
    return folder, [_pip_install(folder / "env", request.getfixturevalue("wheel")) / "tap-klaviyo"]


def _from_sdist(request: pytest.FixtureRequest, folder: Path) -> Installed:
    return folder, [_pip_install(folder / "env", request.getfixturevalue("sdist")) / "tap-klaviyo"]


def _editable(request: pytest.FixtureRequest, folder: Path) -> Installed:
    clone = request.getfixturevalue("clone")
    return folder, [_pip_install(folder / "env", "--editable", clone) / "tap-klaviyo"]


def _bare(request: pytest.FixtureRequest, folder: Path) -> Installed:
    """The checkout, with only its dependencies installed."""
    python = _pip_install(folder / "env", request.getfixturevalue("wheel")) / "python"
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", NAME, cwd=folder)
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
    klaviyo: SandboxAccount,
    tmp_path: Path,
) -> None:
    """Each installation has a command that prints its version and the catalog, and syncs."""
    folder, tap = installed(request, tmp_path)
    assert run(*tap, "--version", cwd=folder).stdout == f"tap-klaviyo {__version__}\n"
    discovered = run(*tap, "--discover", cwd=folder).stdout
    assert discovered == (CHECKOUT / "catalog.json").read_text()
    klaviyo.write_files(tmp_path, "open")
    files = [f"--{name}={tmp_path / name}.json" for name in ("config", "catalog")]
    messages = map(json.loads, run(*tap, *files, cwd=folder).stdout.splitlines())
    rows = [message["record"]["id"] for message in messages if message["type"] == "RECORD"]
    assert sorted(rows) == klaviyo.keys(end=time.time())["open"]


def test_the_wheel_has_the_package_only(wheel: Path) -> None:
    """The wheel has all modules and schemas, the licence, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = {*archive.namelist()}
    information = f"{NAME.replace('-', '_')}-{__version__}.dist-info/"
    modules = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "tap_klaviyo").rglob("*.py")}
    schemas = {f"tap_klaviyo/{p.relative_to(CHECKOUT)}" for p in CHECKOUT.glob("schemas/**/*.json")}
    packaged = {name for name in names if not name.startswith(information)}
    assert packaged == modules | schemas | {"tap_klaviyo/py.typed"}
    assert f"{information}licenses/LICENSE" in names


def test_the_source_distribution_has_no_tests(sdist: Path) -> None:
    """The source distribution has the sources of the package and its documentation."""
    with tarfile.open(sdist) as archive:
        folders = {
            Path(member.name).parts[1] for member in archive if len(Path(member.name).parts) > 2
        }
    assert folders == {"docs", "schemas", "tap_klaviyo", f"{NAME.replace('-', '_')}.egg-info"}


def test_the_metadata(wheel: Path) -> None:
    """The metadata is valid and complete, and its description has no link into this folder."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(archive.read(path), validate=True)
    assert (metadata.name, str(metadata.version)) == (NAME, __version__)
    assert metadata.license_files == ["LICENSE"]
    assert metadata.keywords
    pythons = {f"Programming Language :: Python :: {python}" for python in PYTHONS}
    found = {name for name in metadata.classifiers or () if re.search(r":: 3\.\d+$", name)}
    assert found == pythons
    assert str(metadata.requires_python) == f">={PYTHONS[0]}"
    assert all(url.startswith("https://") for url in (metadata.project_urls or {}).values())
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description
    assert "# tap-klaviyo\n" in metadata.description
    assert not re.findall(r"\]\((?!https:).*?\)", metadata.description)
