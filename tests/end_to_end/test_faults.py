"""What a network, a proxy or an API can do to an answer, and what then happens."""

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
    """A tap on a small account; waits between tries take no time."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    return tap_on(Account.seeded(seed=3, events=500, now=moment))


def assert_complete(tap: Tap, output: Output, *names: str) -> None:
    """The streams of ``names`` hold everything that the account does."""
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
    """A fault that strikes now and then costs another try and no record."""
    tap.box.faults.add(fault, path="/api/events", at=2, times=3, **options)
    output = tap.sync(**OPTIONS)
    assert output.fault is None
    assert_complete(tap, output, *NAMES)


def test_a_429_is_waited_for_to_the_full(tap: Tap) -> None:
    """No request goes out before Retry-After is over."""
    tap.box.faults.add("status", path="/api/events", status=429, retry_after=7)
    output = tap.sync(**OPTIONS)
    assert output.fault is None
    assert sum(tap.clock.slept) >= 7


def test_an_absurd_wait_ends_the_stream(tap: Tap) -> None:
    """A Retry-After beyond max_retry_wait is not waited for: its stream ends."""
    tap.box.faults.add("status", path="/api/events", at=2, status=429, retry_after=67_608)
    output = tap.sync(**OPTIONS)
    assert "67608 s" in str(output.fault)
    assert "max_retry_wait" in str(output.fault)
    assert output.messages[-1]["type"] == "STATE"
    assert "all others are complete" in str(output.fault)
    assert not tap.clock.slept


class HastyClock(Clock):
    """A clock on which each look at it costs a second."""

    @property
    def now(self) -> float:
        """Seconds."""
        self.looks = getattr(self, "looks", 0) + 1
        return float(self.looks)

    @now.setter
    def now(self, moment: float) -> None:
        """Sleeping costs nothing more."""


def test_a_dripping_answer_has_an_end(tap: Tap) -> None:
    """request_timeout holds for a whole request, though each piece of it comes in time."""
    tap.clock = HastyClock()
    tap.box.faults.add("drip", path="/api/lists", times=None, pieces=40, seconds=0.005)
    output = tap.sync(now=NOW, catalog=catalog_of("lists"), request_timeout=20)
    assert "the answer takes too long" in str(output.fault)


@pytest.mark.parametrize(
    ("fault", "options", "says"),
    [
        ("status", {"status": 503}, "Run again later"),
        ("reset", {}, "Check the network"),
        ("html", {}, "not a page of Klaviyo's API"),
    ],
)
def test_what_stays_ends_its_stream_with_a_state(
    tap: Tap, fault: str, options: dict[str, Any], says: str
) -> None:
    """A failure that does not pass ends its stream in one line, and what was written is covered."""
    tap.box.faults.add(fault, path="/api/events", at=3, times=None, **options)
    output = tap.sync(**OPTIONS)
    assert says in str(output.fault)
    assert "\n" not in str(output.fault)
    assert output.messages[-1]["type"] == "STATE"
    tap.box.faults.clear()
    again = tap.sync(output.state, **OPTIONS)
    for name in ("open", "click"):
        output.ids[name] += again.ids[name]
    assert_complete(tap, output, "open", "click")


@pytest.mark.parametrize(
    ("fault", "options", "says"),
    [
        ("next_host", {}, "links to elsewhere.example"),
        ("next_scheme", {"scheme": "https"}, "nothing is sent there"),
        ("next_self", {}, "loop"),
        ("next_loop", {}, "loop"),
        ("invalid_cursor", {}, "400"),
    ],
)
def test_a_bad_link_ends_one_stream(
    tap: Tap, fault: str, options: dict[str, Any], says: str
) -> None:
    """A stream whose pages lead nowhere ends alone; the others are complete."""
    tap.box.faults.add(fault, path="/api/lists", times=None, at=2, **options)
    output = tap.sync(**OPTIONS)
    assert says in str(output.fault)
    assert "lists" in str(output.fault)
    assert_complete(tap, output, "open", "click")


def test_a_missing_scope_costs_one_stream_only(tap_on: TapOn) -> None:
    """What the key may not read is named with the scope; all else is synced, and the run fails."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    scopes = ["events:read", "metrics:read", "profiles:read", "lists:read"]
    tap = tap_on(Account.seeded(seed=3, events=300, now=moment), scopes=scopes)
    output = tap.sync(now=NOW)
    assert "campaigns:read" in str(output.fault)
    assert "tags:read" in str(output.fault)
    assert "(lists, campaigns)" in str(output.fault)
    assert_complete(tap, output, "open", "receive", "global_exclusions")


def test_other_streams_are_read_while_the_metrics_are_asked_for(tap: Tap) -> None:
    """A stream that no metric belongs to does not wait for the list of metrics."""
    read = threading.Event()
    waited: list[bool] = []

    class Patient(Clock):
        def sleep(self, seconds: float) -> None:
            waited.append(read.wait(TIMEOUT))
            super().sleep(seconds)

    def heard(message: dict[str, Any]) -> bool:
        if message["type"] == "RECORD" and message["stream"] == "lists":
            read.set()
        return False

    tap.box.faults.add("status", path="/api/metrics", times=1, status=429, retry_after=7)
    tap.clock = Patient()
    output = tap.sync(stop_at=heard, **OPTIONS)
    assert waited
    assert all(waited)
    assert_complete(tap, output, *NAMES)


def test_a_run_that_ends_before_the_metrics_are_known_keeps_its_state(tap: Tap) -> None:
    """Bookmarks of streams that were not begun are handed on as they came, in whatever form."""
    over = threading.Event()

    class Stuck(Clock):
        def sleep(self, seconds: float) -> None:
            over.wait(TIMEOUT)
            super().sleep(seconds)

    tap.box.faults.add("status", path="/api/metrics", times=1, status=429, retry_after=7)
    tap.clock = Stuck()
    bookmarks = {"open": {"since": "2026-01-01T00:00:00Z"}, "click": {"timestamp": 5}}
    output = tap.sync(
        {"bookmarks": bookmarks},
        stop_at=lambda message: message.get("stream") == "lists" and message["type"] == "RECORD",
        **OPTIONS,
    )
    over.set()
    assert output.ids["lists"]
    assert output.state["bookmarks"] == bookmarks


def test_a_stopped_run_claims_nothing_of_what_it_did_not_read(tap_on: TapOn) -> None:
    """If a stream was refused before a run was stopped, the others are not called complete."""
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


def test_without_the_metrics_the_other_streams_are_read(tap_on: TapOn) -> None:
    """A key that may not list metrics still reads what is not made of them."""
    moment = datetime.fromtimestamp(NOW, timezone.utc)
    tap = tap_on(Account.seeded(seed=3, events=300, now=moment), scopes=["lists:read", "tags:read"])
    output = tap.sync(now=NOW, catalog=catalog_of("open", "lists"))
    assert "metrics:read" in str(output.fault)
    assert_complete(tap, output, "lists")


def test_a_wrong_key_ends_the_run(tap: Tap) -> None:
    """A refused key is a matter of the setting api_key, and is not shown."""
    output = tap.sync(**OPTIONS, api_key="pk_wrong")
    assert isinstance(output.fault, ConfigError)
    assert "api_key" in str(output.fault)
    assert "pk_wrong" not in str(output.fault)


def test_a_retired_revision_ends_the_run(tap: Tap) -> None:
    """A revision that is gone is an error that names the setting, not another shape in silence."""
    output = tap.sync(**OPTIONS, revision="2023-02-22")
    assert isinstance(output.fault, ConfigError)
    assert "'revision'" in str(output.fault)


def test_a_refused_page_size_falls_back(tap: Tap, caplog: pytest.LogCaptureFixture) -> None:
    """Where Klaviyo refuses large pages, smaller ones are asked for, with one warning."""
    tap.box.faults.add(
        "status", path="/api/events", query="page[size]=1000", times=None, status=400
    )
    output = tap.sync(**{**OPTIONS, "page_size": 1000})
    assert output.fault is None
    assert_complete(tap, output, *NAMES)
    assert sum("page_size" in record.getMessage() for record in caplog.records) == 1


def test_a_refusal_of_profiles_is_not_one_of_large_pages(
    tap: Tap, caplog: pytest.LogCaptureFixture
) -> None:
    """Where pages are small in any case, a refusal says nothing of the size of pages of events."""
    tap.box.faults.add("status", path="/api/profiles", status=400)
    catalog = catalog_of("open", "profiles")
    output = tap.sync(now=NOW, catalog=catalog, page_size=1000)
    assert "(profiles)" in str(output.fault)
    assert_complete(tap, output, "open")
    assert not any("page_size" in record.getMessage() for record in caplog.records)
    sizes = {dict(seen.query)["page[size]"] for seen in tap.box.requests if "events" in seen.path}
    assert sizes == {"1000"}
