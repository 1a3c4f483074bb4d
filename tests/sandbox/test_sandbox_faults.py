"""Injected faults, without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sandbox_client import HEADERS, SandboxClient

from sandbox import FAULTS, Account, Request, Response


@pytest.fixture
def faulty(account: Account, make_client: Callable[..., SandboxClient]) -> SandboxClient:
    """A client whose faults other tests do not share."""
    return make_client(account, limits=1.0)


def _get(client: SandboxClient, url: str = "/api/lists?sort=name") -> Response:
    path, _, query = url.partition("?")
    return client.api.handle(Request("GET", path, query, HEADERS))


@pytest.mark.parametrize(
    ("options", "status", "headers", "body"),
    [
        ({}, 503, {}, b'"code":"error"'),
        ({"status": 500}, 500, {}, b'"code":"error"'),
        ({"status": 502, "html": True}, 502, {"Content-Type": "text/html"}, b"<html>"),
        ({"status": 520}, 520, {"Content-Type": "text/html"}, b"<html>"),
        ({"status": 524, "html": False}, 524, {}, b'"code":"error"'),
        ({"status": 429, "retry_after": 3}, 429, {"Retry-After": "3"}, b'"code":"throttled"'),
        ({"status": 429, "retry_after": "soon"}, 429, {"Retry-After": "soon"}, b"throttled"),
        ({"status": 429}, 429, {"Retry-After": None}, b"throttled"),
        ({"status": 401}, 401, {}, b"authentication_failed"),
        ({"status": 403, "html": True}, 403, {"Content-Type": "text/html"}, b"<html>"),
        ({"status": 404}, 404, {}, b"not_found"),
        ({"status": 410}, 410, {}, b"gone"),
    ],
)
def test_status(
    faulty: SandboxClient,
    options: dict[str, Any],
    status: int,
    headers: dict[str, str],
    body: bytes,
) -> None:
    """Any status and `Retry-After`, as a JSON:API error or an HTML page."""
    faulty.api.faults.add("status", **options)
    response = _get(faulty)
    assert response.status == status
    assert body in response.body
    assert {name: response.headers.get(name) for name in headers} == headers
    assert not any(name.startswith("RateLimit") for name in response.headers)
    assert response.fault == "status"
    assert _get(faulty).status == 200


@pytest.mark.parametrize(
    ("name", "options", "body"),
    [
        ("empty", {}, b""),
        ("array", {}, b"[]"),
        ("not_json", {}, b'{"data": [{"type": '),
        ("body", {"body": "é"}, "é".encode()),
        ("body", {"body": b"\xff\xfe"}, b"\xff\xfe"),
    ],
)
def test_bodies(faulty: SandboxClient, name: str, options: dict[str, Any], body: bytes) -> None:
    """Status 200 with an invalid body."""
    faulty.api.faults.add(name, **options)
    response = _get(faulty)
    assert (response.status, response.body) == (200, body)


def test_html(faulty: SandboxClient) -> None:
    """Status 200 with an HTML page."""
    faulty.api.faults.add("html")
    response = _get(faulty)
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html")
    assert response.body.startswith(b"<!DOCTYPE html>")


def test_no_data(faulty: SandboxClient) -> None:
    """A document without `data`."""
    faulty.api.faults.add("no_data")
    assert json.loads(_get(faulty).body).keys() == {"links"}


def test_invalid_cursor(faulty: SandboxClient) -> None:
    """The error equals that of a real invalid cursor."""
    faulty.api.faults.add("invalid_cursor", query="page[cursor]")
    pages = faulty.pages("/api/lists")
    link = next(pages).document["links"]["next"]
    response = faulty.get(link)
    assert (response.status, response.error["detail"]) == (400, "Invalid cursor provided.")


def test_unsorted(faulty: SandboxClient) -> None:
    """The same records in reverse order."""
    good = faulty.get("/api/lists", sort="name").ids
    faulty.api.faults.add("unsorted")
    assert faulty.get("/api/lists", sort="name").ids == good[::-1]


def test_repeated(faulty: SandboxClient) -> None:
    """The last record of a page is also the first of the next."""
    good = faulty.ids("/api/events", page__size="1000")
    faulty.api.faults.add("repeated", path="/api/events")
    assert faulty.ids("/api/events", page__size="1000") == [*good[:1000], *good[999:]]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_empty_page(faulty: SandboxClient, account: Account, at: int) -> None:
    """An empty page is followed by a page with its records."""
    faulty.api.faults.add("empty_page", at=at)
    pages = list(faulty.pages("/api/lists", include="tags"))
    assert [len(page.ids) for page in pages][at - 1] == 0
    assert sorted(id for page in pages for id in page.ids) == sorted(account.list_ids())
    links = [page.document["links"]["self"] for page in pages]
    assert len(links) == len(set(links)) == 4


@pytest.mark.parametrize(
    ("name", "options", "begin"),
    [
        ("next_host", {}, "https://elsewhere.example/api/lists/?sort=name&page"),
        ("next_host", {"host": "klaviyo.example:81"}, "https://klaviyo.example:81/api/lists/"),
        ("next_scheme", {}, "http://klaviyo.example/api/lists/?sort=name&page"),
        ("next_scheme", {"scheme": "file"}, "file://klaviyo.example/api/lists/"),
        ("next_self", {}, "https://klaviyo.example/api/lists/?sort=name"),
    ],
)
def test_next_links(faulty: SandboxClient, name: str, options: dict[str, str], begin: str) -> None:
    """`next` links to another host, scheme or page."""
    faulty.api.faults.add(name, **options)
    assert faulty.get("/api/lists", sort="name").document["links"]["next"].startswith(begin)


def test_loop(faulty: SandboxClient) -> None:
    """The second page links to the first."""
    faulty.api.faults.add("next_loop")
    first = faulty.get("/api/lists")
    second = faulty.get(first.document["links"]["next"])
    assert second.document["links"]["next"] == first.document["links"]["self"]


def test_waits_for_next_link(faulty: SandboxClient) -> None:
    """A fault of `next` links waits for a response that has one."""
    fault = faulty.api.faults.add("next_host")
    assert faulty.get("/api/accounts").document["links"]["next"] is None
    assert fault.applied == 0
    assert "elsewhere" in faulty.get("/api/lists").document["links"]["next"]


@pytest.mark.parametrize(
    ("options", "statuses"),
    [
        ({}, [503, 200, 200, 200]),
        ({"at": 2}, [200, 503, 200, 200]),
        ({"times": 2}, [503, 503, 200, 200]),
        ({"at": 2, "times": 2}, [200, 503, 503, 200]),
        ({"times": None}, [503, 503, 503, 503]),
        ({"path": "/api/events"}, [200, 200, 200, 200]),
        ({"path": "/api/lists"}, [503, 200, 200, 200]),
        ({"query": "sort=-name"}, [200, 200, 200, 200]),
        ({"query": "sort=name"}, [503, 200, 200, 200]),
        ({"sent": "name"}, [200, 200, 200, 200]),
        ({"probability": 0.0}, [200, 200, 200, 200]),
    ],
)
def test_matching(faulty: SandboxClient, options: dict[str, Any], statuses: list[int]) -> None:
    """A fault applies by path, query, body and number of matches."""
    faulty.api.faults.add("status", **options)
    assert [_get(faulty, "/api/lists/?sort=name").status for _ in range(4)] == statuses


def test_probability(faulty: SandboxClient) -> None:
    """A fault applies at random; the seed determines when."""

    def run(seed: int) -> list[int]:
        faulty.api.faults.clear()
        faulty.api.faults.add("status", probability=0.4, times=None, seed=seed)
        return [_get(faulty, "/api/events?page[size]=1").status for _ in range(30)]

    assert run(1) == run(1) != run(2)
    assert set(run(1)) == {200, 503}


def test_several_faults(faulty: SandboxClient) -> None:
    """Only the first matching fault applies; `clear` removes all."""
    faulty.api.faults.add("status", status=500)
    faulty.api.faults.add("status", status=502, times=None)
    assert [_get(faulty).status for _ in range(3)] == [500, 502, 502]
    faulty.api.faults.clear()
    assert _get(faulty).status == 200


@pytest.mark.parametrize("name", ["reset", "reset_in_body", "truncated", "drip", "silence"])
def test_connection_faults(faulty: SandboxClient, name: str) -> None:
    """Connection faults are recorded in the response for the transport."""
    faulty.api.faults.add(name)
    response = _get(faulty)
    assert response.connection_fault is not None
    assert response.connection_fault.name == name


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("flood", {}, ValueError),
        ("status", {"colour": "red"}, TypeError),
        ("reset", {"status": 500}, TypeError),
        ("body", {}, TypeError),
    ],
)
def test_unknown_faults_and_options(
    faulty: SandboxClient, name: str, options: dict[str, Any], error: type[Exception]
) -> None:
    """Unknown faults and options raise an error at once."""
    with pytest.raises(error):
        faulty.api.faults.add(name, **options)


def test_docstrings() -> None:
    """Every fault has a docstring."""
    assert all(function.__doc__ for function in FAULTS.values())
