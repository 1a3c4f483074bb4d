"""Patterns select streams and fields of a catalog."""

from __future__ import annotations

import copy
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from singer.catalog import Catalog

from tap_klaviyo import Tap
from tap_klaviyo.cli import main
from tap_klaviyo.discovery.catalog import build_catalog, field_path, places
from tap_klaviyo.discovery.patterns import apply_patterns, split_patterns
from tap_klaviyo.discovery.selection import SelectedStream, read_catalog
from tap_klaviyo.errors import CatalogError
from tap_klaviyo.streams import DEFAULT_STREAMS, STREAMS

DEFAULT = [stream.name for stream in DEFAULT_STREAMS]
KEYS = {"id", "timestamp"}


def selected(*patterns: str, catalog: dict[str, Any] | None = None) -> dict[str, SelectedStream]:
    """The streams that are selected with patterns in a catalog, by default in a new one."""
    document = apply_patterns(catalog or build_catalog(), patterns)
    return {one.name: one for one in read_catalog(document)}


def fields(stream: SelectedStream) -> set[str]:
    """The fields of a stream that are selected, with dots, those in objects included."""
    return {".".join(field_path(place)) for place in places(stream.schema)}


def default_fields(stream: str) -> set[str]:
    """The fields of a stream that are selected by default."""
    return fields(selected(stream)[stream])


@pytest.mark.parametrize(
    ("patterns", "streams"),
    [
        (["receive", "lists"], ["receive", "lists"]),
        (["lists", "receive"], ["receive", "lists"]),
        (["*"], [stream.name for stream in STREAMS]),
        (["receive*"], ["receive", "received_automated_response", "received_sms"]),
        (["[lo]*s", "!*_*"], ["lists"]),
        (["!open", "open", "click"], ["click"]),
        (["profiles"], ["profiles"]),
        (["!receive"], [name for name in DEFAULT if name != "receive"]),
        (["!profiles"], DEFAULT),
        (["!*"], []),
        (["!*.profile"], DEFAULT),
        (["open.id"], ["open"]),
        (["open", "!open.profile"], ["open"]),
        ([], DEFAULT),
    ],
)
def test_streams(patterns: list[str], streams: list[str]) -> None:
    """If a pattern selects, only what patterns select is read; if all deselect, all else stays."""
    assert list(selected(*patterns)) == streams


ALL = fields(selected("events.*")["events"])
PROFILE = {field for field in default_fields("events") if field.split(".")[0] == "profile"}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["events"], default_fields("events")),
        (["events.datetime"], {*KEYS, "datetime"}),
        (["events.profile"], KEYS | PROFILE),
        (["events.profile.email"], {*KEYS, "profile", "profile.email"}),
        (["events.p*.email", "events.uuid"], {*KEYS, "profile", "profile.email", "uuid"}),
        (["events.profile.location.c*y"], {*KEYS, "profile", "profile.location"}
         | {"profile.location.city", "profile.location.country", "profile.location.county"}),
        (["events", "!events.profile"], default_fields("events") - PROFILE),
        (["events.*", "!*.profile.email"], ALL - {"profile.email"}),
        (["events.profile", "!events.profile.*"], KEYS),
        (["!events.profile", "events"], default_fields("events") - PROFILE),
    ],
)  # fmt: skip
def test_fields(patterns: list[str], expected: set[str]) -> None:
    """A pattern of a field selects what is in it and where it is in, and keys stay."""
    assert fields(selected(*patterns)["events"]) == expected


def test_fields_that_are_not_selected_by_default() -> None:
    """A star selects all fields; a stream and a field add the field to the default ones."""
    rare = "predictive_analytics"
    before = default_fields("global_exclusions")
    assert rare not in before
    added = fields(selected("global_exclusions", f"global_exclusions.{rare}")["global_exclusions"])
    assert {name for name in added if not name.startswith(rare)} == before
    assert rare in added
    assert rare in fields(selected("global_exclusions.*")["global_exclusions"])


def test_on_top_of_a_catalog() -> None:
    """The selection of fields in a catalog stays where no pattern is about them."""
    catalog = apply_patterns(build_catalog(), ["open.datetime", "lists"])
    before = copy.deepcopy(catalog)
    chosen = selected("open", "click", "!click.profile", catalog=catalog)
    assert list(chosen) == ["click", "open"]
    assert fields(chosen["open"]) == {*KEYS, "datetime"}
    assert list(selected("!lists", catalog=catalog)) == ["open"]
    assert catalog == before


@pytest.mark.parametrize(
    "entry",
    [
        {"selected": True},
        {"schema": {"selected": True, "type": "object", "properties": {"name": {}}}},
        {"metadata": None},
    ],
)
def test_old_catalogs(entry: dict[str, Any]) -> None:
    """Patterns win over the selection of catalogs that have no metadata."""
    schema = {"type": "object", "properties": {"id": {}, "name": {}}}
    catalog = {"streams": [{"stream": "lists", "schema": schema, **entry}]}
    assert list(selected("!lists", catalog=catalog)) == []
    assert list(selected("lists", catalog=catalog)) == ["lists"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("recieve", "'recieve' matches no stream (did you mean 'receive'?)."),
        ("!recieve", "'!recieve' matches no stream (did you mean 'receive'?)."),
        ("x*", "'x*' matches no stream."),
        ("open.profil", "'open.profil' matches no field (did you mean 'profile'?)."),
        ("!*.profil", "'!*.profil' matches no field (did you mean 'profile'?)."),
        ("lists.profile", "'lists.profile' matches no field."),
        ("open.profile.emial", "'open.profile.emial' matches no field (did you mean"),
        ("open.", "'open.' is no pattern"),
        (".id", "'.id' is no pattern"),
        ("!", "'!' is no pattern"),
        ("open\x1b\n", r"'open\x1b\n' matches no stream"),
    ],
)
def test_patterns_that_match_nothing(pattern: str, expected: str) -> None:
    """A pattern that matches nothing is an error, with a suggestion where a name is similar."""
    with pytest.raises(CatalogError, match=r"^select: ") as raised:
        apply_patterns(build_catalog(), ["open", pattern])
    assert expected in str(raised.value)


def test_keys_stay_selected(caplog: pytest.LogCaptureFixture) -> None:
    """A key cannot be deselected, which one warning says."""
    with caplog.at_level(logging.WARNING):
        assert fields(selected("open", "!open.id", "!open.timestamp")["open"]) >= KEYS
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith("stay selected: open.id, open.timestamp.")


@pytest.mark.parametrize(
    ("select", "deselect", "patterns"),
    [
        ("receive,open", "", ["receive", "open"]),
        (" receive , !open ,", "", ["receive", "!open"]),
        ("", "open,*.profile", ["!open", "!*.profile"]),
        ("open", "!open.profile", ["open", "!open.profile"]),
        ("", "", []),
    ],
)
def test_lists_of_patterns(select: str, deselect: str, patterns: list[str]) -> None:
    """Patterns have commas between them, and those of --deselect deselect."""
    assert split_patterns(select, deselect) == patterns


def test_discover(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """--discover writes a catalog with the selection, which a later --discover changes again."""
    assert main(["--discover", "--select", "events.*,lists", "--deselect", "*.profile"]) == 0
    path = tmp_path / "catalog.json"
    path.write_text(capfd.readouterr().out)
    catalog = json.loads(path.read_text())
    assert list(selected(catalog=catalog)) == ["events", "lists"]
    assert not fields(selected(catalog=catalog)["events"]) & PROFILE
    singer = Catalog.load(str(path)).get_stream("events")
    assert singer.is_selected()
    assert main(["--discover", "--catalog", str(path), "--deselect", "lists"]) == 0
    assert list(selected(catalog=json.loads(capfd.readouterr().out))) == ["events"]


@pytest.mark.parametrize("mode", [[], ["--test"], ["--discover"]])
def test_a_misspelt_option(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, mode: list[str]
) -> None:
    """A wrong pattern ends each mode with exit code 2 and one line, before any request."""
    config = tmp_path / "config.json"
    config.write_text('{"api_key": "pk_test", "start_date": "2026-01-01"}')
    assert main(["-c", str(config), *mode, "--select", "recieve"]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "CRITICAL select: 'recieve' matches no stream (did you mean 'receive'?)." in shown.err


def test_the_library(settings: dict[str, Any]) -> None:
    """The library takes the same patterns."""
    assert (
        Tap(settings, select="lists.name").discover()
        == Tap(settings, select=["lists.name"]).discover()
    )
    tap = Tap(settings, select=["lists.name"])
    assert list(selected(catalog=tap.discover())) == ["lists"]
    lines: list[bytes] = []
    tap.sync(lines.append)
    messages = list(map(json.loads, b"".join(lines).splitlines()))
    assert {one["stream"] for one in messages if one["type"] == "RECORD"} == {"lists"}
    assert all(one["record"].keys() == {"id", "name"} for one in messages if "record" in one)
