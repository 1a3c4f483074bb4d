"""Values of a catalog that say nothing are refused or named, so that no selection is lost."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import SelectedStream, has_metric_ids, read_catalog
from tap_klaviyo.errors import CatalogError


def entry(name: str, *metadata: Any, **changes: Any) -> dict[str, Any]:
    """An entry of the tap's own catalog with more metadata."""
    found = next(one for one in build_catalog()["streams"] if one["stream"] == name)
    copied: dict[str, Any] = copy.deepcopy(found)
    copied["metadata"] += metadata
    return {**copied, **changes}


def item(breadcrumb: Any, **metadata: Any) -> dict[str, Any]:
    """An item of metadata."""
    return {"breadcrumb": breadcrumb, "metadata": metadata}


def selected(*entries: dict[str, Any]) -> list[SelectedStream]:
    """What a catalog with these entries selects."""
    return read_catalog({"streams": list(entries)})


NO_BOOLEANS = ["yes", "", 1, 0, [True], {"value": True}]


@pytest.mark.parametrize("value", NO_BOOLEANS)
@pytest.mark.parametrize("key", ["selected", "selected-by-default"])
@pytest.mark.parametrize("breadcrumb", [[], ["properties", "email"]], ids=["stream", "field"])
def test_a_selection_that_is_no_boolean(breadcrumb: list[str], key: str, value: Any) -> None:
    """It is an error that names the stream and the value: a default could be the wrong one."""
    odd = entry("profiles", item(breadcrumb, **{key: value}))
    with pytest.raises(CatalogError) as caught:
        selected(odd)
    assert f"'{key}' of stream 'profiles'" in str(caught.value)
    assert "must be true or false" in str(caught.value)


@pytest.mark.parametrize("value", NO_BOOLEANS)
@pytest.mark.parametrize("place", ["entry", "schema"])
def test_a_selection_outside_of_the_metadata_that_is_no_boolean(place: str, value: Any) -> None:
    """What old catalogs say on an entry, or in its schema, is checked in the same way."""
    odd = entry("profiles")
    (odd if place == "entry" else odd["schema"])["selected"] = value
    with pytest.raises(CatalogError, match="'selected' of stream 'profiles' must be"):
        selected(odd)


@pytest.mark.parametrize(("text", "count"), [("true", 1), ("True", 1), ("false", 0), ("FALSE", 0)])
def test_a_selection_in_text(text: str, count: int) -> None:
    """The texts "true" and "false" are booleans, for a stream, a field, and outside of metadata."""
    assert len(selected(entry("lists", item([], selected=text)))) == count
    odd = entry("lists")
    odd["selected"] = text
    assert len(selected(odd)) == count
    (chosen,) = selected(
        entry("lists", item([], selected=True), item(["properties", "name"], selected=text))
    )
    assert ("name" in chosen.schema["properties"]) is bool(count)


def test_a_selection_that_is_null() -> None:
    """Null is the same as an absent key."""
    for key in ("selected", "selected-by-default"):
        assert selected(entry("lists", item([], **{key: None})))
    assert selected(entry("open", item(["properties", "id"], selected=None), selected=None))


@pytest.mark.parametrize(
    "breadcrumb", ["", "properties", {}, {"properties": "id"}, 0, 1, [1], [[]]]
)
def test_a_breadcrumb_that_is_no_place(breadcrumb: Any) -> None:
    """It is an error: what it selects would be lost, or be taken for the whole stream."""
    odd = entry("lists", item(breadcrumb, selected=True))
    with pytest.raises(CatalogError, match="the metadata of stream 'lists' cannot be read"):
        selected(odd)


@pytest.mark.parametrize("odd", [item([], selected="yes"), item("", selected=True)])
def test_a_metric_id_with_an_odd_selection(odd: Any) -> None:
    """The same holds in catalogs of singer-io's tap, before a request is made."""
    document = {"streams": [entry("open", odd, tap_stream_id="Mt1", stream="opened")]}
    with pytest.raises(CatalogError, match="opened"):
        has_metric_ids(document)


@pytest.mark.parametrize("name", ["datetime", "shoe_size"], ids=["of the tap", "unknown"])
def test_a_selected_field_that_the_schema_lacks(
    caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """It is not read, and one warning names all such fields."""
    places = [item(["properties", one], selected=True) for one in ("id", name, "x\ny")]
    odd = entry("open", *places)
    odd["schema"]["properties"].pop(name, None)
    (chosen,) = selected(odd)
    assert name not in chosen.schema["properties"]
    (record,) = caplog.records
    assert "selected but not read" in record.message
    assert f"open.{name}" in record.message
    assert "open.id" not in record.message


def test_a_selected_object_without_selected_fields(caplog: pytest.LogCaptureFixture) -> None:
    """It is left out, and the warning names it."""
    inner = [
        item([*place["breadcrumb"]], selected=False)
        for place in entry("profiles")["metadata"]
        if place["breadcrumb"][:2] == ["properties", "location"] and len(place["breadcrumb"]) > 2
    ]
    outer = item(["properties", "location"], selected=True)
    selected(entry("profiles", item([], selected=True), outer, *inner))
    (record,) = caplog.records
    assert "profiles.location" in record.message
