"""Network, proxy and API faults, and how a run handles them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from sync_runner import NOW, Clock, Output, Tap, catalog_of, truth

from sandbox.account import Account
from tap_klaviyo.errors import ConfigError
from tap_klaviyo.streams import BY_NAME

TapOn = Callable[..., Tap]
NAMES = ("open", "click", "lists")
TIMEOUT = 10.0
OPTIONS: dict[str, Any] = {"now": NOW, "catalog": catalog_of(*NAMES), "page_size": 50}


@pytest.fixture
def tap(tap_on: TapOn, monkeypatch: pytest.MonkeyPatch) -> Tap:
    """A tap with a small account; retries do not wait."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    return tap_on(Account.seeded(seed=3, events=500, now=moment))


def assert_complete(tap: Tap, output: Output, *names: str) -> None:
    """Checks that the streams have every record of the account."""
    for name in names:
        assert set(output.ids[name]) == truth(tap.box.account, BY_NAME[name], NOW), name


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 502}),
        ("status", {"status": 503}),
        ("status", {"status": 504}),
        ("status", {"status": 520}),
        ("status", {"status": 524, "html": True}),
        ("status", {"status": 429, "retry_after": 7}),
        ("status", {"status": 429, "retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        ("status", {"status": 429}),
        ("reset", {}),
        ("reset_in_body", {}),
        ("truncated", {}),
        ("html", {}),
        ("not_json", {}),
        ("empty", {}),
        ("array", {}),
        ("no_data", {}),
        ("empty_page", {}),
        ("unsorted", {}),
    ],
)
def test_what_passes_is_survived(tap: Tap, fault: str, options: dict[str, Any]) -> None:
    """A temporary fault is retried and no record is lost."""
    tap.box.faults.add(fault, path="/api/events", at=2, times=3, **options)
    output = tap.sync(**OPTIONS)
    assert output.fault is None
    assert_complete(tap, output, *NAMES)


def test_retry_after_is_respected(tap: Tap) -> None:
    """No request is sent before Retry-After has passed."""
    tap.box.faults.add("status", path="/api/events", status=429, retry_after=7)
    output = tap.sync(**OPTIONS)
    assert output.fault is None
    assert sum(tap.clock.slept) >= 7


def test_a_long_retry_after_ends_the_stream(tap: Tap) -> None:
    """A Retry-After above max_retry_wait ends the stream."""
    tap.box.faults.add("status", path="/api/events", at=2, status=429, retry_after=67_608)
    output = tap.sync(**OPTIONS)
    assert "67608 s" in str(output.fault)
    assert "max_retry_wait" in str(output.fault)
    assert output.messages[-1]["type"] == "STATE"
    assert "all others are complete" in str(output.fault)
    assert not tap.clock.slept


class AdvancingClock(Clock):
    """A clock that advances by one second at each reading."""

    @property
    def now(self) -> float:
        """The time in seconds."""
        self.readings = getattr(self, "readings", 0) + 1
        return float(self.readings)

    @now.setter
    def now(self, moment: float) -> None:
        """Ignores sleeping."""


def test_a_dripping_answer_has_an_end(tap: Tap) -> None:
    """request_timeout limits the whole response, also if each part arrives in time."""
    tap.clock = AdvancingClock()
    tap.box.faults.add("drip", path="/api/lists", times=None, pieces=40, seconds=0.005)
    output = tap.sync(now=NOW, catalog=catalog_of("lists"), request_timeout=20)
    assert "the answer takes too long" in str(output.fault)


@pytest.mark.parametrize(
    ("fault", "options", "expected"),
    [
        ("status", {"status": 503}, "Run again later"),
        ("reset", {}, "Check the network"),
        ("html", {}, "not a page of Klaviyo's API"),
    ],
)
def test_what_stays_ends_its_stream_with_a_state(
    tap: Tap, fault: str, options: dict[str, Any], expected: str
) -> None:
    """A permanent fault ends its stream with one line and a STATE for what was written."""
    tap.box.faults.add(fault, path="/api/events", at=3, times=None, **options)
    # Shorter than a request's timeout: the pauses of one thread do not time out another's request.
    output = tap.sync(**OPTIONS, max_retry_wait=5)
    assert expected in str(output.fault)
    assert "\n" not in str(output.fault)
    assert output.messages[-1]["type"] == "STATE"
    tap.box.faults.clear()
    again = tap.sync(output.state, **OPTIONS)
    for name in ("open", "click"):
        output.ids[name] += again.ids[name]
    assert_complete(tap, output, "open", "click")


@pytest.mark.parametrize(
    ("fault", "options", "expected"),
    [
        ("next_host", {}, "links to elsewhere.example"),
        ("next_scheme", {"scheme": "https"}, "nothing is sent there"),
        ("next_self", {}, "loop"),
        ("next_loop", {}, "loop"),
        ("invalid_cursor", {}, "400"),
    ],
)
def test_a_bad_link_ends_one_stream(
    tap: Tap, fault: str, options: dict[str, Any], expected: str
) -> None:
    """An invalid link ends its stream only; the others are complete."""
    tap.box.faults.add(fault, path="/api/lists", times=None, at=2, **options)
    output = tap.sync(**OPTIONS)
    assert expected in str(output.fault)
    assert "lists" in str(output.fault)
    assert_complete(tap, output, "open", "click")


def test_a_missing_scope_ends_its_streams_only(tap_on: TapOn) -> None:
    """A missing scope ends its streams and is named; the other streams are complete."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    scopes = ["events:read", "metrics:read", "profiles:read", "lists:read"]
    tap = tap_on(Account.seeded(seed=3, events=300, now=moment), scopes=scopes)
    output = tap.sync(now=NOW)
    assert "campaigns:read" in str(output.fault)
    assert "tags:read" in str(output.fault)
    assert "(lists, campaigns)" in str(output.fault)
    assert_complete(tap, output, "open", "receive", "global_exclusions")


def test_other_streams_do_not_wait_for_the_metrics(tap: Tap) -> None:
    """A stream without metrics does not wait for the list of metrics."""
    read = threading.Event()
    waited: list[bool] = []

    class WaitingClock(Clock):
        def sleep(self, seconds: float) -> None:
            waited.append(read.wait(TIMEOUT))
            super().sleep(seconds)

    def on_message(message: dict[str, Any]) -> bool:
        if message["type"] == "RECORD" and message["stream"] == "lists":
            read.set()
        return False

    tap.box.faults.add("status", path="/api/metrics", times=1, status=429, retry_after=7)
    tap.clock = WaitingClock()
    output = tap.sync(stop_at=on_message, **OPTIONS)
    assert waited
    assert all(waited)
    assert_complete(tap, output, *NAMES)


def test_a_run_that_ends_before_the_metrics_are_known_keeps_its_state(tap: Tap) -> None:
    """Bookmarks of streams that were not started are kept unchanged."""
    finished = threading.Event()

    class BlockedClock(Clock):
        def sleep(self, seconds: float) -> None:
            finished.wait(TIMEOUT)
            super().sleep(seconds)

    tap.box.faults.add("status", path="/api/metrics", times=1, status=429, retry_after=7)
    tap.clock = BlockedClock()
    bookmarks = {"open": {"since": "2026-01-01T00:00:00Z"}, "click": {"timestamp": 5}}
    output = tap.sync(
        {"bookmarks": bookmarks},
        stop_at=lambda message: message.get("stream") == "lists" and message["type"] == "RECORD",
        **OPTIONS,
    )
    finished.set()
    assert output.ids["lists"]
    assert output.state["bookmarks"] == bookmarks


def test_a_stopped_run_does_not_report_streams_as_complete(tap_on: TapOn) -> None:
    """A stopped run with a refused stream does not report the other streams as complete."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    account = Account.seeded(seed=3, events=500, now=moment)
    tap = tap_on(account, scopes={"metrics:read", "events:read", "profiles:read"})
    seen: list[str] = []

    def stop(message: dict[str, Any]) -> bool:
        seen.append(message["type"])
        return seen.count("RECORD") > 100

    output = tap.sync(stop_at=stop, concurrency=1, **OPTIONS)
    assert "1 of 3 streams could not be read (lists)" in str(output.fault)
    assert "the run ended before the others were complete" in str(output.fault)


def test_a_missing_scope_for_metrics(tap_on: TapOn) -> None:
    """A key without metrics:read still reads the streams without metrics."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    tap = tap_on(Account.seeded(seed=3, events=300, now=moment), scopes=["lists:read", "tags:read"])
    output = tap.sync(now=NOW, catalog=catalog_of("open", "lists"))
    assert "metrics:read" in str(output.fault)
    assert_complete(tap, output, "lists")


def test_a_wrong_key_ends_the_run(tap: Tap) -> None:
    """A refused key is an error about api_key that does not show the key."""
    output = tap.sync(**OPTIONS, api_key="pk_wrong")
    assert isinstance(output.fault, ConfigError)
    assert "api_key" in str(output.fault)
    assert "pk_wrong" not in str(output.fault)


def test_a_retired_revision_ends_the_run(tap: Tap) -> None:
    """A retired revision is an error that names the setting."""
    output = tap.sync(**OPTIONS, revision="2023-02-22")
    assert isinstance(output.fault, ConfigError)
    assert "'revision'" in str(output.fault)


def test_a_refused_page_size_falls_back(tap: Tap, caplog: pytest.LogCaptureFixture) -> None:
    """A refused page size is reduced, with one warning."""
    tap.box.faults.add(
        "status", path="/api/events", query="page[size]=1000", times=None, status=400
    )
    output = tap.sync(**{**OPTIONS, "page_size": 1000})
    assert output.fault is None
    assert_complete(tap, output, *NAMES)
    assert sum("page_size" in record.getMessage() for record in caplog.records) == 1


def test_a_refusal_of_small_pages_keeps_the_page_size(
    tap: Tap, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused stream with small pages does not change the page size of events."""
    tap.box.faults.add("status", path="/api/profiles", status=400)
    catalog = catalog_of("open", "profiles")
    output = tap.sync(now=NOW, catalog=catalog, page_size=1000)
    assert "(profiles)" in str(output.fault)
    assert_complete(tap, output, "open")
    assert not any("page_size" in record.getMessage() for record in caplog.records)
    sizes = {dict(seen.query)["page[size]"] for seen in tap.box.requests if "events" in seen.path}
    assert sizes == {"1000"}
