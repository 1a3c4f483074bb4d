"""Pages in, RECORD lines out: against the reference, and the fast way against the slow one."""

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


def kinds(schema: Mapping[str, Any]) -> list[str]:
    """The types that a schema allows."""
    return schema["type"] if isinstance(schema["type"], list) else [schema["type"]]


def fitting(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a schema, with attributes absent or unknown."""
    return st.one_of([FITTING[kind](schema) for kind in kinds(schema)])


def fitting_object(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """An object; free-form if the schema names no property."""
    properties = schema.get("properties")
    if not properties:
        return st.dictionaries(TEXT, FREE, max_size=3)
    optional = {name: fitting(child) for name, child in properties.items()}
    return st.fixed_dictionaries({}, optional={**optional, "unheard of": FREE})


FITTING: dict[str, Callable[[Any], st.SearchStrategy[Any]]] = {
    "null": lambda schema: st.none(),
    "boolean": lambda schema: st.booleans(),
    "integer": lambda schema: st.integers(-(2**63), 2**63 - 1),
    "number": lambda schema: st.floats(-1e300, 1e300) | st.integers(-(2**50), 2**50),
    "string": lambda schema: DATES if schema.get("format") else TEXT,
    "array": lambda schema: st.lists(fitting(schema["items"]), max_size=2),
    "object": fitting_object,
}


@st.composite
def documents(draw: st.DrawFn, selected: SelectedStream, any_value: bool = False) -> Document:
    """A page of a stream whose values fit the schema, or may be anything at all."""

    def resource(kind: str, schema: Mapping[str, Any], sources: Any) -> Document:
        own = {name: child for name, child in schema["properties"].items() if name not in apart}
        attributes = {
            name: draw(FREE if any_value and draw(st.integers(0, 7)) == 0 else fitting(child))
            for name, child in own.items()
            if kinds(child)[0] != "null" or draw(st.booleans())
        }
        for name, field_path in sources.items():
            if name in attributes and not field_path.latest:
                place(attributes, field_path.path.split("."), attributes.pop(name))
        return {"type": kind, "id": draw(IDS), "attributes": attributes}

    stream, schema = selected.stream, selected.schema
    apart = {"id", "type"} | {i.property for i in stream.relationships}
    apart |= {i.id_property for i in stream.relationships}
    apart |= {name for name, field_path in stream.field_paths.items() if field_path.latest}
    data = [
        resource(stream.type, schema, stream.field_paths) for _ in range(draw(st.integers(0, 3)))
    ]
    included: list[Document] = []
    for include in stream.relationships:
        items = schema["properties"][include.property]["items"]
        found = [resource(include.type, items, include.field_paths) for _ in range(2)]
        included += {item["id"]: item for item in found}.values()
        for item in data:
            one = st.fixed_dictionaries({"type": st.just(include.type), "id": IDS})
            many = st.lists(one, max_size=3)
            relation = draw(st.none() | (one if include.id_property else many))
            related = item.setdefault("relationships", {}).setdefault(include.name, {})
            related |= draw(st.sampled_from([{"data": relation}, {"links": {"self": "x"}}]))
    return {"data": data, "included": included, "links": {"next": draw(st.none() | TEXT)}}


def place(attributes: Document, path: list[str], value: Any) -> None:
    """Puts a value at a path, as Klaviyo nests it."""
    for step in path[:-1]:
        if not isinstance(attributes.get(step), dict):
            attributes[step] = {}
        attributes = attributes[step]
    attributes[path[-1]] = value


def flat(item: Document, sources: Mapping[str, Any]) -> Document:
    """A resource as one object, what is nested brought to the top."""
    record = {**item["attributes"], "id": item["id"], "type": item["type"]}
    for name, field_path in sources.items():
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
    """The records of a page the plain way: dicts, and singer's own Transformer."""
    stream, records = selected.stream, []
    included = {(item["type"], item["id"]): item for item in document["included"]}
    for item in document["data"]:
        record = flat(item, stream.field_paths)
        for include in stream.relationships:
            related = item["relationships"][include.name].get("data") or []
            references = related if isinstance(related, list) else [related]
            record[include.property] = [
                flat(found, include.field_paths) if found else dict(ref)
                for ref in references
                for found in [included.get((include.type, ref["id"]))]
            ]
            if include.id_property:
                record[include.id_property] = references[0]["id"] if references else None
        # The Transformer reorders the type lists of the schema it is given.
        schema = copy.deepcopy(selected.schema)
        records.append(singer.Transformer().transform(record, schema))
    return records


def normal(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value without the Transformer's quirks: null is false, "" is null, texts become numbers."""
    allowed = kinds(schema)
    if "boolean" in allowed:
        return bool(value)
    if isinstance(value, dict) and schema.get("properties"):
        known = {name: normal(value[name], schema["properties"][name]) for name in value}
        return {name: child for name, child in known.items() if child is not None}
    if isinstance(value, list) and "array" in allowed:
        return [normal(item, schema["items"]) for item in value]
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
    """The RECORD lines of a page, of which each must be one line."""
    encoded = parser.encode(page.records, EXTRACTED)
    assert encoded.count(b"\n") == len(page.records)
    assert not encoded or encoded.endswith(b"\n")
    return encoded.split(b"\n")[:-1]


def records(parser: PageParser, page: Page, selected: SelectedStream) -> list[Document]:
    """The records of a page, each line checked to be a message that any target can read."""
    found = []
    for line in lines(parser, page):
        message = json.loads(line.decode("utf-8"))
        assert message.keys() == {"type", "stream", "record", "time_extracted"}
        assert (message["type"], message["stream"]) == ("RECORD", selected.name)
        jsonschema.Draft4Validator(selected.schema).validate(message["record"])
        found.append(message["record"])
    return found


def packed(document: Any) -> bytes:
    """A page as Klaviyo sends it: one line."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


@given(st.data())
def test_equals_the_reference(select: Select, data: st.DataObject) -> None:
    """For values that fit, each record is what singer's Transformer makes of it."""
    selected = select(data.draw(STREAM_NAMES))
    document = data.draw(documents(selected))
    parser = PageParser(selected)
    page = parser.parse(packed(document))
    ours = [normal(record, selected.schema) for record in records(parser, page, selected)]
    theirs = [normal(record, selected.schema) for record in reference(document, selected)]
    assert ours == theirs
    assert not page.warnings
    assert not page.without_key
    assert page.next_url == document["links"]["next"]


@given(st.data())
def test_both_ways_agree(select: Select, data: st.DataObject) -> None:
    """The slow way makes of a page what the fast way does."""
    selected = select(data.draw(STREAM_NAMES))
    document = data.draw(documents(selected))
    parser = PageParser(selected)
    one = parser.parse(packed(document))
    other = parser.parse(json.dumps(document, indent=1).encode())
    assert other.converted or selected.name in ("campaigns", "global_exclusions")
    assert records(parser, one, selected) == records(parser, other, selected)
    assert (one.times, one.next_url) == (other.times, other.next_url)


@given(st.data())
def test_any_value(select: Select, data: st.DataObject) -> None:
    """Whatever the values are, each resource becomes a valid record or is reported by its id."""
    selected = select(data.draw(STREAM_NAMES))
    document = data.draw(documents(selected, any_value=True))
    parser = PageParser(selected)
    page = parser.parse(packed(document))
    found = records(parser, page, selected)
    assert len(found) + len(page.without_key) == len(document["data"])
    assert len(page.times) == (len(found) if selected.stream.time_filter else 0)


PROFILE: Document = {
    "type": "profile",
    "id": "X",
    "attributes": {"email": "jo@example.com", "location": {"city": "Ulm", "zip": "89073"}},
}
METRIC = {"type": "metric", "id": "X", "attributes": {"name": "Opened Email"}}


def event_page(*included: Document, **relations: Any) -> Document:
    """A page with one event, related to what ``relations`` say."""
    event = {
        "type": "event",
        "id": "E1",
        "attributes": {"timestamp": 5, "event_properties": {"$value": 1}},
        "relationships": {name: {"data": data} for name, data in relations.items()},
    }
    return {"data": [event], "included": list(included)}


def shaped(selected: SelectedStream, body: bytes) -> Document:
    """The one record of a page."""
    parser = PageParser(selected)
    (record,) = records(parser, parser.parse(body), selected)
    return record


TO_X = {"profile": {"type": "profile", "id": "X"}, "metric": {"type": "metric", "id": "X"}}


def test_embedded(select: Select) -> None:
    """Profile and metric are embedded as arrays of one; the same id of two types is no matter."""
    record = shaped(select("open"), packed(event_page(METRIC, PROFILE, **TO_X)))
    assert record["profile"] == [{"type": "profile", "id": "X", **PROFILE["attributes"]}]
    assert record["metric"] == [{"type": "metric", "id": "X", "name": "Opened Email"}]
    assert (record["profile_id"], record["metric_id"]) == ("X", "X")


def test_stub(select: Select) -> None:
    """Of a profile that the page does not include, nothing but its id is known."""
    record = shaped(select("open"), packed(event_page(METRIC, **TO_X)))
    assert record["profile"] == [{"type": "profile", "id": "X"}]
    assert record["profile_id"] == "X"


@pytest.mark.parametrize("relations", [{}, {"profile": None, "metric": None}, {"profile": []}])
def test_no_relation(select: Select, relations: Any) -> None:
    """Where a relation is null or absent, there is no id and nothing is embedded."""
    record = shaped(select("open"), packed(event_page(PROFILE, METRIC, **relations)))
    assert (record["profile"], record["profile_id"], record["metric_id"]) == ([], None, None)


@pytest.mark.parametrize("include_unasked", [False, True])
def test_selection(select: Select, include_unasked: bool) -> None:
    """What is deselected is not written, at any depth, even if Klaviyo sends it."""
    selected = select(
        "open", "type", "metric", "event_properties", "profile.location.zip", "profile.id"
    )
    included = [PROFILE, METRIC] if include_unasked else [PROFILE]
    record = shaped(selected, packed(event_page(*included, **TO_X)))
    assert record == {
        "id": "E1",
        "timestamp": 5,
        "profile": [{"type": "profile", "email": "jo@example.com", "location": {"city": "Ulm"}}],
        "profile_id": "X",
        "metric_id": "X",
    }


def test_nothing_of_an_object(select: Select) -> None:
    """Of an object whose parts are all deselected no value is written."""
    profile = select("open").schema["properties"]["profile"]["items"]["properties"]
    parts = profile["location"]["properties"]
    selected = select("open", *(f"profile.location.{part}" for part in parts))
    record = shaped(selected, packed(event_page(PROFILE, METRIC, **TO_X)))
    assert not record["profile"][0].get("location")


def test_ids_without_embedding(select: Select) -> None:
    """Profile and metric can be deselected and their ids kept, or the other way round."""
    ids_only = shaped(select("open", "profile", "metric"), packed(event_page(**TO_X)))
    assert (ids_only["profile_id"], ids_only["metric_id"]) == ("X", "X")
    assert "profile" not in ids_only
    no_ids = shaped(select("open", "profile_id", "metric_id"), packed(event_page(**TO_X)))
    assert "profile_id" not in no_ids
    assert no_ids["profile"]


def test_name_of_the_catalog(select: Select) -> None:
    """Records go out under the name that the catalog gives the stream."""
    selected = select("open", stream="Opened E-Mail ü")
    parser = PageParser(selected)
    page = parser.parse(packed(event_page()))
    (line,) = lines(parser, page)
    assert json.loads(line)["stream"] == "Opened E-Mail ü"
    assert json.loads(line)["time_extracted"] == EXTRACTED
    assert page.times == [5]


def test_moved_values(select: Select) -> None:
    """What Klaviyo nests stands at the top of a message, and what else it gives stays."""
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
    record = shaped(select("campaigns"), packed({"data": [campaign], "included": [message]}))
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
    """An exclusion names all suppressions, and reason and time of the latest, in any order."""
    suppression = [
        {"reason": "UNSUBSCRIBE", "timestamp": "2026-01-01T00:00:00+00:00"},
        {"reason": "SPAM_COMPLAINT", "timestamp": "2026-03-01T01:00:00+02:00"},
        {"reason": "HARD_BOUNCE", "timestamp": "2026-02-28T00:00:00Z"},
    ]
    subscriptions = {"email": {"marketing": {"suppression": suppression}}}
    attributes = {"email": "jo@example.com", "subscriptions": subscriptions}
    body = packed({"data": [{"type": "profile", "id": "P1", "attributes": attributes}]})
    record = shaped(select("global_exclusions"), body)
    assert (record["reason"], record["timestamp"]) == ("SPAM_COMPLAINT", "2026-02-28T23:00:00Z")
    assert [one["reason"] for one in record["suppressions"]] == [s["reason"] for s in suppression]
