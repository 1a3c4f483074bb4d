"""The date of a parent: requested and parsed for the run, whether it is selected or not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tap_klaviyo.discovery.selection import SelectedStream, hidden_parent
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.records.page_parser import PageParser
from tap_klaviyo.streams import BY_NAME, STREAMS, dated_parent

JAN = 1767225600  # 2026-01-01T00:00:00Z

PARENTS = {"metrics": "updated", "flows": "updated", "campaigns": "updated_at"}
"""Streams with the attribute that holds their date; pages of campaigns are always converted."""

DATES: list[tuple[Any, int | None]] = [
    ("2026-01-01T00:00:00Z", JAN),
    ("2026-01-01T00:00:00+00:00", JAN),
    ("2026-01-01T00:00:00.123456+00:00", JAN),
    ("2026-01-01T01:00:00+01:00", JAN),
    ("2026-01-01 00:00:00+00:00", JAN),
    ("2026-01-01", JAN),
    (None, None),
    ("soon", None),
    (12, None),
    ({}, None),
]


def hidden(name: str) -> SelectedStream:
    """A parent that is read for its IDs and dates only."""
    return replace(hidden_parent(BY_NAME[name]), updated=PARENTS[name])


def page(name: str, date: Any) -> bytes:
    """A page of two resources: one with the date, one without any."""
    attributes = ({PARENTS[name]: date, "name": "A"}, {})
    data = [
        {"type": BY_NAME[name].type, "id": f"P{i}", "attributes": given, "relationships": {}}
        for i, given in enumerate(attributes)
    ]
    return json.dumps({"data": data, "links": {"next": None}}).encode()


@pytest.mark.parametrize("name", PARENTS)
@pytest.mark.parametrize(("date", "seconds"), DATES)
def test_the_date_is_parsed(name: str, date: Any, seconds: int | None) -> None:
    """Each resource has its date in Unix seconds, None if there is none that can be read."""
    parsed = PageParser(hidden(name)).parse(page(name, date))
    assert (parsed.ids, parsed.updated) == (["P0", "P1"], [seconds, None])


@pytest.mark.parametrize("name", PARENTS)
def test_the_date_is_not_written(name: str) -> None:
    """A record has only what is selected."""
    parser = PageParser(hidden(name))
    records = parser.parse(page(name, "2026-01-01T00:00:00Z")).records
    lines = parser.encode(records, "2026-01-01T00:00:00Z").splitlines()
    assert [json.loads(line)["record"] for line in lines] == [{"id": "P0"}, {"id": "P1"}]


@pytest.mark.parametrize("name", PARENTS)
def test_only_the_date_is_requested(name: str) -> None:
    """Of a parent that is not selected, the fieldset is the date, else the ID."""
    stream, selected = BY_NAME[name], hidden(name)
    fieldset = f"fields[{stream.type}]"
    assert (
        query_for(stream, selected.schema, selected.updated).parameters[fieldset] == (PARENTS[name])
    )
    assert query_for(stream, selected.schema).parameters[fieldset] == "id"


def test_without_a_need_no_date_is_parsed() -> None:
    """Streams without such children have no dates."""
    parsed = PageParser(hidden_parent(BY_NAME["flows"])).parse(page("flows", "2026-01-01"))
    assert parsed.updated == []


@pytest.mark.parametrize("name", [stream.name for stream in STREAMS if dated_parent(stream)])
def test_the_date_is_a_property_of_the_parent(name: str, select: Any) -> None:
    """The registry names a date that the parent's schema has."""
    parent = dated_parent(BY_NAME[name])
    assert parent is not None
    assert select(parent.stream).schema["properties"][parent.updated]["format"] == "date-time"
