"""Each operation of Klaviyo's API that reads data is read by a stream, or has a reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.streams import REGISTRIES
from tools.coverage import REASONS, Operation, operations, operations_file, streams_by_path

ROOT = Path(__file__).parent.parent
OPERATIONS = operations(operations_file(ROOT))
STREAMS = streams_by_path()
NEWEST = [*REGISTRIES.values()][-1]

each_operation = pytest.mark.parametrize(
    "operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}"
)


@each_operation
def test_an_operation_is_read_or_has_a_reason(operation: Operation) -> None:
    """An operation that no stream requests has a reason, and one that is requested has none."""
    assert bool(operation.reason) != (operation.path in STREAMS)
    assert operation.reason in REASONS
    assert operation.revision in REGISTRIES


@pytest.mark.parametrize(
    "operation", [one for one in OPERATIONS if one.reason == "twin"], ids=lambda one: one.path
)
def test_a_twin_is_read(operation: Operation) -> None:
    """What an operation gives is in a stream, and in a column of it, that its revision offers."""
    stream, _, column = operation.twin.partition(".")
    row = NEWEST.by_name[stream]
    assert not column or column in schema_of(row)["properties"]


def test_every_stream_requests_a_known_operation() -> None:
    """The list has the path of each stream, since the first revision that offers it."""
    since = {one.path: one.revision for one in OPERATIONS}
    for revision, registry in REGISTRIES.items():
        for stream in registry.streams:
            assert since[stream.path.replace("{parent}", "{id}")] <= revision


def test_the_list_is_whole() -> None:
    """Both revisions together have 259 operations, 50 of them since the newer one, each once."""
    assert len({(one.method, one.path) for one in OPERATIONS}) == len(OPERATIONS) == 259
    assert Counter(one.revision for one in OPERATIONS) == {"2026-07-15": 209, "2026-10-15": 50}
    assert [one for one in OPERATIONS if one.method == "POST"] == [
        one for one in OPERATIONS if one.path.endswith(("-reports", "/metric-aggregates"))
    ]
