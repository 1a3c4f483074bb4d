"""The failure policy: its tables, and how long requests are retried."""

from __future__ import annotations

import math
import re
import ssl
from typing import Any

import pytest
import requests
import urllib3
from requests.exceptions import ReadTimeout
from urllib3.exceptions import MaxRetryError, NewConnectionError

from tap_klaviyo.errors import AccessError, ApiError, RetryableError, TapError
from tap_klaviyo.klaviyo.failures import (
    POLICY,
    Ends,
    Retry,
    failure_of,
    failure_of_wait,
)
from tap_klaviyo.klaviyo.network_failures import failure_of_exception
from tap_klaviyo.klaviyo.reactions import (
    MAX_RESTARTS,
    Reaction,
    RefusedRequest,
    reaction_to,
    smaller_page_size,
)
from tap_klaviyo.klaviyo.refusals import ErrorDetail
from tap_klaviyo.klaviyo.retries import MIN_TRIES, RetryClock

PLACEHOLDERS = {
    "path": "/api/lists",
    "status": 499,
    "base_url": "https://a.klaviyo.com",
    "revision": "2026-07-15",
    "scopes": "lists:read",
    "reason": "because",
    "daily": 225,
    "variable": "HTTPS_PROXY",
    "source": "",
}


@pytest.mark.parametrize(
    ("status", "retry", "ends", "error"),
    [
        (400, Retry.NEVER, Ends.STREAM, ApiError),
        (401, Retry.NEVER, Ends.RUN, AccessError),
        (403, Retry.NEVER, Ends.STREAM, ApiError),
        (404, Retry.NEVER, Ends.STREAM, ApiError),
        (408, Retry.BACKOFF, Ends.STREAM, RetryableError),
        (410, Retry.NEVER, Ends.RUN, AccessError),
        (418, Retry.NEVER, Ends.STREAM, ApiError),
        (429, Retry.AS_ASKED, Ends.STREAM, RetryableError),
        (500, Retry.BACKOFF, Ends.STREAM, RetryableError),
        (502, Retry.BACKOFF, Ends.STREAM, RetryableError),
        (503, Retry.BACKOFF, Ends.STREAM, RetryableError),
        (504, Retry.BACKOFF, Ends.STREAM, RetryableError),
        (522, Retry.BACKOFF, Ends.STREAM, RetryableError),
        (302, Retry.NEVER, Ends.STREAM, ApiError),
        (407, Retry.NEVER, Ends.RUN, AccessError),
    ],
)
def test_statuses(status: int, retry: Retry, ends: Ends, error: type[TapError]) -> None:
    """Each HTTP status has one row that says what is retried and what ends."""
    failure = failure_of(status)
    assert (failure.retry, failure.ends) == (retry, ends)
    assert type(failure.error(ErrorDetail(), **PLACEHOLDERS)) is error


@pytest.mark.parametrize("status", [302, 307, 400, 401, 403, 404, 405, 410, 418, 451, 511])
def test_an_answer_that_is_not_json_api_is_not_klaviyos(status: int) -> None:
    """What a proxy says of a request says nothing about the key, the scopes or the path."""
    assert failure_of(status, json_api=False) is POLICY["answer of a proxy"]


@pytest.mark.parametrize("status", [407, 408, 429, 500, 503, 520])
def test_some_statuses_mean_the_same_whoever_sends_them(status: int) -> None:
    """A status that is retried anyway, and 407, need no document of JSON:API."""
    assert failure_of(status, json_api=False) is failure_of(status)


@pytest.mark.parametrize(
    ("name", "retry", "ends"),
    [
        ("certificate invalid", Retry.NEVER, Ends.RUN),
        ("certificate file missing", Retry.NEVER, Ends.RUN),
        ("proxy unusable", Retry.NEVER, Ends.RUN),
        ("address invalid", Retry.NEVER, Ends.RUN),
        ("no answer", Retry.BACKOFF, Ends.STREAM),
        ("answer of a proxy", Retry.BACKOFF, Ends.STREAM),
        ("unavailable", Retry.AS_ASKED, Ends.STREAM),
        ("answer unreadable", Retry.BACKOFF, Ends.STREAM),
        ("daily quota", Retry.AS_ASKED, Ends.STREAM),
    ],
)
def test_failures_without_a_status(name: str, retry: Retry, ends: Ends) -> None:
    """What is not an answer of Klaviyo's has a row, too."""
    assert (POLICY[name].retry, POLICY[name].ends) == (retry, ends)


def test_only_what_cannot_heal_ends_the_run() -> None:
    """The credentials, the revision, the network settings and limits end the run, else a stream."""
    ending = {name for name, failure in POLICY.items() if failure.ends is Ends.RUN}
    assert ending == {
        "key refused",
        "token refused",
        "grant refused",
        "app refused",
        "revision retired",
        "certificate invalid",
        "certificate file missing",
        "proxy unusable",
        "proxy authentication",
        "socks authentication",
        "address invalid",
        "limit reached",
    }


@pytest.mark.parametrize("name", POLICY)
def test_messages(name: str) -> None:
    """Each message fills all its placeholders and is one line that ends with Klaviyo's text."""
    detail = ErrorDetail("Because.", "filter")
    message = str(POLICY[name].error(detail, **PLACEHOLDERS))
    assert not re.search(r"[{}\n]", message)
    assert message.endswith(" Klaviyo says: Because.")


def refused(status: int, **differences: Any) -> RefusedRequest:
    """A refused request for the first page of a window, whose endpoint has no page size."""
    given = {"first_page": True, "of_child": False, "restarts": 0}
    return RefusedRequest(status, **{**given, **differences})


@pytest.mark.parametrize(
    ("request_", "reaction"),
    [
        (refused(400, page_size=1000), Reaction.SMALLER_PAGES),
        (refused(400, page_size=200), Reaction.END_STREAM),
        (refused(400, page_size=1000, is_page_size=False), Reaction.END_STREAM),
        (refused(400, page_size=100, is_page_size=True), Reaction.SMALLER_PAGES),
        (refused(200, page_size=2, is_page_size=True), Reaction.SMALLER_PAGES),
        (refused(200, page_size=1, is_page_size=True), Reaction.END_STREAM),
        (refused(200, page_size=0, is_page_size=True), Reaction.END_STREAM),
        (refused(200, page_size=9, is_page_size=True, first_page=False), Reaction.SMALLER_PAGES),
        (refused(400), Reaction.END_STREAM),
        (refused(400, first_page=False), Reaction.RESTART_WINDOW),
        (refused(400, first_page=False, restarts=MAX_RESTARTS - 1), Reaction.RESTART_WINDOW),
        (refused(400, first_page=False, restarts=MAX_RESTARTS), Reaction.END_STREAM),
        (refused(404, of_child=True), Reaction.CHECK_PARENT),
        (refused(404, of_child=True, optional=True), Reaction.END_EMPTY),
        (refused(403, of_child=True, optional=True), Reaction.END_STREAM),
        (refused(404), Reaction.END_STREAM),
        (refused(403, of_child=True, page_size=1000), Reaction.END_STREAM),
        (refused(0, of_child=True, page_size=1000), Reaction.END_STREAM),
    ],
)
def test_reactions(request_: RefusedRequest, reaction: Reaction) -> None:
    """What was refused decides what becomes of the window."""
    assert reaction_to(request_) is reaction


def test_page_sizes_go_down_to_one_record() -> None:
    """A page that is too large is requested in ever smaller sizes, after a few tries of one."""
    sizes = [1000]
    while sizes[-1] > 1:
        sizes.append(smaller_page_size(sizes[-1]))
    assert sizes == [1000, 200, 100, 50, 25, 12, 6, 3, 1]


class Seconds:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """The seconds that were set."""
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    """The clock of :class:`RetryClock`."""
    return Seconds()


def test_a_request_is_retried_for_the_limit(seconds: Seconds) -> None:
    """What remains of the limit counts from the first failure of the request."""
    clock = RetryClock(600, seconds, stale_after=420)
    clock.failed("/api/lists", sent=seconds.now)
    seconds.now = 250
    assert clock.remaining("/api/lists", since=0, tries=1) == 350
    seconds.now = 601
    assert clock.remaining("/api/lists", since=0, tries=2) == 0


def test_an_endpoint_is_given_up_once(seconds: Seconds) -> None:
    """A request to an endpoint that has failed for the limit is not retried for as long again."""
    clock = RetryClock(600, seconds, stale_after=420)
    for seconds.now in (0, 300, 600):
        clock.failed("/api/lists", sent=seconds.now)
    assert clock.remaining("/api/lists", since=600, tries=1) == 0


def test_time_without_an_answer_counts_from_when_it_was_asked_for(seconds: Seconds) -> None:
    """A request that hangs until its timeout uses up the limit in the meantime."""
    clock = RetryClock(600, seconds, stale_after=420)
    seconds.now = 300
    clock.failed("/api/lists", sent=0)
    assert clock.remaining("/api/lists", since=0, tries=1) == 300
    assert clock.patience() == 300


def test_patience_counts_from_the_last_answer_of_any_endpoint(seconds: Seconds) -> None:
    """A request that was sent before the last answer of another one fails since that answer."""
    clock = RetryClock(600, seconds, stale_after=420)
    seconds.now = 290
    clock.answered("/api/events")
    seconds.now = 300
    assert clock.patience() == math.inf
    clock.failed("/api/lists", sent=0)
    assert clock.patience() == 590


def test_another_endpoint_has_its_own_time(seconds: Seconds) -> None:
    """One endpoint that fails takes nothing from the time of another, as long as any answers."""
    clock = RetryClock(600, seconds, stale_after=420)
    clock.failed("/api/lists", sent=seconds.now)
    seconds.now = 500
    clock.answered("/api/events")
    clock.failed("/api/flows", sent=seconds.now)
    assert clock.remaining("/api/flows", since=500, tries=99) == 600


def test_when_nothing_answers_a_few_tries_are_enough(seconds: Seconds) -> None:
    """If no endpoint has answered for the limit, further endpoints get a few tries each."""
    clock = RetryClock(600, seconds, stale_after=420)
    for seconds.now in (0, 300, 600):
        clock.failed("/api/lists", sent=seconds.now)
    clock.failed("/api/flows", sent=seconds.now)
    assert clock.remaining("/api/flows", since=600, tries=MIN_TRIES - 1) == 600
    assert clock.remaining("/api/flows", since=600, tries=MIN_TRIES) == 0


def test_an_answer_starts_anew(seconds: Seconds) -> None:
    """An endpoint that answers has all of the limit again; how long it failed is known."""
    clock = RetryClock(600, seconds, stale_after=420)
    assert clock.failed("/api/lists", sent=seconds.now)
    assert not clock.failed("/api/lists", sent=seconds.now)
    seconds.now = 42
    assert clock.answered("/api/lists") == 42
    assert clock.answered("/api/lists") is None
    assert clock.failed("/api/lists", sent=seconds.now)
    assert clock.remaining("/api/lists", since=42, tries=MIN_TRIES) == 600


def test_failures_far_apart_are_not_one_outage(seconds: Seconds) -> None:
    """An endpoint that was given up hours ago has all of the limit again."""
    clock = RetryClock(600, seconds, stale_after=420)
    clock.failed("/api/lists", sent=seconds.now)
    seconds.now = 5 * 3600
    assert clock.failed("/api/lists", sent=seconds.now)
    assert clock.remaining("/api/lists", since=seconds.now, tries=MIN_TRIES) == 600


@pytest.mark.parametrize(
    ("seconds_to_wait", "daily", "name"),
    [(30, 225, "rate limit"), (67_608, 225, "daily quota"), (67_608, None, "rate limit")],
)
def test_waits_that_are_too_long(seconds_to_wait: float, daily: int | None, name: str) -> None:
    """Only a wait above a minute means that a daily quota is used up."""
    assert failure_of_wait(seconds_to_wait, daily) is POLICY[name]


def wrapped(error: Exception) -> Exception:
    """An error as requests raises it: wrapped by urllib3, and again by requests."""
    pool = urllib3.HTTPSConnectionPool("a.klaviyo.com")
    reason = urllib3.exceptions.SSLError(error)
    return requests.exceptions.SSLError(MaxRetryError(pool, "/api/lists", reason))


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (wrapped(ssl.SSLCertVerificationError("self-signed")), "certificate invalid"),
        (wrapped(ssl.SSLEOFError("EOF occurred in violation of protocol")), "no answer"),
        (wrapped(ssl.SSLError("[SSL: WRONG_VERSION_NUMBER]")), "no answer"),
        (wrapped(ssl.SSLError("[SSL: TLSV1_ALERT_INTERNAL_ERROR]")), "no answer"),
        (
            OSError("Could not find a suitable TLS CA certificate bundle"),
            "certificate file missing",
        ),
        (ConnectionResetError(104, "reset"), "no answer"),
        (requests.ConnectTimeout("slow"), "no answer"),
    ],
)
def test_only_a_bad_certificate_is_one(error: Exception, name: str) -> None:
    """A TLS handshake that ends early, or an alert, may heal; a certificate does not."""
    assert failure_of_exception(error, "https://a.klaviyo.com/").name == name


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), ReadTimeout("slow")])
def test_reasons_hold_no_addresses_of_objects(error: Exception) -> None:
    """The reason of a failure is text for people."""
    pool = urllib3.HTTPSConnectionPool("a.klaviyo.com")
    shown = NewConnectionError(object(), f"{object()!r}: {error}")  # type: ignore[arg-type]
    reason = failure_of_exception(MaxRetryError(pool, "/?key=1", shown), "https://a.klaviyo.com/")
    assert "0x" not in reason.reason
    assert "key" not in reason.reason
