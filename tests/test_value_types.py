"""Values that Klaviyo sends as numbers or text have one type in records."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.page_parser import PageParser

Select = Callable[..., SelectedStream]

COORDINATES: list[tuple[Any, float | None]] = [
    (40.7, 40.7),
    (-74, -74),
    ("40.7", 40.7),
    ("-74", -74),
    (" 40.7 ", 40.7),
    (None, None),
    ("", None),
    ("N/A", None),
    ("40,7", None),
    ("40.7° N", None),
    ("1e999", None),
    ("NaN", None),
    ("40.7]", None),
    (True, None),
    ([40.7], None),
]
NO_NUMBER = "location.{}: does not fit the type null/number, null written"


@pytest.mark.parametrize("field", ["latitude", "longitude"])
@pytest.mark.parametrize(("value", "expected"), COORDINATES, ids=str)
def test_coordinates(select: Select, field: str, value: Any, expected: float | None) -> None:
    """A coordinate is a number: one in text is read, any other text is null with a warning.

    That holds for a profile and for one that an event embeds, whatever the pages before had.
    """
    profile = {"type": "profile", "id": "P1", "attributes": {"location": {field: value}}}
    other = {**profile, "id": "P2", "attributes": {"location": {field: "1.5"}}}
    missing = {**profile, "id": "P3", "attributes": {"location": None}}
    profiles, related = [profile, other, missing], {"profile": {"data": {"id": "P1"}}}
    pages = {
        "profiles": {"data": profiles},
        "open": {"data": [{"id": "E1", "relationships": related}], "included": profiles},
    }
    for name, document in pages.items():
        parser = PageParser(select(name))
        for _ in range(3):
            page = parser.parse(json.dumps(document, separators=(",", ":")).encode())
            record = json.loads(parser.encode(page.records, "").splitlines()[0])["record"]
            found = (record["profile"][0] if name == "open" else record)["location"][field]
            assert found == expected
            assert type(found) in (int, float, type(None))
            lost = value is not None and expected is None
            assert page.warnings == ({NO_NUMBER.format(field): 1} if lost else {})


def test_coordinates_in_text_take_the_fast_path(select: Select) -> None:
    """Pages whose first coordinates are numbers in text are not converted."""
    parser = PageParser(select("profiles"))

    def page(*latitudes: Any) -> bytes:
        profiles = [
            {"type": "profile", "id": f"P{at}", "attributes": {"location": {"latitude": latitude}}}
            for at, latitude in enumerate(latitudes)
        ]
        return json.dumps({"data": profiles}, separators=(",", ":")).encode()

    assert not parser.parse(page("1.5")).converted
    fast = parser.parse(page("1.5", None, 2, "-3"))
    assert not fast.converted
    records = [json.loads(line)["record"] for line in parser.encode(fast.records, "").splitlines()]
    assert [record["location"]["latitude"] for record in records] == [1.5, None, 2, -3]
    slow = parser.parse(page("1,5", ""))
    assert slow.converted
    assert slow.warnings == {NO_NUMBER.format("latitude"): 2}


def test_sample_values(select: Select) -> None:
    """Sample values of any type are text."""
    values = ["a", 1, 1.5, True, None, ["b"], {"c": 2}]
    attributes = {"sample_values": values}
    parser = PageParser(select("metric_properties"))
    page = parser.parse(json.dumps({"data": [{"id": "M1", "attributes": attributes}]}).encode())
    record = json.loads(parser.encode(page.records, ""))["record"]
    assert record["sample_values"] == ["a", "1", "1.5", "true", None, '["b"]', '{"c":2}']
    assert not page.warnings
