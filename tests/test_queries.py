"""Klaviyo's JSON:API: request URLs, origins and error bodies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.klaviyo.queries import Query, between, equals, query_for
from tap_klaviyo.klaviyo.refusals import ErrorDetail, error_detail
from tap_klaviyo.klaviyo.urls import origin
from tap_klaviyo.streams.model import TimeFilter

Select = Callable[..., SelectedStream]


def query_of(selected: SelectedStream) -> Query:
    """The query of a selected stream."""
    return query_for(selected.stream, selected.schema)


def parameters(url: str) -> dict[str, str]:
    """The decoded query parameters of a URL, which must be unique."""
    pairs = parse_qsl(urlsplit(url).query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_events_query(select: Select) -> None:
    """Events are requested with profile and metric, sorted by time, with one filter."""
    query = query_of(select("open"))
    window = between(TimeFilter("timestamp", iso=False), 10, 20)
    filters = (equals("metric_id", "Mt1"), *window)
    url = query.url(filters, 1000)
    assert urlsplit(url).path == "/api/events"
    requested = parameters(url)
    assert requested["filter"] == (
        'equals(metric_id,"Mt1"),greater-or-equal(timestamp,10),less-than(timestamp,20)'
    )
    assert requested["include"] == "profile,metric"
    assert requested["sort"] == "timestamp"
    assert requested["page[size]"] == "1000"
    assert requested["fields[event]"] == "datetime,event_properties,timestamp,uuid"
    assert requested["fields[metric]"] == "created,integration,name,updated"
    assert query.scopes == ("events:read", "profiles:read", "metrics:read")


def test_nothing_optional(select: Select) -> None:
    """Empty filters and an unset page size are not sent."""
    requested = parameters(query_of(select("lists")).url(["", ""], None))
    assert requested.keys() == {"include", "fields[list]", "fields[tag]"}


def test_deselected_fields_are_not_requested(select: Select) -> None:
    """Deselected fields, also nested ones, are not requested."""
    query = query_of(select("open", "event_properties", "uuid", "metric.integration"))
    assert query.parameters["fields[event]"] == "datetime,timestamp"
    assert query.parameters["fields[metric]"] == "created,name,updated"


def test_deselected_relationships_are_not_included(select: Select) -> None:
    """A deselected relationship is not included and its scope is not needed."""
    query = query_of(select("open", "profile", "profile_id", "metric", "metric_id"))
    assert "include" not in query.parameters
    assert not [name for name in query.parameters if name in ("fields[profile]", "fields[metric]")]
    assert query.scopes == ("events:read",)


def test_only_the_key(select: Select) -> None:
    """A stream with only its id selected requests the smallest fieldset."""
    selected = select("lists", "type", "name", "created", "updated", "opt_in_process", "tags")
    assert query_of(selected).parameters == {"fields[list]": "id"}


def test_moved_values(select: Select) -> None:
    """Properties that Klaviyo nests in one attribute request that attribute once."""
    query = query_of(select("campaigns"))
    assert query.parameters["fields[campaign-message]"] == (
        "created_at,definition,send_times,updated_at"
    )


def test_related_resources_of_the_same_type(select: Select) -> None:
    """The fields of a type are those of the records and those of what is included."""
    query = query_of(select("object_type_relationships"))
    assert query.parameters == {
        "include": "object-types,profile-object-types",
        "fields[object-type]": "meta",
        "fields[profile-object-type]": "meta",
    }
    selected = select("object_type_relationships")
    properties = {**selected.schema["properties"], "title": {"type": "string"}}
    both = query_for(selected.stream, {"properties": properties})
    assert both.parameters["fields[object-type]"] == "meta,title"


@pytest.mark.parametrize(
    ("stream", "without", "additional"),
    [
        ("global_exclusions", (), "subscriptions,predictive_analytics"),
        ("global_exclusions", ("predictive_analytics",), "subscriptions"),
        ("profiles", ("predictive_analytics",), "subscriptions"),
        ("profiles", ("predictive_analytics", "subscriptions"), None),
    ],
)
def test_additional_fields(
    select: Select, stream: str, without: tuple[str, ...], additional: str | None
) -> None:
    """An additional field is requested if a selected property needs it."""
    query = query_of(select(stream, *without))
    assert query.parameters.get("additional-fields[profile]") == additional


def test_tier(select: Select) -> None:
    """Selecting a field with a lower rate limit lowers the tier."""
    assert query_of(select("global_exclusions")).tier == "M"
    assert query_of(select("global_exclusions", "predictive_analytics")).tier == "L"
    assert query_of(select("open")).tier == "XL"


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a,b)", "ü", "a&b=c#d"])
def test_filter_values_are_quoted(select: Select, value: str) -> None:
    """A filter value is escaped in the filter and in the URL."""
    term = equals("metric_id", value)
    assert parameters(query_of(select("open")).url([term], 5))["filter"] == term
    assert json.loads(term.removeprefix("equals(metric_id,").removesuffix(")")) == value


ORIGINS: dict[str, tuple[str, str, int] | None] = {
    "https://a.klaviyo.com/": ("https", "a.klaviyo.com", 443),
    "https://A.Klaviyo.com:443/api/?x=%22#y": ("https", "a.klaviyo.com", 443),
    "https://a.klaviyo.com:8443/api": ("https", "a.klaviyo.com", 8443),
    "http://localhost/": ("http", "localhost", 80),
    "http://[::1]:8080/api": ("http", "[::1]", 8080),
    "https://a.klaviyo.com": None,
    "https://me@a.klaviyo.com/": None,
    "https://example.com\\@a.klaviyo.com/": None,
    "https://example.com\t@a.klaviyo.com/": None,
    "https://a.klaviyo.com:port/": None,
    "https://[::1/": None,
    "ftp://a.klaviyo.com/": None,
    "//a.klaviyo.com/": None,
    "https://a.klaviyo.com:0/": None,
    "https://a.klaviyo.com:99999/": None,
    "": None,
}


@pytest.mark.parametrize(("url", "expected"), ORIGINS.items())
def test_origin(url: str, expected: tuple[str, str, int] | None) -> None:
    """The origin of a URL is its scheme, host and port, or None if the URL is ambiguous."""
    assert origin(url) == expected


def error(**fields: Any) -> bytes:
    """A response body with one error."""
    return json.dumps({"errors": [{"id": "1", "code": "invalid", **fields}]}).encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (error(detail="Bad.", source={"parameter": "page[size]"}), ("Bad.", "page[size]", True)),
        (error(detail="Bad.", source={"pointer": "/page/size"}), ("Bad.", "/page/size", True)),
        (
            error(detail="Page size must be at most 200."),
            ("Page size must be at most 200.", "", True),
        ),
        (error(detail="Empty.", source={"pointer": "datetime"}), ("Empty.", "datetime", False)),
        (error(detail="Bad.", source={"parameter": "filter"}), ("Bad.", "filter", False)),
        (error(title="Invalid input."), ("Invalid input.", "", None)),
        (error(detail="two\n  lines", source={"pointer": "/data"}), ("two lines", "/data", None)),
        (error(detail="a\x1b[31m\x07b\u202e"), ("a\\x1b[31m\\x07b\\u202e", "", None)),
        (error(detail=None, title=None, source=None), ("", "", None)),
        (b"<html>520</html>", ("", "", None)),
        (b'{"errors": []}', ("", "", None)),
        (b'{"errors": "no"}', ("", "", None)),
        (b'{"errors": [[]]}', ("", "", None)),
        (b"[]", ("", "", None)),
        (b"\xff", ("", "", None)),
        (b"[" * 100_000, ("", "", None)),
        (b"", ("", "", None)),
    ],
)
def test_error_detail(body: bytes, expected: tuple[str, str, bool | None]) -> None:
    """The detail of an error is one line, and its source says whether the page size is meant."""
    assert error_detail(body) == ErrorDetail(*expected)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_error_of_any_type(source: Any) -> None:
    """An error body with values of any type never raises."""
    detail = error_detail(error(detail=source, source=source))
    assert isinstance(detail.text, str)
    assert isinstance(detail.parameter, str)
