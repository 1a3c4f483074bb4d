"""The setting account_column: each record has the ID of the account, and nothing else changes."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from expected_keys import TRUTHS, TRUTHS_OF
from sync_runner import NOW, Message, Output, Tap, catalog_of, tap_of
from tap_runner import PATIENCE
from test_batches import batch_config, records_in

from sandbox.account import Account
from tap_klaviyo.config.loading import parse_streams
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.streams import REGISTRIES
from tap_klaviyo.sync import account_check
from tap_klaviyo.sync.account_check import AccountIdLookup
from tap_klaviyo.sync.window_reader import WindowReader

TapOn = Callable[..., Tap]
Outputs = tuple[Output, Output]

OWN = {"orders": {"metric": "Placed Order", "integration": "Shopify"}}
KEYED_BY_ACCOUNT = {"brand_voice", "text_messaging_configurations"}
"""The streams whose key is the ID of the account anyway."""


def shop() -> Account:
    """A small account as of NOW."""
    return Account.seeded(seed=1, events=1000, now=datetime.fromtimestamp(NOW, timezone.utc))


def account_id(tap: Tap) -> str:
    """The ID of the account of a sandbox."""
    (identifier,) = tap.box.account.ids("account")
    return identifier


@pytest.fixture(scope="module", params=REGISTRIES)
def revision(request: pytest.FixtureRequest) -> str:
    """Each revision."""
    return str(request.param)


@pytest.fixture(scope="module")
def tap() -> Iterator[Tap]:
    """A tap with an account that does not change."""
    with tap_of(shop()) as started:
        yield started


@pytest.fixture(scope="module")
def outputs(tap: Tap, revision: str) -> Outputs:
    """What runs with all streams and fields write, without and with the setting.

    The catalog was made without it.
    """
    streams = REGISTRIES[revision].streams
    reports = [stream.name for stream in streams if stream.report]
    others = [stream.name for stream in streams if not stream.report]
    settings = {"revision": revision, "metric_streams": OWN}
    own = build_catalog(parse_streams(settings))["streams"][-1:]

    def run(names: list[str], **more: Any) -> Output:
        catalog = catalog_of(*names, all_fields=True, revision=revision)
        catalog["streams"] += own if names is others else []
        output = tap.sync(now=NOW, catalog=catalog, **settings, **more)
        assert output.fault is None
        return output

    def runs(*, account_column: bool) -> Output:
        first = run(others, account_column=account_column)
        second = run(reports, account_column=account_column, start_date="2026-09-01")
        return Output([*first.messages, *second.messages])

    return runs(account_column=False), runs(account_column=True)


def test_records_have_the_column(tap: Tap, outputs: Outputs) -> None:
    """The records of all streams are those without the setting, and the ID of the account."""
    plain, with_column = outputs
    names = {message["stream"] for message in plain.of("SCHEMA")}
    assert "orders" in names
    added = {"account_id": account_id(tap)}
    for name in names:
        expected = [{**added, **record} for record in plain.records(name)]
        assert expected, name
        assert sorted(map(_text, with_column.records(name))) == sorted(map(_text, expected)), name


def test_records_are_those_of_the_account(tap: Tap, outputs: Outputs, revision: str) -> None:
    """Each record of the account is there once, by its key with the ID of the account."""
    for name, truth in TRUTHS_OF[revision].items():
        first = () if name in KEYED_BY_ACCOUNT else (account_id(tap),)
        expected = sorted((*first, *key) for key in truth(tap.box.account))
        assert sorted(outputs[1].keys(name)) == expected, name


def test_schemas_have_the_column(outputs: Outputs, revision: str) -> None:
    """The column comes first in each SCHEMA and its key, and every record fits."""
    plain = {message["stream"]: message for message in outputs[0].of("SCHEMA")}
    found = set()
    for message in outputs[1].of("SCHEMA"):
        name, before = message["stream"], plain[message["stream"]]
        properties, keys = message["schema"]["properties"], message["key_properties"]
        assert (next(iter(properties)), keys[0]) == ("account_id", "account_id"), name
        assert properties["account_id"]["type"] == "string"
        assert properties["account_id"]["description"]
        if "account_id" in before["schema"]["properties"]:
            found.add(name)
            assert message == before
        else:
            assert keys[1:] == before["key_properties"]
            assert {**before["schema"]["properties"], **properties} == properties
        validator = jsonschema.Draft4Validator(message["schema"])
        for record in outputs[1].records(name):
            validator.validate(record)
    assert found == (KEYED_BY_ACCOUNT if revision != "2026-07-15" else set())


def test_the_column_comes_first(outputs: Outputs) -> None:
    """In a record only the type may precede the column."""
    for message in outputs[1].of("RECORD"):
        if message["stream"] not in KEYED_BY_ACCOUNT:
            assert next(key for key in message["record"] if key != "type") == "account_id"


def test_batch_files_have_the_column(tap: Tap, tmp_path: Path) -> None:
    """Records in files have it too."""
    catalog = catalog_of("lists", "list_members", "open")
    config = batch_config(tmp_path)
    output = tap.sync(now=NOW, catalog=catalog, account_column=True, batch_config=config)
    for name in ("lists", "list_members", "open"):
        records = records_in(output.messages, name)
        assert records
        assert {record["account_id"] for record in records} == {account_id(tap)}


def test_values_that_do_not_fit(tap_on: TapOn) -> None:
    """Records of a page that has to be converted have the column."""
    account = shop()
    first = account.ids("list")[0]
    account.change("list", first, opt_in_process=7, account_id="other")
    tap = tap_on(account)
    output = tap.sync(now=NOW, catalog=catalog_of("lists"), account_column=True)
    assert sorted(output.keys("lists")) == sorted(
        (account_id(tap), identifier) for identifier in account.ids("list")
    )
    (changed,) = (record for record in output.records("lists") if record["id"] == first)
    assert changed["opt_in_process"] == "7"


def test_the_column_is_not_hashed(tap: Tap) -> None:
    """A pattern of fields to hash that would match the column leaves it as it is."""
    hashing = {"hash_fields": ["reviews.a[cu]*"], "hash_salt": "a salt of tests"}
    output = tap.sync(now=NOW, catalog=catalog_of("reviews"), account_column=True, **hashing)
    assert {record["account_id"] for record in output.records("reviews")} == {account_id(tap)}
    authors = {record["author"] for record in output.records("reviews")} - {None}
    assert authors
    assert {len(author) for author in authors} == {64}


def test_records_without_a_key(tap: Tap, caplog: pytest.LogCaptureFixture) -> None:
    """A record that lacks a key is left out, with a warning that does not blame the column."""
    output = tap.sync(now=NOW, catalog=catalog_of("global_exclusions"), account_column=True)
    assert output.records("global_exclusions")
    assert "records left out, without a value for the key email: " in caplog.text


def test_an_interrupted_run(tap: Tap) -> None:
    """A run that was stopped is continued, and all records have the column."""
    catalog = catalog_of("events", "profiles", "lists")
    options: dict[str, Any] = {"now": NOW, "catalog": catalog, "page_size": 7}
    records = 0

    def stop(message: Message) -> bool:
        nonlocal records
        records += message["type"] == "RECORD"
        return records >= 100

    first = tap.sync(stop_at=stop, account_column=True, **options)
    second = tap.sync(first.state, account_column=True, **options)
    assert first.state["account_id"] == second.state["account_id"] == account_id(tap)
    assert len(first.keys("events")) < len(TRUTHS["events"](tap.box.account))
    for name in ("events", "profiles", "lists"):
        expected = {(account_id(tap), *key) for key in _truth(tap, name)}
        assert {*first.keys(name), *second.keys(name)} == expected


@pytest.mark.parametrize(
    ("workers", "pages", "held_bytes"), [(32, 4, 2**24), (32, 2, 1), (2, 1, 2**24)]
)
@pytest.mark.parametrize("settings", ["account_column", "account_id"])
def test_nothing_is_written_before_the_answer(
    tap: Tap,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    pages: int,
    held_bytes: int,
    settings: str,
) -> None:
    """Pages are requested while the account is asked, and written after the answer.

    No more of them are in memory than there are workers; what is beyond is requested again.
    """
    fetched, answered = threading.Semaphore(0), threading.Event()
    early: list[Message] = []
    requested = 0
    fetch, ask = WindowReader.perform, AccountIdLookup.perform

    def counted(reader: WindowReader, client: Client) -> Any:
        nonlocal requested
        requested += not answered.is_set()
        result = fetch(reader, client)
        fetched.release()
        return result

    def late(lookup: AccountIdLookup, client: Client) -> str:
        for _ in range(pages):
            assert fetched.acquire(timeout=PATIENCE)
        found = ask(lookup, client)
        answered.set()
        return found

    def note(message: Message) -> bool:
        if not answered.is_set():
            early.append(message)
        return False

    monkeypatch.setattr(WindowReader, "perform", counted)
    monkeypatch.setattr(AccountIdLookup, "perform", late)
    monkeypatch.setattr(account_check, "HELD_BYTES", held_bytes)
    given = {"account_column": True, "account_id": account_id(tap)}
    names = ("events", "profiles", "lists", "segments", "list_members")
    tap.box.requests.clear()
    output = tap.sync(
        now=NOW,
        catalog=catalog_of(*names),
        stop_at=note,
        concurrency=workers,
        page_size=20,
        **{settings: given[settings]},
    )
    assert output.fault is None
    assert not early
    assert pages <= requested < workers
    pages_of_groups = Counter(
        seen.query for seen in tap.box.requests if seen.path in ("/api/lists", "/api/segments")
    )
    assert (max(pages_of_groups.values()) > 1) == (held_bytes == 1)
    first = (account_id(tap),) if settings == "account_column" else ()
    for name in names:
        expected = sorted((*first, *key) for key in _truth(tap, name))
        assert sorted(output.keys(name)) == expected


@pytest.mark.parametrize("workers", [1, 2, 32])
def test_the_account_is_asked_once(tap: Tap, workers: int) -> None:
    """A run asks for the account once, also if reports need its time zone."""
    tap.box.requests.clear()
    catalog = catalog_of("lists", "open", "form_values_report", all_fields=True)
    output = tap.sync(now=NOW, catalog=catalog, account_column=True, concurrency=workers)
    assert output.fault is None
    assert [seen.path for seen in tap.box.requests].count("/api/accounts") == 1


def test_without_the_settings_the_account_is_not_asked(tap: Tap) -> None:
    """A run without the settings requests no account, and its state has none."""
    tap.box.requests.clear()
    output = tap.sync(now=NOW, catalog=catalog_of("lists", "open"))
    assert not any("accounts" in seen.path for seen in tap.box.requests)
    assert output.state.keys() == {"bookmarks", "currently_syncing"}
    assert not any("account_id" in record for record in output.records("lists"))


def _truth(tap: Tap, name: str) -> set[tuple[str, ...]]:
    if name in TRUTHS:
        return TRUTHS[name](tap.box.account)
    return {(identifier,) for identifier in tap.box.account.ids(name.removesuffix("s"))}


def _text(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True)
