"""What an operator reads: few lines, each of which says something."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from log_lines import log_lines
from sync_runner import NOW, catalog_of, tap_of

from sandbox.account import Account
from sandbox.server import Sandbox
from tap_klaviyo.cli import main
from tap_klaviyo.config.client import client_for
from tap_klaviyo.discovery.selection import read_catalog
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.streams import DEFAULT_STREAMS
from tap_klaviyo.sync.stream_sync import stream_syncs
from tap_klaviyo.sync.summary import log_progress

Run = Callable[..., list[str]]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str], clock: Any) -> Run:
    """Runs the command on a sandbox and returns its log lines; keeps the last state."""
    files = {name: tmp_path / f"{name}.json" for name in ("config", "state")}
    files["state"].write_text("{}")

    def command(box: Sandbox, *arguments: str, code: int = 0, **settings: Any) -> list[str]:
        known = {"api_key": box.key, "base_url": box.url, "start_date": "2000-01-01"}
        files["config"].write_text(json.dumps({**known, **settings}))
        paths = [part for name, path in files.items() for part in (f"--{name}", str(path))]
        assert main([*paths, *arguments]) == code
        shown = capfd.readouterr()
        states = [line for line in shown.out.splitlines() if '"STATE"' in line]
        if states:
            files["state"].write_text(json.dumps(json.loads(states[-1])["value"]))
        return log_lines(shown.err)

    return command


def test_the_length_of_the_log(run: Run) -> None:
    """First and hourly runs of 21 streams write a METRIC line per stream and few others."""
    with tap_of(Account.seeded(seed=3, events=2_000)) as tap:
        for _ in range(2):
            lines = run(tap.box)
            metrics = [line for line in lines if "METRIC" in line]
            assert len(metrics) == len(DEFAULT_STREAMS)
            assert len(lines) - len(metrics) <= 15
            assert lines[-1].startswith("INFO Complete. Read ")


def test_an_account_without_metrics(run: Run) -> None:
    """Streams without a metric in the account are one line."""
    account = Account.seeded(seed=3, events=500, without=("Clicked SMS", "Sent SMS"))
    with tap_of(account) as tap:
        lines = [line for line in run(tap.box) if "are empty" in line]
    assert len(lines) == 1
    assert "clicked_sms" in lines[0]


def test_requests_are_logged_for_debugging(run: Run) -> None:
    """Only --debug shows a line for each request."""
    with tap_of(Account.seeded(seed=3, events=500)) as tap:
        assert not any("http_request" in line for line in run(tap.box, "--select", "lists"))
        lines = run(tap.box, "--select", "lists", "--debug")
        requests = [line for line in lines if '"http_request_duration"' in line]
        assert len(requests) > 1
        assert all(line.startswith("DEBUG METRIC: ") for line in requests)


def test_repeated_waits_are_one_line(run: Run) -> None:
    """The waits for a rate limit are one line with a count."""
    with tap_of(Account.seeded(seed=3, events=500)) as tap:
        tap.box.faults.add("status", path="/api/lists", times=5, status=429, retry_after=2)
        lines = [line for line in run(tap.box, "--select", "lists") if "rate limit" in line]
    assert lines == ["INFO Waited for the rate limit of /api/lists (5 times)."]


def test_an_outage_is_one_warning(run: Run) -> None:
    """What many endpoints have in common is one warning, and one line when it is over."""
    with tap_of(Account.seeded(seed=3, events=10)) as tap:
        lines = run(tap.box, code=3, base_url="http://127.0.0.1:9")
    assert sum("Retrying for up to" in line for line in lines) == 1
    assert sum(" ends here: " in line for line in lines) == 1


@pytest.fixture
def client(configure: Callable[..., Any], clock: Any) -> Client:
    """A client that sends nothing."""
    return client_for(configure(), clock=clock.time, sleep=clock.sleep)


def test_what_a_run_waits_for(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The line of a minute names the wait, when it ends, and how many requests remain."""
    lists, members = stream_syncs(read_catalog(catalog_of("lists", "list_members")))
    lists.records, members.unfinished, members.planned = 5_000, 5_000, True
    client.rate_limits.of(members.query).throttle(150)
    with caplog.at_level("INFO", logger="tap_klaviyo"):
        log_progress([lists, members], client, NOW)
    assert caplog.messages == [
        "Read 5,000 records so far. Still reading lists, list_members (5,000 requests left, at "
        f"most 750 a minute). Waiting: {members.query.path} is at its rate limit until "
        "2026-11-01T12:02:30Z."
    ]
