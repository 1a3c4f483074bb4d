"""A newcomer who types what the README says gets what it says."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from programs import CHECKOUT, TAP, run
from shop import LOOKBACK, Shop, mark, open_shop

README = (CHECKOUT / "README.md").read_text()


def _section(title: str) -> str:
    return README.split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]


def _blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.S | re.M)


def _records(folder: Path, stream: str) -> list[dict[str, Any]]:
    """What target-jsonl has written, file by file in the order of their time."""
    paths = sorted(folder.glob(f"{stream}*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.fixture
def commands(environment: Callable[[str], Path], tmp_path: Path) -> Path:
    """A folder for the PATH: other people's commands, and nothing else of their environments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in ("meltano", "target-jsonl"):
        (folder / command).symlink_to(environment(command) / command)
    return folder


def test_five_minutes(clone: Path, commands: Path, tmp_path: Path) -> None:
    """The steps to a first real sync run as written, from installing to the second sync."""
    section = _section("Five minutes")
    install, *steps, go_on = _blocks(section, "console")
    configuration, choice = map(json.loads, _blocks(section, "json"))
    home, folder = tmp_path / "home", tmp_path / "sync"
    home.mkdir()
    folder.mkdir()
    path = f"{home / 'tap-klaviyo' / 'bin'}:{commands}:{os.environ['PATH']}"

    def follow(step: str, place: Path = folder) -> None:
        newcomer = {"HOME": str(home), "PATH": path}
        run("sh", "-ec", step, cwd=place, timeout=300, environment=newcomer)

    follow(install, clone)
    with open_shop(key=configuration["api_key"]) as shop:
        configuration["base_url"] = shop.box.url
        (folder / "config.json").write_text(json.dumps(configuration))
        for step in steps:
            follow(step)
        entries = json.loads((folder / "my-catalog.json").read_text())["streams"]
        places = [part["breadcrumb"] for part in entries[0]["metadata"]]
        assert all(part["breadcrumb"] in places for part in choice)
        began = mark(json.loads((folder / "state.jsonl").read_text()))
        first = [record["id"] for record in _records(folder, "open")]
        assert sorted(first) == shop.keys(end=began)["open"]
        arrived = shop.live_on()["open"]
        follow(go_on)
        ended = mark(json.loads((folder / "state.jsonl").read_text().splitlines()[-1]))
        second = [record["id"] for record in _records(folder, "open")[len(first) :]]
        assert sorted(second) == shop.keys(began - LOOKBACK, ended)["open"]
        assert {*arrived} <= {*second}


def test_cron(commands: Path, shop: Shop, tmp_path: Path) -> None:
    """The script for cron goes on from what the target confirmed, and fails if one of both does."""
    section = _section("Scheduling")
    ((line,), (script,)) = _blocks(section, "cron"), _blocks(section, "bash")
    (working,) = re.findall(r"configuration is `(.+?)`", section)
    folder = tmp_path / "klaviyo"
    folder.mkdir()
    shop.furnish(folder)
    states = folder / "states.jsonl"
    (folder / "sync.sh").write_text(script.replace("/srv/klaviyo", str(folder)))
    command = line.split(maxsplit=5)[5].replace("/srv/klaviyo", str(folder))

    def tick(code: int = 0, *, key: str = shop.box.key, target: str = working) -> str:
        (folder / "target.json").write_text(target.replace("/srv/klaviyo", str(folder)))
        environment = {
            "HOME": str(tmp_path),
            "PATH": f"{TAP.parent}:{commands}:{os.environ['PATH']}",
            "TAP_KLAVIYO_API_KEY": key,
        }
        done = run("sh", "-c", command, cwd=tmp_path, code=code, environment=environment)
        return done.stdout

    def confirmed() -> int:
        return mark(json.loads(states.read_text().splitlines()[-1]))

    tick()
    began = confirmed()
    assert (
        sorted(record["id"] for record in _records(folder / "data", "open"))
        == shop.keys(end=began)["open"]
    )
    kept = states.read_bytes()
    arrived = shop.live_on()["open"]
    tick(code=1, target="not a configuration")
    assert "does not accept the key" in tick(code=1, key="pk_wrong")
    assert states.read_bytes() == kept
    tick()
    found = {record["id"] for record in _records(folder / "data", "open")}
    assert sorted(found) == shop.keys(end=confirmed())["open"]
    assert {*arrived} <= found


def test_meltano(clone: Path, commands: Path) -> None:
    """The lines for Meltano install the plugins and run them, in a clone and without the hub."""
    (block,) = _blocks(_section("Scheduling"), "console")
    key = block.splitlines()[0].split()[-1]
    with open_shop(key=key) as shop:
        settings = {
            "MELTANO_HUB_URL": "http://127.0.0.1:9",
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "PATH": f"{commands}:{os.environ['PATH']}",
            "TAP_KLAVIYO_BASE_URL": shop.box.url,
        }
        run("sh", "-ec", block, cwd=clone, timeout=300, environment=settings)
        found = {record["id"] for record in _records(clone / "output", "lists")}
        assert sorted(found) == shop.keys()["lists"]
