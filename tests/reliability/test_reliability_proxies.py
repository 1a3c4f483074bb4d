"""Network settings that cannot work end a run at once; what happens on the wire is retried."""

from __future__ import annotations

import errno
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trustme
from run_output import ids
from simulated_klaviyo import Arrival, SimulatedKlaviyo
from urllib3.exceptions import NewConnectionError

from sandbox import Response
from sandbox.http_messages import Request
from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.settings import Config
from tap_klaviyo.errors import ConfigError, RetryableError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import Query

LISTS = Query("/api/lists", {}, scopes=("lists:read",), tier="L")
PASSWORD = "pass%23word"
Configure = Callable[..., Config]


@pytest.fixture
def client(configure: Configure, clock: Any) -> Client:
    """A client of a server that does not exist."""
    config = configure(base_url="https://klaviyo.invalid")
    return client_for(config, clock=clock.time, sleep=clock.sleep)


def failure(client: Client, error_type: type[Exception] = ConfigError) -> str:
    """The one line that a request ends with."""
    with pytest.raises(error_type) as caught:
        client.request("/api/lists", LISTS, lambda body: json.loads(body.decompressed()))
    assert "\n" not in str(caught.value)
    return str(caught.value)


UNUSABLE = {
    "an impossible port": ("http://u:pass%23word@proxy.example:99999", "is not the URL of a proxy"),
    "port 0": ("http://proxy.example:0", "is not the URL of a proxy"),
    "a port that is no number": ("http://proxy.example:http", "is not the URL of a proxy"),
    "no host": ("http://", "is not the URL of a proxy"),
    "a blank": ("http://proxy example:80", "is not the URL of a proxy"),
    "an empty label": ("http://proxy..example:80", "is not the URL of a proxy"),
    "an open bracket": ("http://[::1", "is not the URL of a proxy"),
    "a slash in the password": ("u:pass%23word/@proxy.example:8080", "is not the URL of a proxy"),
    "no scheme": ("u:pass%23word@proxy.example:8080", "is not the URL of a proxy"),
    "another scheme": ("ftp://u:pass%23word@proxy.example", "its scheme is 'ftp'"),
    "socks5": ("socks5://u:pass%23word@proxy.example:1080", "needs PySocks"),
    "socks4": ("socks4://proxy.example:1080", "needs PySocks"),
}


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(("proxy", "reason"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_proxy_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch,
    configure: Configure,
    clock: Any,
    caplog: pytest.LogCaptureFixture,
    variable: str,
    proxy: str,
    reason: str,
) -> None:
    """It ends the run without a retry, and names the variable but no password."""
    monkeypatch.setenv(variable, proxy)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = configure(base_url="https://klaviyo.invalid")
    message = failure(client_for(config, clock=clock.time, sleep=clock.sleep))
    assert message.startswith(f"The proxy in {variable} cannot be used: ")
    assert reason in message
    assert "word" not in message.replace("password", "") + caplog.text
    assert not clock.slept


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_proxy_that_does_not_accept_the_password(
    configure: Configure,
    serve: Callable[..., Any],
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    """A 407 ends the run without a retry, and names the variable but no password."""
    proxy = serve().answer(b"<html>", "407 Proxy Authentication Required")
    variable = f"{scheme.upper()}_PROXY"
    monkeypatch.setenv(variable, proxy.url.replace("://", f"://user:{PASSWORD}@"))
    base_url = {"https": "https://klaviyo.invalid", "http": "http://127.0.0.1:9"}[scheme]
    config = configure(base_url=base_url)
    message = failure(client_for(config, clock=clock.time, sleep=clock.sleep))
    assert message.startswith(f"The proxy in {variable} does not accept its user name")
    assert "pass%23word" not in message
    assert len(proxy.requests) == 1
    assert not clock.slept


@pytest.mark.parametrize("status", ["405 Not Allowed", "501 Not Implemented"])
def test_a_server_that_is_no_proxy(
    client: Client,
    serve: Callable[..., Any],
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
) -> None:
    """A server that knows no CONNECT is not a proxy."""
    monkeypatch.setenv("HTTPS_PROXY", serve().answer(b"", status).url)
    assert "it does not accept CONNECT" in failure(client)
    assert not clock.slept


def test_a_proxy_without_tls(
    client: Client, serve: Callable[..., Any], clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy whose URL begins with https but that does not use TLS is named."""
    url = serve().answer(b"").url.replace("http:", "https:")
    monkeypatch.setenv("HTTPS_PROXY", url)
    assert "The proxy in HTTPS_PROXY cannot be used: it does not use TLS" in failure(client)
    assert not clock.slept


BUNDLES: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "text": b"hello",
    "broken": b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n",
}


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", BUNDLES.values(), ids=BUNDLES.keys())
def test_certificate_authorities_that_cannot_be_read(
    configure: Configure,
    serve: Callable[..., Any],
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    content: bytes | None,
) -> None:
    """A file that holds no certificates ends the run without a retry, and is named."""
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(variable, str(file))
    base_url = serve().answer(b"").url.replace("http:", "https:")
    message = failure(client_for(configure(base_url=base_url), clock=clock.time, sleep=clock.sleep))
    assert f"The certificate authorities cannot be read: {file}: " in message
    assert message.endswith(f"Correct {variable}.")
    assert not clock.slept


def test_an_address_that_cannot_be_requested(configure: Configure, clock: Any) -> None:
    """A host name that no request can be sent to ends the run without a retry."""
    config = configure(base_url="https://klaviyo..invalid")
    message = failure(client_for(config, clock=clock.time, sleep=clock.sleep))
    assert message.startswith("No request can be sent to https://klaviyo..invalid: ")
    assert message.endswith("Correct base_url.")
    assert not clock.slept


HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]"
ALERT = b"\x15\x03\x03\x00\x02\x02\x50"
"""A fatal TLS alert 80, internal_error."""


@pytest.fixture
def tls_after(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a server with TLS that answers its first connection with bytes that are not TLS."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve(first: bytes) -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(first)
            connection, _ = listening.accept()
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(65_536)
                secured.sendall(HTTP)

        def start(first: bytes) -> str:
            threading.Thread(target=serve, args=(first,), daemon=True).start()
            return f"https://127.0.0.1:{listening.getsockname()[1]}"

        yield start


@pytest.mark.parametrize("first", [b"", ALERT, HTTP], ids=["the end", "an alert", "plain HTTP"])
def test_a_tls_handshake_that_fails_once(
    configure: Configure, clock: Any, tls_after: Callable[[bytes], str], first: bytes
) -> None:
    """A handshake that ends early, an alert, or plain HTTP says nothing about the certificate."""
    config = configure(base_url=tls_after(first))
    client = client_for(config, clock=clock.time, sleep=clock.sleep)
    assert client.request("/api/lists", LISTS, lambda body: json.loads(body.raw)) == [1]
    assert len(clock.slept) == 1


ERRORS: dict[str, OSError] = {
    "reset": ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    "no DNS": socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    "no route": OSError(errno.ENETUNREACH, "Network is unreachable"),
    "no connection": NewConnectionError(None, "refused"),  # type: ignore[arg-type, dict-item]
}


def outage(klaviyo: SimulatedKlaviyo, begin: float, end: float, error: OSError) -> None:
    """Takes the network away from ``begin`` to ``end``, in seconds after the start."""
    started = klaviyo.now

    def answer(request: Request, answer: Response) -> Response:
        if begin <= klaviyo.now - started < end:
            raise error
        return answer

    klaviyo.on_answer = answer


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize("seconds", [20, 400])
def test_a_network_that_is_away_for_a_while(error: OSError, seconds: int) -> None:
    """The run goes on when the network is back: patience is one value for all workers."""
    klaviyo = SimulatedKlaviyo("open", "lists")
    for minute in range(200):
        klaviyo.arrive(Arrival(0, 60 * (minute + 2), "Opened Email"))
    outage(klaviyo, 2, 2 + seconds, error)
    output = klaviyo.sync({}, page_size=5, concurrency=32)
    assert output.fault is None
    assert ids(output.messages)["open"] == set(klaviyo.events)


def test_a_network_that_stays_away() -> None:
    """The run ends when nothing has answered for max_retry_wait, whatever the workers."""
    klaviyo = SimulatedKlaviyo("open", "lists")
    klaviyo.arrive(Arrival(0, 60, "Opened Email"))
    outage(klaviyo, 0, 1e9, ERRORS["reset"])
    output = klaviyo.sync({}, concurrency=32)
    assert "Check the network" in str(output.fault)
    assert 600 <= klaviyo.now - output.started < 700


def test_a_server_that_never_answers(configure: Configure, clock: Any) -> None:
    """A request that hangs takes no longer than is left of max_retry_wait."""
    limits: list[float] = []

    def hang(url: str, authorization: str, post: object, timeout: float) -> None:
        limits.append(timeout)
        clock.now += timeout
        raise TimeoutError("timed out")

    config = configure(max_retry_wait="PT10M", request_timeout=300)
    client = client_for(config, clock=clock.time, sleep=clock.sleep)
    client._transport._exchanges.send = hang  # type: ignore[method-assign, assignment]
    assert "0x" not in failure(client, RetryableError)
    assert limits[0] == 300
    assert clock.now <= 620
