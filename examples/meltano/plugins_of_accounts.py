"""Writes the Meltano plugins, jobs and schedules of many Klaviyo accounts, from a list of them.

Run ``python plugins_of_accounts.py accounts.csv accounts.meltano.yml --loader target-jsonl``, and
name the written file under ``include_paths`` in meltano.yml. The list has a line for each account::

    name,account_id,start_date
    acme,AbC123,2024-01-01
    bakery,DeF456,

Further columns are settings of the tap, and an empty cell inherits the value of the plugin. API
keys are not in the list: each account has an environment variable, such as ``KLAVIYO_KEY_ACME``.
The same list gives the same file. A wrong list is refused with one line, and nothing is written.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("name", "account_id")
"""The first columns. The name is first so that a shell can cut it out of the line."""

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""Names of accounts. Two of them never give one environment variable, for which Meltano turns
letters into capitals and other characters into underscores. Spaces and colons separate names.
"""

PLUGIN = re.compile(r"[a-z0-9]+(-+[a-z0-9]+)*")
"""Names of plugins, which may have the two hyphens that names of accounts lack."""

LONGEST_NAME = 63
"""So that the state ID can be the name of a directory."""

SEPARATOR = "to"
"""Meltano's state ID is EXTRACTOR-to-LOADER, which is unique if no name has this word."""

ACCOUNT_ID = re.compile(r"[A-Za-z0-9]+")
SETTING = re.compile(r"[a-z_]+(\.[A-Za-z0-9_-]+)*")
SECRETS = ("api_key", "client_secret", "refresh_token", "hash_salt")
"""Settings whose values must not be in a file that is kept with the project."""

SET_FOR_ALL = ("account_column",)
"""Settings that the written file sets for every account."""

MINUTES = 60
"""The schedules of this many accounts begin at different minutes of an hour."""


class ListError(Exception):
    """The list of accounts is wrong; the text says where and what to do."""


@dataclass(frozen=True)
class Account:
    """A line of the list: a name, the ID that Klaviyo gives the account, and settings by name."""

    name: str
    id: str
    settings: Mapping[str, str]

    @property
    def variable(self) -> str:
        """The environment variable that holds the API key."""
        return f"KLAVIYO_KEY_{self.name.upper().replace('-', '_')}"


def read_accounts(text: str) -> list[Account]:
    """Returns the accounts of a list in CSV. Raises ListError at the first mistake."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    accounts: list[Account] = []
    lines: dict[str, int] = {}
    try:
        settings = _settings(next(reader, []))
        for cells in filter(None, reader):
            if len(cells) != len(COLUMNS) + len(settings):
                raise ListError(f"expected {len(COLUMNS) + len(settings)} cells, not {len(cells)}")
            account = _account([cell.strip() for cell in cells], settings)
            for what, value in (("name", account.name), ("account_id", account.id)):
                key = f"{what} {value!r}"
                if key in lines:
                    raise ListError(f"the {key} is also on line {lines[key]}")
                lines[key] = reader.line_num
            accounts.append(account)
    except (ListError, csv.Error) as error:
        raise ListError(f"line {max(reader.line_num, 1)}: {error}") from None
    if not accounts:
        raise ListError("there are no accounts in it")
    return accounts


def _settings(header: Sequence[str]) -> list[str]:
    """Returns the columns that are settings of the tap."""
    columns = [column.strip() for column in header]
    if tuple(columns[: len(COLUMNS)]) != COLUMNS:
        raise ListError(f"the first columns must be {','.join(COLUMNS)}, not {','.join(columns)!r}")
    settings = columns[len(COLUMNS) :]
    for number, column in enumerate(settings):
        if column in SECRETS:
            raise ListError(f"{column} is a secret, which belongs into an environment variable")
        if column in SET_FOR_ALL:
            raise ListError(f"{column} is set for all accounts; remove the column")
        if column in (*COLUMNS, *settings[:number]):
            raise ListError(f"the column {column!r} is there twice")
        if not SETTING.fullmatch(column):
            raise ListError(f"the column {column!r} is not the name of a setting")
    return settings


def _account(cells: Sequence[str], settings: Iterable[str]) -> Account:
    name, account_id, *values = cells
    _check_name("name", name, NAME)
    if len(name) > LONGEST_NAME:
        raise ListError(f"the name {name!r} has more than {LONGEST_NAME} characters")
    if not ACCOUNT_ID.fullmatch(account_id):
        raise ListError(f"the account_id {account_id!r} must have letters and digits only")
    given = {setting: value for setting, value in zip(settings, values, strict=True) if value}
    for setting, value in given.items():
        if not value.isprintable():
            raise ListError(f"the {setting} {value!r} has a line break or control character")
    return Account(name, account_id, given)


def _check_name(what: str, name: str, pattern: re.Pattern[str]) -> None:
    """Raises ListError if another name could give the same environment variable or state ID."""
    if not pattern.fullmatch(name):
        raise ListError(
            f"the {what} {name!r} must have lower-case letters, digits and single hyphens only"
        )
    if SEPARATOR in name.split("-"):
        raise ListError(
            f"the {what} {name!r} must not have the word {SEPARATOR!r}, "
            "which separates extractor and loader in Meltano's state IDs"
        )


def project_file(
    accounts: Sequence[Account], *, extractor: str, loader: str, schedules: bool = False
) -> str:
    """Returns the text of a file for ``include_paths`` of a Meltano project.

    ``extractor`` is the plugin that the plugins of the accounts inherit from, and ``loader`` the
    one that their jobs load with. Raises ListError if one of these names is not safe.
    """
    _check_name("extractor", extractor, PLUGIN)
    _check_name("loader", loader, PLUGIN)
    lines = ["plugins:", "  extractors:"]
    for account in accounts:
        config = {"account_id": account.id, **account.settings}
        lines += [
            f"  - name: {extractor}--{account.name}",
            f"    inherit_from: {extractor}",
            "    config:",
            f"      api_key: ${account.variable}",
            "      account_column: true",
            *(f"      {setting}: {_quoted(value)}" for setting, value in config.items()),
        ]
    lines.append("jobs:")
    for account in accounts:
        plugin = f"{extractor}--{account.name}"
        lines += [f"- name: {job_of(account)}", "  tasks:", f"  - {plugin} {loader}"]
    lines += ["schedules:"] if schedules else []
    for number, account in enumerate(accounts if schedules else ()):
        interval = f"'{number % MINUTES} * * * *'"
        job = job_of(account)
        lines += [f"- name: {job}", f"  interval: {interval}", f"  job: {job}"]
    return "\n".join([*lines, ""])


def job_of(account: Account) -> str:
    """Returns the name of the job of an account, which is also that of its schedule."""
    return f"klaviyo--{account.name}"


def _quoted(text: str) -> str:
    """Returns a YAML scalar that is text, also where YAML would read a number or a boolean."""
    return json.dumps(text, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    """Replaces a file at once, because Meltano may read it at any time."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 2 if the list is wrong or cannot be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("accounts", type=Path, help="list of accounts, a CSV file")
    parser.add_argument("file", type=Path, help="file to write, beside meltano.yml")
    parser.add_argument("--loader", required=True, help="loader of the jobs")
    parser.add_argument("--extractor", default="tap-klaviyo", help="plugin to inherit from")
    parser.add_argument("--schedules", action="store_true", help="write an hourly schedule each")
    options = parser.parse_args(arguments)
    try:
        accounts = read_accounts(options.accounts.read_text(encoding="utf-8"))
        text = project_file(
            accounts,
            extractor=options.extractor,
            loader=options.loader,
            schedules=options.schedules,
        )
        head = f"# Written by {Path(__file__).name} from {options.accounts.name}: change that.\n"
        _write(options.file, head + text)
    except (ListError, OSError, UnicodeDecodeError) as error:
        print(f"{options.accounts}: {error}", file=sys.stderr)
        return 2
    print(f"{options.file}: {len(accounts)} accounts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
