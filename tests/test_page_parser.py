"""The page parser, compared with singer's Transformer; fast parsing compared with conversion."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import jsonschema
import pytest
import singer
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.dates import parse_utc
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.page_parser import Page, PageParser
from tap_klaviyo.streams import STREAMS

Select = Callable[..., SelectedStream]
Document = dict[str, Any]
EXTRACTED = "2026-01-01T00:00:00.000000Z"

EVENTS = [stream.name for stream in STREAMS if stream.metrics]
STREAM_NAMES = st.sampled_from(EVENTS) | st.sampled_from(
    ["campaigns", "lists", "global_exclusions"]
)

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
FREE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT | st.floats(-1e300, 1e300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
DATES = st.builds(
    lambda moment, form: moment.strftime(form),
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from(["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f"]),
).flatmap(lambda date: st.sampled_from([date + zone for zone in ("Z", "+00:00", "-05:00", "")]))
IDS = st.sampled_from(["01A", "01B", "01C", "ü-1"])


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """The types that a schema allows."""
    return schema["type"] if isinstance(schema["type"], list) else [schema["type"]]


def valid_values(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a schema, with missing and unknown attributes."""
    return st.one_of([VALID_VALUES[name](schema) for name in types_of(schema)])


def valid_object(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """An object; free-form if the schema has no properties."""
    properties = schema.get("properties")
    if not properties:
        return st.dictionaries(TEXT, FREE, max_size=3)
    optional = {name: valid_values(child) for name, child in properties.items()}
    return st.fixed_dictionaries({}, optional={**optional, "unknown attribute": FREE})


VALID_VALUES: dict[str, Callable[[Any], st.SearchStrategy[Any]]] = {
    "null": lambda schema: st.none(),
    "boolean": lambda schema: st.booleans(),
    "integer": lambda schema: st.integers(-(2**63), 2**63 - 1),
    "number": lambda schema: st.floats(-1e300, 1e300) | st.integers(-(2**50), 2**50),
    "string": lambda schema: (
        DATES if schema.get("format") else TEXT.filter(bool) if schema["type"] == "string" else TEXT
    ),
    "array": lambda schema: st.lists(valid_values(schema["items"]), max_size=2),
    "object": valid_object,
}


@st.composite
def documents(draw: st.DrawFn, selected: SelectedStream, any_value: bool = False) -> Document:
    """A page of a stream with values that fit the schema, or with any values."""

    def resource(type_: str, schema: Mapping[str, Any], field_paths: Any) -> Document:
        own = {name: child for name, child in schema["properties"].items() if name not in separate}
        attributes = {
            name: draw(FREE if any_value and draw(st.integers(0, 7)) == 0 else valid_values(child))
            for name, child in own.items()
            if types_of(child)[0] != "null" or draw(st.booleans())
        }
        for name, field_path in field_paths.items():
            if name in attributes and not field_path.latest:
                set_nested(attributes, field_path.path.split("."), attributes.pop(name))
        return {"type": type_, "id": draw(IDS), "attributes": attributes}

    stream, schema = selected.stream, selected.schema
    separate = {"id", "type"} | {i.property for i in stream.relationships}
    separate |= {i.id_property for i in stream.relationships}
    separate |= {name for name, field_path in stream.field_paths.items() if field_path.latest}
    data = [
        resource(stream.type, schema, stream.field_paths) for _ in range(draw(st.integers(0, 3)))
    ]
    included: list[Document] = []
    for relationship in stream.relationships:
        items = schema["properties"][relationship.property]["items"]
        found = [resource(relationship.type, items, relationship.field_paths) for _ in range(2)]
        included += {item["id"]: item for item in found}.values()
        for item in data:
            one = st.fixed_dictionaries({"type": st.just(relationship.type), "id": IDS})
            many = st.lists(one, max_size=3)
            target = draw(st.none() | (one if relationship.id_property else many))
            related = item.setdefault("relationships", {}).setdefault(relationship.name, {})
            related |= draw(st.sampled_from([{"data": target}, {"links": {"self": "x"}}]))
    return {"data": data, "included": included, "links": {"next": draw(st.none() | TEXT)}}


def set_nested(attributes: Document, path: list[str], value: Any) -> None:
    """Sets the value at a path of nested objects."""
    for step in path[:-1]:
        if not isinstance(attributes.get(step), dict):
            attributes[step] = {}
        attributes = attributes[step]
    attributes[path[-1]] = value


def flatten(item: Document, field_paths: Mapping[str, Any]) -> Document:
    """A resource as one object, with nested values moved to the top level."""
    record = {**item["attributes"], "id": item["id"], "type": item["type"]}
    for name, field_path in field_paths.items():
        value: Any = item["attributes"]
        for step in field_path.path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        if field_path.latest:
            entries = [entry for entry in value or [] if entry and entry.get("timestamp")]
            newest = max(entries, key=lambda entry: parse_utc(entry["timestamp"]), default=None)
            value = (newest or next(filter(None, value or []), {})).get(field_path.latest)
        record[name] = value
    return record


def reference(document: Document, selected: SelectedStream) -> list[Document]:
    """The records of a page, made with dicts and singer's Transformer."""
    stream, records = selected.stream, []
    included = {(item["type"], item["id"]): item for item in document["included"]}
    for item in document["data"]:
        record = flatten(item, stream.field_paths)
        for relationship in stream.relationships:
            related = item["relationships"][relationship.name].get("data") or []
            references = related if isinstance(related, list) else [related]
            record[relationship.property] = [
                flatten(found, relationship.field_paths) if found else dict(ref)
                for ref in references
                for found in [included.get((relationship.type, ref["id"]))]
            ]
            if relationship.id_property:
                record[relationship.id_property] = references[0]["id"] if references else None
        # The Transformer reorders the type lists of the schema it is given.
        schema = copy.deepcopy(selected.schema)
        records.append(singer.Transformer().transform(record, schema))
    return records


def normalize(value: Any, schema: Mapping[str, Any]) -> Any:
    """Normalizes what the Transformer changes: null is false, "" is null, text is a number.

    It also drops unknown attributes.
    """
    allowed = types_of(schema)
    if "boolean" in allowed:
        return bool(value)
    if isinstance(value, dict) and schema.get("properties"):
        properties = schema["properties"]
        known = {
            name: normalize(value[name], properties[name]) for name in value.keys() & properties
        }
        return {name: child for name, child in known.items() if child is not None}
    if isinstance(value, list) and "array" in allowed:
        return [normalize(item, schema["items"]) for item in value]
    if value == "" and "null" in allowed:
        return None
    if schema.get("format") and isinstance(value, str):
        return parse_utc(value)
    if "number" in allowed and isinstance(value, str):
        try:
            return float(value.replace(",", ""))
        except ValueError:
            return value
    return value


def lines(parser: PageParser, page: Page) -> list[bytes]:
    """The RECORD lines of a page, one line for each record."""
    encoded = parser.encode(page.records, EXTRACTED)
    assert encoded.count(b"\n") == len(page.records)
    assert not encoded or encoded.endswith(b"\n")
    return encoded.split(b"\n")[:-1]


def records(parser: PageParser, page: Page, selected: SelectedStream) -> list[Document]:
    """The records of a page, each checked to be a valid RECORD message."""
    found = []
    for line in lines(parser, page):
        message = json.loads(line.decode("utf-8"))
        assert message.keys() == {"type", "stream", "record", "time_extracted"}
        assert (message["type"], message["stream"]) == ("RECORD", selected.name)
        jsonschema.Draft4Validator(selected.schema).validate(message["record"])
        found.append(message["record"])
    return found


def compact_json(document: Any) -> bytes:
    """A page as Klaviyo sends it, in one line."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


@given(st.data())
def test_equals_the_reference(select: Select, data: st.DataObject) -> None:
    """For valid values each record equals the output of singer's Transformer."""
    selected = select(data.draw(STREAM_NAMES))
    document = data.draw(documents(selected))
    parser = PageParser(selected)
    page = parser.parse(compact_json(document))
    actual = [normalize(record, selected.schema) for record in records(parser, page, selected)]
    expected = [normalize(record, selected.schema) for record in reference(document, selected)]
    assert actual == expected
    assert not page.warnings
    assert not page.without_key
    assert page.next_url == (document["links"]["next"] or None)


@given(st.data())
def test_fast_parsing_and_conversion_agree(select: Select, data: st.DataObject) -> None:
    """Conversion produces the same records as fast parsing."""
    selected = select(data.draw(STREAM_NAMES))
    document = data.draw(documents(selected))
    parser = PageParser(selected)
    fast = parser.parse(compact_json(document))
    converted = parser.parse(json.dumps(document, indent=1).encode())
    assert converted.converted
    assert records(parser, fast, selected) == records(parser, converted, selected)
    assert (fast.times, fast.next_url) == (converted.times, converted.next_url)


@given(st.data())
def test_any_value(select: Select, data: st.DataObject) -> None:
    """With any values each resource becomes a valid record or is reported by its id."""
    selected = select(data.draw(STREAM_NAMES))
    document = data.draw(documents(selected, any_value=True))
    parser = PageParser(selected)
    page = parser.parse(compact_json(document))
    found = records(parser, page, selected)
    assert len(found) + len(page.without_key) == len(document["data"])
    assert len(page.times) == (len(found) if selected.stream.time_filter else 0)


PROFILE: Document = {
    "type": "profile",
    "id": "X",
    "attributes": {"email": "jo@example.com", "location": {"city": "Ulm", "zip": "89073"}},
}
METRIC = {"type": "metric", "id": "X", "attributes": {"name": "Opened Email"}}


def event_page(*included: Document, **relationships: Any) -> Document:
    """A page with one event that has these relationships."""
    event = {
        "type": "event",
        "id": "E1",
        "attributes": {"timestamp": 5, "event_properties": {"$value": 1}},
        "relationships": {name: {"data": data} for name, data in relationships.items()},
    }
    return {"data": [event], "included": list(included)}


def parse_one(selected: SelectedStream, body: bytes) -> Document:
    """Parses a page with one record."""
    parser = PageParser(selected)
    (record,) = records(parser, parser.parse(body), selected)
    return record


TO_X = {"profile": {"type": "profile", "id": "X"}, "metric": {"type": "metric", "id": "X"}}


def test_embedded(select: Select) -> None:
    """Profile and metric are embedded as arrays of one, also if their ids are equal."""
    record = parse_one(select("open"), compact_json(event_page(METRIC, PROFILE, **TO_X)))
    assert record["profile"] == [{"type": "profile", "id": "X", **PROFILE["attributes"]}]
    assert record["metric"] == [{"type": "metric", "id": "X", "name": "Opened Email"}]
    assert (record["profile_id"], record["metric_id"]) == ("X", "X")


def test_missing_included_resource(select: Select) -> None:
    """A profile that is not included is embedded with its type and id."""
    record = parse_one(select("open"), compact_json(event_page(METRIC, **TO_X)))
    assert record["profile"] == [{"type": "profile", "id": "X"}]
    assert record["profile_id"] == "X"


@pytest.mark.parametrize("relationships", [{}, {"profile": None, "metric": None}, {"profile": []}])
def test_no_relationship(select: Select, relationships: Any) -> None:
    """With a null or missing relationship the id is null and nothing is embedded."""
    record = parse_one(select("open"), compact_json(event_page(PROFILE, METRIC, **relationships)))
    assert (record["profile"], record["profile_id"], record["metric_id"]) == ([], None, None)


@pytest.mark.parametrize("include_unrequested", [False, True])
def test_selection(select: Select, include_unrequested: bool) -> None:
    """Deselected fields are not written, at any depth, even if Klaviyo sends them."""
    selected = select(
        "open", "type", "metric", "event_properties", "profile.location.zip", "profile.id"
    )
    included = [PROFILE, METRIC] if include_unrequested else [PROFILE]
    record = parse_one(selected, compact_json(event_page(*included, **TO_X)))
    assert record == {
        "id": "E1",
        "timestamp": 5,
        "profile": [{"type": "profile", "email": "jo@example.com", "location": {"city": "Ulm"}}],
        "profile_id": "X",
        "metric_id": "X",
    }


def test_object_without_selected_fields(select: Select) -> None:
    """An object without selected fields is not written."""
    profile = select("open").schema["properties"]["profile"]["items"]["properties"]
    fields = profile["location"]["properties"]
    selected = select("open", *(f"profile.location.{field}" for field in fields))
    record = parse_one(selected, compact_json(event_page(PROFILE, METRIC, **TO_X)))
    assert not record["profile"][0].get("location")


def test_ids_without_embedding(select: Select) -> None:
    """Profile and metric can be deselected without their ids, and their ids without them."""
    ids_only = parse_one(select("open", "profile", "metric"), compact_json(event_page(**TO_X)))
    assert (ids_only["profile_id"], ids_only["metric_id"]) == ("X", "X")
    assert "profile" not in ids_only
    no_ids = parse_one(select("open", "profile_id", "metric_id"), compact_json(event_page(**TO_X)))
    assert "profile_id" not in no_ids
    assert no_ids["profile"]


def test_name_of_the_catalog(select: Select) -> None:
    """Records have the stream name of the catalog."""
    selected = select("open", stream="Opened E-Mail ü")
    parser = PageParser(selected)
    page = parser.parse(compact_json(event_page()))
    (line,) = lines(parser, page)
    assert json.loads(line)["stream"] == "Opened E-Mail ü"
    assert json.loads(line)["time_extracted"] == EXTRACTED
    assert page.times == [5]


def test_moved_values(select: Select) -> None:
    """Nested values of a campaign message are moved to its top level."""
    message = {
        "type": "campaign-message",
        "id": "M1",
        "attributes": {
            "definition": {"channel": "email", "label": "A", "content": {"subject": "Hi"}},
            "created_at": "2026-01-01T00:00:00+00:00",
        },
    }
    references = [{"type": "campaign-message", "id": one} for one in ("M1", "M2")]
    relationships = {"campaign-messages": {"data": references}}
    campaign = {"type": "campaign", "id": "C1", "attributes": {}, "relationships": relationships}
    record = parse_one(
        select("campaigns"), compact_json({"data": [campaign], "included": [message]})
    )
    first, second = record["campaign-messages"]
    known = {name: value for name, value in first.items() if value is not None}
    assert known == {
        "type": "campaign-message",
        "id": "M1",
        "channel": "email",
        "label": "A",
        "content": {"subject": "Hi"},
        "created_at": "2026-01-01T00:00:00Z",
    }
    assert second == {"type": "campaign-message", "id": "M2"}


def test_latest_suppression(select: Select) -> None:
    """An exclusion has all suppressions, and the reason and time of the latest in any order."""
    suppression = [
        {"reason": "UNSUBSCRIBE", "timestamp": "2026-01-01T00:00:00+00:00"},
        {"reason": "SPAM_COMPLAINT", "timestamp": "2026-03-01T01:00:00+02:00"},
        {"reason": "HARD_BOUNCE", "timestamp": "2026-02-28T00:00:00Z"},
    ]
    subscriptions = {"email": {"marketing": {"suppression": suppression}}}
    attributes = {"email": "jo@example.com", "subscriptions": subscriptions}
    body = compact_json({"data": [{"type": "profile", "id": "P1", "attributes": attributes}]})
    record = parse_one(select("global_exclusions"), body)
    assert (record["reason"], record["timestamp"]) == ("SPAM_COMPLAINT", "2026-02-28T23:00:00Z")
    assert [one["reason"] for one in record["suppressions"]] == [s["reason"] for s in suppression]
