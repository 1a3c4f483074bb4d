"""Answers that are not Klaviyo's, and answers that ask to wait."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
import responses

from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.settings import Config
from tap_klaviyo.errors import RetryableError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.response import Body

URL = "https://a.klaviyo.com/api/lists"
LISTS = Query("/api/lists", {}, scopes=("lists:read",), tier="XL")
NOON = 1_793_534_400.0
ERROR = json.dumps({"errors": [{"detail": "Because."}]})
Configure = Callable[..., Config]


@pytest.fixture
def client(configure: Configure, clock: Any) -> Client:
    """A client whose wall clock is an hour behind Klaviyo's."""
    return client_for(
        configure(), clock=clock.time, sleep=clock.sleep, now=lambda: NOON - 3600 + clock.now
    )


def unparsed(body: Body) -> bytes:
    """The body as it is."""
    return body.decompressed()


def refused(client: Client) -> str:
    """The error of a request that is retried until its time is used up."""
    with pytest.raises(RetryableError) as caught:
        client.request(URL, LISTS, unparsed)
    return str(caught.value)


ANSWERS_OF_PROXIES: dict[str, tuple[int, dict[str, str], str, str]] = {
    "a challenge": (403, {"cf-mitigated": "challenge"}, "<html>", "cf-mitigated: challenge"),
    "403 of a firewall": (403, {"Content-Type": "text/html"}, "<html>no</html>", "text/html"),
    "403 as JSON of a firewall": (403, {"Content-Type": "application/json"}, '{"message": 1}', ""),
    "403 without a body": (403, {}, "", ""),
    "401 of a proxy": (401, {"Content-Type": "text/html"}, "<html>log in</html>", "text/html"),
    "400 of a proxy": (400, {"Content-Type": "text/plain"}, "bad request", "text/plain"),
    "404 of another server": (404, {"Content-Type": "text/html"}, "<html>", "text/html"),
    "410 of another server": (410, {"Content-Type": "text/html"}, "<html>", "text/html"),
    "a login page": (
        302,
        {"Location": "https://login.example/a?b"},
        "",
        "redirect to login.example",
    ),
    "a page that asks to log in": (511, {}, "<html>", ""),
}


@pytest.mark.parametrize(
    ("status", "headers", "body", "shown"), ANSWERS_OF_PROXIES.values(), ids=ANSWERS_OF_PROXIES
)
@responses.activate
def test_an_answer_of_a_proxy(
    client: Client, status: int, headers: dict[str, str], body: str, shown: str
) -> None:
    """An answer that is not Klaviyo's is retried, and in the end the proxy is named."""
    responses.get(URL, status=status, headers=headers, body=body)
    message = refused(client)
    assert f"({status}, {shown}" in message
    assert "a proxy, a firewall or a login page before Klaviyo sent it" in message
    assert not any(word in message for word in ("scope", "api_key", "lists:read"))
    assert len(responses.calls) > 1
    responses.replace("GET", URL, body="[1]")
    assert client.request(URL, LISTS, unparsed) == b"[1]"


@pytest.mark.parametrize("location", ["/login", "https://elsewhere.example/", "\\", "http://[", ""])
@pytest.mark.parametrize("body", [gzip.compress(b"<html>", mtime=0), b"<html>", b""])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@responses.activate
def test_a_redirect_with_any_body_and_address(
    client: Client, status: int, body: bytes, location: str
) -> None:
    """It is an answer of a proxy, whether or not its body and its address can be read."""
    headers = {"Location": location, "Content-Encoding": "gzip"}
    responses.get(URL, status=status, headers=headers, body=body)
    assert f"({status}, redirect to " in refused(client)


@pytest.mark.parametrize("body", ["<html>", ERROR])
@responses.activate
def test_a_proxy_that_no_variable_names(client: Client, body: str) -> None:
    """A 407 without a proxy of one's own is of one in between: no setting could be corrected."""
    responses.get(URL, status=407, body=body)
    message = refused(client)
    assert "a proxy, a firewall or a login page before Klaviyo sent it" in message
    assert "(407, " in message


DATES = {"Date": "Sun, 01 Nov 2026 12:00:00 GMT", "Retry-After": "Sun, 01 Nov 2026 12:00:20 GMT"}


@pytest.mark.parametrize("headers", [{"Retry-After": "20"}, DATES], ids=["seconds", "a date"])
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 403])
@responses.activate
def test_the_wait_that_an_answer_asks_for(
    client: Client, clock: Any, status: int, headers: dict[str, str]
) -> None:
    """Whatever is retried waits as long as Retry-After asks, by Klaviyo's own clock."""
    responses.get(URL, status=status, headers=headers)
    responses.get(URL, body="[1]")
    assert client.request(URL, LISTS, unparsed) == b"[1]"
    assert 20 <= clock.now < 25


@pytest.mark.parametrize("asked", ["0", "-1", "Sun, 01 Nov 2026 11:00:00 GMT", "soon", ""])
@pytest.mark.parametrize("status", [429, 503])
@responses.activate
def test_a_wait_that_is_none(client: Client, clock: Any, status: int, asked: str) -> None:
    """An endpoint that asks for no wait is not asked more than once a second."""
    date = {"Date": "Sun, 01 Nov 2026 12:00:00 GMT"}
    for _ in range(8):
        responses.get(URL, status=status, headers={"Retry-After": asked, **date})
    responses.get(URL, body="[1]")
    client.request(URL, LISTS, unparsed)
    assert clock.now >= 8


@responses.activate
def test_a_date_without_the_date_of_the_answer(client: Client, clock: Any) -> None:
    """Without a Date of its own, an answer is placed by what earlier answers showed."""
    responses.get(URL, body="[]", headers={"Date": DATES["Date"]})
    responses.get(URL, status=429, headers={"Retry-After": DATES["Retry-After"]})
    responses.get(URL, body="[1]")
    client.request(URL, LISTS, unparsed)
    client.request(URL, LISTS, unparsed)
    assert 20 <= clock.now < 25


@responses.activate
def test_a_wait_beyond_patience_is_not_begun(client: Client, clock: Any) -> None:
    """A 503 that asks to wait longer than max_retry_wait ends at once, as a 429 does."""
    responses.get(URL, status=503, body=ERROR, headers={"Retry-After": "3600"})
    message = refused(client)
    assert "fails at /api/lists (503) and asks to wait 3600 s" in message
    assert message.endswith("Klaviyo says: Because.")
    assert len(responses.calls) == 1
    assert clock.now == 0


@responses.activate
def test_waits_use_up_patience(client: Client, clock: Any) -> None:
    """Waits that are asked for again and again end when max_retry_wait is used up."""
    responses.get(URL, status=503, headers={"Retry-After": "150"})
    assert "asks to wait 150 s" in refused(client)
    assert 400 < clock.now <= 600
