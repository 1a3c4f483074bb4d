"""Any response body: the run ends, with complete lines and at most a one-line error."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import igzip
from mutations import mutated_bytes, mutated_document
from run_output import Message, RunOutput
from simulated_klaviyo import NOW, START, URL, Arrival, SimulatedKlaviyo, time_limit

from sandbox import Response
from sandbox.http_messages import Request
from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.response import MAX_BODY, Body, too_large

pytestmark = pytest.mark.usefixtures("disable_logging")

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
"""For each path a stream that reads it, and the query of a valid page."""

MAX_REQUESTS = 2_000


def klaviyo_for(path: str, *more: str) -> SimulatedKlaviyo:
    """A simulation with some events, and a tap that reads the stream of ``path`` and more."""
    klaviyo = SimulatedKlaviyo(PATHS[path][0], *more)
    for day in range(12):
        klaviyo.arrive(Arrival(0, (day + 1) * 86_400, "Opened Email", 2))
    return klaviyo


def valid_page(path: str) -> dict[str, Any]:
    """A page of the sandbox with at most five resources."""
    headers = {"Authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2026-07-15"}
    answer = klaviyo_for(path).api.handle(Request("GET", path, PATHS[path][1], headers))
    document: dict[str, Any] = json.loads(answer.body)
    return {
        name: value[:5] if isinstance(value, list) else value for name, value in document.items()
    }


VALID_PAGES = {path: valid_page(path) for path in PATHS}


def checked_sync(klaviyo: SimulatedKlaviyo, **settings: Any) -> RunOutput:
    """Runs one sync and checks that it ends, with at most a one-line error."""

    def count(_: object, number: int) -> None:
        assert number < MAX_REQUESTS, "endless requests"

    with time_limit():
        output = klaviyo.sync({}, on_request=count, **{"page_size": 5, **settings})
    assert output.fault is None or isinstance(output.fault, TapError)
    assert "\n" not in str(output.fault)
    assert output.partial_line == b""
    streams = {m["stream"] for m in output.messages if m["type"] == "SCHEMA"}
    assert all(m["stream"] in streams for m in output.messages if m["type"] == "RECORD")
    return output


def answering(path: str, body: bytes) -> Callable[[Request, Response], Response]:
    """Replaces the body of every answer of a path."""

    def replace_body(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != path:
            return answer
        plain = {k: v for k, v in answer.headers.items() if k != "Content-Encoding"}
        return replace(answer, status=200, body=body, headers=plain)

    return replace_body


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=50)
@given(data=st.data())
def test_fuzzed_pages(path: str, data: st.DataObject) -> None:
    """A page with random changes never crashes the run."""
    klaviyo = klaviyo_for(path)
    body = json.dumps(data.draw(mutated_document(VALID_PAGES[path]))).encode()
    klaviyo.on_answer = answering(path, body)
    checked_sync(klaviyo)


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=25)
@given(data=st.data())
def test_fuzzed_bytes_of_a_page(path: str, data: st.DataObject) -> None:
    """A page with random bytes never crashes the run."""
    klaviyo = klaviyo_for(path)
    klaviyo.on_answer = answering(
        path, data.draw(mutated_bytes(json.dumps(VALID_PAGES[path]).encode()))
    )
    checked_sync(klaviyo)


@pytest.mark.parametrize("fault", ["next_self", "next_loop"])
@pytest.mark.parametrize("path", ["/api/metrics", "/api/events", "/api/lists"])
def test_a_circle_of_pages(path: str, fault: str) -> None:
    """A loop of pages ends the stream."""
    klaviyo = klaviyo_for(path)
    if path == "/api/metrics":
        klaviyo.on_answer = looping_metrics(fault)
    else:
        klaviyo.api.faults.add(fault, path=path, times=None)
    assert isinstance(checked_sync(klaviyo, concurrency=1).fault, TapError)


def looping_metrics(fault: str) -> Callable[[Request, Response], Response]:
    """Links the list of metrics to itself, directly or through another page."""

    def replace_body(request: Request, answer: Response) -> Response:
        query = (
            "?page%5Bcursor%5D=2" if fault == "next_loop" and "cursor" not in request.query else ""
        )
        document = {**VALID_PAGES["/api/metrics"], "links": {"next": f"{URL}/api/metrics/{query}"}}
        return answering("/api/metrics", json.dumps(document).encode())(request, answer)

    return replace_body


@pytest.mark.parametrize("moment", [START - 100, NOW + 100], ids=["before", "after"])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_server_that_ignores_the_filter(moment: int, concurrency: int) -> None:
    """Events outside the requested window do not make the run endless."""

    def elsewhere(request: Request, answer: Response) -> Response:
        if "/api/events" not in request.path:
            return answer
        document = json.loads(json.dumps(VALID_PAGES["/api/events"]))
        for number, event in enumerate(document["data"]):
            event["attributes"]["timestamp"] = moment + number
        return answering("/api/events", json.dumps(document).encode())(request, answer)

    klaviyo = klaviyo_for("/api/events")
    klaviyo.on_answer = elsewhere
    checked_sync(klaviyo, concurrency=concurrency)


def test_a_deep_page() -> None:
    """Event properties with ten levels are written unchanged."""
    deep: Any = "bottom"
    for _ in range(10):
        deep = {"inner": [deep]}
    document = json.loads(json.dumps(VALID_PAGES["/api/events"]))
    document["links"]["next"] = None
    document["data"][0]["attributes"]["event_properties"] = deep
    klaviyo = klaviyo_for("/api/events")
    klaviyo.on_answer = answering("/api/events", json.dumps(document).encode())
    assert deep in [m["record"].get("event_properties") for m in records(checked_sync(klaviyo))]


def test_a_huge_event() -> None:
    """An event of 5 MB is written."""
    document = json.loads(json.dumps(VALID_PAGES["/api/events"]))
    document["links"]["next"] = None
    document["data"][0]["attributes"]["event_properties"] = {"text": "x" * 5_000_000}
    klaviyo = klaviyo_for("/api/events")
    klaviyo.on_answer = answering("/api/events", json.dumps(document).encode())
    output = checked_sync(klaviyo)
    assert output.fault is None
    assert max(len(json.dumps(message)) for message in records(output)) > 5_000_000


LIBRARIES = pytest.mark.parametrize(
    "library", [igzip.IGzipFile, gzip.GzipFile], ids=["isal", "zlib"]
)
GZIPPED = gzip.compress(b"{}", mtime=0)


@LIBRARIES
@pytest.mark.parametrize("raw", [b"", b"no gzip", GZIPPED[:-1], GZIPPED[:9], GZIPPED[:-2] + b"??"])
def test_damaged_gzip(monkeypatch: pytest.MonkeyPatch, library: Any, raw: bytes) -> None:
    """Invalid or truncated gzip raises ValueError with either library."""
    monkeypatch.setattr("tap_klaviyo.klaviyo.response.GzipFile", library)
    assert Body(GZIPPED, gzipped=True).decompressed() == b"{}"
    with pytest.raises(ValueError, match=r"."):
        Body(raw, gzipped=True).decompressed()


@LIBRARIES
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize(
    ("excess", "good"), [(0, True), (1, False)], ids=["at the limit", "above the limit"]
)
def test_the_largest_answer(
    monkeypatch: pytest.MonkeyPatch, library: Any, encoding: str, excess: int, good: bool
) -> None:
    """A body may be as large as the limit, compressed or not, and not one byte larger."""
    body = json.dumps({**VALID_PAGES["/api/events"], "links": {"next": None}}).encode()
    monkeypatch.setattr("tap_klaviyo.klaviyo.response.GzipFile", library)
    monkeypatch.setattr("tap_klaviyo.klaviyo.response.MAX_BODY", len(body) - excess)

    def replace_body(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != "/api/events":
            return answer
        compressed = gzip.compress(body) if encoding == "gzip" else body
        return replace(answer, body=compressed, headers={"Content-Encoding": encoding})

    klaviyo = klaviyo_for("/api/events")
    klaviyo.on_answer = replace_body
    output = checked_sync(klaviyo)
    assert (output.fault is None) is good
    assert bool(records(output)) is good


@pytest.mark.parametrize("path", ["/api/events", "/api/metrics", "/api/campaigns"])
def test_a_gzip_bomb(path: str) -> None:
    """A gzip bomb ends its stream after tries of smaller pages, and uses bounded memory."""
    klaviyo = klaviyo_for(path, "lists")
    compressor = zlib.compressobj(1, wbits=31)
    bomb = b"".join(compressor.compress(bytes(MAX_BODY)) for _ in range(16)) + compressor.flush()

    def replace_body(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != path:
            return answer
        requests.append(request)
        return replace(answer, body=bomb, headers={"Content-Encoding": "gzip"})

    requests: list[Request] = []
    klaviyo.on_answer = replace_body
    tracemalloc.start()
    output = checked_sync(klaviyo)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "larger than 16 MiB" in str(output.fault)
    assert "a smaller page cannot be requested" in str(output.fault)
    assert len(requests) < 20
    assert peak < 4 * MAX_BODY
    assert {message["stream"] for message in records(output)} == {"lists"}


@pytest.mark.parametrize(("size", "pages"), [(12, 1), (3, 8), (1, 20)])
def test_pages_that_are_too_large_are_requested_in_smaller_sizes(
    monkeypatch: pytest.MonkeyPatch, size: int, pages: int
) -> None:
    """Pages of up to ``size`` events fit: the stream is read completely, and the others, too."""
    monkeypatch.setattr("tap_klaviyo.klaviyo.response.Body.decompressed", decompressed_up_to(size))
    klaviyo = klaviyo_for("/api/events", "lists")
    output = checked_sync(klaviyo, page_size=1000, recount_interval=0)
    assert output.fault is None
    assert {m["record"]["id"] for m in records(output) if m["stream"] == "open"} == set(
        klaviyo.events
    )
    assert klaviyo.requests >= pages


def decompressed_up_to(size: int) -> Callable[[Body], bytes]:
    """Refuses answers with more than ``size`` events as too large."""

    def decompressed(body: Body) -> bytes:
        data = gzip.decompress(body.raw) if body.gzipped else body.raw
        if sum(one["type"] == "event" for one in json.loads(data).get("data", ())) > size:
            raise too_large("larger than 16 MiB")
        return data

    return decompressed


def records(output: RunOutput) -> list[Message]:
    """The RECORD messages of a run."""
    return [message for message in output.messages if message["type"] == "RECORD"]
