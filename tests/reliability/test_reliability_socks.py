"""SOCKS proxies, with PySocks: over real sockets on this machine."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.settings import Config
from tap_klaviyo.errors import ConfigError, RetryableError, TapError
from tap_klaviyo.klaviyo.queries import Query

LISTS = Query("/api/lists", {}, scopes=("lists:read",), tier="L")
Configure = Callable[..., Config]

BY_PASSWORD, NO_METHOD = b"\x05\x02", b"\x05\xff"
"""What a proxy answers to the methods of authentication that a client offers (RFC 1928)."""

WRONG, RIGHT = b"\x01\x01", b"\x01\x00"
"""What it answers to a user name and a password (RFC 1929)."""

CONNECTED, UNREACHABLE = b"\x05\x00\x00\x01" + bytes(6), b"\x05\x04\x00\x01" + bytes(6)


@pytest.fixture
def proxy() -> Iterator[Callable[..., str]]:
    """Starts a server that sends its answers, each after it has received something.

    After the last one it is a server of HTTP. Returns its address.
    """
    with closing(socket.create_server(("127.0.0.1", 0), backlog=128)) as listening:

        def serve(connection: socket.socket, answers: tuple[bytes, ...]) -> None:
            with suppress(OSError), connection:
                for answer in answers:
                    connection.recv(65_536)
                    connection.sendall(answer)
                while answers[-1] == CONNECTED and connection.recv(65_536):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]")

        def accept(answers: tuple[bytes, ...]) -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=serve, args=(connection, answers), daemon=True).start()

        def start(*answers: bytes) -> str:
            threading.Thread(target=accept, args=(answers,), daemon=True).start()
            return f"127.0.0.1:{listening.getsockname()[1]}"

        yield start
        # To close a socket does not wake the thread that accepts on it.
        listening.shutdown(socket.SHUT_RDWR)


def request(configure: Configure, clock: Any, base_url: str) -> Any:
    """Requests the lists."""
    client = client_for(configure(base_url=base_url), clock=clock.time, sleep=clock.sleep)
    return client.request("/api/lists", LISTS, lambda body: json.loads(body.decompressed()))


def failure(configure: Configure, clock: Any, error_type: type[TapError]) -> str:
    """The one line that a request ends with; it holds no password."""
    with pytest.raises(error_type) as caught:
        request(configure, clock, "https://klaviyo.invalid")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy(
    proxy: Callable[..., str],
    configure: Configure,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    """A request is sent through a SOCKS proxy that accepts the password."""
    address = proxy(BY_PASSWORD, RIGHT, CONNECTED)
    monkeypatch.setenv("HTTP_PROXY", f"{scheme}://user:secret@{address}")
    assert request(configure, clock, "http://127.0.0.1:9") == [1]


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("answers", [(BY_PASSWORD, WRONG), (NO_METHOD,)])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_a_socks_proxy_that_does_not_accept_the_password(
    proxy: Callable[..., str],
    configure: Configure,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    answers: tuple[bytes, ...],
    variable: str,
) -> None:
    """It ends the run without a retry, and names the variable but no password."""
    monkeypatch.setattr(socket, "getaddrinfo", local_addresses)
    monkeypatch.setenv(variable, f"{scheme}://user:secret@{proxy(*answers)}")
    message = failure(configure, clock, ConfigError)
    assert message.startswith(f"The SOCKS proxy in {variable} does not accept its user name and")
    assert not clock.slept


UNAVAILABLE: dict[str, tuple[bytes, ...]] = {
    "the server is unreachable": (BY_PASSWORD, RIGHT, UNREACHABLE),
    "no SOCKS": (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
    "closed": (b"",),
}


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("answers", UNAVAILABLE.values(), ids=UNAVAILABLE.keys())
def test_a_socks_proxy_that_makes_no_connection(
    proxy: Callable[..., str],
    configure: Configure,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    answers: tuple[bytes, ...],
) -> None:
    """It is tried for max_retry_wait, and the last line names the variable."""
    monkeypatch.setattr(socket, "getaddrinfo", local_addresses)
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://user:secret@{proxy(*answers)}")
    message = failure(configure, clock, RetryableError)
    assert "through the proxy in HTTPS_PROXY" in message
    assert "Retried for 600 s (max_retry_wait)" in message
    assert round(sum(clock.slept), 6) >= 600


def test_a_socks_proxy_that_does_not_listen(
    configure: Configure, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection is retried, and the last line names the variable."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"socks5h://user:secret@127.0.0.1:{port}")
    message = failure(configure, clock, RetryableError)
    assert "Connection refused, through the proxy in HTTPS_PROXY" in message


def local_addresses(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
    """Every host is this machine: socks5 looks its name up, unlike socks5h."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
