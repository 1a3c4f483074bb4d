"""Credentials and states of another account than the expected one are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from log_lines import log_lines

from sandbox.account import Account
from sandbox.server import Sandbox
from tap_klaviyo import StateError, Tap
from tap_klaviyo.about.metadata import tap_metadata
from tap_klaviyo.cli import main
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.state import State
from tap_klaviyo.sync.account_check import AccountCheck, AccountIdLookup
from tap_klaviyo.sync.window_reader import WindowReader

SCOPES = {scope for stream in tap_metadata()["streams"] for scope in stream["scopes"]}
OTHER = "Other1"


@pytest.fixture(scope="module")
def account() -> Account:
    """A small account."""
    return Account.seeded(seed=2, events=100)


@pytest.fixture(scope="module")
def box(account: Account) -> Iterator[Sandbox]:
    """The sandbox of the account."""
    with Sandbox(account) as started:
        yield started


@pytest.fixture(scope="module")
def without_scope(account: Account) -> Iterator[Sandbox]:
    """The same with a key that lacks the scope accounts:read."""
    with Sandbox(account, scopes=SCOPES - {"accounts:read"}) as started:
        yield started


@pytest.fixture
def here(account: Account) -> str:
    """The ID of the account."""
    (identifier,) = account.ids("account")
    return identifier


class Command:
    """The command, with files in a folder. ``out`` and ``log`` are what the last run has shown."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capfd = capfd
        self.out = ""
        self.log: list[str] = []

    def run(self, box: Sandbox, *arguments: str, state: Any = None, **settings: Any) -> int:
        """Runs the command on ``box`` and returns its exit code."""
        known = {"api_key": box.key, "base_url": box.url, "start_date": "2026-01-01"}
        arguments = ("-c", self._file("config", {**known, **settings}), *arguments)
        if state is not None:
            arguments = (*arguments, "-s", self._file("state", state))
        box.requests.clear()
        code = main([*arguments, "--select", "lists,open", "--summary-file", self._path("summary")])
        self.out, shown = self._capfd.readouterr()
        self.log = list(log_lines(shown))
        return code

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the last run."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def state(self) -> dict[str, Any]:
        """The last STATE of the last run."""
        state: dict[str, Any] = self.messages[-1]["value"]
        return state

    @property
    def summary(self) -> dict[str, Any]:
        """The summary file of the last run."""
        summary: dict[str, Any] = json.loads(Path(self._path("summary")).read_text())
        return summary

    def _path(self, name: str) -> str:
        return str(self._folder / f"{name}.json")

    def _file(self, name: str, content: Any) -> str:
        Path(self._path(name)).write_text(json.dumps(content))
        return self._path(name)


@pytest.fixture
def command(tmp_path: Path, capfd: pytest.CaptureFixture[str], clock: Any) -> Command:
    """The command; waits take no time."""
    return Command(tmp_path, capfd)


def state_of(account_id: Any) -> dict[str, Any]:
    """A state of an account, of which nothing has been read."""
    return {"bookmarks": {}, "account_id": account_id}


each_action = pytest.mark.parametrize(
    "action", [(), ("--test",), ("--verify",), ("--resync", "open:2026-02-01..2026-02-02")]
)


@each_action
@pytest.mark.parametrize(
    ("settings", "state", "message"),
    [
        ({"account_id": OTHER}, {}, "config: the credentials are of account '{here}', but "),
        ({"account_id": OTHER, "account_column": True}, {}, "but account_id is 'Other1'. "),
        ({"account_column": True}, state_of(OTHER), "state: it is of account 'Other1', but the "),
        ({"account_id": "{here}"}, state_of(OTHER), "but the setting account_id is '{here}'. "),
        ({"account_id": OTHER}, state_of("{here}"), "state: it is of account '{here}', but the"),
    ],
)
def test_another_account_is_refused(
    command: Command,
    box: Sandbox,
    here: str,
    action: tuple[str, ...],
    settings: dict[str, Any],
    state: dict[str, Any],
    message: str,
) -> None:
    """A key or a state of another account ends the command before anything is written.

    The last line has both IDs, and the exit code says that a file is to be corrected.
    """
    given = json.loads(json.dumps([settings, state or {"bookmarks": {}}]).replace("{here}", here))
    assert command.run(box, *action, state=given[1], **given[0]) == 2
    assert command.out == ""
    last = command.log[-1]
    assert message.replace("{here}", here) in last
    assert here in last
    assert OTHER in last
    assert command.summary["status"] == "invalid"
    assert not any("CRITICAL" in line for line in command.log[:-1])


@each_action
def test_the_right_account(
    command: Command, box: Sandbox, here: str, action: tuple[str, ...]
) -> None:
    """With the right ID in the settings and in the state, the command does what it is asked for."""
    state = {"bookmarks": {"open": {"timestamp": 1767225600}}, "account_id": here}
    code = command.run(box, *action, state=state, account_id=here)
    assert code == (1 if "--verify" in action else 0), command.log


@pytest.mark.parametrize("settings", [{"account_column": True}, {"account_id": "{here}"}])
def test_a_state_adopts_the_account(
    command: Command, box: Sandbox, here: str, settings: dict[str, Any]
) -> None:
    """The state has the ID of the account from the first STATE on, and so has the summary file."""
    settings = json.loads(json.dumps(settings).replace("{here}", here))
    old = {"bookmarks": {"open": {"timestamp": 1767225600}}, "currently_syncing": None, "kept": 1}
    assert command.run(box, state=old, **settings) == 0
    states = [message["value"] for message in command.messages if message["type"] == "STATE"]
    assert [state["account_id"] for state in states] == [here] * len(states)
    assert command.state["kept"] == 1
    assert command.summary["account_id"] == here
    assert command.run(box, state=command.state, account_column=True) == 0


def test_two_accounts_in_one_table(command: Command, box: Sandbox) -> None:
    """Keys of two accounts differ even if their IDs are the same; their states are not mixed."""
    assert command.run(box, account_column=True) == 0
    state, first = command.state, _keys(command.messages)
    with Sandbox(_with_the_lists_of(box.account)) as second_box:
        assert command.run(second_box, state=state, account_column=True) == 2
        assert command.out == ""
        assert command.run(second_box, account_column=True) == 0
    second = _keys(command.messages)
    assert {key[1:] for key in first} & {key[1:] for key in second}
    assert not first & second


def test_a_resync_leaves_the_state(command: Command, box: Sandbox) -> None:
    """A resync writes the state that it was given, also one without the ID of an account."""
    old = {"bookmarks": {"open": {"timestamp": 1767225600}}}
    days = ("--resync", "open:2026-02-01..2026-02-02")
    assert command.run(box, *days, state=old, account_column=True) == 0
    assert command.state == old


def test_a_test_tells_the_account(command: Command, box: Sandbox, here: str) -> None:
    """--test says of which account the key is."""
    assert command.run(box, "--test", account_column=True) == 0
    assert f"INFO The credentials are of account '{here}'." in command.log


def test_a_key_without_the_scope(command: Command, without_scope: Sandbox) -> None:
    """The column cannot be written without the ID: one line says which scope the key lacks."""
    assert command.run(without_scope, account_column=True) == 3
    assert command.out == ""
    assert "which takes the scope accounts:read. Create a key" in command.log[-1]
    assert "Nothing was read." in command.log[-1]
    assert command.summary["account_id"] is None


@each_action
def test_an_account_that_cannot_be_checked(
    command: Command, without_scope: Sandbox, here: str, action: tuple[str, ...]
) -> None:
    """Without the scope, account_id alone is not checked, as one line says; the state stays."""
    state = {"bookmarks": {"open": {"timestamp": 1767225600}}}
    assert command.run(without_scope, *action, state=state, account_id=OTHER) in (0, 1)
    lines = [line for line in command.log if "account_id is not checked" in line]
    assert lines == [
        "WARNING account_id is not checked: to ask for the ID of the account takes the scope "
        "accounts:read."
    ]
    assert '"account_id"' not in command.out


def test_a_state_of_another_account_without_the_scope(
    command: Command, without_scope: Sandbox
) -> None:
    """A state of another account than account_id is refused without asking."""
    assert command.run(without_scope, state=state_of("Here12"), account_id=OTHER) == 2
    assert not any("accounts" in seen.path for seen in without_scope.requests)


def test_klaviyo_fails(command: Command, box: Sandbox) -> None:
    """If the account cannot be asked for now, the run ends without output, to be run again."""
    box.faults.add("status", path="/api/accounts", times=None, status=503)
    try:
        assert command.run(box, account_id=OTHER) == 3
    finally:
        box.faults.clear()
    assert command.out == ""
    assert "Klaviyo fails at /api/accounts (503)." in command.log[-1]


@pytest.mark.parametrize("attributes", [{}, None])
def test_an_account_without_a_time_zone(
    command: Command, box: Sandbox, here: str, attributes: Any
) -> None:
    """Only reports need the time zone."""
    body = json.dumps({"data": [{"type": "account", "id": here, "attributes": attributes}]})
    box.faults.add("body", path="/api/accounts", times=None, body=body)
    try:
        assert command.run(box, account_column=True) == 0
    finally:
        box.faults.clear()
    assert command.state["account_id"] == here


@pytest.mark.parametrize("stored", [7, ["x"], {}])
def test_an_id_that_is_no_text(command: Command, box: Sandbox, stored: Any) -> None:
    """An ID in the state that is no text is an error, and without the settings of no concern."""
    assert command.run(box, state=state_of(stored), account_column=True) == 2
    assert "state: 'account_id' must be text." in command.log[-1]
    assert command.run(box, state=state_of(stored)) == 0
    assert command.state["account_id"] == stored


def test_without_the_settings_nothing_is_checked(command: Command, box: Sandbox) -> None:
    """A state of another account is carried along, and the account is not asked for."""
    assert command.run(box, state=state_of(OTHER)) == 0
    assert command.state["account_id"] == OTHER
    assert not any("accounts" in seen.path for seen in box.requests)
    assert command.summary["account_id"] is None


def test_a_run_that_is_stopped_early(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is stopped before the account is known writes nothing, and saves no state."""
    settings = {"api_key": box.key, "base_url": box.url, "start_date": "2026-01-01"}
    tap = Tap({**settings, "account_column": True}, select="lists")

    def stopped(lookup: AccountIdLookup, client: Client) -> str:
        tap.stop()
        return lookup.account.id

    monkeypatch.setattr(AccountIdLookup, "perform", stopped)
    lines: list[bytes] = []
    summary = tap.sync(lines.append)
    assert not lines
    assert (summary.stopped, summary.saved, summary.account_id) == (True, False, None)


def test_answers_that_were_held_back_are_left_after_a_stop() -> None:
    """A run that is stopped takes no further answer of those that waited for the account."""
    config = parse_config({"api_key": "pk_1", "start_date": "2026-01-01", "account_column": True})
    output: Any = SimpleNamespace(withheld=False)
    scheduler: Any = None
    account: Any = None
    check = AccountCheck(config, State({}), output, [], scheduler)
    windows = [WindowReader.__new__(WindowReader) for _ in range(3)]
    results = [*((window, None) for window in windows), (AccountIdLookup(account), "AbC123")]
    taken: list[Any] = []
    for task, _ in check.in_order(results, lambda: bool(taken)):
        assert check.account_id == "AbC123"
        taken.append(task)
    assert taken == windows[:1]


def test_records_of_the_library(box: Sandbox, here: str) -> None:
    """Records have the column, and a state of another account is refused, from Python too."""
    settings = {"api_key": box.key, "base_url": box.url, "start_date": "2026-01-01"}
    records = [*Tap({**settings, "account_column": True}).records("lists")]
    assert records
    assert {record["account_id"] for record in records} == {here}
    tap = Tap({**settings, "account_column": True}, state=state_of(OTHER))
    with pytest.raises(StateError, match=OTHER):
        next(tap.records("lists"))


def _keys(messages: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """The stream and the key of each record."""
    records = [(m["stream"], m["record"]) for m in messages if m["type"] == "RECORD"]
    return {(record["account_id"], stream, record["id"]) for stream, record in records}


def _with_the_lists_of(account: Account) -> Account:
    """Another account that has lists of the same IDs."""
    other = Account.seeded(seed=3, events=100)
    other.collections["list"] = account.collections["list"]
    return other
