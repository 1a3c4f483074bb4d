"""Invalid cursors, loops and endless empty pages end their stream and lose no event."""

from __future__ import annotations

import gzip
import itertools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from run_output import ids
from simulated_klaviyo import URL, Arrival, SimulatedKlaviyo, time_limit

from sandbox import Response
from sandbox.http_messages import Request
from tap_klaviyo.errors import TapError
from tap_klaviyo.klaviyo.reactions import MAX_RESTARTS

pytestmark = pytest.mark.usefixtures("disable_logging")


@pytest.fixture(autouse=True)
def limit_time() -> Iterator[None]:
    """Fails a test that hangs."""
    with time_limit():
        yield


@pytest.fixture
def klaviyo() -> SimulatedKlaviyo:
    """An account with one event per minute and many in one second, and a tap with two streams."""
    klaviyo = SimulatedKlaviyo("open", "lists")
    klaviyo.arrive(Arrival(0, 86_400, "Opened Email", 60))
    for minute in range(200):
        klaviyo.arrive(Arrival(0, 60 * (minute + 2), "Opened Email"))
    return klaviyo


def complete(klaviyo: SimulatedKlaviyo, *streams: str) -> dict[str, set[str]]:
    """The ids that the account has for these streams."""
    truth = {"open": set(klaviyo.events), "lists": set(klaviyo.account.list_ids())}
    return {stream: truth[stream] for stream in streams}


@pytest.mark.parametrize("path", ["/api/events", "/api/lists"])
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("times", range(1, MAX_RESTARTS + 1))
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_refused_cursor(
    klaviyo: SimulatedKlaviyo, path: str, at: int, times: int, concurrency: int
) -> None:
    """A window restarts when Klaviyo refuses its cursor, and no record is missing."""
    klaviyo.api.faults.add("invalid_cursor", path=path, query="page[cursor]", at=at, times=times)
    output = klaviyo.sync({}, page_size=5, concurrency=concurrency)
    assert klaviyo.injected_faults == times
    assert output.fault is None
    assert ids(output.messages) == complete(klaviyo, "open", "lists")


@pytest.mark.parametrize(("path", "other"), [("/api/events", "lists"), ("/api/lists", "open")])
def test_a_cursor_that_stays_refused(klaviyo: SimulatedKlaviyo, path: str, other: str) -> None:
    """A window restarts twice, then its stream ends; the next run reads the rest."""
    klaviyo.api.faults.add("invalid_cursor", path=path, query="page[cursor]", times=None)
    output = klaviyo.sync({}, page_size=5, concurrency=1)
    assert klaviyo.injected_faults == 1 + MAX_RESTARTS
    assert isinstance(output.fault, TapError)
    assert "Invalid cursor" in str(output.fault)
    assert ids(output.messages)[other] == complete(klaviyo, other)[other]
    klaviyo.api.faults.clear()
    again = klaviyo.sync(output.messages[-1]["value"], page_size=5)
    assert again.fault is None
    assert ids(output.messages + again.messages) == complete(klaviyo, "open", "lists")


def empty_at_first(path: str, count: float) -> Callable[[Request, Response], Response]:
    """Inserts ``count`` empty pages before a list, each with a new link."""
    numbers = itertools.count()

    def spoil(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != path or (number := next(numbers)) >= count:
            return answer
        # The fragment is not sent: the link is new but returns the same page.
        link = f"{URL}{request.path}?{request.query}#{number}"
        body = json.dumps({"data": [], "links": {"next": link}}).encode()
        return replace(answer, body=body, headers={})

    return spoil


@pytest.mark.parametrize("path", ["/api/metrics", "/api/events", "/api/lists"])
@pytest.mark.parametrize(
    ("count", "good"), [(30, True), (31, False), (math.inf, False)], ids=["few", "many", "endless"]
)
def test_empty_pages_without_end(
    klaviyo: SimulatedKlaviyo, monkeypatch: pytest.MonkeyPatch, path: str, count: float, good: bool
) -> None:
    """A list may begin with empty pages; too many of them end its stream."""
    monkeypatch.setattr("tap_klaviyo.klaviyo.pagination.MAX_EMPTY_PAGES", 30)
    klaviyo.on_answer = empty_at_first(path, count)
    output = klaviyo.sync({}, concurrency=1)
    if good:
        assert output.fault is None
        assert ids(output.messages) == complete(klaviyo, "open", "lists")
    else:
        assert f"pages of {path} do not end" in str(output.fault)
        other = "open" if path == "/api/lists" else "lists"
        assert ids(output.messages) == complete(klaviyo, other)


def test_a_refused_first_page(klaviyo: SimulatedKlaviyo) -> None:
    """A window does not restart after a 400 for its first page, which has no cursor."""
    klaviyo.api.faults.add("status", path="/api/lists", status=400, times=None)
    assert isinstance(klaviyo.sync({}).fault, TapError)
    assert klaviyo.injected_faults == 1


def document_of(answer: Response) -> Any:
    """The document in an answer of the sandbox."""
    gzipped = answer.headers.get("Content-Encoding") == "gzip"
    return json.loads(gzip.decompress(answer.body) if gzipped else answer.body)


def same_page(path: str, period: int) -> Callable[[Request, Response], Response]:
    """Repeats the first ``period`` pages of a list for ever, each time with a fresh cursor."""
    pages: list[dict[str, Any]] = []
    numbers = itertools.count()

    def spoil(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != path:
            return answer
        number = next(numbers)
        if len(pages) < period:
            pages.append(document_of(answer))
        link = f"{URL}{request.path}?{request.query}#{number}"
        if len(pages) < period:
            link = str(pages[-1]["links"]["next"])
        body = json.dumps({**pages[number % period], "links": {"next": link}}).encode()
        return replace(answer, body=body, headers={})

    return spoil


@pytest.mark.parametrize(
    ("path", "period"), [("/api/metrics", 1), ("/api/events", 1), ("/api/events", 3)]
)
def test_the_same_pages_for_ever(klaviyo: SimulatedKlaviyo, path: str, period: int) -> None:
    """Pages that repeat with fresh cursors are detected by their content, and end their stream."""
    klaviyo.on_answer = same_page(path, period)
    output = klaviyo.sync({}, concurrency=1, page_size=5)
    assert f"pages of {path} form a loop" in str(output.fault)
    assert klaviyo.requests < 40
    assert ids(output.messages)["lists"] == complete(klaviyo, "lists")["lists"]


@pytest.mark.parametrize("path", ["/api/metrics", "/api/events", "/api/lists"])
def test_an_empty_link_is_the_end_of_a_list(klaviyo: SimulatedKlaviyo, path: str) -> None:
    """An empty link to the next page means that there is none."""

    def spoil(request: Request, answer: Response) -> Response:
        document = document_of(answer)
        if request.path.rstrip("/") != path or (document.get("links") or {}).get("next"):
            return answer
        body = json.dumps({**document, "links": {"next": ""}}).encode()
        return replace(answer, body=body, headers={})

    klaviyo.on_answer = spoil
    output = klaviyo.sync({}, concurrency=1)
    assert output.fault is None
    assert ids(output.messages) == complete(klaviyo, "open", "lists")


def test_a_refusal_that_names_another_cause(klaviyo: SimulatedKlaviyo) -> None:
    """A 400 that names something else than the page size is shown and not tried again."""
    detail = "Datetime bounds 2026-01-01 to 2026-01-01 is empty or invalid"
    error = {"errors": [{"detail": detail, "source": {"pointer": "datetime"}}]}
    refused: list[str] = []

    def spoil(request: Request, answer: Response) -> Response:
        if request.path.rstrip("/") != "/api/events":
            return answer
        refused.append(request.query)
        return replace(answer, status=400, body=json.dumps(error).encode(), headers={})

    klaviyo.on_answer = spoil
    output = klaviyo.sync({}, page_size=1000, concurrency=1)
    assert f"Klaviyo says: {detail}" in str(output.fault)
    assert len(refused) == 1
    assert ids(output.messages) == complete(klaviyo, "lists")
