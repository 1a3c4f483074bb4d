"""Meltano runs the tap as its definitions say, without Meltano Hub."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from external_programs import CHECKOUT, TAP, run
from sandbox_account import LOOKBACK, SandboxAccount, bookmark, serve_account

from tap_klaviyo.config.settings import SETTINGS

KEY = "pk_0123456789abcdef"
DEFINITION = CHECKOUT / "meltano.yml"
COMMANDS = {
    "tap-klaviyo": TAP,
    "target-jsonl": CHECKOUT / ".envs" / "target-jsonl" / "bin" / "target-jsonl",
}
_CLOSED_PORT = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Project:
    """A Meltano project: its folder, the command and environment variables."""

    command: Path
    folder: Path
    settings: dict[str, str]

    def meltano(self, *arguments: str, with_log: bool = False) -> str:
        """Runs Meltano and returns its stdout, followed by its stderr if `with_log`."""
        offline = {
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_HUB_URL": _CLOSED_PORT,
            "NO_COLOR": "1",
        }
        done = run(
            self.command, *arguments, cwd=self.folder, environment={**offline, **self.settings}
        )
        return done.stdout + done.stderr if with_log else done.stdout

    def state(self, state_id: str = "dev:tap-klaviyo-to-target-jsonl") -> dict[str, Any]:
        """Returns a state that Meltano stored; the default is that of the job."""
        stored = self.meltano("state", "get", state_id)
        state: dict[str, Any] = json.loads(stored)["singer_state"]
        return state

    def records(self, stream: str) -> list[dict[str, Any]]:
        """Returns the records that the target wrote, oldest first."""
        lines = (self.folder / "output" / f"{stream}.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def klaviyo() -> Iterator[SandboxAccount]:
    """An account with a key that the tests search for in the output."""
    with serve_account(1000, key=KEY) as opened:
        yield opened


@pytest.fixture
def project(environment: Callable[[str], Path], klaviyo: SandboxAccount, tmp_path: Path) -> Project:
    """A project with the repository's meltano.yml and with plugins that are already installed."""
    environment("target-jsonl")
    text = re.sub(r" +pip_url: .*\n", "", DEFINITION.read_text())
    for name, command in COMMANDS.items():
        assert f"executable: {name}\n" in text
        text = text.replace(f"executable: {name}\n", f"executable: {command}\n")
    (tmp_path / DEFINITION.name).write_text(text)
    settings = {"TAP_KLAVIYO_BASE_URL": klaviyo.box.url, "TAP_KLAVIYO_API_KEY": KEY}
    return Project(environment("meltano") / "meltano", tmp_path, settings)


def test_definition(environment: Callable[[str], Path], tmp_path: Path) -> None:
    """Meltano accepts meltano.yml without a warning; the file declares all settings in order."""
    shutil.copy(DEFINITION, tmp_path)
    project = Project(environment("meltano") / "meltano", tmp_path, {})
    assert "warning" not in project.meltano("compile", with_log=True).lower()
    manifest = tmp_path / ".meltano" / "manifests" / "meltano-manifest.json"
    (tap,) = json.loads(manifest.read_text())["plugins"]["extractors"]
    settings = {setting["name"]: setting for setting in tap["settings"]}
    assert list(settings) == [setting.name for setting in SETTINGS]
    sensitive = [name for name, setting in settings.items() if setting.get("sensitive")]
    assert sensitive == ["api_key", "client_secret", "refresh_token", "hash_salt"]


def test_discovery(project: Project) -> None:
    """Discovery through Meltano prints the same catalog as catalog.json."""
    discovered = project.meltano("invoke", "tap-klaviyo", "--discover")
    assert json.loads(discovered) == json.loads((CHECKOUT / "catalog.json").read_text())


def test_configuration(project: Project) -> None:
    """`meltano config test` accepts the configuration that Meltano passes to the tap."""
    output = project.meltano("config", "test", "tap-klaviyo", with_log=True)
    assert "Plugin configuration is valid" in output


def test_key_is_not_shown(project: Project) -> None:
    """No command prints the key: setting it, showing the configuration, a run with debug log."""
    project.settings.pop("TAP_KLAVIYO_API_KEY")
    outputs = [
        project.meltano(*arguments, with_log=True)
        for arguments in (
            ("config", "set", "tap-klaviyo", "api_key", KEY),
            ("config", "list", "tap-klaviyo"),
            ("config", "print", "tap-klaviyo"),
            ("--log-level=debug", "run", "klaviyo-to-jsonl"),
        )
    ]
    assert len(project.records("lists")) == 27
    assert not [output for output in outputs if KEY in output]
    assert KEY not in (project.folder / DEFINITION.name).read_text()


def test_second_run_continues_from_the_state(project: Project, klaviyo: SandboxAccount) -> None:
    """The second run writes the selected events that arrived since the first run."""
    definition = project.folder / DEFINITION.name
    definition.write_text(re.sub(r" +select:\n( +- .*\n)+", "", definition.read_text()))
    project.meltano("select", "tap-klaviyo", "open", "*")
    project.meltano("select", "tap-klaviyo", "lists", "*")
    project.meltano("select", "--exclude", "tap-klaviyo", "open", "profile")
    project.meltano("run", "klaviyo-to-jsonl")
    first, first_end = project.records("open"), bookmark(project.state())
    assert sorted(record["id"] for record in first) == klaviyo.keys(end=first_end)["open"]
    assert {path.stem for path in (project.folder / "output").iterdir()} == {"open", "lists"}
    assert all("profile_id" in record and "profile" not in record for record in first)

    arrived = klaviyo.add_data()["open"]
    project.meltano("run", "klaviyo-to-jsonl")
    second = sorted(record["id"] for record in project.records("open")[len(first) :])
    assert {*arrived} <= {*second}
    assert second == klaviyo.keys(first_end - LOOKBACK, bookmark(project.state()))["open"]
