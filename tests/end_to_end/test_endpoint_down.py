"""One endpoint that keeps failing ends its own streams; all others complete."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from log_lines import log_lines
from sync_runner import NOW, Output, Tap, catalog_of, truth

from sandbox.account import Account
from tap_klaviyo.cli import main
from tap_klaviyo.errors import RetryableError
from tap_klaviyo.streams import BY_NAME

TapOn = Callable[..., Tap]
STREAMS = ("open", "click", "lists", "list_members", "campaigns")
OPTIONS: dict[str, Any] = {"now": NOW, "page_size": 10, "activate_version": True}
PATHS = {
    "events": "/api/events",
    "full table": "/api/campaigns",
    "children": r"/api/lists/*/profiles",
    "parent": "/api/lists",
}
ENDED = {
    "events": {"open", "click"},
    "full table": {"campaigns"},
    "children": {"list_members"},
    "parent": {"lists", "list_members"},
}
"""The streams that end with each endpoint."""


@pytest.fixture
def tap(tap_on: TapOn) -> Tap:
    """A tap on a small account."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    return tap_on(Account.seeded(seed=3, events=500, now=moment))


def activated(output: Output) -> set[str]:
    """The streams whose table was activated."""
    return {message["stream"] for message in output.of("ACTIVATE_VERSION")}


@pytest.mark.parametrize(("first", "status"), [(1, 500), (3, 503)], ids=["at once", "later"])
@pytest.mark.parametrize("down", PATHS)
def test_the_other_streams_complete(tap: Tap, down: str, first: int, status: int) -> None:
    """The error names the streams that ended, and only the others are complete and activated."""
    tap.box.faults.add("status", path=PATHS[down], at=first, times=None, status=status)
    output = tap.sync(catalog=catalog_of(*STREAMS), **OPTIONS)
    assert isinstance(output.fault, RetryableError)
    names = str(output.fault).partition("(")[2].partition(")")[0].split(", ")
    assert set(names) == ENDED[down]
    assert f"({status})" in str(output.fault)
    assert "all others are complete" in str(output.fault)
    assert round(sum(tap.clock.slept), 6) >= 600
    full_tables = {"lists", "list_members", "campaigns"}
    assert activated(output) == full_tables - ENDED[down]
    for name in {"open", "click", "lists", "campaigns"} - ENDED[down]:
        assert set(output.ids[name]) == truth(tap.box.account, BY_NAME[name], NOW), name


@pytest.mark.parametrize("down", PATHS)
def test_the_next_run_reads_what_is_new(tap: Tap, down: str) -> None:
    """Bookmarks of complete event streams have moved; those of ended ones stay at what is read."""
    tap.box.faults.add("status", path=PATHS[down], at=4, times=None, status=503)
    first = tap.sync(catalog=catalog_of(*STREAMS), **OPTIONS)
    tap.box.faults.clear()
    again = tap.sync(
        first.state, catalog_of(*STREAMS), lookback_window=0, sweep_window=0, **OPTIONS
    )
    assert again.fault is None
    for name in ("open", "click"):
        everything = truth(tap.box.account, BY_NAME[name], NOW)
        assert {*first.ids[name], *again.ids[name]} == everything
        if name not in ENDED[down]:
            assert not again.ids[name]
        else:
            read_twice = set(first.ids[name]) & set(again.ids[name])
            bookmark = first.state["bookmarks"].get(name, {}).get("timestamp", 0)
            times = {one["id"]: one["timestamp"] for one in again.records(name)}
            assert all(times[identifier] >= bookmark for identifier in read_twice)


def test_all_endpoints_down(tap: Tap) -> None:
    """If nothing answers, all streams end, nothing is written, and the time is used up once."""
    tap.box.faults.add("status", times=None, status=503)
    output = tap.sync(catalog=catalog_of(*STREAMS), concurrency=1, **OPTIONS)
    assert isinstance(output.fault, RetryableError)
    assert str(output.fault).startswith("None of 5 streams could be read. ")
    assert output.messages == []
    assert sum(tap.clock.slept) < 2 * 600


def test_the_exit_code(
    tap: Tap, clock: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The command ends with 1, and its last line names what failed."""
    tap.box.faults.add("status", path="/api/lists", times=None, status=503)
    files = {"config": tap.settings, "catalog": catalog_of("lists", "campaigns")}
    arguments = []
    for name, document in files.items():
        (tmp_path / name).write_text(json.dumps(document))
        arguments += [f"--{name}", str(tmp_path / name)]
    assert main(arguments) == 1
    shown = capfd.readouterr()
    last = log_lines(shown.err)[-1]
    assert last.startswith("CRITICAL 1 of 2 streams could not be read (lists); all others are")
    assert json.loads(shown.out.splitlines()[-1])["type"] == "STATE"
    assert "'lists' ends here: Klaviyo fails at /api/lists (503)" in shown.err


def test_short_patience(tap: Tap) -> None:
    """With max_retry_wait 0, nothing is retried."""
    tap.box.faults.add("status", path="/api/campaigns", times=None, status=503)
    started = time.monotonic()
    output = tap.sync(catalog=catalog_of("campaigns"), max_retry_wait=0, concurrency=1, **OPTIONS)
    assert "1 of 1 streams could not be read" in str(output.fault)
    assert len(tap.box.requests) == 1
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("down", ["/api/metrics", "/api/accounts"])
def test_streams_by_time_wait_for_no_lookup(tap: Tap, down: str) -> None:
    """Profiles are read while Klaviyo does not answer what event streams or reports wait for."""
    tap.box.faults.add("silence", path=down, times=None, seconds=60)
    output = tap.sync(
        catalog=catalog_of("open", "campaign_values_report", "profiles"),
        stop_at=lambda message: message["type"] == "RECORD" and message["stream"] == "profiles",
        request_timeout=10,
        max_retry_wait=0,
        **OPTIONS,
    )
    assert output.fault is None  # The lookup had not failed when the run was stopped.
    assert output.ids["profiles"]
