"""The sandbox on a socket, and its command line."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sandbox_client import HEADERS

from sandbox import Account, Sandbox

ROOT = Path(__file__).parents[2]
TIMEOUT = 10


@pytest.fixture
def box(mutable_account: Account) -> Iterator[Sandbox]:
    """A running sandbox."""
    with Sandbox(mutable_account) as running:
        yield running


def _get(box: Sandbox, path: str, timeout: float = TIMEOUT) -> requests.Response:
    return requests.get(box.url + path, headers=HEADERS, timeout=timeout)


def test_walk(box: Sandbox, mutable_account: Account) -> None:
    """Pages come over HTTP as they do without it."""
    url, found = f"{box.url}/api/events?sort=timestamp&include=profile", []
    with requests.Session() as session:
        while url:
            page = session.get(url, headers=HEADERS, timeout=TIMEOUT).json()
            found += [event["id"] for event in page["data"]]
            url = page["links"]["next"]
    assert found == mutable_account.event_ids_of(None)


def test_keep_alive(box: Sandbox) -> None:
    """One connection serves many requests, after a refusal too."""
    connection = http.client.HTTPConnection(urlsplit(box.url).netloc, timeout=TIMEOUT)
    connection.connect()
    port = connection.sock.getsockname()[1]
    for method, path in (("GET", "/nowhere"), ("HEAD", "/api/lists"), ("GET", "/api/metrics")):
        connection.request(method, path, headers=HEADERS)
        response = connection.getresponse()
        assert bool(response.read()) is (method == "GET")
        assert connection.sock.getsockname()[1] == port
    connection.close()


def test_log(mutable_account: Account) -> None:
    """The log tells what was asked and answered, and not with which key."""
    with Sandbox(mutable_account) as box:
        _get(box, "/api/lists?page%5Bsize%5D=2&sort=name")
        _get(box, "/api/lists?sort=colour")
    assert [(seen.path, seen.query, seen.status, seen.in_flight) for seen in box.requests] == [
        ("/api/lists", (("page[size]", "2"), ("sort", "name")), 200, 1),
        ("/api/lists", (("sort", "colour"),), 400, 1),
    ]
    seen = box.requests[0]
    assert seen.started <= seen.ended <= time.time()
    assert seen.sent > 100
    assert seen.user_agent.startswith("python-requests")
    assert box.key not in repr(box.requests)


def test_bodies(mutable_account: Account) -> None:
    """A body arrives with its request, and is in the log."""
    resource_type = "segment-values-report"
    attributes = {"statistics": ["total_members"], "timeframe": {"key": "last_7_days"}}
    body = json.dumps({"data": {"type": resource_type, "attributes": attributes}})
    headers = {**HEADERS, "Content-Type": "application/vnd.api+json"}
    with Sandbox(mutable_account) as box:
        response = requests.post(
            f"{box.url}/api/{resource_type}s", body, headers=headers, timeout=TIMEOUT
        )
    assert response.json()["data"]["attributes"]["results"]
    assert [(seen.method, seen.body) for seen in box.requests] == [("POST", body)]


def test_latency(mutable_account: Account) -> None:
    """Answers take their time, and more for every record; others are served meanwhile."""
    with Sandbox(mutable_account, latency=0.2, latency_per_record=0.02) as box:
        threads = [
            threading.Thread(target=_get, args=(box, "/api/lists?page[size]=5")) for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT)
    assert all(seen.ended - seen.started >= 0.29 for seen in box.requests)
    assert max(seen.in_flight for seen in box.requests) > 1


def test_limits(mutable_account: Account) -> None:
    """Rate limits hold if asked for."""
    with Sandbox(mutable_account, limits=1.0) as box:
        statuses = [_get(box, "/api/accounts").status_code for _ in range(16)]
    assert 429 in statuses


def test_scopes_and_key(mutable_account: Account) -> None:
    """The key and its scopes can be chosen."""
    with Sandbox(mutable_account, key="pk_mine", scopes=["lists:read"]) as box:
        headers = {**HEADERS, "Authorization": "Klaviyo-API-Key pk_mine"}
        url = f"{box.url}/api/"
        answers = [
            requests.get(url + path, headers=headers, timeout=TIMEOUT).status_code
            for path in ("lists", "metrics")
        ]
        assert [*answers, _get(box, "/api/lists").status_code] == [200, 403, 401]


@pytest.mark.parametrize("name", ["reset", "reset_in_body", "truncated"])
def test_broken_connections(box: Sandbox, name: str) -> None:
    """A broken connection is an error at the other end, and the next one works."""
    fault = box.faults.add(name)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        _get(box, "/api/metrics")
    assert fault.applied == 1
    assert box.requests[0].fault == name
    assert _get(box, "/api/metrics").status_code == 200


def test_truncated(box: Sandbox) -> None:
    """A truncated body promises more than comes."""
    box.faults.add("truncated")
    connection = http.client.HTTPConnection(urlsplit(box.url).netloc, timeout=TIMEOUT)
    connection.request("GET", "/api/metrics", headers=HEADERS)
    response = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as error:
        response.read()
    length = int(response.headers["Content-Length"])
    assert len(error.value.partial) == length // 2
    connection.close()


def test_drip(box: Sandbox) -> None:
    """A dripping body is slow, and whole."""
    box.faults.add("drip", pieces=5, seconds=0.05)
    began = time.monotonic()
    assert len(_get(box, "/api/metrics").json()["data"]) == 200
    assert time.monotonic() - began > 0.2


def test_silence(box: Sandbox) -> None:
    """No answer comes, until the other end gives up; others are served meanwhile."""
    box.faults.add("silence")
    with pytest.raises(requests.ReadTimeout):
        _get(box, "/api/metrics", timeout=0.3)
    assert _get(box, "/api/metrics").status_code == 200


def test_stops_during_silence(mutable_account: Account) -> None:
    """A sandbox stops at once, even with a request unanswered."""
    with Sandbox(mutable_account) as box:
        box.faults.add("silence")
        with pytest.raises(requests.ReadTimeout):
            _get(box, "/api/metrics", timeout=0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    with pytest.raises(requests.ConnectionError):
        _get(box, "/api/metrics")


def test_control(box: Sandbox, mutable_account: Account) -> None:
    """Over HTTP: events arrive, faults are asked for, the log and the truth are read."""
    control = f"{box.url}/sandbox"

    def post(command: str, body: Any) -> requests.Response:
        return requests.post(f"{control}/{command}", json=body, timeout=TIMEOUT)

    arrived = post("arrive", {"counts": {"Opened Email": 3, "Clicked Email": 1}, "late": 1})
    assert len(arrived.json()["events"]) == 4
    truth = requests.get(f"{control}/truth", timeout=TIMEOUT).json()
    assert {event["id"] for event in arrived.json()["events"]} < {
        id for ids in truth["events"].values() for id in ids
    }
    assert truth["suppressed_profiles"] == mutable_account.suppressed_profiles()
    assert sorted(truth["campaigns"]) == sorted(mutable_account.campaign_ids())
    assert truth["ids"]["flow"] == mutable_account.ids("flow")
    segment = mutable_account.ids("segment")[0]
    assert truth["members"][segment] == mutable_account.members(segment)

    assert post("faults", {"add": [{"name": "status", "times": None}]}).json() == {"added": 1}
    assert _get(box, "/api/lists").status_code == 503
    post("faults", {"clear": True})
    assert _get(box, "/api/lists").status_code == 200
    log = requests.get(f"{control}/requests", timeout=TIMEOUT).json()["requests"]
    assert [(one["path"], one["status"]) for one in log] == [
        ("/api/lists", 503),
        ("/api/lists", 200),
    ]


@pytest.mark.parametrize(
    ("command", "body", "status"),
    [
        ("arrive", b'{"counts": {"Opened Letter": 1}}', 400),
        ("arrive", b"not json", 400),
        ("faults", b'{"add": [{"name": "flood"}]}', 400),
        ("faults", b'{"add": [{"name": "reset", "colour": "red"}]}', 400),
        ("unknown", b"", 404),
    ],
)
def test_control_refused(box: Sandbox, command: str, body: bytes, status: int) -> None:
    """A command that makes no sense is refused."""
    response = requests.post(f"{box.url}/sandbox/{command}", data=body, timeout=TIMEOUT)
    assert response.status_code == status
    assert response.json()["error"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_line(number: signal.Signals) -> None:
    """It says in one line where it listens, says nothing else, and ends cleanly on a signal."""
    options = (
        "--events 300 --days 10 --naming old --seed 7 --now 2026-11-20T12:00:00Z --limits off "
        "--key pk_line --scopes events:read,metrics:read --without BouncedEmail --odd-dates"
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
    assert (process.returncode, rest, errors) == (0, "", "")
