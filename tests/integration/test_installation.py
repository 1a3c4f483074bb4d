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

_DEMO_RESULT = re.compile(r"rows in the first sync, 233 more in the\s+second")

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


@pytest.fixture(scope="module")
def wheel_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment with the wheel and what the demo needs."""
    return _pip_install(tmp_path_factory.mktemp("wheel-environment") / "env", f"{wheel}[demo]")


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the unpacked source distribution."""
    folder = tmp_path_factory.mktemp("unpacked")
    run("tar", "xzf", sdist, cwd=folder)
    (unpacked,) = folder.iterdir()
    return unpacked


@pytest.fixture(scope="module")
def demo_output(unpacked: Path, environment: Callable[[str], Path]) -> str:
    """What `make demo` prints in the source distribution, where it installs an editable tap."""
    environments = environment("target-jsonl").parents[1]
    options = (f"PYTHON={sys.executable}", f"ENVS={environments}")
    return run("make", "demo", *options, cwd=unpacked, timeout=300).stdout


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
    return folder, [request.getfixturevalue("wheel_environment") / "tap-klaviyo"]


def _from_sdist(request: pytest.FixtureRequest, folder: Path) -> Installed:
    return folder, [_pip_install(folder / "env", request.getfixturevalue("sdist")) / "tap-klaviyo"]


def _editable(request: pytest.FixtureRequest, folder: Path) -> Installed:
    request.getfixturevalue("demo_output")
    return folder, [request.getfixturevalue("unpacked") / ".venv" / "bin" / "tap-klaviyo"]


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


def test_make_demo_in_the_source_distribution(unpacked: Path, demo_output: str) -> None:
    """The unpacked source distribution runs `make demo`, as its description says."""
    assert "run\n`make demo`" in (unpacked / "PKG-INFO").read_text().split("## Documentation")[1]
    assert _DEMO_RESULT.search(demo_output)


def test_demo_with_the_wheel(
    unpacked: Path, wheel_environment: Path, environment: Callable[[str], Path], tmp_path: Path
) -> None:
    """With the tap of the wheel, the demo's folders run anywhere."""
    for name in ("demo", "sandbox", "docs"):
        (tmp_path / name).symlink_to(unpacked / name)
    show = "import tap_klaviyo; print(tap_klaviyo.__file__)"
    path = run(wheel_environment / "python", "-c", show, cwd=tmp_path).stdout
    assert Path(path).is_relative_to(wheel_environment.parent)
    target = environment("target-jsonl") / "target-jsonl"
    options = ("--target", target, "--events", "500")
    output = run(wheel_environment / "python", "-m", "demo", *options, cwd=tmp_path).stdout
    assert _DEMO_RESULT.search(output)


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
    """The source distribution has the package, its documentation, the demo and the examples."""
    with tarfile.open(sdist) as archive:
        folders = {
            Path(member.name).parts[1] for member in archive if len(Path(member.name).parts) > 2
        }
    assert folders == {
        *("demo", "docs", "examples", "meltano", "sandbox", "schemas", "tap_klaviyo", "tools"),
        f"{NAME.replace('-', '_')}.egg-info",
    }


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
