"""Meltano runs many accounts of one project side by side, each with its own key and state."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from external_programs import CHECKOUT, TAP, run
from sandbox_account import LOOKBACK

from examples.meltano import plugins_of_accounts
from sandbox.account import Account
from sandbox.seeding.metrics import NATIVE
from sandbox.server import Sandbox

SECTION = (CHECKOUT / "docs" / "meltano.md").read_text().split("\n## Many accounts\n")[1]
(ONE, ALL) = re.findall(r"^(?:meltano run|tail) .*$", SECTION, re.M)

NAMES = ("acme", "acme-2", "acme2", "2", "bakery", "select")
"""Names of accounts that are similar to each other and to what Meltano adds to a plugin's name."""

AGAIN = NAMES[:3]
"""Names of the accounts that are run a second time."""

SELECTED = ("open", "lists")
SETTINGS = "user_agent,metric_streams.orders.metric"
VALUES = '"ops: ""acme"" # 1",Placed Order'

SECOND_RUN = f"""#!/bin/sh
case " $* " in
*" --discover "*) ;;
*)
  if [ ! -e second-run ]; then
    : > second-run
    env -i sh second-run.sh
    echo $? > second-run
  fi ;;
esac
exec "{TAP}" "$@"
"""
"""In place of the tap: while the first run is in its sync, a second one starts and ends."""


@dataclass(frozen=True)
class Project:
    """A Meltano project of the accounts of one sandbox, which are told apart by their keys."""

    folder: Path
    variables: dict[str, str]
    accounts: dict[str, Account]

    def call(self, command: str, code: int = 0, **variables: str) -> str:
        """Runs a shell command in the project; returns its stdout and stderr."""
        environment = {**self.variables, **variables}
        done = run(
            *("sh", "-c", command),
            cwd=self.folder,
            code=code,
            timeout=300,
            environment=environment,
        )
        return done.stdout + done.stderr

    def written(self, name: str, stream: str) -> list[tuple[str, str]]:
        """Returns the account's ID and the key of each record in the file of an account."""
        path = self.folder / "output" / f"tap-klaviyo--{name}" / f"{stream}.jsonl"
        records = map(json.loads, path.read_text().splitlines())
        return sorted((record["account_id"], record["id"]) for record in records)

    def state(self, name: str) -> dict[str, Any]:
        """Returns the state of an account from the folder of states."""
        state_id = f"dev:tap-klaviyo--{name}-to-target-jsonl"
        stored = json.loads((self.folder / "states" / state_id / "state.json").read_text())
        state: dict[str, Any] = stored["completed"]["singer_state"]
        return state

    def expected(self, name: str, start: float = 0) -> dict[str, list[tuple[str, str]]]:
        """Returns what a run that wrote the account's present state must have written."""
        account = self.accounts[name]
        (own,) = account.ids("account")
        end = self.state(name)["bookmarks"]["open"]["timestamp"]
        keys = {
            "open": account.event_ids(NATIVE["open"], start=start, end=end),
            "lists": account.list_ids(),
        }
        return {stream: sorted((own, key) for key in keys[stream]) for stream in keys}


def _seeded(number: int) -> Account:
    two_hours_ago = datetime.fromtimestamp(time.time() - 2 * LOOKBACK, timezone.utc)
    return Account.seeded(seed=number, events=200, now=two_hours_ago)


def _definition(commands: Mapping[str, Path]) -> str:
    """Returns the repository's meltano.yml with installed commands and the file of accounts."""
    text = re.sub(r" +pip_url: .*\n", "", (CHECKOUT / "meltano.yml").read_text())
    for name, command in commands.items():
        text = text.replace(f"executable: {name}\n", f"executable: {command}\n")
    patterns = "".join(f"    - {stream}.*\n" for stream in SELECTED)
    text = re.sub(r"( +select:\n)( +- .*\n)+", rf"\1{patterns}", text)
    (folder,) = re.findall(r"`destination_path: (.+?)`", SECTION)
    text = text.replace("destination_path: output\n", f"destination_path: {folder}\n")
    (included,) = re.findall(r"`include_paths: \[(.+?)\]`", SECTION)
    return f"include_paths:\n- {included}\n{text}"


@pytest.fixture
def project(environment: Callable[[str], Path], tmp_path: Path) -> Iterator[Project]:
    """A project whose plugins are installed already."""
    accounts = {name: _seeded(number) for number, name in enumerate(NAMES)}
    keys = {name: f"pk_{name}" for name in NAMES}
    ids = {name: account.ids("account")[0] for name, account in accounts.items()}
    target = environment("target-jsonl") / "target-jsonl"
    commands = {"tap-klaviyo": tmp_path / "tap", "target-jsonl": target}
    (tmp_path / "tap").symlink_to(TAP)
    (tmp_path / "meltano.yml").write_text(_definition(commands))
    rows = "".join(f"{name},{ids[name]},{VALUES if name == 'acme' else ','}\n" for name in NAMES)
    (tmp_path / "accounts.csv").write_text(f"name,account_id,{SETTINGS}\n{rows}")
    files = [str(tmp_path / name) for name in ("accounts.csv", "accounts.meltano.yml")]
    assert plugins_of_accounts.main([*files, "--loader=target-jsonl", "--schedules"]) == 0
    for name in NAMES:
        (tmp_path / "output" / f"tap-klaviyo--{name}").mkdir(parents=True)
    (first, *_), more = NAMES, {keys[name]: accounts[name] for name in NAMES[1:]}
    with Sandbox(accounts[first], key=keys[first], more_accounts=more) as box:
        variables = {
            "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
            "MELTANO_HUB_URL": "http://[::1]:9",
            "MELTANO_STATE_BACKEND_URI": f"file://{tmp_path}/states",
            "NO_COLOR": "1",
            "PATH": f"{environment('meltano')}:{os.environ['PATH']}",
            "TAP_KLAVIYO_BASE_URL": box.url,
            "TAP_KLAVIYO_START_DATE": "2020-01-01",
            # The trap: a key for accounts that lack a variable of their own.
            "TAP_KLAVIYO_API_KEY": keys["bakery"],
        }
        variables |= {f"KLAVIYO_KEY_{n.upper().replace('-', '_')}": keys[n] for n in NAMES}
        yield Project(tmp_path, variables, accounts)


def test_accounts_side_by_side(project: Project) -> None:
    """Three runs at a time read each account once; second runs go on from the states."""
    project.call("meltano install")
    output = project.call(ALL)
    assert "unknown settings" not in output
    states = {name: project.state(name) for name in NAMES}
    for name, account in project.accounts.items():
        assert [states[name]["account_id"]] == account.ids("account")
        expected = project.expected(name)
        assert expected["open"]
        assert {stream: project.written(name, stream) for stream in SELECTED} == expected
        account.arrive(NATIVE["open"][0], timestamps=[time.time() - 1])
        for stream in SELECTED:
            (project.folder / "output" / f"tap-klaviyo--{name}" / f"{stream}.jsonl").unlink()

    listed = (project.folder / "accounts.csv").read_text().splitlines(keepends=True)
    (project.folder / "accounts.csv").write_text("".join(listed[: 1 + len(AGAIN)]))
    own_directory = "env MELTANO_SYS_DIR_ROOT=$PWD/system/{} meltano run"
    project.call(ALL.replace("meltano run", own_directory))
    for name in AGAIN:
        start = states[name]["bookmarks"]["open"]["timestamp"] - LOOKBACK
        expected = project.expected(name, start)
        assert len(expected["open"]) == 1
        assert {stream: project.written(name, stream) for stream in SELECTED} == expected
    found = {path.name for path in (project.folder / "states").iterdir()}
    assert found == {f"dev:tap-klaviyo--{name}-to-target-jsonl" for name in NAMES}


def test_settings_of_an_account(project: Project) -> None:
    """Meltano passes on what a line of the list sets, and what the plugin sets for all accounts."""
    shown = project.call("meltano config print tap-klaviyo--acme 2>/dev/null")
    settings = json.loads(shown)
    assert settings["user_agent"] == 'ops: "acme" # 1'
    assert settings["metric_streams"] == {"orders": {"metric": "Placed Order"}}
    assert settings["account_column"] is True
    assert settings["start_date"] == "2020-01-01"


def test_account_without_its_key(project: Project) -> None:
    """An account whose variable is missing is not read with the key that it inherits."""
    del project.variables["KLAVIYO_KEY_ACME"]
    output = project.call(ONE, code=1)
    (inherited,) = project.accounts["bakery"].ids("account")
    assert f"the credentials are of account '{inherited}', but account_id" in output
    assert not [*(project.folder / "output" / "tap-klaviyo--acme").iterdir()]


@pytest.mark.parametrize(
    ("directory", "code", "copies"),
    [("shared", 1, 1), ("own", 0, 2)],
    ids=["one system directory", "a system directory each"],
)
def test_two_runs_of_one_state(project: Project, directory: str, code: int, copies: int) -> None:
    """A second run of a state ID fails if it sees the first one; otherwise rows are doubled."""
    variables = {**project.variables, "MELTANO_SYS_DIR_ROOT": str(project.folder / directory)}
    exports = "".join(f"export {name}={shlex.quote(v)}\n" for name, v in variables.items())
    (project.folder / "second-run.sh").write_text(f"{exports}{ONE} > second-run.log 2>&1\n")
    (project.folder / "tap").unlink()
    (project.folder / "tap").write_text(SECOND_RUN)
    (project.folder / "tap").chmod(0o755)
    project.call(ONE, MELTANO_SYS_DIR_ROOT=str(project.folder / "shared"))
    assert (project.folder / "second-run").read_text() == f"{code}\n"
    refused = "pipeline is already running" in (project.folder / "second-run.log").read_text()
    assert refused is (code == 1)
    expected = project.expected("acme")["lists"]
    assert project.written("acme", "lists") == sorted(expected * copies)
