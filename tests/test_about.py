"""--about: the tap's description of itself."""

from __future__ import annotations

import json

import pytest

from tap_klaviyo import __version__
from tap_klaviyo.about.render import about
from tap_klaviyo.config.settings import SETTINGS
from tap_klaviyo.streams import AREAS, STREAMS


@pytest.mark.parametrize("output_format", ["text", "json", "markdown"])
def test_complete(output_format: str) -> None:
    """Every format lists the version, each setting, each area and each stream."""
    text = about(output_format)
    for name in (
        __version__,
        *(setting.name for setting in SETTINGS),
        *AREAS,
        *(stream.name for stream in STREAMS),
    ):
        assert name in text


@pytest.mark.parametrize("output_format", ["text", "json", "markdown"])
def test_dates_are_explained(output_format: str) -> None:
    """Every format says in which order month and day are read."""
    assert "03/09/2026 (MM/DD/YYYY, so 9 March)" in " ".join(about(output_format).split())


def test_json_settings() -> None:
    """The JSON format marks required and secret settings."""
    known = json.loads(about("json"))
    settings = {setting["name"]: setting for setting in known["settings"]}
    assert {name for name, setting in settings.items() if setting["required"]} == {"start_date"}
    assert {name for name, setting in settings.items() if setting["secret"]} == {
        "api_key",
        "client_secret",
        "refresh_token",
        "hash_salt",
    }
    assert settings["page_size"]["default"] == 1000
    assert {"catalog", "discover", "state"} <= set(known["capabilities"])


def test_json_streams() -> None:
    """The JSON format has every stream in registry order."""
    names = [stream["name"] for stream in json.loads(about("json"))["streams"]]
    assert names == [stream.name for stream in STREAMS]


def test_markdown_tables() -> None:
    """The rows of each Markdown table have as many cells as its header."""
    rows = [line for line in about("markdown").splitlines() if line.startswith("|")]
    headers = 1 + len(AREAS)
    assert len(rows) == len(SETTINGS) + len(STREAMS) + 2 * headers
    assert {row.count("|") for row in rows} == {4, 5}


def _lines(monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    return about("text").splitlines()


@pytest.mark.parametrize(("columns", "longest"), [(20, 80), (80, 80), (90, 90), (300, 100)])
def test_text_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, longest: int
) -> None:
    """Lines are as wide as the terminal, between 80 and 100 columns."""
    lengths = [len(line) for line in _lines(monkeypatch, columns)]
    assert longest - 10 < max(lengths) <= longest


def test_text_marks_default_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A star marks exactly the streams that are selected by default."""
    marked = {line.split()[1] for line in _lines(monkeypatch, 100) if line.startswith("* ")}
    assert marked == {stream.name for stream in STREAMS if stream.selected_by_default}


def test_text_shows_replication_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream is shown as incremental, full table or either."""
    lines = {line[2:].split()[0]: line for line in _lines(monkeypatch, 100) if line[2:].split()}
    assert "incremental" in lines["open"]
    assert "full table" in lines["lists"]
    assert "either way" in lines["list_members"]
    assert "either way" in lines["profiles"]
