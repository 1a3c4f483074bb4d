"""Values of records are replaced by keyed hashes, whichever way a page is read."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.page_parser import Page, PageParser

Select = Callable[..., SelectedStream]
Document = dict[str, Any]

SALT = "a salt of these tests: äöü"
ADDRESS = "Anna.Muster@Example.com"

SLOW = " \n"
"""Around a colon: a page with a line break may not be copied, so it is converted."""


def digest(text: str) -> str:
    """The hash of a text that is trimmed and in lower case."""
    return hmac.new(SALT.encode(), text.encode(), hashlib.sha256).hexdigest()


HASH = digest("anna.muster@example.com")


def parser_of(selected: SelectedStream, *patterns: str) -> PageParser:
    """The parser of a run with these patterns."""
    required = {"api_key": "pk_1", "start_date": "2026-01-01", "hash_salt": SALT}
    return PageParser(selected, parse_config({**required, "hash_fields": [*patterns]}).hashing)


def parse(parser: PageParser, document: Document, *, slow: bool = False) -> Page:
    """Parses a page, by the conversion if ``slow``."""
    separators = (",", f":{SLOW}") if slow else (",", ":")
    return parser.parse(json.dumps(document, separators=separators).encode())


def record_of(parser: PageParser, page: Page) -> Document:
    """The only record of a page, which a batch file holds too."""
    (line,) = parser.encode(page.records, "").splitlines()
    record: Document = json.loads(line)["record"]
    assert json.loads(parser.encode_bare(page.records)) == record
    return record


def profile(**attributes: Any) -> Document:
    """A page with a profile."""
    return {"data": [{"type": "profile", "id": "P1", "attributes": attributes}]}


def event(properties: Any = None, **attributes: Any) -> Document:
    """A page with an event of a profile."""
    related = {"profile": {"data": {"type": "profile", "id": "P1"}}}
    sent = {
        "timestamp": 1,
        "datetime": "2026-01-01T00:00:00+00:00",
        "uuid": "u",
        "event_properties": properties,
    }
    data = {"type": "event", "id": "E1", "attributes": sent, "relationships": related}
    return {"data": [data], "included": profile(**attributes)["data"]}


both_ways = pytest.mark.parametrize("slow", [False, True], ids=["fast", "slow"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ADDRESS, HASH),
        (f" \t{ADDRESS}\r\n", HASH),
        ("anna.muster@example.com", HASH),
        ("ÄRGER", digest("ärger")),
        ("a b", digest("a b")),
        ('"', digest('"')),
        ("0", digest("0")),
        ("null", digest("null")),
        ("x" * 100_000, digest("x" * 100_000)),
        (12, digest("12")),
        ("😀", digest("😀")),
        ("", ""),
        ("  ", "  "),
        (None, None),
    ],
    ids=str,
)
@both_ways
def test_values_of_a_text(select: Select, text: Any, expected: Any, slow: bool) -> None:
    """The hash is of the text in lower case without blanks around; null and blanks stay."""
    parser = parser_of(select("profiles"), "profiles.email")
    page = parse(parser, profile(email=text, title=text), slow=slow)
    record = record_of(parser, page)
    assert record["email"] == expected
    assert record["title"] == (str(text) if text == 12 else text)
    assert page.converted == (slow or text == 12)


@both_ways
def test_a_missing_value_stays_missing(select: Select, slow: bool) -> None:
    """A record without the attribute has none with a hash of nothing."""
    parser = parser_of(select("profiles"), "profiles.email", "profiles.location.city")
    assert "email" not in record_of(parser, parse(parser, profile(), slow=slow))
    record = record_of(parser, parse(parser, profile(location={"zip": "1"}), slow=slow))
    assert record["location"] == {"zip": "1"}


@both_ways
def test_nested_and_embedded_values(select: Select, slow: bool) -> None:
    """Patterns reach objects and the elements of arrays; what they do not match stays."""
    parser = parser_of(select("receive"), "*.email", "receive.profile.location.city")
    location = {"city": "Ulm", "region": "BW", "latitude": 48.4}
    sent = event({"email": ADDRESS}, email=ADDRESS, title=ADDRESS, location=location)
    record = record_of(parser, parse(parser, sent, slow=slow))
    (embedded,) = record["profile"]
    assert embedded["email"] == HASH
    assert embedded["title"] == ADDRESS
    assert embedded["location"] == {**location, "city": digest("ulm")}
    assert record["event_properties"] == {"email": ADDRESS}
    assert record["profile_id"] == embedded["id"] == "P1"


@both_ways
def test_text_in_an_array(select: Select, slow: bool) -> None:
    """Each text of an array is hashed by itself."""
    parser = parser_of(select("campaigns"), "campaigns.audiences.included")
    audiences = {"included": ["A", None, " a"], "excluded": ["A"]}
    attributes = {"audiences": audiences}
    sent = {"data": [{"type": "campaign", "id": "C1", "attributes": attributes}]}
    record = record_of(parser, parse(parser, sent, slow=slow))
    assert record["audiences"]["included"] == [digest("a"), None, digest("a")]
    assert record["audiences"]["excluded"] == ["A"]


FREE_FORMS = {
    "a text": ({"$email": ADDRESS, "a": ADDRESS}, {"$email": HASH, "a": ADDRESS}),
    "a whole number": ({"$email": 491701234567}, {"$email": digest("491701234567")}),
    "a decimal": ({"$email": 1.50}, {"$email": digest("1.5")}),
    "a boolean": ({"$email": True}, {"$email": digest("true")}),
    "null": ({"$email": None}, {"$email": None}),
    "an empty text": ({"$email": ""}, {"$email": ""}),
    "an array": ({"$email": [ADDRESS, 1, None]}, {"$email": [HASH, digest("1"), None]}),
    "an object": (
        {"$email": {"to": ADDRESS, "cc": [{"x": ADDRESS}], "n": {}}},
        {"$email": {"to": HASH, "cc": [{"x": HASH}], "n": {}}},
    ),
    "a nested name": ({"order": {"to": ADDRESS, "id": "1"}}, {"order": {"to": HASH, "id": "1"}}),
    "a name in an array": ({"order": [{"to": ADDRESS}, 1]}, {"order": [{"to": HASH}, 1]}),
    "a name with a dot": ({"order.to": ADDRESS}, {"order.to": HASH}),
    "another nesting": ({"order": ADDRESS}, {"order": ADDRESS}),
    "another case": ({"$Email": ADDRESS}, {"$Email": ADDRESS}),
    "a name with a blank": ({"Is it? [x]": ADDRESS}, {"Is it? [x]": HASH}),
    "no name": ({"x": 1e3, "y": "\u00e4"}, {"x": 1e3, "y": "ä"}),
    "nothing": ({}, {}),
    "no object": (None, None),
}


@pytest.mark.parametrize(("sent", "written"), FREE_FORMS.values(), ids=FREE_FORMS.keys())
@both_ways
def test_free_form_objects(select: Select, sent: Any, written: Any, slow: bool) -> None:
    """A pattern hashes what it names in a free-form object, whatever that is."""
    names = ("$email", "order.to", "Is it? [x]")
    parser = parser_of(select("receive"), *(f"*.event_properties.{name}" for name in names))
    page = parse(parser, event(sent, email=ADDRESS), slow=slow)
    record = record_of(parser, page)
    assert record["event_properties"] == written
    assert record["profile"][0]["email"] == ADDRESS
    assert page.converted == slow


AS_SENT = {
    "an escape": b'{"\\u00e4":"\\u00e4"}',
    "a number that no float holds": b'{"n":1e999,"m":12345678901234567890123}',
    "another name": b'{"email2": 1.50, "z":"\\/"}',
}


@pytest.mark.parametrize("value", AS_SENT.values(), ids=AS_SENT.keys())
def test_free_form_objects_without_the_name(select: Select, value: bytes) -> None:
    """A free-form object without the named value is copied byte for byte."""
    parser = parser_of(select("receive"), "receive.event_properties.email")
    body = json.dumps(event("here"), separators=(",", ":")).encode().replace(b'"here"', value)
    page = parser.parse(body)
    assert not page.converted
    assert value in parser.encode(page.records, "")


HIDDEN = {
    "a name twice": b'{"email":"Anna@a.example","email":"anna@A.example"}',
    "an escaped name": b'{"em\\u0061il":"anna@a.example"}',
    "an escaped text": b'{"email":"anna\\u0040a.example"}',
    "half a character": b'{"email":"anna@a.example","x":"\\ud800"}',
    "half a character in a name": b'{"email":"anna@a.example","\\ud800":1}',
    "a NUL character": b'{"email":"anna@a.example\\u0000"}',
    "a long number": b'{"email":"anna@a.example","n":1e999}',
}


@pytest.mark.parametrize(
    "value",
    [
        b'{"email":"anna@a.example","email":null}',
        b'{"email":"anna@a.example","email":""}',
        b'{"user":{"email":"anna@a.example"},"user":{}}',
    ],
)
def test_the_last_of_equal_names_counts(select: Select, value: bytes) -> None:
    """A value whose name comes again in the object is not in the output."""
    parser = parser_of(
        select("receive"), "*.event_properties.email", "*.event_properties.user.email"
    )
    body = json.dumps(event("here"), separators=(",", ":")).encode().replace(b'"here"', value)
    assert b"anna" not in parser.encode(parser.parse(body).records, "")


@pytest.mark.parametrize("value", HIDDEN.values(), ids=HIDDEN.keys())
def test_unusual_json_hides_nothing(select: Select, value: bytes) -> None:
    """However a name or a value is written, the plain text is not in the output."""
    parser = parser_of(select("receive"), "receive.event_properties.email")
    body = json.dumps(event("here"), separators=(",", ":")).encode().replace(b'"here"', value)
    line = parser.encode(parser.parse(body).records, "")
    assert digest("anna@a.example").encode() in line
    assert b"anna" not in line.lower()


@pytest.mark.parametrize("depth", [50, 400, 900])
@pytest.mark.parametrize("name", ["email", "order.to"])
def test_deep_nesting(select: Select, depth: int, name: str) -> None:
    """A value that is nested deeply is hashed, with its nesting or as one text."""
    value: Any = ADDRESS
    for _ in range(depth // 2):
        value = [{"x": value}]
    names = dict.fromkeys(["email"], value) if name == "email" else {"order": [{"to": value}]}
    parser = parser_of(select("receive"), f"receive.event_properties.{name}")
    body = json.dumps(event(names), separators=(",", ":")).encode()
    line = parser.encode(parser.parse(body).records, "")
    assert ADDRESS.encode() not in line
    assert json.loads(line)["record"]["event_properties"].keys() == names.keys()


UNKNOWN = {
    "a text": (ADDRESS, HASH),
    "a number": (12, digest("12")),
    "an object": ({"of": [ADDRESS]}, {"of": [HASH]}),
}


@pytest.mark.parametrize(("sent", "written"), UNKNOWN.values(), ids=UNKNOWN.keys())
@both_ways
def test_unknown_attributes(select: Select, sent: Any, written: Any, slow: bool) -> None:
    """An attribute that Klaviyo has added is hashed if a pattern matches it, on each page."""
    parser = parser_of(select("profiles"), "*mail", "profiles.location.?ity")
    location = {"work_mail": sent, "other": {"home_mail": sent, "x": ADDRESS}, "city": None}
    for _ in range(3):
        page = parse(parser, profile(location=copy.deepcopy(location)), slow=slow)
        assert page.converted == slow
        assert record_of(parser, page)["location"] == {
            "work_mail": written,
            "other": {"home_mail": written, "x": ADDRESS},
            "city": None,
        }


def test_what_a_page_tells_besides_is_true(select: Select) -> None:
    """IDs of resources and resources without a key are known by what Klaviyo has sent."""
    selected = select("global_exclusions")
    parser, plain = parser_of(selected, "*.email"), PageParser(selected)
    sent = profile(email=ADDRESS)
    sent["data"] += [{"type": "profile", "id": "P2", "attributes": {}}]
    page, expected = parse(parser, sent), parse(plain, sent)
    assert (page.ids, page.without_key) == (expected.ids, expected.without_key) == (["P1"], ["P2"])
    assert record_of(parser, page)["email"] == HASH


def test_other_streams_are_not_changed(select: Select) -> None:
    """Of a stream that no pattern matches, each byte is the same as without hashes."""
    selected = select("receive")
    parser, plain = parser_of(selected, "profiles.*mail", "open.*.email"), PageParser(selected)
    sent = event({"a": 1.50}, email=ADDRESS)
    lines = [one.encode(parse(one, sent).records, "") for one in (parser, plain)]
    assert lines[0] == lines[1]


def test_records_that_share_a_profile(select: Select) -> None:
    """Each record of a page has the hashes, though all of them embed the same profile."""
    parser = parser_of(select("receive"), "*.email")
    sent = event(email=ADDRESS)
    sent["data"] = [{**sent["data"][0], "id": f"E{number}"} for number in range(3)]
    page = parse(parser, sent)
    lines = parser.encode(page.records, "").splitlines()
    assert [json.loads(line)["record"]["profile"][0]["email"] for line in lines] == [HASH] * 3
