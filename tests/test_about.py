"""What the tap says about itself."""

from __future__ import annotations

import json

import pytest

from tap_klaviyo import __version__
from tap_klaviyo.about import about
from tap_klaviyo.config import SETTINGS
from tap_klaviyo.streams import STREAMS


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_complete(form: str) -> None:
    """Every form names the version, each setting and each stream."""
    text = about(form)
    for name in (
        __version__,
        *(setting.name for setting in SETTINGS),
        *(stream.name for stream in STREAMS),
    ):
        assert name in text


def test_json() -> None:
    """The JSON form tells machines what is required, secret, and needed for each stream."""
    known = json.loads(about("json"))
    settings = {setting["name"]: setting for setting in known["settings"]}
    assert {name for name, setting in settings.items() if setting["required"]} == {
        "api_key",
        "start_date",
    }
    assert {name for name, setting in settings.items() if setting["secret"]} == {"api_key"}
    assert settings["page_size"]["default"] == 1000
    streams = {stream["name"]: stream for stream in known["streams"]}
    assert len(streams) == len(STREAMS)
    assert streams["open"]["replication_key"] == "timestamp"
    assert streams["open"]["scopes"] == ["events:read", "metrics:read", "profiles:read"]
    assert streams["lists"]["replication_method"] == "FULL_TABLE"
    assert {"catalog", "discover", "state"} <= set(known["capabilities"])


def test_markdown_tables() -> None:
    """The Markdown form is made of tables whose rows have as many cells as their heads."""
    rows = [line for line in about("markdown").splitlines() if line.startswith("|")]
    assert len(rows) == len(SETTINGS) + len(STREAMS) + 4
    assert {row.count("|") for row in rows} == {4, 5}
