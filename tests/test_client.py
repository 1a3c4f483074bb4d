"""The HTTP client: headers, links, errors, retries, rate limits and secrets."""

from __future__ import annotations

import gzip
import json
import logging
import ssl
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import responses

from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.settings import Config
from tap_klaviyo.errors import ApiError, ConfigError, RetryableError, TapError
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.klaviyo.retries import LONGEST_BACKOFF

KEY = "pk_0123456789abcdef"
URL = "https://a.klaviyo.com/api/lists"
LISTS = Query("/api/lists", {}, scopes=("lists:read", "tags:read"), tier="L")
METRICS = Query("/api/metrics", {}, scopes=("metrics:read",), tier="M")
TIMEOUT = 10.0
GZIPPED = gzip.compress(b"{}", mtime=0)
Configure = Callable[..., Config]
Serve = Callable[[], Any]


def parsed(body: Body) -> Any:
    """Parses a body as JSON."""
    return json.loads(body.decompressed())


@pytest.fixture
def client(configure: Configure, clock: Any) -> Client:
    """A client for the default base_url."""
    return client_for(configure(api_key=KEY), clock=clock.time, sleep=clock.sleep)


def error(detail: str) -> dict[str, Any]:
    """A response body with one error."""
    source = {"parameter": "page[size]"}
    return {"errors": [{"id": "1", "code": "x", "title": "T", "detail": detail, "source": source}]}


def refused(client: Client, error_type: type[TapError], url: str = URL) -> TapError:
    """Returns the error of a request, checked to be one line without the API key."""
    with pytest.raises(error_type) as caught:
        client.request(url, LISTS, parsed)
    assert "\n" not in str(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    return caught.value


@responses.activate
def test_headers(client: Client) -> None:
    """A request has the API key, the revision and the User-Agent."""
    responses.get(URL, json={"data": []})
    assert client.request("/api/lists?a=b", LISTS, parsed) == {"data": []}
    request = responses.calls[0].request
    assert request.url == f"{URL}?a=b"
    assert request.headers["Authorization"] == f"Klaviyo-API-Key {KEY}"
    assert request.headers["Accept"] == "application/vnd.api+json"
    assert request.headers["revision"] == "2026-07-15"
    assert request.headers["X-Klaviyo-Revision-Fall-Forward-Opt-Out"] == "1"
    assert request.headers["User-Agent"].startswith("tap-klaviyo/")


@responses.activate
def test_links_are_followed_verbatim(client: Client) -> None:
    """The link to the next page is requested unchanged except for the port and the host's case."""
    responses.get("https://a.klaviyo.com:443/api/lists/", json={})
    link = "https://A.Klaviyo.com:443/api/lists/?page%5Bcursor%5D=bmV4dA==&filter=a%28b,%22c%22%29"
    client.request(link, LISTS, parsed)
    sent = responses.calls[0].request.url
    assert sent is not None
    assert sent.split("?")[1] == link.split("?")[1]


@pytest.mark.parametrize(
    "link",
    [
        "https://example.com/api/lists",
        "http://a.klaviyo.com/api/lists",
        "https://a.klaviyo.com:8443/api/lists",
        "https://a.klaviyo.com.example.com/api/lists",
        "https://a.klaviyo.com@example.com/api/lists",
        "https://example.com\\@a.klaviyo.com/api/lists",
        "https://a.klaviyo.com:port/api/lists",
        "https://[::1/api/lists",
        "file:///etc/passwd",
    ],
)
@responses.activate
def test_links_to_other_origins_are_refused(client: Client, link: str) -> None:
    """A link to another scheme, host or port is refused and nothing is sent."""
    refused(client, ApiError, link)
    assert not responses.calls


def test_key_stays_with_its_server(configure: Configure, serve: Serve) -> None:
    """A link that only looks like the server's own never sends the key to another server."""
    ours, other = serve().answer(b"{}"), serve().answer(b"{}")
    client = client_for(configure(base_url=ours.url))
    with pytest.raises(TapError):
        client.request(f"{other.url}\\@{ours.url.removeprefix('http://')}/", LISTS, parsed)
    assert not other.requests


STATUSES: list[tuple[int, type[TapError], str]] = [
    (400, ApiError, "Klaviyo says: Because."),
    (401, ConfigError, "api_key"),
    (403, ApiError, "lists:read, tags:read"),
    (404, ApiError, "base_url"),
    (410, ConfigError, "'revision'"),
    (415, ApiError, "415"),
    (302, ApiError, "302"),
    *(
        (status, RetryableError, "Run again later")
        for status in (408, 500, 502, 503, 504, 520, 524)
    ),
]


@pytest.mark.parametrize(("status", "error_type", "expected"), STATUSES)
@responses.activate
def test_refusals(client: Client, status: int, error_type: type[TapError], expected: str) -> None:
    """Each status is reported in one line with a remedy; only temporary errors are retried."""
    responses.get(URL, status=status, json=error("Because."))
    caught = refused(client, error_type)
    assert str(status) in str(caught)
    assert expected in str(caught)
    assert (len(responses.calls) > 1) is (error_type is RetryableError)


@responses.activate
def test_parameter_of_an_error(client: Client) -> None:
    """An error has the status and the parameter that Klaviyo names."""
    responses.get(URL, status=400, json=error("Too large."))
    assert vars(refused(client, ApiError)) == {
        "status": 400,
        "parameter": "page[size]",
        "is_page_size": True,
    }


@pytest.mark.parametrize(
    "failure",
    [
        requests.ConnectionError("refused,\non two lines"),
        requests.ConnectTimeout("slow"),
        requests.ReadTimeout("slow"),
        ConnectionResetError(104, "reset"),
    ],
)
@responses.activate
def test_network_errors(client: Client, clock: Any, failure: Exception) -> None:
    """Network errors are retried with growing, bounded pauses."""
    responses.get(URL, body=failure)
    assert "Check the network" in str(refused(client, RetryableError))
    assert len(responses.calls) == len(clock.slept) + 1
    assert 0 < max(clock.slept) <= LONGEST_BACKOFF


@responses.activate
def test_ambiguous_base_url(configure: Configure) -> None:
    """A link with an ambiguous host is refused with any base_url."""

    def follow() -> None:
        client = client_for(configure(base_url="https://my_proxy.example"))
        client.request("https://example.com\\@my_proxy.example/", LISTS, parsed)

    with pytest.raises((ApiError, ConfigError)):
        follow()


@responses.activate
def test_certificate(client: Client) -> None:
    """An invalid certificate is not retried."""
    responses.get(
        URL, body=requests.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed"))
    )
    assert "certificate" in str(refused(client, TapError))
    assert len(responses.calls) == 1


@responses.activate
def test_recovers(client: Client, clock: Any) -> None:
    """A request succeeds after temporary failures."""
    for answer in ({"status": 503}, {"body": ConnectionError()}, {"body": "{"}, {"body": "[1]"}):
        responses.get(URL, **answer)
    assert client.request(URL, LISTS, parsed) == [1]
    assert len(clock.slept) == 3


@responses.activate
def test_unreadable_bodies(client: Client) -> None:
    """A body that is not JSON is retried and then reported."""
    responses.get(URL, body="<html>maintenance</html>")
    assert "not a page of Klaviyo's API" in str(refused(client, RetryableError))
    assert len(responses.calls) > 1


@responses.activate
def test_gzip(client: Client) -> None:
    """A gzip body is decompressed; a damaged one is retried."""
    body = gzip.compress(b'{"data": "\xc3\xbc"}')
    responses.get(URL, body=body[:-12], headers={"Content-Encoding": "gzip"})
    responses.get(URL, body=body, headers={"Content-Encoding": "gzip"})
    assert client.request(URL, LISTS, parsed) == {"data": "ü"}


@responses.activate
def test_rate_limit(client: Client, clock: Any) -> None:
    """After a 429 nothing is sent until Retry-After has passed; it is not counted as a failure."""
    for _ in range(400):
        responses.get(URL, status=429, headers={"Retry-After": "2"})
    responses.get(URL, json=[])
    assert client.request(URL, LISTS, parsed) == []
    assert clock.now >= 2 * 400


@responses.activate
def test_endless_rate_limit(client: Client) -> None:
    """A rate limit that never ends is an error after a time limit."""
    responses.get(URL, status=429, headers={"Retry-After": "0"})
    assert "rate limit" in str(refused(client, RetryableError))


@responses.activate
def test_rate_limit_holds_all_threads(configure: Configure, clock: Any) -> None:
    """During a rate limit no thread sends a request to that endpoint."""
    threads, sent = list[threading.Thread](), list[float]()
    resumed = threading.Event()

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        sent.append(clock.now)
        resumed.set()
        return (429, {"Retry-After": "5"}, "") if len(sent) == 1 else (200, {}, "[]")

    def sleep(seconds: float) -> None:
        if threads:
            resumed.set()
        else:
            resumed.clear()
            threads.append(threading.Thread(target=both.request, args=(URL, LISTS, parsed)))
            threads[0].start()
            resumed.wait(0.2)
        clock.sleep(seconds)

    both = client_for(configure(), clock=clock.time, sleep=sleep)
    responses.add_callback("GET", URL, answer)
    both.request(URL, LISTS, parsed)
    threads[0].join(TIMEOUT)
    assert not threads[0].is_alive()
    assert len(sent) == 3
    assert min(sent[1:]) >= 5


@pytest.mark.parametrize(
    ("remaining", "reset", "waits"),
    [
        ("0", "7", True),
        ("1", "7", False),
        ("x", "7", False),
        ("0", "9999", False),
        ("0", "1", False),
        ("0", "0", False),
    ],
)
@responses.activate
def test_quota(client: Client, clock: Any, remaining: str, reset: str, waits: bool) -> None:
    """The next request waits for the reset if the quota of a minute is used up, not a second's."""
    quota = {"RateLimit-Remaining": remaining, "RateLimit-Reset": reset}
    responses.get(URL, json=[], headers=quota)
    client.request(URL, LISTS, parsed)
    client.request(URL, LISTS, parsed)
    assert clock.now == (float(reset) if waits else 0)


@pytest.mark.parametrize(("remaining", "waits"), [("1", True), ("2", False)])
@responses.activate
def test_quota_with_requests_in_flight(
    client: Client, clock: Any, remaining: str, waits: bool
) -> None:
    """Requests in flight count against the remaining quota."""
    quota = {"RateLimit-Remaining": remaining, "RateLimit-Reset": "7"}

    def nested_request(_: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        client.request(URL, LISTS, parsed)
        return 200, {}, "[]"

    responses.add_callback("GET", URL, nested_request)
    responses.get(URL, json=[], headers=quota)
    client.request(URL, LISTS, parsed)
    assert clock.now == 0
    responses.replace("GET", URL, json=[])
    client.request(URL, LISTS, parsed)
    assert (clock.now >= 7) is waits


@responses.activate
def test_rate_limit_of_another_endpoint(configure: Configure, clock: Any) -> None:
    """A rate limit of one endpoint does not delay others."""
    times = list[float]()

    def sleep(seconds: float) -> None:
        if not times:
            times.append(clock.now)
            both.request("/api/metrics", METRICS, parsed)
            times.append(clock.now)
        clock.sleep(seconds)

    both = client_for(configure(), clock=clock.time, sleep=sleep)
    responses.get("https://a.klaviyo.com/api/metrics", json=[])
    responses.get(URL, status=429, headers={"Retry-After": "5"})
    responses.get(URL, json=[])
    both.request(URL, LISTS, parsed)
    assert times == [0.0, 0.0]
    assert clock.now >= 5


@pytest.mark.parametrize("status", [503, 403])
@pytest.mark.parametrize(
    "body", [b"", b"no gzip", GZIPPED[:-4], gzip.compress(b" " * 2_000, mtime=0)]
)
@responses.activate
def test_refusal_with_a_damaged_body(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
) -> None:
    """A body that cannot be decompressed, or is too large, is not Klaviyo's."""
    monkeypatch.setattr("tap_klaviyo.klaviyo.response.MAX_BODY", 1_000)
    responses.get(URL, status=status, body=body, headers={"Content-Encoding": "gzip"})
    assert str(status) in str(refused(client, RetryableError))


def test_redirects_are_not_followed(configure: Configure, serve: Serve) -> None:
    """A redirect is an error: following it could send the key to another server."""
    other = serve().answer(b"{}")
    ours = serve().answer(b"", "302 Found", Location=other.url)
    client = client_for(configure(base_url=ours.url, max_retry_wait=0))
    refused(client, RetryableError, "/api/lists")
    assert not other.requests


def test_netrc_is_ignored(
    configure: Configure, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A password in ~/.netrc does not replace the API key."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve().answer(b"{}")
    client_for(configure(base_url=server.url, api_key=KEY)).request("/api/lists", LISTS, parsed)
    assert server.requests[0][1]["Authorization"] == f"Klaviyo-API-Key {KEY}"


@pytest.mark.parametrize("before", [0, 180, 195, 5000])
@responses.activate
def test_a_key_that_is_sent_back(client: Client, before: int) -> None:
    """Error details are quoted, shortened and without the key, wherever they are truncated."""
    detail = f"{'x' * before}{KEY}"
    responses.get(URL, json={"errors": [{"detail": detail}]}, status=400)
    message = str(refused(client, ApiError))
    assert message.partition("Klaviyo says: ")[2] == f"{'x' * before}***"[:200]


@responses.activate
def test_logs(client: Client, clock: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Retries, pauses and request times are logged; the key and the query are not."""
    responses.get(URL, status=500)
    responses.get(URL, status=429, headers={"Retry-After": "7"})
    responses.get(URL, json=[])
    with caplog.at_level(logging.DEBUG):
        client.request(URL + "?filter=jo%40example.com", LISTS, parsed)
    for expected in (
        "Klaviyo fails at /api/lists (500). Retrying for up to 600 s.",
        "7 s",
        "http_request_duration",
        '"http_status_code": 429',
    ):
        assert expected in caplog.text
    assert KEY not in caplog.text + repr(client) + repr(vars(client))
    assert "example.com" not in caplog.text
