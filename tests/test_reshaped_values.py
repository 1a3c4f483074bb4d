"""Values that get another form: the campaigns of revision 2026-10-15."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.selection import SelectedStream, read_catalog
from tap_klaviyo.klaviyo.queries import query_for
from tap_klaviyo.records.page_parser import Page, PageParser
from tap_klaviyo.streams import REGISTRIES

STREAMS = REGISTRIES["2026-10-15"].streams
EXTRACTED = "2026-01-01T00:00:00.000000Z"
DATE = "2026-01-02T03:04:05+00:00"
UTC = "2026-01-02T03:04:05Z"


def select(name: str, *columns: str) -> SelectedStream:
    """A stream with these columns, all without any."""
    entries = copy.deepcopy(build_catalog(STREAMS)["streams"])
    entry = next(entry for entry in entries if entry["stream"] == name)
    for item in entry["metadata"]:
        place = item["breadcrumb"]
        item["metadata"]["selected"] = len(place) != 2 or not columns or place[1] in columns
    return read_catalog({"streams": [entry]}, streams=STREAMS)[0]


def message(number: int, definition: Any, **attributes: Any) -> dict[str, Any]:
    """A message of a campaign."""
    attributes = {"created": DATE, "updated": DATE, "definition": definition, **attributes}
    return {"type": "campaign-message", "id": f"m{number}", "attributes": attributes}


def audience(number: int, definition: Any) -> dict[str, Any]:
    """An audience of a campaign."""
    attributes = {"created": DATE, "updated": DATE, "definition": definition}
    return {"type": "campaign-audience", "id": f"a{number}", "attributes": attributes}


def parsed(
    included: Sequence[dict[str, Any]], definition: Any = None, columns: Sequence[str] = ()
) -> tuple[dict[str, Any], Page]:
    """The record of a campaign with these messages and audiences, and its page."""
    relationships: dict[str, Any] = {"campaign-messages": {"data": []}, "tags": {"data": []}}
    for one in included:
        data = relationships.setdefault(f"{one['type']}s", {"data": []})["data"]
        data.append({"type": one["type"], "id": one["id"]})
    campaign = {
        "type": "campaign",
        "id": "c1",
        "attributes": {"created_at": DATE, "updated_at": DATE, "definition": definition},
        "relationships": relationships,
    }
    parser = PageParser(select("campaigns", *columns))
    page = parser.parse(json.dumps({"data": [campaign], "included": included}).encode())
    (line,) = parser.encode(page.records, EXTRACTED).splitlines()
    record: dict[str, Any] = json.loads(line)["record"]
    return record, page


@pytest.mark.parametrize(
    ("definition", "column", "value"),
    [
        ({"status": "sent"}, "status", "Sent"),
        ({"status": "cancelled"}, "status", "Cancelled"),
        ({"status": "paused"}, "status", "paused"),
        ({"status": ["sent"]}, "status", None),
        ({"status": None}, "status", None),
        ({}, "status", None),
        (None, "status", None),
        ({"send_options": {"send_time": DATE}}, "send_time", UTC),
        ({"send_options": {"send_time": None}}, "send_time", None),
        ({"send_options": "later"}, "send_time", None),
        (
            {"send_options": {"is_ignoring_unsubscribes": False, "throttling_type": "none"}},
            "send_options",
            {"ignore_unsubscribes": False},
        ),
        ({"send_options": {"throttling_type": "none"}}, "send_options", None),
        ({"send_options": []}, "send_options", None),
        (
            {"tracking_options": {"is_add_utm": True, "is_tracking_opens": None}},
            "tracking_options",
            {"add_tracking_params": True, "is_tracking_opens": None},
        ),
        ({"tracking_options": None}, "tracking_options", None),
    ],
)
def test_a_column_of_the_only_message(definition: Any, column: str, value: Any) -> None:
    """A column is the value of the only message, renamed; null for what is not known."""
    record, _ = parsed([message(1, definition)])
    assert record[column] == value
    alone, _ = parsed([message(1, definition)], columns=[column])
    assert alone == {"id": "c1", column: value}


def test_several_messages() -> None:
    """Columns of the only message are null for several, which are embedded all the same."""
    definition = {"status": "sent", "send_options": {"send_time": DATE}}
    record, page = parsed([message(1, definition), message(2, definition)])
    for column in ("status", "send_time", "send_options", "tracking_options"):
        assert record[column] is None
    assert [one["status"] for one in record["campaign-messages"]] == ["sent", "sent"]
    assert not page.warnings


def test_no_message() -> None:
    """A campaign without messages has null in the columns of the only one."""
    record, _ = parsed([])
    assert record["status"] is record["send_time"] is record["audiences"] is None
    assert record["campaign-messages"] == []


@pytest.mark.parametrize(
    ("definitions", "value"),
    [
        ([], None),
        (
            [{"name": "A", "included": ["L1"], "excluded": [], "priority": 1}],
            {"included": ["L1"], "excluded": []},
        ),
        ([{"included": None, "excluded": None}], None),
        ([{"included": ["L1"]}, {"included": ["L2"]}], None),
    ],
)
def test_audiences(definitions: Sequence[Any], value: Any) -> None:
    """The lists and segments of the only audience are those of the campaign."""
    included = [audience(number, one) for number, one in enumerate(definitions)]
    record, _ = parsed(included)
    assert record["audiences"] == value
    assert len(record["campaign-audiences"]) == len(definitions)


def test_an_embedded_message() -> None:
    """Dates and the label have their former names, what Klaviyo does not send is null."""
    definition = {"name": "M", "send_options": {"send_time": DATE, "new": 1}}
    record, page = parsed([message(1, definition)])
    (embedded,) = record["campaign-messages"]
    assert embedded == {
        "type": "campaign-message",
        "id": "m1",
        "label": "M",
        "created_at": UTC,
        "updated_at": UTC,
        "send_times": [{"datetime": UTC}],
        "send_options": {"send_time": UTC, "new": 1},
        **dict.fromkeys(("channel", "content", "render_options", "notification_type")),
        **dict.fromkeys(("kv_pairs", "options", "status", "tracking_options", "ab_test")),
    }
    assert not page.warnings


def test_attributes_that_are_new_in_a_definition() -> None:
    """What the schema does not describe is left out and named once."""
    record, page = parsed([message(1, {"goal": 1})], {"name": "C", "budget": 2})
    assert record["name"] == "C"
    named = " ".join(page.warnings)
    assert "definition.budget" in named
    assert "definition.goal" in named


@pytest.mark.parametrize(
    ("column", "include", "fields"),
    [
        ("status", "campaign-messages", {"fields[campaign-message]": "definition"}),
        ("audiences", "campaign-audiences", {"fields[campaign-audience]": "definition"}),
        ("name", None, {"fields[campaign]": "definition"}),
        ("scheduled_at", None, {"fields[campaign]": "id"}),
        ("created_at", None, {"fields[campaign]": "created_at"}),
    ],
)
def test_only_what_a_column_needs_is_requested(
    column: str, include: str | None, fields: dict[str, str]
) -> None:
    """A column requests the attribute that holds it, and nothing where Klaviyo has none."""
    selected = select("campaigns", column)
    parameters = query_for(selected.stream, selected.schema).parameters
    assert parameters.get("include") == include
    assert fields.items() <= parameters.items()
