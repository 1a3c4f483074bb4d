"""Names, fields and types of a catalog that cannot be had as they are written."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import SelectedStream, read_catalog
from tap_klaviyo.errors import CatalogError


def entry(name: str, **changes: Any) -> dict[str, Any]:
    """A selected entry of the tap's own catalog."""
    found = next(one for one in build_catalog()["streams"] if one["stream"] == name)
    copied: dict[str, Any] = {**copy.deepcopy(found), **changes}
    copied["metadata"][0]["metadata"]["selected"] = True
    return copied


def deselect(entry: dict[str, Any], *path: str) -> dict[str, Any]:
    """Deselects the property at a path of names, which need not exist."""
    breadcrumb = [step for name in path for step in ("properties", name)]
    entry["metadata"].append({"breadcrumb": breadcrumb, "metadata": {"selected": False}})
    return entry


def selected(*entries: dict[str, Any]) -> list[SelectedStream]:
    """What a catalog with these entries selects."""
    return read_catalog({"streams": list(entries)})


@pytest.mark.parametrize(
    ("first", "second"),
    [("opens", "opens"), ("opens", "Opens"), ("opened-email", "opened_email"), ("click", "click")],
)
def test_two_streams_with_one_table(first: str, second: str) -> None:
    """It is an error that names both streams, since SQL targets would mix their rows."""
    with pytest.raises(CatalogError) as caught:
        selected(entry("open", stream=first), entry("lists"), entry("click", stream=second))
    message = str(caught.value)
    assert message.startswith("catalog: streams 'open' and 'click' would be written to one table")
    assert repr(first) in message
    assert repr(second) in message


def test_two_streams_of_which_one_is_deselected() -> None:
    """Only selected streams have a table."""
    other = entry("click", stream="opens")
    other["metadata"][0]["metadata"]["selected"] = False
    assert [one.name for one in selected(entry("open", stream="opens"), other)] == ["opens"]


@pytest.mark.parametrize(
    ("name", "meant"), [("recieve", "receive"), ("Opens", "open"), ("what_is_this", None)]
)
def test_an_unknown_stream(name: str, meant: str | None) -> None:
    """The error suggests the stream that is most like it."""
    with pytest.raises(CatalogError) as caught:
        selected(entry("lists", tap_stream_id=name, stream=name))
    hint = f" (did you mean '{meant}'?)" if meant else ""
    assert f"'{name}' is selected but this tap has no such stream{hint};" in str(caught.value)


def test_an_unknown_field() -> None:
    """A field that is selected and does not exist is an error with what may be meant."""
    odd = entry("open")
    odd["schema"]["properties"]["profil"] = {"type": "string"}
    odd["metadata"].append({"breadcrumb": ["properties", "profil"], "metadata": {"selected": True}})
    with pytest.raises(CatalogError, match=r"does not exist \(did you mean 'profile'\?\);"):
        selected(odd)


def test_misspelt_fields_that_are_deselected(caplog: pytest.LogCaptureFixture) -> None:
    """One warning names them: what was meant is read, personal data for example."""
    odd = deselect(deselect(entry("open"), "profil"), "event_properties")
    lists = deselect(entry("lists", stream="my_lists"), "folder")
    (profiles,) = selected(deselect(entry("profiles"), "location", "citty"))
    assert "city" in profiles.schema["properties"]["location"]["properties"]
    selected(odd, lists)
    texts = [record.message.split("exist: ")[1].split(". C")[0] for record in caplog.records]
    assert texts == [
        "'profiles.location.citty' (did you mean 'location.city'?)",
        "'open.profil' (did you mean 'profile'?), 'my_lists.folder'",
    ]


CHANGES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "text for a number": ("timestamp", {"type": ["null", "string"]}, True),
    "a single type": ("timestamp", {"type": "number"}, True),
    "no null any more": ("event_properties", {"type": "object"}, True),
    "null as well": ("id", {"type": ["null", "string"]}, False),
    "another order": ("uuid", {"type": ["string", "null"]}, False),
    "one more type": ("uuid", {"type": ["null", "string", "integer"]}, True),
    "a format": ("uuid", {"format": "uuid"}, True),
    "no format any more": ("datetime", {"type": ["null", "string"], "format": None}, True),
    "a length": ("uuid", {"maxLength": 36}, True),
    "alternatives": ("uuid", {"anyOf": [{"type": "string"}]}, True),
    "a title": ("uuid", {"title": "UUID", "description": "An ID.", "selected": True}, False),
    "nothing": ("uuid", {}, False),
}


@pytest.mark.parametrize(("field", "change", "warned"), CHANGES.values(), ids=CHANGES.keys())
def test_types_that_a_catalog_changes(
    caplog: pytest.LogCaptureFixture, field: str, change: dict[str, Any], warned: bool
) -> None:
    """The tap writes its own types, and one warning names the fields."""
    changed = entry("open", stream="opened")
    changed["schema"]["properties"][field] |= change
    (own,) = selected(entry("open"))
    assert selected(changed)[0].schema == own.schema
    messages = [record.message for record in caplog.records]
    assert len(messages) == warned
    assert all(f"those of the tap: 'opened.{field}'." in message for message in messages)


def test_types_of_nested_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Fields of objects and of arrays are compared, too; one warning is for all streams."""
    events, profiles = entry("open"), entry("profiles")
    embedded = events["schema"]["properties"]["profile"]["items"]["properties"]
    embedded["location"]["properties"]["city"]["type"] = "string"
    profiles["schema"]["properties"]["location"]["properties"]["latitude"] = {"type": "string"}
    profiles["schema"]["properties"]["location"]["properties"]["city"] = {}
    selected(events, profiles)
    (record,) = caplog.records
    assert "'open.profile.location.city', 'profiles.location.latitude'." in record.message


def test_types_of_fields_that_are_not_read(caplog: pytest.LogCaptureFixture) -> None:
    """A deselected field is not named, nor a key of the tap that the catalog does not have."""
    lists = entry("lists")
    lists["schema"]["properties"]["name"]["type"] = "integer"
    selected(deselect(lists, "name"), entry("global_exclusions", key_properties=["id"]))
    assert not caplog.records


def test_the_catalog_of_the_tap_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The catalog that --discover writes is taken without a warning."""
    selected(*(entry(one["stream"]) for one in build_catalog()["streams"]))
    assert not caplog.records
