"""Conversion of pages with values that do not fit their schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.page_parser import Page, PageParser

Select = Callable[..., SelectedStream]
Parse = Callable[..., tuple[list[Any], Page]]


@pytest.fixture
def parse(select: Select) -> Parse:
    """Parses a page, given as bytes or as resources; returns its records and the page."""

    def run(name: str, *resources: Any, body: bytes | None = None) -> tuple[list[Any], Page]:
        parser = PageParser(select(name))
        if body is None:
            body = json.dumps({"data": resources}, separators=(",", ":")).encode()
        page = parser.parse(body)
        lines = parser.encode(page.records, "2026-01-01T00:00:00Z").decode("utf-8")
        assert lines.count("\n") == len(page.records)
        return [json.loads(line)["record"] for line in lines.split("\n")[:-1]], page

    return run


def event(**attributes: Any) -> dict[str, Any]:
    """An event with these attributes."""
    return {"type": "event", "id": "E1", "attributes": attributes}


def raw_event(attributes: bytes) -> bytes:
    """A page with one event and these raw attributes."""
    return b'{"data":[{"id":"E1","attributes":{' + attributes + b"}}]}"


@pytest.mark.parametrize("without", [(), ("metric",), ("metric.name",)])
def test_conversion_keeps_lifted_fields(select: Select, without: tuple[str, ...]) -> None:
    """A converted page keeps fields of the metric, whether the metric is embedded or not."""
    relationship = {"metric": {"data": {"type": "metric", "id": "M1"}}}
    integration = {"name": "Shopify"}
    metric = {"name": "Placed Order", "integration": integration}
    body = {
        "data": [{**event(uuid="a\0b"), "relationships": relationship}],
        "included": [{"type": "metric", "id": "M1", "attributes": metric}],
    }
    parser = PageParser(select("events", *without))
    page = parser.parse(json.dumps(body, separators=(",", ":")).encode())
    (line,) = parser.encode(page.records, "2026-01-01T00:00:00Z").splitlines()
    record = json.loads(line)["record"]
    assert page.converted
    assert (record["metric_name"], record["integration"]) == ("Placed Order", integration)


@pytest.mark.parametrize("depth", [100, 300, 450, 700, 900, 5000])
def test_a_deep_value_of_a_converted_page(select: Select, depth: int) -> None:
    """A page with a deeply nested value is parsed or rejected for its depth, at any depth."""
    value = b"[" * depth + b"]" * depth
    body = raw_event(b'"uuid":"a\\u0000b","event_properties":{"a":' + value + b"}")
    try:
        page = PageParser(select("open")).parse(body)
    except ValueError as error:
        assert "nested too deeply" in str(error)  # noqa: PT017
    else:
        assert len(page.records) == 1


NUL = "NUL character removed from text"
SURROGATE = "lone surrogate in text: replaced by U+FFFD"
NOT_JSON = "number beyond what JSON can hold: null written"


def conversion_warning(path: str, type_: str) -> str:
    """The warning about a value that fits no type of its schema."""
    return f"{path}: does not fit the type null/{type_}, null written"


BYTES: dict[str, tuple[bytes, Any, Any, dict[str, int]]] = {
    "NUL": (b'"uuid":"a\\u0000b"', "uuid", "ab", {NUL: 1}),
    "NUL in a free-form value": (
        b'"event_properties":{"a\\u0000":["\\u0000b"]}',
        "event_properties",
        {"a": ["b"]},
        {NUL: 2},
    ),
    "NUL after many escapes": (
        b'"event_properties":{"a":"' + 9000 * b'\\"' + b'\\u0000"}',
        "event_properties",
        {"a": 9000 * '"'},
        {NUL: 1},
    ),
    "escaped text of a NUL": (b'"uuid":"a\\\\u0000b"', "uuid", "a\\u0000b", {}),
    "raw NUL": (b'"uuid":"a\x00b"', "uuid", "ab", {NUL: 1}),
    "raw control character": (
        b'"event_properties":{"a":"\x01\t"}',
        "event_properties",
        {"a": "\x01\t"},
        {},
    ),
    "lone surrogate": (b'"uuid":"a\\ud83db"', "uuid", "a\ufffdb", {SURROGATE: 1}),
    "lone low surrogate": (b'"uuid":"\\ude00"', "uuid", "\ufffd", {SURROGATE: 1}),
    "lone surrogate, free-form": (
        b'"event_properties":{"a":"\\ud83d"}',
        "event_properties",
        {"a": "\ufffd"},
        {SURROGATE: 1},
    ),
    "lone surrogate in a key": (
        b'"event_properties":{"\\ud83d":1}',
        "event_properties",
        {"\ufffd": 1},
        {SURROGATE: 1},
    ),
    "surrogate pair": (b'"uuid":"\\ud83d\\ude00"', "uuid", "😀", {}),
    "no UTF-8": (b'"uuid":"a\xffb"', "uuid", "a\ufffdb", {}),
    "no UTF-8, free-form": (
        b'"event_properties":{"a":"\xff"}',
        "event_properties",
        {"a": "\ufffd"},
        {},
    ),
    "raw newline": (b'"event_properties":{"a":\n"b"}', "event_properties", {"a": "b"}, {}),
    "raw newline in text": (
        b'"event_properties":{"a":"b\nc"}',
        "event_properties",
        {"a": "b\nc"},
        {},
    ),
    "line separator": ('"uuid":"a\u2028b\u0085"'.encode(), "uuid", "a\u2028b\u0085", {}),
    "duplicate key": (b'"uuid":"a","uuid":"b"', "uuid", "b", {}),
    "escaped name": (b'"\\u0075uid":"a"', "uuid", "a", {}),
    "NaN": (b'"event_properties":{"a":NaN}', "event_properties", {"a": None}, {NOT_JSON: 1}),
    "infinity": (
        b'"timestamp":1e999',
        "timestamp",
        None,
        {conversion_warning("timestamp", "integer"): 1},
    ),
    "huge integer": (
        b'"timestamp":' + b"9" * 30,
        "timestamp",
        None,
        {conversion_warning("timestamp", "integer"): 1},
    ),
    "very huge integer": (
        b'"timestamp":' + b"9" * 350,
        "timestamp",
        None,
        {conversion_warning("timestamp", "integer"): 1},
    ),
    "endless integer": (
        b'"timestamp":' + b"9" * 9000,
        "timestamp",
        None,
        {conversion_warning("timestamp", "integer"): 1},
    ),
    "huge number as text": (
        b'"timestamp":"' + b"9" * 350 + b'"',
        "timestamp",
        None,
        {conversion_warning("timestamp", "integer"): 1},
    ),
    "huge integer, free-form": (
        b'"event_properties":{"a":' + b"9" * 30 + b"}",
        "event_properties",
        {"a": int("9" * 30)},
        {},
    ),
    "very huge integer, slow": (
        b'"uuid":1,"event_properties":{"a":' + b"9" * 350 + b"}",
        "event_properties",
        {"a": int("9" * 350)},
        {},
    ),
}


@pytest.mark.parametrize(("body", "name", "expected", "warnings"), BYTES.values(), ids=BYTES.keys())
def test_bytes(
    parse: Parse, body: bytes, name: str, expected: Any, warnings: dict[str, int]
) -> None:
    """Invalid bytes, escapes and numbers are converted, and counted if the value changed."""
    ((record,), page) = parse("open", body=raw_event(body))
    assert record[name] == expected
    assert page.warnings == warnings


EVENT_VALUES: list[tuple[str, Any, Any, str]] = [
    ("uuid", 12, "12", ""),
    ("uuid", 1.5, "1.5", ""),
    ("uuid", True, "true", ""),
    ("uuid", {"a": ["ü"]}, '{"a":["ü"]}', ""),
    ("uuid", "", "", ""),
    ("timestamp", 1767225600.0, 1767225600, ""),
    ("timestamp", "1767225600", 1767225600, ""),
    ("timestamp", "1e3", 1000, ""),
    ("timestamp", 1.5, None, "integer"),
    ("timestamp", "12 o'clock", None, "integer"),
    ("timestamp", "", None, "integer"),
    ("timestamp", "NaN", None, "integer"),
    ("timestamp", "Infinity", None, "integer"),
    ("timestamp", "1e999", None, "integer"),
    ("timestamp", "[1]", None, "integer"),
    ("timestamp", True, None, "integer"),
    ("timestamp", 2**63, None, "integer"),
    ("timestamp", [], None, "integer"),
    ("timestamp", 2**63 - 1, 2**63 - 1, ""),
    ("datetime", "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z", ""),
    ("datetime", "2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z", ""),
    ("datetime", "2026-01-01 00:00:00+00:00", "2026-01-01T00:00:00Z", ""),
    ("datetime", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z", ""),
    ("datetime", "2026-01-01", "2026-01-01T00:00:00Z", ""),
    ("datetime", "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123456Z", ""),
    ("datetime", "", None, "string"),
    ("datetime", "12", None, "string"),
    ("datetime", "yesterday", None, "string"),
    ("datetime", 1767225600, None, "string"),
    ("datetime", "2026-02-30T00:00:00Z", None, "string"),
    ("event_properties", [], None, "object"),
    ("event_properties", "text", None, "object"),
    ("event_properties", 0, None, "object"),
    ("event_properties", {}, {}, ""),
    ("event_properties", None, None, ""),
]


@pytest.mark.parametrize(("name", "value", "expected", "failed_type"), EVENT_VALUES)
def test_values(parse: Parse, name: str, value: Any, expected: Any, failed_type: str) -> None:
    """A value that does not fit is converted if nothing is lost, else null with a warning."""
    ((record,), page) = parse("open", event(**{name: value}))
    assert record == {"id": "E1", "type": "event", "profile": [], "metric": []} | {
        "profile_id": None,
        "metric_id": None,
        name: expected,
    }
    assert page.warnings == ({conversion_warning(name, failed_type): 1} if failed_type else {})


@pytest.mark.parametrize(
    ("path", "value", "expected", "failed_type"),
    [
        ("historic_clv", 10, 10, ""),
        ("historic_clv", 2**70, float(2**70), ""),
        ("historic_clv", 2**70 + 1, None, "number"),
        ("historic_clv", 10**350, None, "number"),
        ("historic_clv", "12.5", 12.5, ""),
        ("historic_clv", "12,5", None, "number"),
        ("historic_clv", "9" * 350, None, "number"),
        ("historic_clv", True, None, "number"),
        ("ranked_channel_affinity", ["email", 1, None], ["email", "1", None], ""),
        ("ranked_channel_affinity", "email", None, "array"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_numbers_and_arrays(
    parse: Parse, path: str, value: Any, expected: Any, failed_type: str
) -> None:
    """Numbers as text, numbers that are too large and invalid arrays in a nested object."""
    attributes = {"email": "jo@example.com", "predictive_analytics": {path: value}}
    profile = {"type": "profile", "id": "P1", "attributes": attributes}
    ((record,), page) = parse("global_exclusions", profile)
    assert record["predictive_analytics"] == {path: expected}
    assert page.warnings == (
        {conversion_warning(f"predictive_analytics.{path}", failed_type): 1} if failed_type else {}
    )


@pytest.mark.parametrize(
    ("value", "expected", "warned"),
    [("true", True, 0), ("False", False, 0), (None, None, 0), ("yes", None, 1), (1, None, 1)],
)
def test_booleans(parse: Parse, value: Any, expected: Any, warned: int) -> None:
    """A boolean is true, false or null; null does not become false."""
    campaign = {"type": "campaign", "id": "C1", "attributes": {"archived": value}}
    ((record,), page) = parse("campaigns", campaign)
    assert record["archived"] is expected
    assert page.warnings == ({conversion_warning("archived", "boolean"): 1} if warned else {})


def test_warnings_are_counted(parse: Parse) -> None:
    """Each warning is counted for the whole page."""
    _, page = parse("open", *(event(timestamp="x", uuid="\0") for _ in range(3)))
    assert page.warnings == {NUL: 3, conversion_warning("timestamp", "integer"): 3}
    assert page.converted


def test_valid_pages_are_not_converted(parse: Parse) -> None:
    """A page that fits its schema is not converted and has no warnings."""
    _, page = parse("open", event(timestamp=1, datetime="2026-01-01T00:00:00+00:00"))
    assert not page.converted
    assert not page.warnings


FREE_FORM = [
    b'{"b":1,"a":2, "c" : [ 1.10 , 1E2,-0 ] }',
    b'{"a":"\\u00fc\\/\\ud83d\\ude00","\xc3\xbc":"\xf0\x9f\x98\x80"}',
    b'{"a":1,"a":2}',
    b'{"a":' * 50 + b"1" + b"}" * 50,
    b"{}",
    b'{"a":123456789012345678901234567890}',
]


@pytest.mark.parametrize("value", [*FREE_FORM, b'{"a":0.1234567890123456789}'])
def test_free_form_is_copied(select: Select, value: bytes) -> None:
    """A free-form value of a valid page is copied unchanged."""
    parser = PageParser(select("open"))
    page = parser.parse(raw_event(b'"event_properties":' + value))
    assert b'"event_properties":' + value + b"," in parser.encode(page.records, "")


@pytest.mark.parametrize("value", [*FREE_FORM, b'{"a":1e999}', b'{"a":9e-999}'])
def test_free_form_is_converted_unchanged(parse: Parse, value: bytes) -> None:
    """Conversion keeps a free-form value equal to fast parsing."""
    body = raw_event(b'"event_properties":' + value)
    (fast, _), (converted, page) = parse("open", body=body), parse("open", body=body[:-1] + b"\n}")
    assert page.converted
    assert fast == converted


@pytest.mark.parametrize(
    ("name", "resource", "without_key"),
    [
        ("open", {"attributes": {}}, "None"),
        ("open", {"id": None}, "None"),
        ("open", {"id": ""}, ""),
        ("open", {"id": ["E1"]}, "['E1']"),
        ("global_exclusions", {"id": "a\nb" + "c" * 5_000}, "a b" + "c" * 97),
        ("global_exclusions", {"id": "P1", "attributes": {"email": None}}, "P1"),
        ("global_exclusions", {"id": "P1", "attributes": {"email": ""}}, "P1"),
        ("global_exclusions", {"id": "P1", "attributes": {}}, "P1"),
        ("global_exclusions", {"id": "P1"}, "P1"),
    ],
)
def test_without_a_key(parse: Parse, name: str, resource: Any, without_key: str) -> None:
    """A resource without its key is not a record and is reported by its shortened id."""
    records, page = parse(name, resource)
    assert records == []
    assert page.without_key == [without_key]


def test_key_of_another_type(parse: Parse) -> None:
    """A numeric id becomes text, in resources and references."""
    reference = {"profile": {"data": {"type": "profile", "id": 7}}}
    ((record,), page) = parse("open", {"id": 12, "relationships": reference})
    assert record["id"] == "12"
    assert record["profile_id"] == "7"
    assert page.without_key == []


@pytest.mark.parametrize("resource", [{}, {"id": None}, {"id": 5}, {"id": []}])
def test_a_key_without_an_id(parse: Parse, resource: dict[str, Any]) -> None:
    """A profile with its key and an invalid id is a record or is reported."""
    records, page = parse("global_exclusions", {**resource, "attributes": {"email": "jo@e.com"}})
    assert len(records) + len(page.without_key) == 1


@pytest.mark.parametrize("item", [None, 1, "E1", [], True])
def test_element_that_is_not_a_resource(parse: Parse, item: Any) -> None:
    """An element that is not a resource is reported."""
    records, page = parse("open", event(timestamp=1), item)
    assert len(records) == 1
    assert page.without_key or page.warnings


@pytest.mark.parametrize("value", [None, 1, "x", [], {}])
def test_invalid_structures(parse: Parse, value: Any) -> None:
    """Attributes, relationships and included of the wrong type are ignored."""
    item = {"id": "E1", "attributes": value, "relationships": value}
    body = json.dumps({"data": [item], "included": value}).encode()
    ((record,), page) = parse("open", body=body)
    assert record["id"] == "E1"
    assert page.next_url is None


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b"null", b"<html>", b"\xff", b'{"data":[', b"[" * 100_000),
        *(b'{"data":null}', b'{"data":{}}', b'{"data":[],"links":{"next":5}}', b'{"errors":[]}'),
        *(b'{"data":[],"links":%s}' % links for links in (b"[]", b'""', b"0", b"false", b'"next"')),
    ],
    ids=lambda body: body[:20].decode("latin-1"),
)
def test_body_that_is_not_a_page(parse: Parse, body: bytes) -> None:
    """A body that is not a page raises ValueError, so that it is requested again."""
    with pytest.raises(ValueError, match=r".+"):
        parse("open", body=body)
