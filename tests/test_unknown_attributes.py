"""Attributes that Klaviyo sends and no schema describes are kept, or counted in a warning."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema
import pytest

from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.page_parser import LEARNED_FROM, Page, PageParser
from tap_klaviyo.records.unknown_attributes import MOST_UNKNOWN
from tap_klaviyo.streams import STREAMS
from tap_klaviyo.streams.model import Stream

Select = Callable[..., SelectedStream]
Document = dict[str, Any]
Path = tuple[str, ...]

NEW = "new attribute"
VALUES: list[Any] = ["text", 1.5, True, None, [1, None], {"a": {"b": "ü"}}]
SPACES = [(",", ":"), (", ", ": ")]
"""Without spaces a page takes the fast path; one that is pretty-printed is converted."""


def described_objects(schema: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """The paths of all nested objects that have properties; "" stands for an array's elements."""
    if "items" in schema:
        yield from described_objects(schema["items"], (*path, ""))
        return
    if path and schema.get("properties"):
        yield path
    for name, child in schema.get("properties", {}).items():
        yield from described_objects(child, (*path, name))


def at(path: Path, value: Any) -> Any:
    """A value within objects and arrays of one element."""
    for step in reversed(path):
        value = {step: value} if step else [value]
    return value


OBJECTS = [
    pytest.param(stream, path, id=f"{stream.name}: {'.'.join(path)}")
    for stream in STREAMS
    if not stream.report
    for path in described_objects(schema_of(stream))
]


def merged(one: Any, other: Any) -> Any:
    """One document with what another one adds to it."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            name: merged(one[name], other[name])
            if name in one and name in other
            else one.get(name, other.get(name))
            for name in {**one, **other}
        }
    return one


KEYS: dict[str, Document] = {"global_exclusions": {"email": "jo@example.com"}}


def page_with(stream: Stream, path: Path, value: Any) -> Document:
    """A page with one resource, in which the object at a path of the record is ``value``."""
    item: Document = {"type": stream.type, "id": "01A", "attributes": KEYS.get(stream.name, {})}
    for relationship in stream.relationships:
        if relationship.property == path[0]:
            data = {"type": relationship.type, "id": "01B"}
            to_one = bool(relationship.id_property)
            item["relationships"] = {relationship.name: {"data": data if to_one else [data]}}
            attributes = moved(at(path[2:], value), relationship.field_paths)
            return {"data": [item], "included": [{**data, "attributes": attributes}]}
    return {"data": [merged(item, {"attributes": moved(at(path, value), stream.field_paths)})]}


def moved(attributes: Document, field_paths: Mapping[str, Any]) -> Document:
    """The attributes as Klaviyo sends them, with properties in their places."""
    found: Document = {}
    for name, value in attributes.items():
        place = field_paths[name].path if name in field_paths else name
        found = merged(found, at(tuple(place.split(".")), value))
    return found


def parse(parser: PageParser, document: Document, separators: Any = (",", ":")) -> Page:
    """Parses a page that is written with these separators."""
    return parser.parse(json.dumps(document, separators=separators).encode(), "01P")


def record_of(parser: PageParser, page: Page) -> Document:
    """The only record of a page."""
    (line,) = parser.encode(page.records, "").splitlines()
    record: Document = json.loads(line)["record"]
    return record


def value_at(record: Any, path: Path) -> Any:
    """The value at a path of a record."""
    for step in path:
        record = record[step] if step else record[0]
    return record


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize(("stream", "path"), OBJECTS)
def test_an_unknown_attribute_is_kept(
    select: Select, stream: Stream, path: Path, value: Any
) -> None:
    """An unknown attribute of any nested object is in the record, and fits the schema."""
    selected = select(stream.name)
    document = page_with(stream, path, {NEW: value})
    for separators in SPACES:
        parser = PageParser(selected)
        for _ in range(2):
            page = parse(parser, document, separators)
            record = record_of(parser, page)
            assert value_at(record, path)[NEW] == value
            assert not page.warnings
            jsonschema.Draft4Validator(selected.schema).validate(record)


@pytest.mark.parametrize(("stream", "path"), OBJECTS)
def test_a_deselected_field_does_not_come_back(select: Select, stream: Stream, path: Path) -> None:
    """An object of which a field is deselected has only its selected fields."""
    schema: Any = schema_of(stream)
    for step in path:
        schema = schema["properties"][step] if step else schema["items"]
    deselected, *others = (n for n in schema["properties"] if n not in ("id", "type"))
    if not others or schema["properties"][deselected].get("items", {}).get("properties"):
        return
    selected = select(stream.name, ".".join((*filter(None, path), deselected)))
    document = page_with(stream, path, {NEW: 1, deselected: None})
    for separators in SPACES:
        parser = PageParser(selected)
        for _ in range(2):
            found = value_at(record_of(parser, parse(parser, document, separators)), path)
            assert not {deselected, NEW} & found.keys()


def location(**attributes: Any) -> Document:
    """A page of profiles with one location."""
    attributes = {"location": attributes}
    return {"data": [{"type": "profile", "id": "P1", "attributes": attributes}]}


def test_unknown_attributes_take_the_fast_path(select: Select) -> None:
    """A page is not converted for an unknown attribute that one of its first resources has."""
    parser = PageParser(select("profiles"))
    assert not parse(parser, location(city="Ulm")).converted
    assert not parse(parser, location(borough="Söflingen")).converted
    page = parse(parser, location(city="Ulm", borough={"name": "Söflingen"}))
    assert not page.converted
    assert record_of(parser, page)["location"] == {"city": "Ulm", "borough": {"name": "Söflingen"}}
    assert record_of(parser, parse(parser, location(city="Ulm")))["location"] == {"city": "Ulm"}


def test_an_unknown_attribute_of_a_late_resource(select: Select) -> None:
    """A page is converted for an unknown attribute that only a later resource has, but no other."""
    parser = PageParser(select("profiles"))
    many = location(city="Ulm")["data"] * LEARNED_FROM
    page = {"data": [*many, *location(borough="Söflingen")["data"]]}
    assert parse(parser, page).converted
    assert not parse(parser, page).converted


def test_unknown_attributes_are_limited(select: Select) -> None:
    """Names without end are not kept without end: those beyond the limit are counted."""
    parser = PageParser(select("profiles"))
    names = [f"n{number}" for number in range(MOST_UNKNOWN + 50)]
    for number in range(0, len(names), 30):
        page = parse(parser, location(**dict.fromkeys(names[number : number + 30], 1)))
    page = parse(parser, location(**dict.fromkeys(names, 1)))
    assert len(record_of(parser, page)["location"]) == MOST_UNKNOWN
    assert sum(page.warnings.values()) == 50
    assert page.warnings["further attributes: not in the schema, left out"] == 30
    assert len(page.warnings) == 21


@pytest.mark.parametrize("name", ["", 'a"b', "a\\b", "a\nb"])
def test_a_name_that_cannot_be_kept(select: Select, name: str) -> None:
    """An unknown attribute whose name cannot be compiled is left out and counted."""
    parser = PageParser(select("profiles"))
    page = parse(parser, location(**{"city": "Ulm", name: 1}))
    assert record_of(parser, page)["location"] == {"city": "Ulm"}
    assert sum(page.warnings.values()) == 1


@pytest.mark.parametrize("name", ["id", "type", "constructor", "a.b", "ü", "f0", "x" * 1000])
def test_a_name_with_another_meaning(select: Select, name: str) -> None:
    """An unknown attribute may have any other name, also one that has a meaning elsewhere."""
    parser = PageParser(select("profiles"))
    for _ in range(2):
        page = parse(parser, location(**{name: 1}))
        assert record_of(parser, page)["location"] == {name: 1}
        assert not page.warnings


def test_the_id_of_an_included_resource_stays(select: Select) -> None:
    """An attribute named like a property of every resource does not replace it."""
    parser = PageParser(select("open"))
    document = page_with(parser_stream("open"), ("profile", ""), {"id": "X", "type": "Y", NEW: 1})
    for _ in range(2):
        (profile,) = record_of(parser, parse(parser, copy.deepcopy(document)))["profile"]
        assert profile == {"type": "profile", "id": "01B", NEW: 1}


def parser_stream(name: str) -> Stream:
    """The stream of a name."""
    return next(stream for stream in STREAMS if stream.name == name)


@pytest.mark.parametrize("stream", ["campaigns", "campaign_messages"])
def test_an_unknown_field_of_a_definition_is_counted(select: Select, stream: str) -> None:
    """A field beside those that are lifted out of an object cannot be kept, so it is named."""
    message = {
        "type": "campaign-message",
        "id": "M1",
        "attributes": {"definition": {"channel": "email", "priority": 1}},
    }
    related = {"campaign-messages": {"data": [{"id": "M1"}]}}
    campaign = {"type": "campaign", "id": "C1", "relationships": related}
    pages = {
        "campaigns": {"data": [campaign], "included": [message]},
        "campaign_messages": {"data": [message]},
    }
    page = parse(PageParser(select(stream)), pages[stream])
    assert page.warnings == {"definition.priority: not in the schema, left out": 1}
