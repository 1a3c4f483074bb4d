"""HTTP with Klaviyo: retries, rate limits and failures. The only module that sends requests.

Threads. Any number of threads share a :class:`Transport`; each has a session of its own. Waits for
a rate limit or a retry are waits for one event, and sockets are registered when they are connected.
So :meth:`Transport.stop`, which a signal handler may call, ends requests and waits: they raise
:class:`Stopped`. It takes no lock that a thread may hold while it logs.

What is retried, and for how long, stands in :mod:`tap_klaviyo.klaviyo.failures`.

Sources: Klaviyo's API overview and its guide on rate limits, status codes and errors.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import requests
import urllib3

from tap_klaviyo.dates import steady_clock
from tap_klaviyo.errors import (
    AccessError,
    ApiError,
    RetryableError,
    Stopped,
    StreamError,
    TapError,
    forget_frames,
)
from tap_klaviyo.klaviyo.connections import CloseEvent
from tap_klaviyo.klaviyo.exchange import CONNECT_TIMEOUT, Answer, Exchanges, Post
from tap_klaviyo.klaviyo.failures import (
    AGAIN,
    POLICY,
    Failure,
    Refusal,
    Retry,
    Throttled,
    Transient,
    Unauthorized,
    failure_of_wait,
    given_up,
)
from tap_klaviyo.klaviyo.memory_budget import NoRoom
from tap_klaviyo.klaviyo.network_failures import failure_of_exception
from tap_klaviyo.klaviyo.network_settings import hide_proxy_passwords, proxy_variable
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.rate_limits import RateLimiter, RateLimiters, retry_after
from tap_klaviyo.klaviyo.refusals import (
    NO_DETAIL,
    ErrorDetail,
    sender_of,
    unreadable,
)
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.klaviyo.retries import LONGEST_GAP, MAX_THROTTLED, RetryClock, backoffs
from tap_klaviyo.klaviyo.server_clock import ServerClock
from tap_klaviyo.klaviyo.urls import origin, without_query
from tap_klaviyo.logs import get_logger, log_timer
from tap_klaviyo.streams.model import TIERS

logger = get_logger(__name__)

Parsed = TypeVar("Parsed")


class Transport:
    """Requests to one server, from any number of threads. They are authorized by the caller.

    ``timeout`` and ``max_retry_wait`` are in seconds, ``quota_share`` is a share of Klaviyo's rate
    limits, ``grace`` is for how many seconds a request may go on after :meth:`stop`, ``source_of``
    says where a setting comes from. ``clock`` returns seconds, ``now`` is the
    wall clock in Unix seconds; ``sleep`` replaces the wait for an event, for tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        revision: str,
        user_agent: str,
        timeout: float,
        max_retry_wait: float,
        quota_share: float,
        grace: float = 0.0,
        source_of: Callable[[str], str] = lambda setting: "",
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._base_url = base_url
        self._origin = origin(base_url + "/")
        self._values = {"base_url": base_url, "revision": revision}
        self._timeout = timeout
        self._source_of = source_of
        self._clock = clock
        self._sleep = sleep
        self._retry_clock = RetryClock(max_retry_wait, clock, stale_after=timeout + LONGEST_GAP)
        self.rate_limits = RateLimiters(quota_share, clock, self.wait)
        self._exchanges = Exchanges(
            revision=revision, user_agent=user_agent, clock=clock, grace=grace
        )
        self._server_clock = ServerClock(steady_clock(now, clock))
        self._stopped = CloseEvent()
        self._logging = threading.Lock()
        self._quiet = False
        self._warned: set[str] = set()
        self.unfolding = threading.Lock()
        """Held while an answer is parsed: unfolding one at a time bounds memory."""
        hide_proxy_passwords()

    def request(
        self,
        url: str,
        query: Query,
        parse: Callable[[Body], Parsed],
        *,
        authorize: Callable[[], str],
        refusal: Refusal,
        post: Post | None = None,
        count: Callable[[], None] = lambda: None,
    ) -> Parsed:
        """Requests ``url`` and returns what ``parse`` makes of the body.

        ``url`` is a path with a query string, or a link that Klaviyo gave. ``query`` names the
        endpoint, its rate limit and the scopes it needs. What to ``post`` is sent by POST. A body
        that ``parse`` refuses with ValueError counts as a failed try. Before each try, ``count`` is
        called, and ``authorize``, which returns the header ``Authorization`` and may raise.
        ``refusal`` tells what an answer that is neither 200 nor 429 means.

        Raises :class:`AccessError` for what ends the run, :class:`Unauthorized` among them,
        :class:`ApiError` if this request is refused permanently, :class:`RetryableError` if it
        failed until its retries were used up, and :class:`Stopped` after :meth:`stop`.
        """
        if url.startswith("/"):
            url = self._base_url + url
        if origin(url) != self._origin:
            raise ApiError(
                f"Klaviyo's answer links to {without_query(url)}, which is not {self._base_url}; "
                "nothing is sent there. Report this to Klaviyo.",
                status=0,
            )
        pauses = backoffs()
        failing_since: float | None = None
        failed = throttled = 0
        while True:
            count()
            try:
                return self._try(url, query, post, authorize(), refusal, parse)
            except Throttled:
                # It is an answer: failures are counted anew, and the wait is not one of them.
                failing_since, failed, pauses = None, 0, backoffs()
                throttled += 1
                if throttled >= MAX_THROTTLED:
                    message = f"Klaviyo's rate limit of {query.path} stays exceeded (429)."
                    raise RetryableError(f"{message} Run again later.") from None
            except StreamError as error:
                forget_frames(error)  # They hold the answer, and errors are kept.
                raise
            except Transient as transient:
                forget_frames(transient)  # They hold the answer, which would stay until the retry.
                failed += 1
                if failing_since is None:
                    failing_since = transient.sent
                first = self._retry_clock.failed(query.path, transient.sent)
                self._log_failure(transient.error, first=first)
                remaining = self._retry_clock.remaining(query.path, failing_since, failed)
                if not remaining or failed == query.most_tries:
                    seconds = 0 if remaining else self._retry_clock.limit
                    failure = given_up(transient.error, seconds)
                    raise failure from transient.__cause__
                self.wait(min(next(pauses), remaining))

    def stop(self) -> None:
        """Ends all requests and waits, now and later. Signal-safe."""
        self._stopped.set()
        self._exchanges.shut_down()

    def close(self) -> None:
        """Stops, closes all connections and logs nothing any more. Not for signal handlers."""
        self.stop()
        with self._logging:
            self._quiet = True
        self._exchanges.close()

    def failing(self) -> list[tuple[str, float]]:
        """The endpoints that do not answer at present: path, seconds since the first failure."""
        return self._retry_clock.failing()

    def clock_offset(self) -> float | None:
        """Seconds by which the local wall clock is ahead of Klaviyo's, by its first answer.

        None before there is an answer with a valid ``Date``. Exact to a second and the time of the
        exchange.
        """
        return self._server_clock.offset

    def _try(
        self,
        url: str,
        query: Query,
        post: Post | None,
        authorization: str,
        refusal: Refusal,
        parse: Callable[[Body], Parsed],
    ) -> Parsed:
        limiter = self.rate_limits.of(query)
        with limiter.slot():
            if self._stopped.is_set():
                raise Stopped("The run was stopped.")
            sent = self._clock()
            try:
                answer = self._exchanges.send(url, authorization, post, self._time_limit())
            except NoRoom:
                raise Stopped("The run was stopped.") from None
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise self._no_answer(error, url, query, sent) from error
        self._note_exchange(answer, query.path)
        if answer.status == 429:
            self._throttle(limiter, answer, query)
        if answer.status != 200:
            refused = self._refused(limiter, answer, query, refusal, sent)
            if answer.status == 401 and isinstance(refused, AccessError):
                raise Unauthorized(str(refused), authorization)
            raise refused
        limiter.heed_quota(answer.headers)
        reason: str | None = None
        try:
            with self.unfolding:
                parsed = parse(answer.body)
        except ValueError as error:
            # The error is not kept: one of json holds the whole document.
            reason = unreadable(error, answer.headers)
        if reason is not None:
            if self._stopped.is_set():
                raise Stopped("The run was stopped.")
            raise self._failed(POLICY["answer unreadable"], query, sent, reason=reason)
        self._note_answer(query.path)
        return parsed

    def _time_limit(self) -> float:
        """The seconds that an exchange may take: no longer than patience while nothing answers."""
        return min(self._timeout, max(self._retry_clock.patience(), CONNECT_TIMEOUT))

    def wait(self, seconds: float) -> None:
        """Waits, at most until :meth:`stop`. Raises :class:`Stopped` after that."""
        if self._sleep is not None and not self._stopped.is_set():
            self._sleep(seconds)
        elif self._stopped.wait(seconds):
            raise Stopped("The run was stopped.")

    def _throttle(self, limiter: RateLimiter, answer: Answer, query: Query) -> NoReturn:
        """Pauses the endpoint as a 429 asks, and raises."""
        self._note_answer(query.path)
        seconds = self._asked_to_wait(answer)
        if seconds > self._retry_clock.limit:
            daily = TIERS[query.tier].daily
            failure = failure_of_wait(seconds, daily)
            raise self._failed(failure, query, reason=f"{seconds:.0f} s", daily=daily)
        self._log(logger.debug, "Rate limit of %s reached; waiting %g s.", query.path, seconds)
        limiter.throttle(seconds)
        raise Throttled

    def _asked_to_wait(self, answer: Answer) -> float:
        """The seconds that ``Retry-After`` asks to wait, by Klaviyo's own clock."""
        now = self._server_clock.time_of(answer.headers)
        return retry_after(answer.headers.get("Retry-After"), now)

    def _refused(
        self, limiter: RateLimiter, answer: Answer, query: Query, refusal: Refusal, sent: float
    ) -> Exception:
        """What to raise for an answer other than 200 and 429."""
        try:
            body = answer.body.decompressed()
        except (ValueError, ApiError):
            body = b""
        proxied = bool(proxy_variable(self._base_url + query.path))
        failure, detail = refusal(answer.status, body, proxied)
        if failure.retry is Retry.NEVER:
            self._note_answer(query.path)
        elif "Retry-After" in answer.headers:
            seconds = self._asked_to_wait(answer)
            left = self._retry_clock.remaining(query.path, sent, 1)
            if seconds > left:
                values = {"status": answer.status, "reason": f"{seconds:.0f} s"}
                return self._failed(POLICY["unavailable"], query, sent, detail, **values)
            limiter.pause(seconds)
        reason = sender_of(answer.headers)
        return self._failed(failure, query, sent, detail, status=answer.status, reason=reason)

    def _no_answer(self, error: Exception, url: str, query: Query, sent: float) -> Exception:
        """What to raise for a request without a whole answer."""
        if self._stopped.is_set():
            return Stopped("The run was stopped.")
        name, reason, variable = failure_of_exception(error, url)
        return self._failed(POLICY[name], query, sent, reason=reason, variable=variable)

    def _failed(
        self,
        failure: Failure,
        query: Query,
        sent: float = 0.0,
        detail: ErrorDetail = NO_DETAIL,
        **values: object,
    ) -> Exception:
        """What to raise for a failure: its error, as a transient one if it is retried."""
        error = failure.error(
            detail,
            **{
                "path": query.path,
                "scopes": ", ".join(query.scopes),
                **self._values,
                "variable": proxy_variable(self._base_url + query.path),
                "source": self._source_of(failure.setting),
                **values,
            },
        )
        return Transient(error, sent) if failure.retry is Retry.BACKOFF else error

    def _log_failure(self, error: TapError, *, first: bool) -> None:
        """Logs the first failure of an endpoint as a warning, those that follow for debugging.

        What several endpoints have in common is one warning until Klaviyo answers again.
        """
        limit, message = self._retry_clock.limit, str(error).replace(AGAIN, "")
        is_new = first and limit and message not in self._warned
        self._warned.add(message)
        log = logger.warning if is_new else logger.debug
        self._log(log, "%s Retrying for up to %.0f s.", message, limit)

    def _note_exchange(self, answer: Answer, path: str) -> None:
        """Notes the time of Klaviyo's clock, and logs how long the exchange took."""
        self._server_clock.note(answer.headers)
        tags = {"endpoint": path, "http_status_code": answer.status}
        self._log(log_timer, logger, "http_request_duration", answer.seconds, tags)

    def _note_answer(self, path: str) -> None:
        if (seconds := self._retry_clock.answered(path)) is not None:
            self._warned.clear()
            self._log(logger.warning, "Klaviyo answers at %s again, after %.0f s.", path, seconds)

    def _log(self, log: Callable[..., None], *arguments: Any) -> None:
        """Logs, but not after the end: a worker must not have the last word of a run."""
        with self._logging:
            if not self._quiet and not self._stopped.is_set():
                log(*arguments)
