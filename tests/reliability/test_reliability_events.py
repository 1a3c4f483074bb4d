"""Odd events, each with the record that it becomes: no oddity costs an event, or the sync."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from simulated_klaviyo import NOW, Arrival, World, patience

from sandbox import Response
from sandbox.http_messages import Request

TIME = NOW - 3600
PROFILE = b'{"type":"profile","id":"P","attributes":{"email":"jo@example.com"}}'
METRIC = b'{"type":"metric","id":"P","attributes":{"name":"Opened Email"}}'
PERSON = {"type": "profile", "id": "P", "email": "jo@example.com"}
DEEP = b'{"a":' * 10 + b"1" + b"}" * 10


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What is repaired is logged."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@dataclass
class Odd:
    """One event as it comes over the wire, and what its record holds in the end.

    ``properties`` and ``relations`` are JSON, ``more`` is put into the attributes, ``page`` around
    the whole.
    """

    record: dict[str, Any]
    properties: bytes = b"{}"
    relations: bytes = b'{"profile":{"data":{"type":"profile","id":"P"}}}'
    included: tuple[bytes, ...] = (PROFILE,)
    more: bytes = b""
    page: bytes = b"%s"

    def body(self) -> bytes:
        """The page."""
        attributes = b'"timestamp":%d,"event_properties":%s%s' % (TIME, self.properties, self.more)
        event = b'{"type":"event","id":"E","attributes":{%s},"relationships":%s}' % (
            attributes,
            self.relations,
        )
        included = b",".join(self.included)
        return self.page % (b'{"data":[%s],"included":[%s],"links":{}}' % (event, included))


def properties(raw: bytes, value: Any) -> Odd:
    """An event with these properties; the record has them as ``value``."""
    return Odd({"event_properties": value}, raw)


ODD: dict[str, Odd] = {
    "as it should be": Odd({"profile": [PERSON], "profile_id": "P", "timestamp": TIME}),
    "properties null": properties(b"null", None),
    "properties no object": properties(b'"text"', None),
    "relations null": Odd({"profile_id": None}, relations=b"null"),
    "relations absent": Odd({"profile_id": None, "profile": []}, relations=b"{}"),
    "relation null": Odd({"profile_id": None}, relations=b'{"profile":null}'),
    "relation's data null": Odd({"profile": []}, relations=b'{"profile":{"data":null}}'),
    "relation's data absent": Odd({"profile": []}, relations=b'{"profile":{"links":{}}}'),
    "profile not included": Odd({"profile": [{"type": "profile", "id": "P"}]}, included=()),
    "profile without attributes": Odd(
        {"profile": [{"type": "profile", "id": "P"}]}, included=(b'{"type":"profile","id":"P"}',)
    ),
    "one id, two types": Odd({"profile": [PERSON]}, included=(METRIC, PROFILE, METRIC)),
    "unknown included": Odd({"profile": [PERSON]}, included=(b'{"type":"x","id":"P"}', PROFILE)),
    "unknown attribute": Odd({"timestamp": TIME}, more=b',"of_tomorrow":{"a":[1]}'),
    "a text too much": Odd({"uuid": "5"}, more=b',"uuid":5'),
    "a list for a text": Odd({"uuid": "[1]"}, more=b',"uuid":[1]'),
    "a date that is none": Odd({"datetime": None}, more=b',"datetime":"soon"'),
    "a lone surrogate": properties(b'{"a":"x\\ud83dy"}', {"a": "x\ufffdy"}),
    "a lone surrogate for a key": properties(b'{"\\udc00":1}', {"\ufffd": 1}),
    "NUL": properties(b'{"a":"x\\u0000y"}', {"a": "xy"}),
    "NUL as a byte": properties(b'{"a":"x\x00y"}', {"a": "xy"}),
    "beyond 64 bits": properties(
        b'{"a":123456789012345678901234567890}', {"a": int("1234567890" * 3)}
    ),
    "300 digits": properties(b'{"a":%s}' % (b"1" * 300), {"a": int("1" * 300)}),
    "beyond double, as it came": properties(b'{"a":-1e999}', {"a": -math.inf}),
    "not a number": properties(b'{"a":NaN}', {"a": None}),
    "ten levels": properties(DEEP, json.loads(DEEP)),
    "a line break": properties(b'{"a":"x\ny"}', {"a": "x\ny"}),
    "not UTF-8": properties(b'{"a":"x\xffy"}', {"a": "x\ufffdy"}),
    "a surrogate as bytes": properties(b'{"a":"x\xed\xa0\xbdy"}', {"a": "x\ufffd\ufffd\ufffdy"}),
    "a key twice": properties(b'{"a":1,"a":2}', {"a": 2}),
    "5 MB": properties(b'{"a":"%s"}' % (b"x" * 5_000_000), {"a": "x" * 5_000_000}),
    "pretty-printed": Odd({"profile": [PERSON]}, page=b"\n\r\n %s\n"),
    "a byte order mark": Odd({"profile": [PERSON]}, page=b"\xef\xbb\xbf%s"),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_event(odd: Odd) -> None:
    """The event is a record with what can be kept of it, in one line, and others come with it."""
    world = World("open", "lists")
    world.arrive(Arrival(0, 7200, "Opened Email"))

    def spoil(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != "/api/events":
            return answer
        return replace(answer, body=odd.body(), headers={})

    world.on_answer = spoil
    with patience():
        written = world.sync({}, concurrency=1)
    assert written.fault is None
    records = [m for m in written.messages if m["type"] == "RECORD"]
    assert {message["stream"] for message in records} == {"open", "lists"}
    (record,) = (m["record"] for m in records if m["stream"] == "open")
    assert record["id"] == "E"
    assert {name: record.get(name) for name in odd.record} == odd.record
