"""Values that are moved by design: decoded where they are, as the conversion moves them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.klaviyo.queries import between, query_for
from tap_klaviyo.records.page_parser import Page, PageParser
from tap_klaviyo.streams import STREAMS
from tap_klaviyo.streams.model import TimeFilter

Select = Callable[..., SelectedStream]
Document = dict[str, Any]

SUPPRESSION_TIME = "subscriptions.email.marketing.suppression.timestamp"
BY_SUPPRESSION = TimeFilter(SUPPRESSION_TIME, upper="")
BY_LIST_SUPPRESSION = TimeFilter(
    "subscriptions.email.marketing.list_suppressions.timestamp", upper=""
)

MOVING = [
    stream
    for stream in STREAMS
    if (stream.field_paths or any(one.field_paths for one in stream.relationships))
    and not stream.single
]
"""The streams with moved values; answers that are one resource take the slow path only."""

DESELECTED = [
    (),
    ("subscriptions", "predictive_analytics"),
    ("suppressions", "subscriptions.email.marketing.suppression.reason"),
    ("suppressions.reason", "reason", "id", "type"),
    ("suppressions", "reason", "timestamp", "subscriptions"),
    ("content", "label", "campaign-messages.label", "campaign-messages.content.subject"),
    ("campaign-messages.type", "campaign-messages.id", "campaign-messages.kv_pairs"),
]

TEXT = st.sampled_from(["", "a", "ü", "12", "x\u2028y"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**65) | TEXT | st.sampled_from([1.5, -0.25]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
DATES = st.sampled_from(
    [
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00Z",
        "2026-01-01T02:00:00+02:00",
        "2026-01-01T00:00:00.5Z",
        "2025-12-31T23:59:59.999999Z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00",
        "1969-12-31T23:59:59.5Z",
        "0001-01-01T00:00:00Z",
        "2026-01-01",
        "soon",
    ]
)


def rarely(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A strategy for the values that seldom occur, such as null and other types."""
    return st.integers(0, 29).flatmap(lambda number: value if number else st.none() | ANY)


def attributes_of(**attributes: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    """An object without at most one of these attributes, seldom with an unknown one."""
    known = st.fixed_dictionaries({name: rarely(value) for name, value in attributes.items()})
    new = st.integers(0, 39).flatmap(
        lambda number: st.just({}) if number else st.fixed_dictionaries({"new": ANY})
    )
    missing = st.sampled_from([*attributes, *[None] * len(attributes)])
    return st.builds(
        lambda known, new, missing: {
            name: value for name, value in {**known, **new}.items() if name != missing
        },
        known,
        new,
        missing,
    )


def an_object(**attributes: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same, seldom null or of another type."""
    return rarely(attributes_of(**attributes))


ENTRIES = st.lists(an_object(reason=TEXT, timestamp=DATES, list_id=st.just("01P")), max_size=3)
SUBSCRIPTIONS = an_object(
    email=an_object(
        marketing=an_object(
            consent=TEXT, last_updated=DATES, suppression=ENTRIES, list_suppressions=ENTRIES
        )
    ),
    sms=an_object(marketing=an_object(consent=TEXT, consent_timestamp=DATES)),
)
DEFINITION = an_object(
    label=TEXT,
    channel=TEXT,
    content=an_object(subject=TEXT, body=TEXT),
    render_options=an_object(shorten_links=st.booleans()),
    notification_type=TEXT,
    kv_pairs=st.dictionaries(TEXT, ANY, max_size=2),
    options=an_object(badge=an_object(display=st.booleans())),
)
ATTRIBUTES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "profile": {
        "email": TEXT,
        "first_name": TEXT,
        "created": DATES,
        "subscriptions": SUBSCRIPTIONS,
        "predictive_analytics": an_object(total_clv=st.integers(0, 9) | TEXT),
        "properties": st.dictionaries(TEXT, ANY, max_size=2),
        "timestamp": DATES,
        "reason": TEXT,
    },
    "campaign": {"name": TEXT, "created_at": DATES, "definition": DEFINITION},
    "campaign-message": {
        "definition": DEFINITION,
        "label": TEXT,
        "created_at": DATES,
        "send_times": st.lists(an_object(datetime=DATES), max_size=2),
    },
}
IDS = st.sampled_from(["01A", "01B", "01C"])


def resources(type_name: str) -> st.SearchStrategy[list[Document]]:
    """Resources of a type; several may have the same ID."""
    attributes = attributes_of(**ATTRIBUTES[type_name])
    message = st.fixed_dictionaries({"type": st.just("campaign-message"), "id": IDS})
    related = st.fixed_dictionaries({"data": st.none() | st.lists(message, max_size=2)})
    return st.lists(
        st.fixed_dictionaries(
            {"type": st.just(type_name), "id": IDS, "attributes": attributes},
            optional={"relationships": st.fixed_dictionaries({"campaign-messages": related})},
        ),
        max_size=3,
    )


def is_selectable(stream_properties: dict[str, Any], path: str) -> bool:
    """Whether a schema has the property at a dotted path."""
    schema: Any = {"properties": stream_properties}
    for step in path.split("."):
        schema = schema.get("items", schema).get("properties", {})
        if step not in schema:
            return False
        schema = schema[step]
    return True


def filtered_by(selected: SelectedStream, time_filter: TimeFilter | None) -> SelectedStream:
    """The same selection of a stream that is filtered by time."""
    return replace(selected, stream=replace(selected.stream, time_filter=time_filter))


def encoded(parser: PageParser, page: Page) -> bytes:
    """The RECORD lines of a page."""
    return parser.encode(page.records, "2026-01-01T00:00:00Z")


@given(st.data())
@pytest.mark.parametrize("stream", MOVING, ids=lambda stream: stream.name)
def test_a_page_gives_the_same_bytes_whether_converted_or_not(
    select: Select, stream: Any, data: st.DataObject
) -> None:
    """Records, IDs, times and what is left out do not depend on the path that a page takes."""
    properties = select(stream.name).schema["properties"]
    without = [
        path for path in data.draw(st.sampled_from(DESELECTED)) if is_selectable(properties, path)
    ]
    selected = select(stream.name, *(path for path in without if path not in stream.automatic))
    if stream.type == "profile":
        time_filter = st.sampled_from(
            [selected.stream.time_filter, BY_SUPPRESSION, BY_LIST_SUPPRESSION]
        )
        selected = filtered_by(selected, data.draw(time_filter))
    document = {
        "data": data.draw(resources(stream.type)),
        "included": data.draw(resources("campaign-message")),
    }
    check_both_paths(selected, document)


def check_both_paths(selected: SelectedStream, document: Document) -> None:
    """Checks that a page gives the same on both paths, and again once its attributes are known."""
    body = msgspec.json.encode(document)
    parser, reference = PageParser(selected), PageParser(selected)
    page, expected = parser.parse(body, "01P"), reference.parse(b"{\n" + body[1:], "01P")
    assert expected.converted or selected.stream.rows
    assert encoded(parser, page) == encoded(reference, expected)
    assert replace(page, records=[], converted=True) == replace(
        expected, records=[], converted=True
    )
    again = parser.parse(body, "01P")
    assert encoded(parser, again) == encoded(reference, expected)
    assert (again.ids, again.times, again.oldest) == (page.ids, page.times, page.oldest)


def profile(*suppressions: Any, **attributes: Any) -> Document:
    """A profile with these suppressions."""
    marketing = {"consent": "UNSUBSCRIBED", "suppression": list(suppressions)}
    subscriptions = {"email": {"marketing": marketing}}
    given = {"email": "jo@example.com", "subscriptions": subscriptions, **attributes}
    return {"type": "profile", "id": "01A", "attributes": given}


def suppressed(timestamp: Any, reason: str = "UNSUBSCRIBE") -> Document:
    """A suppression."""
    return {"reason": reason, "timestamp": timestamp}


def parse(selected: SelectedStream, *data: Document, included: Any = ()) -> tuple[list[Any], Page]:
    """Parses a page of these resources; returns its records and the page."""
    parser = PageParser(selected)
    page = parser.parse(msgspec.json.encode({"data": data, "included": included}))
    messages = map(msgspec.json.decode, encoded(parser, page).splitlines())
    return [message["record"] for message in messages], page


MESSAGE = {
    "type": "campaign-message",
    "id": "01B",
    "attributes": {"definition": {"label": "A", "channel": "email", "content": {"body": "Hi"}}},
}
TO_MESSAGE = {"campaign-messages": {"data": [{"type": "campaign-message", "id": "01B"}]}}
PREDICTED = {"total_clv": 1.5, "expected_date_of_next_order": "2026-05-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("name", "resource", "included"),
    [
        ("campaigns", {"type": "campaign", "id": "01A", "relationships": TO_MESSAGE}, [MESSAGE]),
        ("campaign_messages", MESSAGE, []),
        ("campaign_messages", {**MESSAGE, "attributes": {"definition": None}}, []),
        ("campaign_messages", {**MESSAGE, "attributes": {}}, []),
        ("global_exclusions", profile(suppressed("2026-01-01T00:00:00+00:00")), []),
        ("global_exclusions", profile(), []),
        ("global_exclusions", profile(subscriptions=None), []),
        ("global_exclusions", profile(predictive_analytics=PREDICTED), []),
        ("global_exclusions", profile(email=None), []),
        ("profiles", profile(suppressed("2026-01-01T00:00:00+00:00")), []),
    ],
)
def test_a_page_with_moved_values_is_not_converted(
    select: Select, name: str, resource: Document, included: list[Document]
) -> None:
    """What is moved by design, missing, null or without a key takes the fast path."""
    _, page = parse(select(name), resource, included=included)
    assert not page.converted
    assert not page.warnings


NOON = "2026-01-01T12:00:00Z"


@pytest.mark.parametrize(
    "resource",
    [
        profile(suppressed(NOON, "A"), suppressed(NOON, "B")),
        profile(suppressed(None, "A"), suppressed(None, "B")),
        profile(suppressed(NOON, "A"), suppressed("2026-01-01T13:00:00+01:00", "B")),
        profile(suppressed("2026-01-01T14:00:00+02:00", "A"), suppressed(NOON, "B")),
        profile(suppressed("2026-01-01T13:00:00+02:00", "A"), suppressed(NOON, "B")),
        profile(suppressed("soon", "A"), suppressed(NOON, "B")),
        profile(suppressed(NOON, "A"), {"reason": 7}, None, "text"),
        profile({**suppressed(NOON), "new": [1]}),
        profile(suppressed(NOON), timestamp="2027-01-01T00:00:00Z", suppressions=["text"]),
        profile(subscriptions={"email": {"marketing": {"suppression": {}}}}),
        profile(subscriptions={"email": [], "new": None}),
        {**MESSAGE, "attributes": {"definition": {"label": "A", "new": 1}}},
        {**MESSAGE, "attributes": {"definition": {"content": {"body": 7, "new": 1}}}},
        {**MESSAGE, "attributes": {"definition": {"label": 5, "kv_pairs": []}, "label": "B"}},
        {**MESSAGE, "attributes": {"definition": "text", "label": "B"}},
    ],
)
def test_odd_moved_values(select: Select, resource: Document) -> None:
    """Ties, offsets, unknown attributes and wrong types give the same on both paths."""
    if resource["type"] == "profile":
        selected = select("global_exclusions")
        check_both_paths(selected, {"data": [resource, profile()]})
        newest_only = select("global_exclusions", "subscriptions", "suppressions")
        check_both_paths(newest_only, {"data": [resource, profile()]})
        check_both_paths(filtered_by(selected, BY_SUPPRESSION), {"data": [resource]})
    else:
        campaign = {"type": "campaign", "id": "01A", "relationships": TO_MESSAGE}
        check_both_paths(select("campaign_messages"), {"data": [resource]})
        check_both_paths(select("campaigns"), {"data": [campaign], "included": [resource]})


def test_profiles_without_an_email_are_left_out_of_a_page(select: Select) -> None:
    """Only the profiles without the key property are left out, and they are named."""
    nobody = {"type": "profile", "id": "01\nB", "attributes": {}}
    found, page = parse(select("global_exclusions"), profile(), nobody, profile(email=""))
    assert [record["email"] for record in found] == ["jo@example.com"]
    assert (page.ids, page.without_key) == (["01A"], ["01 B", "01A"])


@pytest.mark.parametrize("space", ["", "\n"], ids=["fast path", "converted"])
@pytest.mark.parametrize("without", [(), ("subscriptions", "suppressions", "reason", "timestamp")])
@pytest.mark.parametrize(
    ("suppressions", "oldest", "newest"),
    [
        ([suppressed("1970-01-02T00:00:00Z")], 86_400, 86_400),
        ([suppressed("1970-01-01T00:00:09.9Z"), suppressed("1970-01-01T00:00:05Z")], 5, 9),
        ([suppressed("1970-01-01T00:00:00Z"), suppressed("1970-01-01T00:00:05Z")], 0, 5),
        ([suppressed("1970-01-01T01:00:05+01:00"), suppressed("1970-01-01T00:00:04Z")], 4, 5),
        ([suppressed(None), suppressed("1970-01-01T00:00:07Z"), None, {}], 7, 7),
        ([suppressed("soon"), suppressed("1970-01-01T00:00:07Z")], 7, 7),
        ([suppressed(None)], None, None),
        ([], None, None),
    ],
)
def test_a_page_tells_the_oldest_and_the_newest_suppression(
    select: Select,
    suppressions: list[Any],
    oldest: int | None,
    newest: int | None,
    without: tuple[str, ...],
    space: str,
) -> None:
    """Both are in Unix seconds for each profile, whether or not the field is selected."""
    selected = filtered_by(select("global_exclusions", *without), BY_SUPPRESSION)
    parser = PageParser(selected)
    document = {"data": [profile(*suppressions), profile(subscriptions=7)]}
    page = parser.parse(msgspec.json.encode(document).replace(b"{", f"{{{space}".encode(), 1))
    assert (page.oldest, page.times) == ([oldest, None], [newest, None])
    assert SUPPRESSION_TIME.encode() not in encoded(parser, page)
    assert encoded(parser, page) == encoded(
        parser, PageParser(filtered_by(selected, None)).parse(msgspec.json.encode(document))
    )


def test_a_resource_with_one_time_is_as_old_as_it_is_new(select: Select) -> None:
    """Where a property is the time, a page tells it as both."""
    _, page = parse(select("profiles"), profile(updated="1970-01-01T00:00:05Z"), profile())
    assert page.oldest == page.times == [5, None]


def test_the_date_of_the_filter_is_requested_though_it_is_not_selected(select: Select) -> None:
    """A list filtered by the entries of an array requests them, and its records do not change."""
    fields = ("subscriptions", "suppressions", "reason", "timestamp")
    selected = select("global_exclusions", *fields)
    assert selected.stream.automatic == ("email",)
    parameters = query_for(selected.stream, selected.schema).parameters
    assert "subscriptions" in parameters["fields[profile]"].split(",")
    assert "subscriptions" in parameters["additional-fields[profile]"].split(",")


def test_a_filter_without_an_upper_operator_has_one_bound() -> None:
    """Klaviyo allows only one filter on the date of a suppression."""
    assert BY_SUPPRESSION.is_inexact
    assert between(BY_SUPPRESSION, 60, 120) == (
        f"greater-or-equal({SUPPRESSION_TIME},1970-01-01T00:01:00Z)",
    )
