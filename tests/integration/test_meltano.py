"""Meltano runs the tap as meltano.yml defines it, without its hub."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from programs import CHECKOUT, TAP, run
from shop import LOOKBACK, Shop, mark, open_shop

from tap_klaviyo.config.settings import Config

KEY = "pk_0123456789abcdef"
DEFINITION = CHECKOUT / "meltano.yml"
COMMANDS = {
    "tap-klaviyo": TAP,
    "target-jsonl": CHECKOUT / ".envs" / "target-jsonl" / "bin" / "target-jsonl",
}
_NOBODY_LISTENS = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Project:
    """A project folder and the command that works in it."""

    command: Path
    folder: Path
    settings: dict[str, str]

    def meltano(self, *arguments: str, told: bool = False) -> str:
        """Run Meltano; returns what it printed, its log too if it is to be `told`."""
        offline = {
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_HUB_URL": _NOBODY_LISTENS,
            "NO_COLOR": "1",
        }
        done = run(
            self.command, *arguments, cwd=self.folder, environment={**offline, **self.settings}
        )
        return done.stdout + done.stderr if told else done.stdout

    def state(self) -> dict[str, Any]:
        """The state that Meltano keeps for the job's pipeline."""
        kept = self.meltano("--environment=dev", "state", "get", "dev:tap-klaviyo-to-target-jsonl")
        state: dict[str, Any] = json.loads(kept)["singer_state"]
        return state

    def records(self, stream: str) -> list[dict[str, Any]]:
        """What the target has written, oldest first."""
        lines = (self.folder / "output" / f"{stream}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def shop() -> Iterator[Shop]:
    """An account with a key that no message may show."""
    with open_shop(1000, key=KEY) as opened:
        yield opened


@pytest.fixture
def project(environment: Callable[[str], Path], shop: Shop, tmp_path: Path) -> Project:
    """The repository's own definition, with the plugins' commands that are there already."""
    environment("target-jsonl")
    text = re.sub(r" +pip_url: .*\n", "", DEFINITION.read_text())
    for name, command in COMMANDS.items():
        assert f"executable: {name}\n" in text
        text = text.replace(f"executable: {name}\n", f"executable: {command}\n")
    (tmp_path / DEFINITION.name).write_text(text)
    settings = {"TAP_KLAVIYO_BASE_URL": shop.box.url, "TAP_KLAVIYO_API_KEY": KEY}
    return Project(environment("meltano") / "meltano", tmp_path, settings)


def test_definition(environment: Callable[[str], Path], tmp_path: Path) -> None:
    """Meltano takes meltano.yml as it is, without a warning; it declares all settings."""
    shutil.copy(DEFINITION, tmp_path)
    project = Project(environment("meltano") / "meltano", tmp_path, {})
    assert "warning" not in project.meltano("compile", told=True).lower()
    manifest = tmp_path / ".meltano" / "manifests" / "meltano-manifest.json"
    (tap,) = json.loads(manifest.read_text())["plugins"]["extractors"]
    settings = {setting["name"]: setting for setting in tap["settings"]}
    assert list(settings) == [field.name for field in dataclasses.fields(Config)]
    assert [name for name, setting in settings.items() if setting.get("sensitive")] == ["api_key"]


def test_discovery(project: Project) -> None:
    """Meltano gets the catalog that catalog.json holds."""
    discovered = project.meltano("invoke", "tap-klaviyo", "--discover")
    assert json.loads(discovered) == json.loads((CHECKOUT / "catalog.json").read_text())


def test_configuration(project: Project) -> None:
    """The configuration that Meltano hands over is one that the tap can read with."""
    told = project.meltano("config", "test", "tap-klaviyo", told=True)
    assert "Plugin configuration is valid" in told


def test_key_stays_secret(project: Project) -> None:
    """Meltano shows the key neither when it is set nor in the configuration or the log of a run."""
    project.settings.pop("TAP_KLAVIYO_API_KEY")
    told = [
        project.meltano(*arguments, told=True)
        for arguments in (
            ("config", "set", "tap-klaviyo", "api_key", KEY),
            ("config", "list", "tap-klaviyo"),
            ("config", "print", "tap-klaviyo"),
            ("--log-level=debug", "run", "klaviyo-to-jsonl"),
        )
    ]
    assert len(project.records("lists")) == 27
    assert not [text for text in told if KEY in text]
    assert KEY not in (project.folder / DEFINITION.name).read_text()


def test_runs_go_on_from_the_state(project: Project, shop: Shop) -> None:
    """The second run brings what has come since the first, of what is selected."""
    definition = project.folder / DEFINITION.name
    definition.write_text(re.sub(r" +select:\n( +- .*\n)+", "", definition.read_text()))
    project.meltano("select", "tap-klaviyo", "open", "*")
    project.meltano("select", "tap-klaviyo", "lists", "*")
    project.meltano("select", "--exclude", "tap-klaviyo", "open", "profile")
    project.meltano("run", "klaviyo-to-jsonl")
    first, began = project.records("open"), mark(project.state())
    assert sorted(record["id"] for record in first) == shop.keys(end=began)["open"]
    assert {path.stem for path in (project.folder / "output").iterdir()} == {"open", "lists"}
    assert all("profile_id" in record and "profile" not in record for record in first)

    arrived = shop.live_on()["open"]
    project.meltano("run", "klaviyo-to-jsonl")
    second = sorted(record["id"] for record in project.records("open")[len(first) :])
    assert {*arrived} <= {*second}
    assert second == shop.keys(began - LOOKBACK, mark(project.state()))["open"]
