"""The commands in the README and docs/meltano.md work as written."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from external_programs import CHECKOUT, REQUIREMENTS, TAP, run
from postgres import Database
from sandbox_account import LOOKBACK, SandboxAccount, bookmark, serve_account
from targets import DATABASES, FILES, Target

README = (CHECKOUT / "README.md").read_text()
TARGETS = (CHECKOUT / "docs" / "targets.md").read_text()
DATABASE = Database(Path(), 5432, "warehouse")


def _section(heading: str, page: str = README) -> str:
    """Returns the text below a heading, up to the next heading of the same or a higher level."""
    level = len(heading.partition(" ")[0])
    text = re.split(rf"^{re.escape(heading)}$", page, flags=re.M)[1]
    return re.split(rf"^#{{1,{level}}} ", text, flags=re.M)[0]


def _blocks(section: str, language: str) -> list[str]:
    """Returns the code blocks of a section in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.S | re.M)


def _records(folder: Path, stream: str) -> list[dict[str, Any]]:
    """Returns the records that target-jsonl wrote for a stream, oldest file first."""
    paths = sorted(folder.glob(f"{stream}*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.fixture
def commands(environment: Callable[[str], Path], tmp_path: Path) -> Path:
    """A folder for the PATH with the commands of Meltano and target-jsonl, and no others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in ("meltano", "target-jsonl"):
        (folder / command).symlink_to(environment(command) / command)
    return folder


def test_first_sync(clone: Path, commands: Path, tmp_path: Path) -> None:
    """The steps from the installation to the second sync work; the second sync is incremental.

    The metadata in docs/selection.md has breadcrumbs that exist in the discovered catalog.
    """
    (install,) = _blocks(_section("## Install"), "console")
    section = _section("## First sync")
    *steps, resume = _blocks(section, "console")
    (configuration,) = map(json.loads, _blocks(section, "json"))
    (selection,) = map(
        json.loads, _blocks((CHECKOUT / "docs" / "selection.md").read_text(), "json")
    )
    home, folder = tmp_path / "home", tmp_path / "sync"
    home.mkdir()
    folder.mkdir()
    path = f"{home / '.venvs' / 'tap-klaviyo' / 'bin'}:{commands}:{os.environ['PATH']}"

    def run_step(step: str, place: Path = folder) -> None:
        variables = {"HOME": str(home), "PATH": path}
        run("sh", "-ec", step, cwd=place, timeout=300, environment=variables)

    run_step(install, clone)
    with serve_account(key=configuration["api_key"]) as klaviyo:
        configuration["base_url"] = klaviyo.box.url
        (folder / "config.json").write_text(json.dumps(configuration))
        for step in steps:
            run_step(step)
        entries = json.loads((folder / "my-catalog.json").read_text())["streams"]
        breadcrumbs = [part["breadcrumb"] for part in entries[0]["metadata"]]
        assert all(part["breadcrumb"] in breadcrumbs for part in selection)
        first_end = bookmark(json.loads((folder / "state.jsonl").read_text()))
        first = [record["id"] for record in _records(folder, "open")]
        assert sorted(first) == klaviyo.keys(end=first_end)["open"]
        arrived = klaviyo.add_data()["open"]
        run_step(resume)
        second_end = bookmark(json.loads((folder / "state.jsonl").read_text().splitlines()[-1]))
        second = [record["id"] for record in _records(folder, "open")[len(first) :]]
        assert sorted(second) == klaviyo.keys(first_end - LOOKBACK, second_end)["open"]
        assert {*arrived} <= {*second}


def test_meltano_commands_are_the_same() -> None:
    """docs/meltano.md has the commands of the README, which test_meltano runs."""
    (commands,) = _blocks(_section("## State and scheduling"), "console")
    assert commands in _blocks((CHECKOUT / "docs" / "meltano.md").read_text(), "console")


def test_meltano(clone: Path, commands: Path) -> None:
    """The commands install the plugins and run the job, without Meltano Hub."""
    (block,) = _blocks(_section("## State and scheduling"), "console")
    key = block.splitlines()[0].split()[-1]
    with serve_account(key=key) as klaviyo:
        settings = {
            "MELTANO_HUB_URL": "http://127.0.0.1:9",
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "PATH": f"{commands}:{os.environ['PATH']}",
            "TAP_KLAVIYO_BASE_URL": klaviyo.box.url,
        }
        run("sh", "-ec", block, cwd=clone, timeout=300, environment=settings)
        found = {record["id"] for record in _records(clone / "output", "lists")}
        assert sorted(found) == klaviyo.keys()["lists"]


def test_python_library(klaviyo: SandboxAccount, tmp_path: Path) -> None:
    """The example prints one line for each event of the stream."""
    (example,) = _blocks(_section("## Python library"), "python")
    klaviyo.write_files(tmp_path)
    printed = run(TAP.with_name("python"), "-c", example, cwd=tmp_path).stdout.splitlines()
    assert len(printed) == len(klaviyo.keys(end=time.time())["open"]) > 0


def test_targets_have_the_tested_versions() -> None:
    """README and docs/targets.md name the targets that the integration tests use."""
    tested = {
        requirement.replace("==", " ")
        for name, requirement in REQUIREMENTS.items()
        if name.startswith("target-")
    }
    assert {*re.findall(r"^\| (\S+ \S+) \|", _section("## Targets"), re.M)} == tested
    assert {
        *re.findall(r"^\| (\S+ \S+) \|", _section("## Tested targets", TARGETS), re.M)
    } == tested


@pytest.mark.parametrize(
    ("title", "target"),
    [
        ("target-jsonl", FILES["jsonl"](Path("data"))),
        ("meltanolabs-target-csv", FILES["csv"](Path("data"))),
        ("meltanolabs-target-postgres", DATABASES["meltanolabs-postgres"](DATABASE)),
        ("pipelinewise-target-postgres", DATABASES["pipelinewise-postgres"](DATABASE)),
    ],
)
def test_target_settings_exist(title: str, target: Target) -> None:
    """The configurations in docs/targets.md have the settings that the integration tests use."""
    (example,) = map(json.loads, _blocks(_section(f"### {title}", TARGETS), "json"))
    for name, value in target.variables.items():
        assert f"`{name}={value}`" in _section(f"### {title}", TARGETS)
    optional = {"do_timestamp_file", "batch_size_rows"}
    assert example.keys() - optional == target.settings.keys() - optional
