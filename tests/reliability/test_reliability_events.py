"""Unusual events and the records they become; none is lost or ends the run."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
from simulated_klaviyo import NOW, Arrival, SimulatedKlaviyo, time_limit

from sandbox import Response
from sandbox.http_messages import Request

pytestmark = pytest.mark.usefixtures("disable_logging")

TIME = NOW - 3600
PROFILE = b'{"type":"profile","id":"P","attributes":{"email":"jo@example.com"}}'
METRIC = b'{"type":"metric","id":"P","attributes":{"name":"Opened Email"}}'
PERSON = {"type": "profile", "id": "P", "email": "jo@example.com"}
DEEP = b'{"a":' * 10 + b"1" + b"}" * 10


@dataclass
class RawEvent:
    """One event as raw JSON, and the expected values of its record.

    ``properties`` and ``relationships`` are JSON, ``more`` is added to the attributes, and ``page``
    is the text around the page.
    """

    record: dict[str, Any]
    properties: bytes = b"{}"
    relationships: bytes = b'{"profile":{"data":{"type":"profile","id":"P"}}}'
    included: tuple[bytes, ...] = (PROFILE,)
    more: bytes = b""
    page: bytes = b"%s"

    def body(self) -> bytes:
        """The response body."""
        attributes = b'"timestamp":%d,"event_properties":%s%s' % (TIME, self.properties, self.more)
        event = b'{"type":"event","id":"E","attributes":{%s},"relationships":%s}' % (
            attributes,
            self.relationships,
        )
        included = b",".join(self.included)
        return self.page % (b'{"data":[%s],"included":[%s],"links":{}}' % (event, included))


def properties(raw: bytes, value: Any) -> RawEvent:
    """An event with raw properties that become ``value``."""
    return RawEvent({"event_properties": value}, raw)


RAW_EVENTS: dict[str, RawEvent] = {
    "a valid event": RawEvent({"profile": [PERSON], "profile_id": "P", "timestamp": TIME}),
    "properties null": properties(b"null", None),
    "properties not an object": properties(b'"text"', None),
    "relationships null": RawEvent({"profile_id": None}, relationships=b"null"),
    "relationships absent": RawEvent({"profile_id": None, "profile": []}, relationships=b"{}"),
    "relationship null": RawEvent({"profile_id": None}, relationships=b'{"profile":null}'),
    "relationship's data null": RawEvent(
        {"profile": []}, relationships=b'{"profile":{"data":null}}'
    ),
    "relationship's data absent": RawEvent(
        {"profile": []}, relationships=b'{"profile":{"links":{}}}'
    ),
    "profile not included": RawEvent({"profile": [{"type": "profile", "id": "P"}]}, included=()),
    "profile without attributes": RawEvent(
        {"profile": [{"type": "profile", "id": "P"}]}, included=(b'{"type":"profile","id":"P"}',)
    ),
    "one id, two types": RawEvent({"profile": [PERSON]}, included=(METRIC, PROFILE, METRIC)),
    "unknown included": RawEvent(
        {"profile": [PERSON]}, included=(b'{"type":"x","id":"P"}', PROFILE)
    ),
    "unknown attribute": RawEvent({"timestamp": TIME}, more=b',"new_attribute":{"a":[1]}'),
    "a number for a text": RawEvent({"uuid": "5"}, more=b',"uuid":5'),
    "a list for a text": RawEvent({"uuid": "[1]"}, more=b',"uuid":[1]'),
    "an invalid date": RawEvent({"datetime": None}, more=b',"datetime":"soon"'),
    "a lone surrogate": properties(b'{"a":"x\\ud83dy"}', {"a": "x\ufffdy"}),
    "a lone surrogate for a key": properties(b'{"\\udc00":1}', {"\ufffd": 1}),
    "NUL": properties(b'{"a":"x\\u0000y"}', {"a": "xy"}),
    "NUL as a byte": properties(b'{"a":"x\x00y"}', {"a": "xy"}),
    "more than 64 bits": properties(
        b'{"a":123456789012345678901234567890}', {"a": int("1234567890" * 3)}
    ),
    "300 digits": properties(b'{"a":%s}' % (b"1" * 300), {"a": int("1" * 300)}),
    "out of range of double, unchanged": properties(b'{"a":-1e999}', {"a": -math.inf}),
    "not a number": properties(b'{"a":NaN}', {"a": None}),
    "ten levels": properties(DEEP, json.loads(DEEP)),
    "a line break": properties(b'{"a":"x\ny"}', {"a": "x\ny"}),
    "not UTF-8": properties(b'{"a":"x\xffy"}', {"a": "x\ufffdy"}),
    "a surrogate as bytes": properties(b'{"a":"x\xed\xa0\xbdy"}', {"a": "x\ufffd\ufffd\ufffdy"}),
    "a key twice": properties(b'{"a":1,"a":2}', {"a": 2}),
    "5 MB": properties(b'{"a":"%s"}' % (b"x" * 5_000_000), {"a": "x" * 5_000_000}),
    "pretty-printed": RawEvent({"profile": [PERSON]}, page=b"\n\r\n %s\n"),
    "a byte order mark": RawEvent({"profile": [PERSON]}, page=b"\xef\xbb\xbf%s"),
}


@pytest.mark.parametrize("raw_event", RAW_EVENTS.values(), ids=RAW_EVENTS.keys())
def test_an_odd_event(raw_event: RawEvent) -> None:
    """The event becomes one record, and other streams are complete."""
    klaviyo = SimulatedKlaviyo("open", "lists")
    klaviyo.arrive(Arrival(0, 7200, "Opened Email"))

    def replace_body(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != "/api/events":
            return answer
        return replace(answer, body=raw_event.body(), headers={})

    klaviyo.on_answer = replace_body
    with time_limit():
        output = klaviyo.sync({}, concurrency=1)
    assert output.fault is None
    records = [m for m in output.messages if m["type"] == "RECORD"]
    assert {message["stream"] for message in records} == {"open", "lists"}
    (record,) = (m["record"] for m in records if m["stream"] == "open")
    assert record["id"] == "E"
    assert {name: record.get(name) for name in raw_event.record} == raw_event.record
