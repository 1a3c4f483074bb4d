"""The example that writes the Meltano plugins of many accounts from a list of them."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from examples.meltano import plugins_of_accounts
from examples.meltano.plugins_of_accounts import Account, ListError, project_file, read_accounts
from tap_klaviyo.config.settings import SETTINGS

PAGE = (Path(__file__).parent.parent / "docs" / "meltano.md").read_text()
SECTION = PAGE.split("\n## Many accounts\n")[1].split("\n## ")[0]

HEAD = "name,account_id\n"
REFUSED = {
    "nothing": ("", "line 1: the first columns must be name,account_id, not ''"),
    "no accounts": (HEAD, "there are no accounts in it"),
    "semicolons": ("name;account_id\n", "line 1: the first columns must be name,account_id"),
    "order": ("account_id,name\n", "line 1: the first columns must be"),
    "key": ("name,account_id,api_key\n", "line 1: api_key is a secret"),
    "salt": ("name,account_id,hash_salt\n", "line 1: hash_salt is a secret"),
    "fixed": ("name,account_id,account_column\n", "line 1: account_column is set for all"),
    "column twice": ("name,account_id,revision,revision\n", "line 1: the column 'revision' is"),
    "column": ("name,account_id,Start date\n", "line 1: the column 'Start date' is not"),
    "cells": (f"{HEAD}acme,A1,x\n", "line 2: expected 2 cells, not 3"),
    "quotes": (f'{HEAD}"acme,A1\n', "line 2: "),
    "name twice": (f"{HEAD}a,A1\nb,B2\na,C3\n", "line 4: the name 'a' is also on line 2"),
    "ID twice": (f"{HEAD}a,A1\n\nb,A1\n", "line 4: the account_id 'A1' is also on line 2"),
    "no ID": (f"{HEAD}a,\n", "line 2: the account_id '' must have letters and digits"),
    "ID": (f"{HEAD}a,A-1\n", "line 2: the account_id 'A-1' must have letters and digits"),
    "long name": (f"{HEAD}{'a' * 64},A1\n", "has more than 63 characters"),
    "line break": ('name,account_id,user_agent\na,A1,"b\nc"\n', "line 3: the user_agent 'b\\nc'"),
    **{
        f"name {name!r}": (f"{HEAD}{name},A1\n", f"line 2: the name {name!r} must")
        for name in ("", "a_b", "A-b", "a b", "a.b", "a:b", "a/b", "é", "-a", "a-", "a--b", "$A")
    },
    **{
        f"name {name!r}": (f"{HEAD}{name},A1\n", f"line 2: the name {name!r} must not have the wor")
        for name in ("a-to-b", "to", "to-b", "a-to")
    },
}
"""Lists that are refused, and a part of the message."""

names = st.from_regex(r"[ab]{1,2}(-(to|[ab]{1,2})){0,3}", fullmatch=True)
"""Names of accounts and, after a prefix, of plugins; most of those with "to" are refused."""


def blocks(language: str) -> list[str]:
    """The code blocks of the section on many accounts in docs/meltano.md."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", SECTION, flags=re.S | re.M)
    return found


def variable(plugin: str, setting: str) -> str:
    """An environment variable, as `meltano.core.utils.to_env_var` names it."""
    return "_".join(re.sub(r"[^A-Za-z0-9]", "_", part).upper() for part in (plugin, setting))


def test_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command in docs/meltano.md writes the file that the page shows."""
    (listed,), (shown,) = blocks("csv"), blocks("yaml")
    accounts, file = tmp_path / "accounts.csv", tmp_path / "accounts.meltano.yml"
    accounts.write_text(listed)
    arguments = [str(accounts), str(file), "--loader=target-jsonl", "--schedules"]
    assert plugins_of_accounts.main(arguments) == 0
    assert file.read_text() == shown
    assert capsys.readouterr().out == f"{file}: 2 accounts\n"


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong list ends with one line that says what is wrong, and the file stays as it was."""
    accounts, file = tmp_path / "accounts.csv", tmp_path / "accounts.meltano.yml"
    accounts.write_text(text)
    file.write_text("before")
    assert plugins_of_accounts.main([str(accounts), str(file), "--loader=target-jsonl"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{accounts}: ")
    assert message in line
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        accounts.name: text,
        file.name: "before",
    }


def test_missing_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list that does not exist ends with one line, and nothing is written."""
    missing = tmp_path / "accounts.csv"
    arguments = [str(missing), str(tmp_path / "accounts.meltano.yml"), "--loader=target-jsonl"]
    assert plugins_of_accounts.main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("plugin", ["target_jsonl", "target-to-jsonl", "Target", ""])
def test_refused_plugins(plugin: str) -> None:
    """A loader or extractor whose state IDs may be those of another one is refused."""
    accounts = [Account("acme", "A1", {})]
    with pytest.raises(ListError, match="the loader"):
        project_file(accounts, extractor="tap-klaviyo", loader=plugin)
    with pytest.raises(ListError, match="the extractor"):
        project_file(accounts, extractor=plugin, loader="target-jsonl")


@example([("a-to-b", "b"), ("a", "b-to-b")])
@given(st.lists(st.tuples(names, names), min_size=2, max_size=2, unique=True))
def test_state_ids_differ(runs: list[tuple[str, str]]) -> None:
    """Two accounts or loaders never give one state ID: each ID is of one plugin and one loader."""
    written = []
    for name, loader in runs:
        try:
            (account,) = read_accounts(f"{HEAD}{name},A1\n")
            text = project_file([account], extractor="tap-klaviyo", loader=loader)
        except ListError:
            assert "to" in (name + "-" + loader).split("-")
            return
        written += re.findall(r"^  - (tap-\S+) (\S+)$", text, re.M)
    assert len({f"dev:{plugin}-to-{loader}" for plugin, loader in written}) == 2


@given(st.lists(st.from_regex(r"[ab_.-]{1,3}", fullmatch=True), min_size=2, max_size=4))
def test_variables_differ(listed: list[str]) -> None:
    """Accounts that one list may have share no environment variable, file name or job."""
    rows = "".join(f"{name},A{number}\n" for number, name in enumerate(listed))
    try:
        accounts = read_accounts(HEAD + rows)
    except ListError:
        return
    plugins = [f"tap-klaviyo--{account.name}" for account in accounts]
    of_settings = [
        variable(plugin, setting.name)
        for plugin, setting in itertools.product(["tap-klaviyo", *plugins], SETTINGS)
    ]
    variables = [*of_settings, *(account.variable for account in accounts)]
    assert len({*variables}) == len(variables)
    jobs = {plugins_of_accounts.job_of(account) for account in accounts}
    assert len(jobs) == len(accounts)


def test_values_are_text() -> None:
    """A value is written as text, also where YAML would read a number, a date or a boolean."""
    values = ("no", "1e3", "2026-01-01", 'a "b"', "x: y # z", "Grüße 💐", "\\")
    header = f"{HEAD.strip()},user_agent\n"
    for value in values:
        quoted = value.replace('"', '""')
        accounts = read_accounts(f'{header}a,1e3,"{quoted}"\n')
        text = project_file(accounts, extractor="tap-klaviyo", loader="target-jsonl")
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        assert f'\n      account_id: "1e3"\n      user_agent: "{escaped}"\n' in text


def test_files_of_spreadsheets() -> None:
    """A byte order mark, the line ends of Windows, spaces and empty lines change nothing."""
    written = "\ufeffname,account_id,start_date\r\nacme , A1,2026-01-01\r\n\r\nb,B2,\r\n"
    assert read_accounts(written) == [
        Account("acme", "A1", {"start_date": "2026-01-01"}),
        Account("b", "B2", {}),
    ]


def test_schedules_are_spread_over_the_hour() -> None:
    """Schedules begin at different minutes, and an account at the end changes no other one."""
    accounts = [Account(f"a{number}", f"A{number}", {}) for number in range(121)]
    written = [
        project_file(some, extractor="tap-klaviyo", loader="target-jsonl", schedules=True)
        for some in (accounts[:-1], accounts)
    ]
    fewer, more = (re.findall(r"interval: '(\d+) \* \* \* \*'", text) for text in written)
    assert sorted(map(int, fewer)) == sorted([*range(60), *range(60)])
    assert more == [*fewer, "0"]
