"""Whatever a server sends: an end, whole lines, and nothing worse than a fault in one line."""

from __future__ import annotations

import gzip
import json
import logging
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib
from mutations import edited, mangled
from simulated_klaviyo import NOW, START, URL, Arrival, Message, World, Written, patience

from sandbox import Response
from sandbox.http_messages import Request
from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.response import GZIP_WBITS, MAX_BODY, Body

PATHS = {
    "/api/events": ("open", "include=profile,metric&page[size]=5"),
    "/api/metrics": ("open", ""),
    "/api/campaigns": (
        "campaigns",
        "filter=equals(messages.channel,'email')&include=campaign-messages,tags",
    ),
    "/api/lists": ("lists", "include=tags"),
    "/api/profiles": (
        "global_exclusions",
        "page[size]=5&additional-fields[profile]=subscriptions",
    ),
}
"""For each path a stream that reads it, and the query of a page that is good."""

MOST_REQUESTS = 2_000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Log lines of thousands of runs take longer than the runs."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def world(path: str, *more: str) -> World:
    """A world with some events, and a tap that reads a stream of this path, and more streams."""
    made = World(PATHS[path][0], *more)
    for day in range(12):
        made.arrive(Arrival(0, (day + 1) * 86_400, "Opened Email", 2))
    return made


def good_page(path: str) -> dict[str, Any]:
    """A page as the sandbox sends it, of no more than five resources."""
    headers = {"Authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2026-07-15"}
    answer = world(path).api.handle(Request("GET", path, PATHS[path][1], headers))
    document: dict[str, Any] = json.loads(answer.body)
    return {
        name: value[:5] if isinstance(value, list) else value for name, value in document.items()
    }


GOOD = {path: good_page(path) for path in PATHS}


def sync_in_order(world: World, **settings: Any) -> Written:
    """One run that comes to an end, as a success or with a fault in one line."""

    def count(_: object, number: int) -> None:
        assert number < MOST_REQUESTS, "goes round in circles"

    with patience():
        written = world.sync({}, on_request=count, **{"page_size": 5, **settings})
    assert written.fault is None or isinstance(written.fault, TapError)
    assert "\n" not in str(written.fault)
    assert written.rest == b""
    streams = {m["stream"] for m in written.messages if m["type"] == "SCHEMA"}
    assert all(m["stream"] in streams for m in written.messages if m["type"] == "RECORD")
    return written


def answering(path: str, body: bytes) -> Callable[[Request, Response], Response]:
    """Puts a body in place of every answer of a path."""

    def spoil(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != path:
            return answer
        plain = {k: v for k, v in answer.headers.items() if k != "Content-Encoding"}
        return replace(answer, status=200, body=body, headers=plain)

    return spoil


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=50)
@given(data=st.data())
def test_fuzzed_pages(path: str, data: st.DataObject) -> None:
    """A page that has been tampered with ends in order, and costs no other stream."""
    made = world(path)
    body = json.dumps(data.draw(edited(GOOD[path]))).encode()
    made.on_answer = answering(path, body)
    sync_in_order(made)


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=25)
@given(data=st.data())
def test_fuzzed_bytes_of_a_page(path: str, data: st.DataObject) -> None:
    """A page with some of its bytes replaced ends in order."""
    made = world(path)
    made.on_answer = answering(path, data.draw(mangled(json.dumps(GOOD[path]).encode())))
    sync_in_order(made)


@pytest.mark.parametrize("fault", ["next_self", "next_loop"])
@pytest.mark.parametrize("path", ["/api/metrics", "/api/events", "/api/lists"])
def test_a_circle_of_pages(path: str, fault: str) -> None:
    """A list whose pages lead in a circle ends the reading of it."""
    made = world(path)
    if path == "/api/metrics":
        made.on_answer = paged_in_a_circle(fault)
    else:
        made.api.faults.add(fault, path=path, times=None)
    assert isinstance(sync_in_order(made, concurrency=1).fault, TapError)


def paged_in_a_circle(fault: str) -> Callable[[Request, Response], Response]:
    """Gives the list of metrics a link to itself, or to itself by way of another page."""

    def spoil(request: Request, answer: Response) -> Response:
        there = (
            "?page%5Bcursor%5D=2" if fault == "next_loop" and "cursor" not in request.query else ""
        )
        document = {**GOOD["/api/metrics"], "links": {"next": f"{URL}/api/metrics/{there}"}}
        return answering("/api/metrics", json.dumps(document).encode())(request, answer)

    return spoil


@pytest.mark.parametrize("moment", [START - 100, NOW + 100], ids=["before", "after"])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_server_that_ignores_the_filter(moment: int, concurrency: int) -> None:
    """Events outside the window that was asked for do not hold the run for ever."""

    def elsewhere(request: Request, answer: Response) -> Response:
        if "/api/events" not in request.path:
            return answer
        document = json.loads(json.dumps(GOOD["/api/events"]))
        for number, event in enumerate(document["data"]):
            event["attributes"]["timestamp"] = moment + number
        return answering("/api/events", json.dumps(document).encode())(request, answer)

    made = world("/api/events")
    made.on_answer = elsewhere
    sync_in_order(made, concurrency=concurrency)


def test_a_deep_page() -> None:
    """Event properties nested ten deep are passed on as they came."""
    deep: Any = "bottom"
    for _ in range(10):
        deep = {"inner": [deep]}
    document = json.loads(json.dumps(GOOD["/api/events"]))
    document["links"]["next"] = None
    document["data"][0]["attributes"]["event_properties"] = deep
    made = world("/api/events")
    made.on_answer = answering("/api/events", json.dumps(document).encode())
    assert deep in [m["record"].get("event_properties") for m in records(sync_in_order(made))]


def test_a_huge_event() -> None:
    """An event of 5 MB is a record like any other."""
    document = json.loads(json.dumps(GOOD["/api/events"]))
    document["links"]["next"] = None
    document["data"][0]["attributes"]["event_properties"] = {"text": "x" * 5_000_000}
    made = world("/api/events")
    made.on_answer = answering("/api/events", json.dumps(document).encode())
    written = sync_in_order(made)
    assert written.fault is None
    assert max(len(json.dumps(message)) for message in records(written)) > 5_000_000


LIBRARIES = pytest.mark.parametrize("library", [isal_zlib, zlib], ids=["isal", "zlib"])
GZIPPED = gzip.compress(b"{}", mtime=0)


@LIBRARIES
@pytest.mark.parametrize("raw", [b"", b"no gzip", GZIPPED[:-1], GZIPPED[:9], GZIPPED[:-2] + b"??"])
def test_damaged_gzip(monkeypatch: pytest.MonkeyPatch, library: Any, raw: bytes) -> None:
    """What is no gzip, or only the beginning of one, is known for that by either library."""
    monkeypatch.setattr("tap_klaviyo.klaviyo.response.zlib", library)
    assert Body(GZIPPED, gzipped=True).decompressed() == b"{}"
    with pytest.raises(ValueError, match=r"."):
        Body(raw, gzipped=True).decompressed()


@LIBRARIES
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize(("excess", "good"), [(0, True), (1, False)], ids=["just", "not"])
def test_the_largest_answer(
    monkeypatch: pytest.MonkeyPatch, library: Any, encoding: str, excess: int, good: bool
) -> None:
    """An answer may be as large as the limit, as it comes and unpacked, and not a byte larger."""
    body = json.dumps({**GOOD["/api/events"], "links": {"next": None}}).encode()
    monkeypatch.setattr("tap_klaviyo.klaviyo.response.zlib", library)
    monkeypatch.setattr("tap_klaviyo.klaviyo.response.MAX_BODY", len(body) - excess)

    def spoil(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != "/api/events":
            return answer
        packed = gzip.compress(body) if encoding == "gzip" else body
        return replace(answer, body=packed, headers={"Content-Encoding": encoding})

    made = world("/api/events")
    made.on_answer = spoil
    written = sync_in_order(made)
    assert (written.fault is None) is good
    assert bool(records(written)) is good


@pytest.mark.parametrize("path", ["/api/events", "/api/metrics", "/api/campaigns"])
def test_a_gzip_bomb(path: str) -> None:
    """An answer that unpacks to a gigabyte costs its stream, one request and bounded memory."""
    made = world(path, "lists")
    packing = zlib.compressobj(1, wbits=GZIP_WBITS)
    bomb = b"".join(packing.compress(bytes(MAX_BODY)) for _ in range(16)) + packing.flush()

    def spoil(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != path:
            return answer
        asked.append(request)
        return replace(answer, body=bomb, headers={"Content-Encoding": "gzip"})

    asked: list[Request] = []
    made.on_answer = spoil
    tracemalloc.start()
    written = sync_in_order(made)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "larger than 64 MiB" in str(written.fault)
    assert "set page_size to a smaller number" in str(written.fault)
    assert len(asked) == 1 or path == "/api/campaigns"
    assert most < 4 * MAX_BODY
    assert {message["stream"] for message in records(written)} == {"lists"}


def records(written: Written) -> list[Message]:
    """The records of a run."""
    return [message for message in written.messages if message["type"] == "RECORD"]
