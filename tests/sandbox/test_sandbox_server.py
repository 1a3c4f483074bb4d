"""The HTTP server and the command line."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sandbox_client import HEADERS

from sandbox import Account, Sandbox
from sandbox.event_counts import CountingRules

ROOT = Path(__file__).parents[2]
TIMEOUT = 10


@pytest.fixture
def server(mutable_account: Account) -> Iterator[Sandbox]:
    """A running sandbox."""
    with Sandbox(mutable_account) as running:
        yield running


def _get(server: Sandbox, path: str, timeout: float = TIMEOUT) -> requests.Response:
    return requests.get(server.url + path, headers=HEADERS, timeout=timeout)


def test_pagination(server: Sandbox, mutable_account: Account) -> None:
    """Pagination works over HTTP."""
    url, found = f"{server.url}/api/events?sort=timestamp&include=profile", []
    with requests.Session() as session:
        while url:
            page = session.get(url, headers=HEADERS, timeout=TIMEOUT).json()
            found += [event["id"] for event in page["data"]]
            url = page["links"]["next"]
    assert found == mutable_account.event_ids_of(None)


def test_keep_alive(server: Sandbox) -> None:
    """One connection serves several requests, also after an error."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=TIMEOUT)
    connection.connect()
    port = connection.sock.getsockname()[1]
    for method, path in (("GET", "/nowhere"), ("HEAD", "/api/lists"), ("GET", "/api/metrics")):
        connection.request(method, path, headers=HEADERS)
        response = connection.getresponse()
        assert bool(response.read()) is (method == "GET")
        assert connection.sock.getsockname()[1] == port
    connection.close()


def test_log(mutable_account: Account) -> None:
    """The request log has requests and responses, but not the API key."""
    with Sandbox(mutable_account) as server:
        _get(server, "/api/lists?page%5Bsize%5D=2&sort=name")
        _get(server, "/api/lists?sort=colour")
    assert [
        (logged.path, logged.query, logged.status, logged.in_flight) for logged in server.requests
    ] == [
        ("/api/lists", (("page[size]", "2"), ("sort", "name")), 200, 1),
        ("/api/lists", (("sort", "colour"),), 400, 1),
    ]
    logged = server.requests[0]
    assert logged.started <= logged.ended <= time.time()
    assert logged.sent > 100
    assert logged.user_agent.startswith("python-requests")
    assert server.key not in repr(server.requests)


def test_bodies(mutable_account: Account) -> None:
    """Request bodies are received and logged."""
    resource_type = "segment-values-report"
    attributes = {"statistics": ["total_members"], "timeframe": {"key": "last_7_days"}}
    body = json.dumps({"data": {"type": resource_type, "attributes": attributes}})
    headers = {**HEADERS, "Content-Type": "application/vnd.api+json"}
    with Sandbox(mutable_account) as server:
        response = requests.post(
            f"{server.url}/api/{resource_type}s", body, headers=headers, timeout=TIMEOUT
        )
    assert response.json()["data"]["attributes"]["results"]
    assert [(logged.method, logged.body) for logged in server.requests] == [("POST", body)]


def test_latency(mutable_account: Account) -> None:
    """Latency delays responses per record, without blocking other requests."""
    with Sandbox(mutable_account, latency=0.2, latency_per_record=0.02) as server:
        threads = [
            threading.Thread(target=_get, args=(server, "/api/lists?page[size]=5"))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
    assert all(logged.ended - logged.started >= 0.29 for logged in server.requests)
    assert max(logged.in_flight for logged in server.requests) > 1


def test_limits(mutable_account: Account) -> None:
    """Rate limits apply if they are set."""
    with Sandbox(mutable_account, limits=1.0) as server:
        statuses = [_get(server, "/api/accounts").status_code for _ in range(16)]
    assert 429 in statuses


def test_scopes_and_key(mutable_account: Account) -> None:
    """The API key and its scopes can be set."""
    with Sandbox(mutable_account, key="pk_mine", scopes=["lists:read"]) as server:
        headers = {**HEADERS, "Authorization": "Klaviyo-API-Key pk_mine"}
        url = f"{server.url}/api/"
        answers = [
            requests.get(url + path, headers=headers, timeout=TIMEOUT).status_code
            for path in ("lists", "metrics")
        ]
        assert [*answers, _get(server, "/api/lists").status_code] == [200, 403, 401]


@pytest.mark.parametrize("name", ["reset", "reset_in_body", "truncated"])
def test_broken_connections(server: Sandbox, name: str) -> None:
    """A connection fault is an error for the client; the next request works."""
    fault = server.faults.add(name)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        _get(server, "/api/metrics")
    assert fault.applied == 1
    assert server.requests[0].fault == name
    assert _get(server, "/api/metrics").status_code == 200


def test_truncated(server: Sandbox) -> None:
    """A truncated body is shorter than its Content-Length."""
    server.faults.add("truncated")
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=TIMEOUT)
    connection.request("GET", "/api/metrics", headers=HEADERS)
    response = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as error:
        response.read()
    length = int(response.headers["Content-Length"])
    assert len(error.value.partial) == length // 2
    connection.close()


def test_drip(server: Sandbox) -> None:
    """A dripping body is slow and complete."""
    server.faults.add("drip", pieces=5, seconds=0.05)
    began = time.monotonic()
    assert len(_get(server, "/api/metrics").json()["data"]) == 200
    assert time.monotonic() - began > 0.2


def test_a_client_that_goes_away(
    mutable_account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that closes the connection before it has an answer is no error of the sandbox."""
    with Sandbox(mutable_account, latency=0.3) as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=TIMEOUT)
        connection.request("GET", "/api/metrics", headers=HEADERS)
        connection.close()
        assert _get(server, "/api/metrics").status_code == 200
    assert len(server.requests) == 2
    assert not caplog.records


def test_silence(server: Sandbox) -> None:
    """A silent connection times out; other requests are served."""
    server.faults.add("silence")
    with pytest.raises(requests.ReadTimeout):
        _get(server, "/api/metrics", timeout=0.3)
    assert _get(server, "/api/metrics").status_code == 200


def test_stops_during_silence(mutable_account: Account) -> None:
    """The sandbox stops at once despite an unanswered request."""
    with Sandbox(mutable_account) as server:
        server.faults.add("silence")
        with pytest.raises(requests.ReadTimeout):
            _get(server, "/api/metrics", timeout=0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    with pytest.raises(requests.ConnectionError):
        _get(server, "/api/metrics")


def _control(server: Sandbox, command: str, body: Any) -> requests.Response:
    return requests.post(f"{server.url}/sandbox/{command}", json=body, timeout=TIMEOUT)


def test_control(server: Sandbox, mutable_account: Account) -> None:
    """Control endpoints add events, inject faults and return the log and the ids."""
    post = partial(_control, server)
    arrived = post("arrive", {"counts": {"Opened Email": 3, "Clicked Email": 1}, "late": 1})
    assert len(arrived.json()["events"]) == 4
    truth = requests.get(f"{server.url}/sandbox/truth", timeout=TIMEOUT).json()
    assert {event["id"] for event in arrived.json()["events"]} < {
        id for ids in truth["events"].values() for id in ids
    }
    assert truth["suppressed_profiles"] == mutable_account.suppressed_profiles()
    assert sorted(truth["campaigns"]) == sorted(mutable_account.campaign_ids())
    assert truth["ids"]["flow"] == mutable_account.ids("flow")
    segment = mutable_account.ids("segment")[0]
    assert truth["members"][segment] == mutable_account.members(segment)

    assert post("faults", {"add": [{"name": "status", "times": None}]}).json() == {"added": 1}
    assert _get(server, "/api/lists").status_code == 503
    post("faults", {"clear": True})
    assert _get(server, "/api/lists").status_code == 200
    log = requests.get(f"{server.url}/sandbox/requests", timeout=TIMEOUT).json()["requests"]
    assert [(one["path"], one["status"]) for one in log] == [
        ("/api/lists", 503),
        ("/api/lists", 200),
    ]


def test_control_of_counts(server: Sandbox, mutable_account: Account) -> None:
    """Control endpoints set and remove rules of counting, delete events and return the counts."""
    event = mutable_account.arrive("Opened Email", 1)[0]
    metric = event.metric_id or ""
    rules = {"metric": "Opened Email", "count_lag": 60, "unsupported": True}
    assert _control(server, "counting", {"set": [rules]}).json() == {"set": 1}
    assert mutable_account.counting.of(metric) == CountingRules(count_lag=60, unsupported=True)
    assert _control(server, "counting", {"clear": True}).json() == {"set": 0}
    assert mutable_account.counting.of(metric) == CountingRules()
    assert _control(server, "delete_events", {"ids": [event.id]}).json() == {"deleted": 1}
    assert event.id not in mutable_account.event_ids_of(metric)
    truth = requests.get(f"{server.url}/sandbox/truth", timeout=TIMEOUT).json()
    assert truth["counts"][metric] == mutable_account.counts(metric)


@pytest.mark.parametrize(
    ("command", "body", "status"),
    [
        ("arrive", b'{"counts": {"Opened Letter": 1}}', 400),
        ("arrive", b"not json", 400),
        ("counting", b'{"set": [{"metric": "Opened Letter"}]}', 400),
        ("counting", b'{"set": [{"colour": "red"}]}', 400),
        ("counting", b'{"set": [{"count_lag": "soon"}]}', 400),
        ("delete_events", b'{"ids": ["nothing"]}', 400),
        ("faults", b'{"add": [{"name": "flood"}]}', 400),
        ("faults", b'{"add": [{"name": "reset", "colour": "red"}]}', 400),
        ("unknown", b"", 404),
    ],
)
def test_control_refused(server: Sandbox, command: str, body: bytes, status: int) -> None:
    """Invalid commands return an error."""
    response = requests.post(f"{server.url}/sandbox/{command}", data=body, timeout=TIMEOUT)
    assert response.status_code == status
    assert response.json()["error"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_line(number: signal.Signals) -> None:
    """The command prints its URL as one line and exits cleanly on a signal."""
    options = (
        "--events 300 --days 10 --naming old --seed 7 --now 2026-11-20T12:00:00Z --limits off "
        "--key pk_line --scopes events:read,metrics:read --without BouncedEmail --odd-dates "
        "--extras"
    )
    command = [sys.executable, "-m", "sandbox", *options.split()]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        headers = {**HEADERS, "Authorization": f"Klaviyo-API-Key {ready['api_key']}"}
        page = requests.get(f"{ready['url']}/api/events", headers=headers, timeout=TIMEOUT)
        refused = requests.get(f"{ready['url']}/api/lists", headers=headers, timeout=TIMEOUT)
        process.send_signal(number)
        rest, errors = process.communicate(timeout=TIMEOUT)
    assert ready["api_key"] == "pk_line"
    assert (len(page.json()["data"]), refused.status_code) == (200, 403)
    assert "meta" in page.json()
    assert (process.returncode, rest, errors) == (0, "", "")
