"""The page parser supports every stream of the registry."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.records.page_parser import PageParser
from tap_klaviyo.streams import REGISTRIES

Select = Callable[..., SelectedStream]
Document = dict[str, Any]
EXTRACTED = "2026-01-01T00:00:00.000000Z"

REQUIRED_ATTRIBUTES: dict[str, Document] = {
    "billing_usage": {"period_start": "2026-01-01T00:00:00Z"},
    "global_exclusions": {"email": "jo@example.com"},
    "list_exclusions": {
        "subscriptions": {
            "email": {
                "marketing": {
                    "list_suppressions": [
                        {"list_id": "01P", "reason": "R", "timestamp": "2026-01-01T00:00:00Z"},
                        {"list_id": "01Q", "reason": "R", "timestamp": "2026-01-01T00:00:00Z"},
                    ]
                }
            }
        }
    },
}
"""Attributes that a resource needs to become a record, by stream."""


@pytest.mark.parametrize(
    ("revision", "name"),
    [
        (revision, stream.name)
        for revision, registry in REGISTRIES.items()
        for stream in registry.streams
        if not stream.report
    ],
)
def test_every_stream(select: Select, revision: str, name: str) -> None:
    """Every stream parses an empty page and a resource that has nothing but its key."""
    selected = select(name, revision=revision)
    parser = PageParser(selected)
    own = "01P" if selected.stream.single else "01A"
    resource = {"id": own, "attributes": REQUIRED_ATTRIBUTES.get(name, {})}
    answer = {"data": resource if selected.stream.single else [resource]}
    page = parser.parse(json.dumps(answer).encode(), "01P")
    (line,) = parser.encode(page.records, EXTRACTED).splitlines()
    record = json.loads(line)["record"]
    assert record[selected.stream.id_property] == own
    assert record.get("type", selected.stream.type) == selected.stream.type
    assert all(record[key] is not None for key in selected.keys)
    if selected.stream.parent:
        assert record[selected.stream.parent.property] == "01P"
    nothing = b'{"data":null}' if selected.stream.single else b'{"data":[]}'
    assert parser.encode(parser.parse(nothing).records, EXTRACTED) == b""


KEYS = [
    pytest.param(revision, stream.name, key, id=f"{revision}: {stream.name}.{key}")
    for revision, registry in REGISTRIES.items()
    for stream in registry.streams
    for key in (*stream.keys, stream.id_property)
    if not stream.report and not (stream.parent and key == stream.parent.property)
    if schema_of(stream)["properties"][key]["type"] == "string"
    if "format" not in schema_of(stream)["properties"][key]
]


@pytest.mark.parametrize("separators", [(",", ":"), (",\n", ": ")])
@pytest.mark.parametrize(("revision", "name", "key"), KEYS)
def test_an_empty_key(
    select: Select, revision: str, name: str, key: str, separators: tuple[str, str]
) -> None:
    """A resource with an empty text in a key property is left out and counted, as with null.

    Blanks are a value: targets store them.
    """
    selected = select(name, revision=revision)
    parser = PageParser(selected)
    for value, left_out in (("", 1), (" ", 0)):
        resource = {"id": "01A", "attributes": copy.deepcopy(REQUIRED_ATTRIBUTES.get(name, {}))}
        if key == selected.stream.id_property:
            resource["id"] = value
        elif selected.stream.rows:
            *parents, last = f"{selected.stream.rows}.{key}".split(".")
            rows: Any = resource["attributes"]
            for step in parents:
                rows = rows[step]
            for row in rows:
                row[last] = value
        else:
            resource["attributes"][key] = value
        body = json.dumps({"data": [resource]}, separators=separators).encode()
        page = parser.parse(body, "01P")
        assert (len(page.records), len(page.without_key)) == (1 - left_out, left_out)
