"""Answers that are one resource and not a list."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.page_parser import Page, PageParser

Select = Callable[..., SelectedStream]

EXTRACTED = "2026-01-01T00:00:00.000000Z"


def records(parser: PageParser, page: Page) -> list[dict[str, Any]]:
    """The records of a page."""
    lines = parser.encode(page.records, EXTRACTED).splitlines()
    return [json.loads(line)["record"] for line in lines]


def test_one_resource_is_one_record(select: Select) -> None:
    """The ID of the resource is in the key of the record, and everything else as in a list."""
    parser = PageParser(select("list_profile_counts"))
    attributes = {"name": "Newsletter", "profile_count": 7}
    answer = {
        "data": {"type": "list", "id": "LsT001", "attributes": attributes, "links": {"self": "…"}},
        "links": {"self": "…"},
    }
    page = parser.parse(json.dumps(answer).encode(), "LsT001")
    assert records(parser, page) == [{"list_id": "LsT001", **attributes}]
    assert (page.ids, page.next_url, page.converted) == (["LsT001"], None, False)
    assert not page.warnings


@pytest.mark.parametrize(
    "definition",
    [
        {"triggers": [{"type": "list", "id": "LsT001"}], "actions": [], "entry_action_id": None},
        {"a": 12345678901234567890, "b": 0.1, "c": {"d": [None, True, "\u2028 🌷"]}},
        {},
        None,
    ],
    ids=str,
)
def test_a_definition_is_kept_as_it_is(select: Select, definition: Any) -> None:
    """A free-form definition has the same value in the record."""
    parser = PageParser(select("flow_definitions"))
    answer = {"data": {"type": "flow", "id": "FlW001", "attributes": {"definition": definition}}}
    (record,) = records(parser, parser.parse(json.dumps(answer).encode(), "FlW001"))
    assert record == {"flow_id": "FlW001", "definition": definition}


def test_null_is_no_record(select: Select) -> None:
    """A null instead of a resource means that there is none."""
    page = PageParser(select("list_profile_counts")).parse(b'{"data": null}', "LsT001")
    assert (page.records, page.without_key) == ([], [])


def test_a_resource_without_an_id_is_counted(select: Select) -> None:
    """A resource that lacks the key is left out and counted, as in a list."""
    page = PageParser(select("list_profile_counts")).parse(b'{"data": {}}', "LsT001")
    assert (page.records, len(page.without_key)) == ([], 1)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"data": "LsT001"}', b'{"data": 1}', b"[]", b"null", b""]
)
def test_what_is_no_resource(select: Select, body: bytes) -> None:
    """An answer without a resource is no answer, so it is requested again."""
    with pytest.raises(ValueError, match=r".+"):
        PageParser(select("list_profile_counts")).parse(body, "LsT001")


def test_null_is_no_list(select: Select) -> None:
    """Null instead of a list stays an error."""
    with pytest.raises(ValueError, match=r".+"):
        PageParser(select("lists")).parse(b'{"data": null}')
