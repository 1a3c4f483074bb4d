"""Answers that are nested very deep, and small: the run ends, with at most a one-line error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from run_output import RunOutput, ids
from simulated_klaviyo import Arrival, SimulatedKlaviyo, time_limit

from sandbox import Response
from sandbox.http_messages import Request
from tap_klaviyo.discovery.selection import SelectedStream
from tap_klaviyo.errors import TapError
from tap_klaviyo.records.page_parser import PageParser
from tap_klaviyo.streams import STREAMS

pytestmark = pytest.mark.usefixtures("disable_logging")

PATHS = {
    "/api/events": ("open", "lists"),
    "/api/metrics": ("open", "lists"),
    "/api/lists": ("lists", "campaigns"),
}
"""For each path a stream that reads it, and one that does not."""

DEPTHS = [200, 480, 970, 150_000]
"""Around the depths at which one decoder or another gives up, and far beyond."""

PLACES = {
    "the document": "{deep}",
    "data": '{{"data":{deep}}}',
    "a resource": '{{"data":[{deep}]}}',
    "an ID": '{{"data":[{{"type":"t","id":{deep}}}]}}',
    "the attributes": '{{"data":[{{"type":"t","id":"a","attributes":{deep}}}]}}',
    "an attribute": '{{"data":[{{"type":"t","id":"a","attributes":{{"name":{deep}}}}}]}}',
    "an attribute of any form": (
        '{{"data":[{{"type":"t","id":"a","attributes":{{"timestamp":1,'
        '"event_properties":{deep},"properties":{deep}}}}}]}}'
    ),
    "an unknown attribute": '{{"data":[{{"type":"t","id":"a","attributes":{{"x":{deep}}}}}]}}',
    "a relationship": '{{"data":[{{"type":"t","id":"a","relationships":{{"tags":{deep}}}}}]}}',
    "included": '{{"data":[],"included":{deep}}}',
    "an included resource": '{{"data":[],"included":[{{"type":"profile","id":{deep}}}]}}',
    "an included attribute": (
        '{{"data":[],"included":[{{"type":"profile","id":"a","attributes":{{"properties":{deep}}}}}'
        "]}}"
    ),
    "the links": '{{"data":[],"links":{deep}}}',
    "the next link": '{{"data":[],"links":{{"next":{deep}}}}}',
    "another member": '{{"data":[],"meta":{deep}}}',
    "a lone surrogate beside it": '{{"data":[{{"id":"\\ud800","attributes":{{"name":{deep}}}}}]}}',
    "errors": '{{"errors":{deep}}}',
    "the source of an error": '{{"errors":[{{"detail":"No","source":{deep}}}]}}',
    "the detail of an error": '{{"errors":[{{"detail":{deep}}}]}}',
}


def nested(depth: int) -> str:
    """A value of arrays and objects in turn."""
    return '[{"a":' * (depth // 2) + "1" + "}]" * (depth // 2)


def run(path: str, body: str, status: int = 200) -> RunOutput:
    """A sync whose requests to a path get an answer."""

    def replaced(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != path:
            return answer
        return replace(answer, status=status, body=body.encode(), headers={})

    klaviyo = SimulatedKlaviyo(*PATHS[path])
    klaviyo.arrive(Arrival(0, 86_400, "Opened Email"))
    klaviyo.on_answer = replaced
    with time_limit():
        return klaviyo.sync({}, max_retry_wait=5)


CASES = [("/api/events", 400), *((path, 200) for path in PATHS)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("path", "status"), CASES)
def test_a_deep_answer(path: str, status: int, place: str) -> None:
    """It ends its stream with one line or is read, and the other streams are complete."""
    for depth in DEPTHS:
        output = run(path, PLACES[place].format(deep=nested(depth)), status)
        assert output.fault is None or isinstance(output.fault, TapError), depth
        assert "\n" not in str(output.fault), depth
        assert output.partial_line == b"", depth
        assert PATHS[path][1] in ids(output.messages), depth


@pytest.mark.parametrize("place", PLACES)
def test_a_deep_page_of_any_stream(select: Callable[..., SelectedStream], place: str) -> None:
    """It is parsed, or is not a page."""
    pages = [PLACES[place].format(deep=nested(depth)).encode() for depth in DEPTHS]
    for stream in STREAMS:
        parser = PageParser(select(stream.name))
        for page in pages:
            with suppress(ValueError):
                parser.parse(page, "parent")
