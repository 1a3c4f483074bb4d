"""The revisions of Klaviyo's API: what each offers, how it is chosen, and when it ends."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tap_klaviyo import CatalogError, ConfigError, Tap
from tap_klaviyo.about.metadata import tap_metadata
from tap_klaviyo.cli import main
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.discovery.selection import has_metric_ids
from tap_klaviyo.streams import (
    DEFAULT_STREAMS,
    REGISTRIES,
    STREAMS,
    Registry,
    parent_of,
    registry_of,
    revision_warning,
)

LATER = "2026-10-15"
SETTINGS = {"api_key": "pk_test", "start_date": "2026-01-01"}
DAY = timedelta(days=1)

Configure = Callable[..., Config]

each_registry = pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)


def catalog_with(name: str) -> dict[str, Any]:
    """A catalog of the later revision that selects one stream."""
    entries = build_catalog(REGISTRIES[LATER].streams)["streams"]
    entry = next(entry for entry in entries if entry["stream"] == name)
    selected = {"breadcrumb": [], "metadata": {"selected": True}}
    return {"streams": [{**entry, "metadata": [*entry["metadata"], selected]}]}


@each_registry
def test_every_stream_is_well_formed(registry: Registry) -> None:
    """Names are unique, parents exist, and the keys are in the schema."""
    names = [stream.name for stream in registry.streams]
    assert len(names) == len({*names})
    for stream in registry.streams:
        assert stream.revision == registry.revision
        assert {*stream.automatic} <= schema_of(stream)["properties"].keys()
        assert (parent_of(stream) is None) == (stream.parent is None)


def test_the_later_revision_offers_all_streams() -> None:
    """No stream is lost, those selected by default are the same, and keys and methods stay."""
    later = REGISTRIES[LATER]
    assert {stream.name for stream in STREAMS} <= {stream.name for stream in later.streams}
    default = [stream.name for stream in later.streams if stream.selected_by_default]
    assert default == [stream.name for stream in DEFAULT_STREAMS]
    for stream in STREAMS:
        after = later.by_name[stream.name]
        assert after.keys == stream.keys
        assert after.replication_methods == stream.replication_methods
        assert after.replication_key == stream.replication_key


def test_events_and_reports_do_not_depend_on_the_revision() -> None:
    """The rows of event streams and of reports are the same under each revision."""
    for stream in STREAMS:
        if stream.metrics or stream.report:
            after = REGISTRIES[LATER].by_name[stream.name]
            assert replace(after, revision=stream.revision) == stream


def test_the_later_revision_keeps_all_columns() -> None:
    """Every column of a stream is there with its type; more may follow."""

    def types(schema: Any, path: str = "") -> dict[str, Any]:
        found = {}
        for name, child in schema.get("properties", {}).items():
            found[f"{path}.{name}"] = (child["type"], child.get("format"))
            found |= types(child, f"{path}.{name}") | types(
                child.get("items", {}), f"{path}.{name}[]"
            )
        return found

    for stream in STREAMS:
        before, after = (
            types(schema_of(stream)),
            types(schema_of(REGISTRIES[LATER].by_name[stream.name])),
        )
        assert before.items() <= after.items(), stream.name
        assert [name for name in after if name in before] == [*before], stream.name


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        ("2026-07-15", "2026-07-15"),
        ("2026-10-15", "2026-10-15"),
        ("2025-10-15", "2026-07-15"),
        ("2026-07-15.pre", "2026-07-15"),
        ("2026-10-15.pre", "2026-10-15"),
        ("2027-01-15", "2026-10-15"),
    ],
)
def test_a_registry_for_every_revision(configure: Configure, revision: str, expected: str) -> None:
    """Another revision is read like the latest that is not later, else like the oldest."""
    assert registry_of(revision).revision == expected
    config = configure(revision=revision)
    assert config.revision == revision
    assert config.streams == REGISTRIES[expected].streams


@pytest.mark.parametrize(
    ("revision", "day", "words"),
    [
        ("2026-07-15", "2026-11-27", ""),
        ("2026-07-15", "2028-04-15", ""),
        ("2026-07-15", "2028-04-16", "ends revision 2026-07-15 on 2028-07-15. Set 'revision' to"),
        ("2026-07-15", "2029-01-01", "ends revision 2026-07-15 on 2028-07-15. Set 'revision' to"),
        ("2026-10-15", "2028-07-16", ""),
        ("2026-10-15", "2028-07-17", "ends revision 2026-10-15 on 2028-10-15. Update this tap."),
        ("2025-10-15", "2026-11-27", "not for 2025-10-15: it is read like 2026-07-15"),
        ("2027-01-15", "2028-10-01", "not for 2027-01-15: it is read like 2026-10-15"),
    ],
)
def test_warning(revision: str, day: str, words: str) -> None:
    """A warning comes 90 days before the end of life, and for a revision that is unknown."""
    warning = revision_warning(revision, date.fromisoformat(day))
    assert words in warning
    assert bool(words) == bool(warning)


@each_registry
def test_end_of_life(registry: Registry) -> None:
    """Klaviyo supports a revision for two years."""
    began = date.fromisoformat(registry.revision)
    assert registry.ends == began.replace(year=began.year + 2)


@pytest.mark.parametrize(
    ("revision", "days_left", "words"),
    [
        ("2026-07-15", 91, ""),
        ("2026-07-15", 90, "ends revision 2026-07-15"),
        ("2026-10-15", 91, ""),
        ("2026-10-15", 90, "ends revision 2026-10-15"),
        ("2026-04-15", 91, "not for 2026-04-15"),
    ],
)
@pytest.mark.parametrize("use", [Tap.check, lambda tap: tap.sync(len)], ids=["check", "sync"])
def test_a_use_warns_once(
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    use: Callable[[Tap], object],
    revision: str,
    days_left: int,
    words: str,
) -> None:
    """A check and a run log one warning about the revision, by the clock of the machine."""
    day = registry_of(revision).ends - days_left * DAY
    moment = datetime(day.year, day.month, day.day, 23, 59, tzinfo=timezone.utc).timestamp()
    caplog.set_level(logging.WARNING)
    tap = Tap({**settings, "revision": revision}, select="lists")
    with monkeypatch.context() as patched:
        patched.setattr("tap_klaviyo.tap.time.time", lambda: moment)
        use(tap)
    warnings = [r.getMessage() for r in caplog.records if "revision" in r.getMessage()]
    assert len(warnings) == bool(words)
    assert words in "".join(warnings)


def test_a_stream_that_another_revision_has() -> None:
    """A catalog that selects it is refused before any request, with the revision that has it."""
    catalog = catalog_with("translations")
    assert not has_metric_ids(catalog)
    with pytest.raises(CatalogError, match=r"'translations' .* only revision 2026-10-15 .* has it"):
        Tap(SETTINGS, catalog)
    Tap({**SETTINGS, "revision": LATER}, catalog)


def test_a_catalog_of_the_later_revision_is_good_for_the_default_one() -> None:
    """What it does not select is passed over."""
    Tap(SETTINGS, build_catalog(REGISTRIES[LATER].streams))
    Tap({**SETTINGS, "revision": LATER}, build_catalog(STREAMS))


def test_discover(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """--discover prints the catalog of the revision, with or without a config file."""
    assert main(["--discover"]) == 0
    assert json.loads(capfd.readouterr().out) == build_catalog()
    monkeypatch.setenv("TAP_KLAVIYO_REVISION", LATER)
    assert main(["--discover"]) == 0
    assert json.loads(capfd.readouterr().out) == build_catalog(REGISTRIES[LATER].streams)


def test_about(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """--about describes the streams of the revision in the config file, with their scopes."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"revision": LATER}))
    assert main(["--about", "--format", "json", "--config", str(config)]) == 0
    known = {one["name"]: one for one in json.loads(capfd.readouterr().out)["streams"]}
    assert known == {one["name"]: one for one in tap_metadata(REGISTRIES[LATER])["streams"]}
    assert known["brand_logos"]["scopes"] == ["brands:read", "images:read"]
    assert known["brand_voice"]["scopes"] == ["accounts:read", "brands:read"]
    assert known["billing_usage"]["key_properties"] == ["id", "period_start"]
    assert known["campaign_messages"]["parent"] is None
    assert known["campaign_variations"]["parent"] == {
        "stream": "campaign_messages",
        "property": "campaign_message_id",
        "updated": "campaign_messages.updated_at",
    }
    assert main(["--about", "--format", "json"]) == 0
    default = [one["name"] for one in json.loads(capfd.readouterr().out)["streams"]]
    assert default == [stream.name for stream in STREAMS]


def test_names_of_metric_streams() -> None:
    """A name is refused only by a revision that has such a stream."""
    own = {"metric_streams": {"translations": "Placed Order"}}
    parse_config({**SETTINGS, **own})
    for use in (parse_config, lambda settings: Tap(settings).discover()):
        with pytest.raises(ConfigError, match="2026-10-15 has a stream 'translations'"):
            use({**SETTINGS, **own, "revision": LATER})


def test_discover_refuses_a_name_that_is_taken(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """--discover without a key refuses it too."""
    monkeypatch.setenv("TAP_KLAVIYO_REVISION", LATER)
    monkeypatch.setenv("TAP_KLAVIYO_METRIC_STREAMS", '{"translations": "Placed Order"}')
    assert main(["--discover"]) != 0
    assert not capfd.readouterr().out


def test_intervals_of_streams_of_either_revision(configure: Configure) -> None:
    """full_table_interval takes the names of all revisions, so one config is good for both."""
    for revision in REGISTRIES:
        configure(revision=revision, full_table_interval={"campaign_variations": "P1D"})
