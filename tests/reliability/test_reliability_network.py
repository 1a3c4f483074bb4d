"""Proxies, certificates and connection errors, over real sockets on this machine."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme
from log_lines import criticals
from run_output import ids
from simulated_klaviyo import Arrival, SimulatedKlaviyo
from tap_processes import restored_logging

from tap_klaviyo.cli import main
from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.settings import Config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.errors import RetryableError, Stopped, TapError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.klaviyo.retries import LONGEST_BACKOFF

KEY = "pk_0123456789abcdef"
LISTS = Query("/api/lists", {}, scopes=("lists:read",), tier="L")
Configure = Callable[..., Config]
Serve = Callable[..., Any]


def parsed(body: Body) -> Any:
    """Parses a body as JSON."""
    return json.loads(body.decompressed())


def refused(client: Client, error_type: type[TapError]) -> str:
    """Returns the error of a request, checked to be one line without the key."""
    with pytest.raises(error_type) as caught:
        client.request("/api/lists", LISTS, parsed)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
    return str(caught.value)


def closed_port() -> int:
    """A local port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


PROXIES = {
    "HTTPS_PROXY": ("https://klaviyo.invalid", "CONNECT klaviyo.invalid:443 HTTP/1."),
    "https_proxy": ("https://klaviyo.invalid", "CONNECT klaviyo.invalid:443 HTTP/1."),
    "ALL_PROXY": ("https://klaviyo.invalid", "CONNECT klaviyo.invalid:443 HTTP/1."),
    "HTTP_PROXY": ("http://127.0.0.1:9", "GET http://127.0.0.1:9/api/lists HTTP/1."),
}


@pytest.mark.parametrize("variable", PROXIES)
def test_a_proxy(
    configure: Configure, serve: Serve, clock: Any, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A proxy of the environment is used; it sees the key only for plain HTTP."""
    base_url, line = PROXIES[variable]
    proxy = serve().answer(b"", "502 Bad Gateway")
    monkeypatch.setenv(variable, proxy.url)
    client = client_for(
        configure(base_url=base_url, api_key=KEY), clock=clock.time, sleep=clock.sleep
    )
    message = refused(client, RetryableError)
    assert variable in message or variable == "HTTP_PROXY"
    assert proxy.requests[0][0].startswith(line)
    assert KEY not in str(proxy.requests) or variable == "HTTP_PROXY"


@pytest.mark.parametrize(("exempt", "direct"), [("127.0.0.1", 1), ("elsewhere.example", 0)])
def test_no_proxy(
    configure: Configure, serve: Serve, monkeypatch: pytest.MonkeyPatch, exempt: str, direct: int
) -> None:
    """Hosts in NO_PROXY are requested directly, others through the proxy."""
    proxy, server = serve().answer(b"[0]"), serve().answer(b"[1]")
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", exempt)
    client = client_for(configure(base_url=server.url))
    assert client.request("/api/lists", LISTS, parsed) == [direct]


@pytest.mark.parametrize("proxied", [False, True], ids=["a server", "a proxy"])
def test_nobody_listens(
    configure: Configure, clock: Any, monkeypatch: pytest.MonkeyPatch, proxied: bool
) -> None:
    """A refused connection is retried and then reported."""
    url = f"http://127.0.0.1:{closed_port()}"
    if proxied:
        monkeypatch.setenv("HTTPS_PROXY", url)
        url = "https://klaviyo.invalid"
    client = client_for(configure(base_url=url, api_key=KEY), clock=clock.time, sleep=clock.sleep)
    message = refused(client, RetryableError)
    assert "Connection refused" in message
    assert "Check the network" in message
    assert round(sum(clock.slept), 6) >= 600


def test_a_name_that_nobody_knows(
    clock: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A host without an address ends the command with one line about the network."""

    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    config = {"api_key": KEY, "start_date": "2026-01-01", "base_url": "https://klaviyo.invalid"}
    lists = [one for one in build_catalog()["streams"] if one["stream"] == "lists"]
    arguments = []
    for name, content in {"config": config, "catalog": {"streams": lists}}.items():
        (tmp_path / name).write_text(json.dumps(content))
        arguments += [f"--{name}", str(tmp_path / name)]
    with restored_logging():
        assert main(arguments) == 3
    shown = capfd.readouterr()
    assert shown.out == ""
    (line,) = criticals(shown.err)
    assert "klaviyo.invalid" in line
    assert "Name or service not known" in line
    assert "Check the network" in line
    assert "Traceback" not in shown.err
    assert round(sum(clock.slept), 6) >= 600


def test_a_worker_has_not_the_last_word(
    configure: Configure, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A request in a worker stops without logging after the end of the run."""
    url = f"http://127.0.0.1:{closed_port()}"

    def end_the_run(seconds: float) -> None:
        client.close()
        caplog.clear()

    config = configure(base_url=url, api_key=KEY)
    client = client_for(config, clock=clock.time, sleep=end_the_run)
    with caplog.at_level("DEBUG", logger="tap_klaviyo"):
        refused(client, Stopped)
    assert not caplog.records


def test_authorities_that_are_not_there(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing CA bundle is named in the error and the request is not retried."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")
    url = f"https://127.0.0.1:{closed_port()}"
    message = refused(client_for(configure(base_url=url, api_key=KEY)), TapError)
    assert "/no/such/file.pem" in message
    assert "Correct REQUESTS_CA_BUNDLE" in message


AUTHORITY = trustme.CA()
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
CERTIFICATES: dict[str, tuple[trustme.LeafCert, str]] = {
    "of an unknown authority": (trustme.CA().issue_cert("127.0.0.1"), "local issuer"),
    "of another host": (AUTHORITY.issue_cert("elsewhere.example"), "not valid for '127.0.0.1'"),
    "expired": (AUTHORITY.issue_cert("127.0.0.1", not_after=LONG_AGO), "has expired"),
}


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """The TLS context of a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Sets REQUESTS_CA_BUNDLE to the CA of the tests."""
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))


@pytest.mark.usefixtures("trusted")
def test_an_authority_of_ones_own(configure: Configure, serve: Serve) -> None:
    """A certificate of a CA in REQUESTS_CA_BUNDLE is accepted."""
    server = serve(server_context(AUTHORITY.issue_cert("127.0.0.1"))).answer(b"[1]")
    client = client_for(configure(base_url=server.url))
    assert client.request("/api/lists", LISTS, parsed) == [1]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("certificate", "reason"), CERTIFICATES.values(), ids=CERTIFICATES.keys())
def test_a_certificate_that_is_not_good(
    configure: Configure, serve: Serve, clock: Any, certificate: trustme.LeafCert, reason: str
) -> None:
    """An invalid certificate ends the request without a retry; one line names the certificate."""
    server = serve(server_context(certificate)).answer(b"[1]")
    message = refused(client_for(configure(base_url=server.url, api_key=KEY)), TapError)
    assert message.startswith(f"The certificate of {server.url} is not valid, so nothing was sent")
    assert reason in message
    assert "REQUESTS_CA_BUNDLE" in message
    assert not server.requests
    assert not clock.slept


def test_no_authority_is_trusted_by_itself(configure: Configure, serve: Serve) -> None:
    """The CA of the tests is not trusted without REQUESTS_CA_BUNDLE."""
    server = serve(server_context(AUTHORITY.issue_cert("127.0.0.1"))).answer(b"[1]")
    refused(client_for(configure(base_url=server.url, api_key=KEY)), TapError)
    assert not server.requests


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n[1]\r\n0\r\n\r\n",
        b"no HTTP at all\r\n\r\n",
        b"",
    ],
    ids=["short", "incomplete chunk", "invalid chunk", "no HTTP", "closed"],
)
def test_broken_answers(configure: Configure, serve: Serve, clock: Any, broken: bytes) -> None:
    """An incomplete response is retried, and reported if it never completes."""
    server = serve().answer_raw(broken).answer(b"[1]")
    client = client_for(configure(base_url=server.url), clock=clock.time, sleep=clock.sleep)
    assert client.request("/api/lists", LISTS, parsed) == [1]
    server.answers = [broken]
    refused(client, RetryableError)


@pytest.fixture
def full() -> Iterator[int]:
    """The port of a server that accepts no connection: all that may wait are waiting."""
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port: int = listening.getsockname()[1]
        for _ in range(3):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts all connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield listening.getsockname()[1]


NO_ANSWER = [
    pytest.param("full", "http", "", id="no connection"),
    pytest.param("full", "https", "", id="no connection for TLS"),
    pytest.param("full", "https", "http", id="no connection to a proxy"),
    pytest.param("full", "https", "https", id="no connection to a proxy with TLS"),
    pytest.param("silent", "https", "", id="no TLS handshake"),
    pytest.param("silent", "https", "http", id="no tunnel of a proxy"),
    pytest.param("silent", "https", "https", id="no TLS handshake of a proxy"),
]


@pytest.mark.parametrize(("server", "scheme", "proxy"), NO_ANSWER)
def test_no_connection(
    request: pytest.FixtureRequest,
    configure: Configure,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    server: str,
    scheme: str,
    proxy: str,
) -> None:
    """To connect has a limit of its own; it is tried for max_retry_wait, as the last line says."""
    monkeypatch.setattr("tap_klaviyo.klaviyo.exchange.CONNECT_TIMEOUT", 0.05)
    address = f"127.0.0.1:{request.getfixturevalue(server)}"
    if proxy:
        monkeypatch.setenv(f"{scheme}_proxy", f"{proxy}://{address}")
    base_url = f"{scheme}://{'klaviyo.invalid' if proxy else address}"
    config = configure(base_url=base_url, api_key=KEY, request_timeout=300)
    started = time.monotonic()
    message = refused(client_for(config, clock=clock.time, sleep=clock.sleep), RetryableError)
    assert time.monotonic() - started < 20
    assert message.startswith(f"No answer from {base_url}: ")
    assert "timed out" in message
    assert "Check the network. Retried for 600 s (max_retry_wait). Run again later" in message
    assert "0x" not in message
    assert round(sum(clock.slept), 6) >= 600


def test_silent_server(silent: int, configure: Configure, clock: Any) -> None:
    """A server that never answers is a timeout after request_timeout for each try."""
    url = f"http://127.0.0.1:{silent}"
    config = configure(base_url=url, request_timeout=0.01)
    message = refused(client_for(config, clock=clock.time, sleep=clock.sleep), RetryableError)
    assert "Retried for 600 s (max_retry_wait)" in message
    assert "0x" not in message


@pytest.mark.parametrize(
    ("fault", "options", "seconds"),
    [("silence", {"seconds": 30.0}, 30), ("drip", {"pieces": 20, "seconds": 20.0}, 400)],
)
def test_a_slow_answer(fault: str, options: dict[str, float], seconds: int) -> None:
    """A response that exceeds request_timeout is requested again."""
    klaviyo = SimulatedKlaviyo("open")
    klaviyo.arrive(Arrival(0, 7200, "Opened Email", 20))
    klaviyo.api.faults.add(fault, path="/api/events", times=3, **options)
    output = klaviyo.sync({}, request_timeout=30, concurrency=1, max_retry_wait="PT1H")
    assert klaviyo.injected_faults == 3
    assert output.fault is None
    assert ids(output.messages)["open"] == set(klaviyo.events)
    assert klaviyo.now - output.started < 3 * (seconds + LONGEST_BACKOFF)
