"""The network between the tap and Klaviyo: what it may do, over real sockets on this machine."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tap_klaviyo.client import Body, Client
from tap_klaviyo.config import Config
from tap_klaviyo.errors import RetryableError, TapError
from tap_klaviyo.jsonapi import Query

KEY = "pk_0123456789abcdef"
LISTS = Query("/api/lists", {}, scopes=("lists:read",), tier="L")
Configure = Callable[..., Config]
Serve = Callable[..., Any]


def parsed(body: Body) -> Any:
    """A body as JSON."""
    return json.loads(body.unpacked())


def refused(client: Client, kind: type[TapError]) -> str:
    """The line in which a request to the lists fails; the key is not in it."""
    with pytest.raises(kind) as caught:
        client.get("/api/lists", LISTS, parsed)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
    return str(caught.value)


def test_proxy(
    configure: Configure, serve: Serve, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY is honoured, and never sees the key."""
    proxy = serve().answer(b"", "502 Bad Gateway")
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    client = Client(configure(base_url="https://klaviyo.invalid", api_key=KEY))
    refused(client, RetryableError)
    line, headers = proxy.requests[0]
    assert line.startswith("CONNECT klaviyo.invalid:443")
    assert KEY not in str(headers)


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n[1]\r\n0\r\n\r\n",
        b"no HTTP at all\r\n\r\n",
        b"",
    ],
    ids=["short", "chunk cut", "chunk odd", "no HTTP", "closed"],
)
def test_broken_answers(configure: Configure, serve: Serve, clock: Any, broken: bytes) -> None:
    """An answer that breaks off is asked for again, and told if it always does."""
    server = serve().answer_raw(broken).answer(b"[1]")
    assert Client(configure(base_url=server.url)).get("/api/lists", LISTS, parsed) == [1]
    server.answers = [broken]
    refused(Client(configure(base_url=server.url)), RetryableError)


def test_silent_server(configure: Configure, clock: Any) -> None:
    """A server that never answers is given up after request_timeout, each time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = Client(configure(base_url=url, request_timeout=0.01))
        refused(client, RetryableError)
