"""The column of the setting account_column in catalogs that were made with or without it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tap_klaviyo import CatalogError, Tap
from tap_klaviyo.cli import main
from tap_klaviyo.config.loading import parse_config, parse_streams
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import SelectedStream, read_catalog
from tap_klaviyo.errors import ConfigError
from tap_klaviyo.streams import REGISTRIES
from tap_klaviyo.streams.model import Stream

ROOT = Path(__file__).parent.parent
REQUIRED = {"api_key": "pk_1", "start_date": "2026-01-01"}
OWN = {"orders": "Placed Order"}
KEYED_BY_ACCOUNT = {"brand_voice", "text_messaging_configurations"}

each_revision = pytest.mark.parametrize("revision", REGISTRIES)


def streams(*, column: bool, revision: str = "2026-07-15") -> tuple[Stream, ...]:
    """The streams with or without the setting."""
    settings = {"account_column": column, "revision": revision, "metric_streams": OWN}
    return parse_streams(settings)


def catalog(*, column: bool, revision: str = "2026-07-15") -> dict[str, Any]:
    """A catalog that was made with or without the setting."""
    return copy.deepcopy(build_catalog(streams(column=column, revision=revision)))


def selected(document: dict[str, Any], name: str, *, column: bool) -> SelectedStream:
    """What a run with or without the setting reads of a catalog for one stream."""
    entry = next(one for one in document["streams"] if one["stream"] == name)
    entry["metadata"][0]["metadata"]["selected"] = True
    (found,) = read_catalog({"streams": [entry]}, streams=streams(column=column))
    return found


@each_revision
def test_a_new_catalog(revision: str) -> None:
    """Each entry has the column first in its schema and its keys, and it is automatic."""
    plain = {one["stream"]: one for one in catalog(column=False, revision=revision)["streams"]}
    assert "orders" in plain
    for entry in catalog(column=True, revision=revision)["streams"]:
        name, before = entry["stream"], plain[entry["stream"]]
        metadata = {tuple(one["breadcrumb"]): one["metadata"] for one in entry["metadata"]}
        assert next(iter(entry["schema"]["properties"])) == "account_id"
        assert entry["key_properties"][0] == "account_id"
        assert metadata[()]["table-key-properties"] == entry["key_properties"]
        assert metadata[("properties", "account_id")]["inclusion"] == "automatic"
        if name in KEYED_BY_ACCOUNT:
            assert entry == before
            continue
        del entry["schema"]["properties"]["account_id"]
        entry["key_properties"].remove("account_id")
        entry["metadata"][0]["metadata"]["table-key-properties"].remove("account_id")
        entry["metadata"] = [
            one for one in entry["metadata"] if one["breadcrumb"] != ["properties", "account_id"]
        ]
        assert entry == before


@each_revision
def test_no_column_of_klaviyo_is_replaced(revision: str) -> None:
    """A stream that has a column account_id of its own is keyed by it, and stays as it is."""
    plain = build_catalog(streams(column=False, revision=revision))["streams"]
    own = {one["stream"]: one for one in plain if "account_id" in one["schema"]["properties"]}
    assert own.keys() == (KEYED_BY_ACCOUNT if revision == "2026-10-15" else set())
    assert all(entry["key_properties"] == ["account_id"] for entry in own.values())


def test_discover(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """--discover shows the column with the setting; without, it prints catalog.json."""
    for column in (False, True):
        config = tmp_path / f"{column}.json"
        config.write_text(json.dumps({"account_column": column, "metric_streams": OWN}))
        assert main(["--discover", "-c", str(config)]) == 0
        assert json.loads(capfd.readouterr().out) == catalog(column=column)
    config.write_text(json.dumps({"account_column": False}))
    assert main(["--discover", "-c", str(config)]) == 0
    assert capfd.readouterr().out == (ROOT / "catalog.json").read_text()


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "as it is": lambda entry: None,
    "all fields selected": lambda entry: [
        one["metadata"].update(selected=True) for one in entry["metadata"]
    ],
    "the column deselected": lambda entry: [
        one["metadata"].update(selected=False)
        for one in entry["metadata"]
        if one["breadcrumb"] == ["properties", "account_id"]
    ],
    "no keys": lambda entry: entry.pop("key_properties"),
    "other order": lambda entry: entry["key_properties"].reverse(),
    "no metadata of fields": lambda entry: entry.update(metadata=entry["metadata"][:1]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("made_with", [False, True])
@pytest.mark.parametrize("column", [False, True])
@pytest.mark.parametrize("name", ["open", "lists", "list_members", "orders", "form_values_report"])
def test_the_setting_decides(name: str, column: bool, made_with: bool, change: str) -> None:
    """Whatever setting a catalog was made with, the one of the run decides."""
    document, expected = catalog(column=made_with), catalog(column=column)
    for one in (document, expected):
        entry = next(entry for entry in one["streams"] if entry["stream"] == name)
        CHANGES[change](entry)
    found = selected(document, name, column=column)
    own = selected(expected, name, column=column)
    assert found.schema == own.schema
    assert list(found.schema["properties"]) == list(own.schema["properties"])
    assert ("account_id" in found.schema["properties"]) is column
    assert sorted(found.keys) == sorted(own.keys)
    assert (found.keys[0] == "account_id") is column


def test_a_column_that_is_dropped_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """Without the setting, a warning names the column if the catalog selects it."""
    document = catalog(column=True)
    entry = next(one for one in document["streams"] if one["stream"] == "lists")
    CHANGES["all fields selected"](entry)
    selected(document, "lists", column=False)
    assert "lists.account_id" in caplog.text


def test_keys_of_another_tap() -> None:
    """A catalog may key a stream by its ID still, after the account."""
    document = catalog(column=False)
    entry = next(one for one in document["streams"] if one["stream"] == "global_exclusions")
    entry["key_properties"] = ["id"]
    assert selected(document, "global_exclusions", column=True).keys == ("account_id", "id")
    entry["key_properties"] = ["account_id", "name"]
    with pytest.raises(CatalogError, match="cannot be keyed by"):
        selected(document, "global_exclusions", column=True)


def test_the_column_is_not_requested() -> None:
    """The column is no attribute that Klaviyo knows; patterns may name it."""
    tap = Tap({**REQUIRED, "account_column": True}, select="lists.account_id")
    entry = next(one for one in tap.discover()["streams"] if one["stream"] == "lists")
    chosen = {
        one["breadcrumb"][1] for one in entry["metadata"][1:] if one["metadata"].get("selected")
    }
    assert chosen >= {"account_id"}


def test_versions_of_tables_are_refused() -> None:
    """With activate_version, a target would delete the rows of the other accounts."""
    with pytest.raises(ConfigError, match="account_column: cannot be used with activate_version"):
        parse_config({**REQUIRED, "account_column": True, "activate_version": True})


@pytest.mark.parametrize("value", ["", "pk_0123456789abcdef", "a b", 7, True, ["AbC123"], "é"])
def test_an_invalid_account_id(value: Any) -> None:
    """An account ID has letters and digits; a wrong one, which may be a key, is not quoted."""
    with pytest.raises(ConfigError, match="account_id: expected the ID of a Klaviyo") as caught:
        parse_config({**REQUIRED, "account_id": value})
    assert "pk_0123456789abcdef" not in str(caught.value)


def test_an_account_id() -> None:
    """Blanks around an ID, which copying may add, do not count; case does."""
    assert parse_config({**REQUIRED, "account_id": " AbC123\n"}).account_id == "AbC123"
    assert parse_config(REQUIRED, {"TAP_KLAVIYO_ACCOUNT_ID": "AbC123"}).account_id == "AbC123"
