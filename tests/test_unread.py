"""What Klaviyo sends and no stream reads is left out and counted, by each page, for all streams."""

from __future__ import annotations

import copy
import functools
import json
from typing import Any

import pytest

from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import read_catalog
from tap_klaviyo.records.page_parser import Page, PageParser
from tap_klaviyo.streams import DEFAULT, REGISTRIES, Registry
from tap_klaviyo.streams.model import Stream
from tap_klaviyo.streams.relationships import RELATIONSHIPS

Document = dict[str, Any]

KEYS: dict[str, Document] = {
    "global_exclusions": {"email": "jo@example.com"},
    "billing_usage": {"period_start": "2026-10-01T00:00:00+00:00"},
}
RESOURCES = [
    (registry, stream)
    for registry in REGISTRIES.values()
    for stream in registry.streams
    if not (stream.report or stream.rows or stream.single or stream.is_reshaped)
]
SPACES = [(",", ":"), (", ", ": ")]
"""Without spaces a page takes the fast path; one that is pretty-printed is converted."""

each_stream = pytest.mark.parametrize(
    ("registry", "stream"),
    RESOURCES,
    ids=[f"{registry.revision} {stream.name}" for registry, stream in RESOURCES],
)
each_path = pytest.mark.parametrize("separators", SPACES, ids=["fast", "converted"])


def page_of(stream: Stream, count: int = 3) -> Document:
    """A page of some resources that fits."""
    attributes = KEYS.get(stream.name, {})
    return {
        "data": [
            {
                "type": stream.type,
                "id": f"01{n}",
                "attributes": dict(attributes),
                "relationships": {},
            }
            for n in range(count)
        ],
        "included": [],
    }


def parse(parser: PageParser, document: Document, separators: Any) -> Page:
    """Parses a page that is written with these separators."""
    return parser.parse(json.dumps(document, separators=separators).encode(), "01P")


@functools.cache
def entries(revision: str) -> dict[str, Document]:
    """The catalog entries by the name of their stream, with everything selected."""
    found = copy.deepcopy(build_catalog(REGISTRIES[revision].streams)["streams"])
    for entry in found:
        for item in entry["metadata"]:
            item["metadata"]["selected"] = True
    return {entry["tap_stream_id"]: entry for entry in found}


def parser_of(registry: Registry, stream: Stream) -> PageParser:
    """The parser of a stream of which everything is selected."""
    entry = entries(registry.revision)[stream.name]
    return PageParser(read_catalog({"streams": [entry]}, streams=registry.streams)[0])


def check(
    registry: Registry, stream: Stream, document: Document, separators: Any, text: str
) -> None:
    """Each of two pages is counted with the same text, and has the records of a usual page."""
    usual = parser_of(registry, stream)
    expected = usual.encode(parse(usual, page_of(stream), separators).records, "")
    parser = parser_of(registry, stream)
    for _ in range(2):
        page = parse(parser, document, separators)
        assert page.warnings == {text: 2}
        assert parser.encode(page.records, "") == expected


@each_path
@each_stream
def test_an_attribute_that_was_not_requested(
    registry: Registry, stream: Stream, separators: Any
) -> None:
    """An attribute of a resource that no schema describes is counted."""
    document = page_of(stream)
    for resource in document["data"][1:]:
        resource["attributes"]["weather"] = {"wind": [1]}
    check(registry, stream, document, separators, "weather: not in the schema, left out")


@each_path
@each_stream
def test_an_unknown_relationship(registry: Registry, stream: Stream, separators: Any) -> None:
    """A relationship that Klaviyo's API reference does not name is counted."""
    document = page_of(stream)
    for resource in document["data"][1:]:
        resource["relationships"]["badges"] = {"data": [{"type": "badge", "id": "1"}]}
    text = f"relationship badges of {stream.type}: unknown, left out"
    check(registry, stream, document, separators, text)


@each_path
@each_stream
def test_included_resources_of_an_unknown_type(
    registry: Registry, stream: Stream, separators: Any
) -> None:
    """Included resources of a type that was not requested are counted."""
    document = page_of(stream)
    document["included"] = [{"type": "badge", "id": str(n), "attributes": {}} for n in range(2)]
    check(registry, stream, document, separators, "included badge: unknown, left out")


@each_stream
def test_known_relationships_are_ignored(registry: Registry, stream: Stream) -> None:
    """Relationships that Klaviyo gives without being asked are no news."""
    document = page_of(stream)
    for resource in document["data"]:
        resource["relationships"] = {
            name: {"links": {"self": "https://a.klaviyo.com", "related": "https://a.klaviyo.com"}}
            for name in RELATIONSHIPS[stream.type]
        }
    page = parse(parser_of(registry, stream), document, SPACES[0])
    assert len(page.records) == 3
    assert not page.warnings
    assert not page.converted


@pytest.mark.parametrize("registry", REGISTRIES.values(), ids=REGISTRIES)
def test_the_relationships_of_every_type_are_known(registry: Registry) -> None:
    """The table names each relationship that a stream reads."""
    for stream in registry.streams:
        if not stream.report:
            assert {one.name for one in stream.relationships} <= RELATIONSHIPS[stream.type]
            assert {one.type for one in stream.relationships} <= RELATIONSHIPS.keys()


def test_many_unknown_names_are_counted_together() -> None:
    """A page with thousands of unknown names gives a few warnings."""
    registry, stream = DEFAULT, DEFAULT.by_name["lists"]
    document = page_of(stream)
    document["data"][0]["attributes"] = {f"unknown_{n}": n for n in range(5_000)}
    parser = parser_of(registry, stream)
    for _ in range(2):
        page = parse(parser, document, SPACES[0])
        assert len(page.records) == 3
        assert sum(page.warnings.values()) == 5_000
        assert len(page.warnings) < 50


@pytest.mark.parametrize(
    "names", [["1x"], [""], ["."], ["tag s", "a.b"], ["flow_triggers"], ["x-y", "x_y"]], ids=str
)
def test_relationships_of_any_name(names: list[str]) -> None:
    """An unknown relationship may have a name like no other, or almost that of a known one."""
    registry, stream = DEFAULT, DEFAULT.by_name["lists"]
    document = page_of(stream)
    tag = {"type": "tag", "id": "T1"}
    for resource in document["data"]:
        unknown = {name: {"data": None} for name in names}
        resource["relationships"] = {"tags": {"data": [tag]}, **unknown}
    document["included"] = [{**tag, "attributes": {"name": "Summer"}}]
    parser = parser_of(registry, stream)
    for _ in range(3):
        page = parse(parser, document, SPACES[0])
        assert sum(page.warnings.values()) == 3 * len(names)
        for line in parser.encode(page.records, "").splitlines():
            assert json.loads(line)["record"]["tags"][0]["name"] == "Summer"
    assert not page.converted or "" in names
