"""The failure policy as one table: what is retried, how long, and what ends when it is not.

:data:`POLICY` has a row for each kind of failed request. :data:`REACTIONS` says what becomes of the
window that was being read when Klaviyo refused a request. The client and the run only carry out
what stands here.

How long: a request that fails for now is retried with exponential backoff until it, or its
endpoint, has failed for ``max_retry_wait`` (:class:`RetryClock`).

Source: Klaviyo's guide on rate limits, status codes and errors.
"""

from __future__ import annotations

import enum
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import backoff

from tap_klaviyo.errors import ApiError, ConfigError, RetryableError, TapError


class Retry(enum.Enum):
    """Whether and when a failed request is sent again."""

    NEVER = "no"
    BACKOFF = "with exponential backoff, for max_retry_wait"
    AS_ASKED = "after Retry-After, if that is at most max_retry_wait"


class Ends(enum.Enum):
    """What ends if a request fails and is not, or no longer, retried."""

    STREAM = "the stream"
    RUN = "the run"


class Failure(NamedTuple):
    """A row of the policy.

    ``statuses`` are the HTTP statuses that mean this failure; none if there was no usable answer.
    ``message`` is what the user reads, with the placeholders ``{path}``, ``{status}``,
    ``{base_url}``, ``{revision}``, ``{scopes}`` and ``{reason}``.
    """

    statuses: Sequence[int]
    retry: Retry
    ends: Ends
    message: str

    def error(self, detail: ErrorDetail, **values: object) -> TapError:
        """The failure as an error. ``values`` fill the placeholders, ``detail`` is appended."""
        message = self.message.format(**values)
        if detail.text:
            message += f" Klaviyo says: {detail.text}"
        if self.ends is Ends.RUN:
            return ConfigError(message)
        if self.retry is not Retry.NEVER:
            return RetryableError(message)
        return ApiError(message, int(str(values["status"])), detail.parameter)


AGAIN = " Run again later; the state keeps what is done."

POLICY: Mapping[str, Failure] = {
    "key refused": Failure(
        (401,),
        Retry.NEVER,
        Ends.RUN,
        "Klaviyo does not accept the API key (401). Set api_key to a valid private API key: "
        "Klaviyo > Settings > API keys.",
    ),
    "revision retired": Failure(
        (410,),
        Retry.NEVER,
        Ends.RUN,
        "Klaviyo has retired revision {revision} (410). Remove the setting 'revision', or update "
        "tap-klaviyo.",
    ),
    "certificate invalid": Failure(
        (),
        Retry.NEVER,
        Ends.RUN,
        "The certificate of {base_url} is not valid, so nothing was sent: {reason}. Check "
        "base_url. If a proxy has a certificate of its own, set REQUESTS_CA_BUNDLE to the file of "
        "its certificate authority.",
    ),
    "certificate file missing": Failure(
        (), Retry.NEVER, Ends.RUN, "{reason}. Correct REQUESTS_CA_BUNDLE."
    ),
    "scope missing": Failure(
        (403,),
        Retry.NEVER,
        Ends.STREAM,
        "The API key lacks access to {path} (403). It needs {scopes}: create a key with these "
        "scopes in Klaviyo > Settings > API keys.",
    ),
    "not found": Failure(
        (404,),
        Retry.NEVER,
        Ends.STREAM,
        "Klaviyo does not know {path} (404). Check base_url and revision.",
    ),
    "request refused": Failure(
        (), Retry.NEVER, Ends.STREAM, "Klaviyo refuses the request to {path} ({status})."
    ),
    "rate limit": Failure(
        (429,),
        Retry.AS_ASKED,
        Ends.STREAM,
        "Klaviyo asks to wait {reason} for {path} (429), longer than max_retry_wait." + AGAIN,
    ),
    "daily quota": Failure(
        (),
        Retry.AS_ASKED,
        Ends.STREAM,
        "Klaviyo allows {daily} requests a day to {path}. They are used up: it asks to wait "
        "{reason} (429)." + AGAIN,
    ),
    "server error": Failure(
        (408, 500, 502, 503, 504, *range(520, 525)),
        Retry.BACKOFF,
        Ends.STREAM,
        "Klaviyo fails at {path} ({status})." + AGAIN,
    ),
    "no answer": Failure(
        (),
        Retry.BACKOFF,
        Ends.STREAM,
        "No answer from {base_url}: {reason}. Check the network." + AGAIN,
    ),
    "answer unreadable": Failure(
        (),
        Retry.BACKOFF,
        Ends.STREAM,
        "The answer of {base_url}{path} is not a page of Klaviyo's API ({reason})." + AGAIN,
    ),
}
"""Every kind of failed request. A status that no row names is "request refused"."""

_BY_STATUS = {status: row for row in POLICY.values() for status in row.statuses}

MIN_TRIES = 3
"""Tries of a request when nothing has answered for ``max_retry_wait``, so its time is used up."""

LONGEST_BACKOFF = 60
"""The longest pause between two tries of a request, in seconds."""

LONGEST_GAP = 2 * LONGEST_BACKOFF
"""Seconds that may pass between two failures of a request, besides its own duration."""

MAX_THROTTLED = 1000
"""Answers of 429 to one request after which its stream ends."""

LONGEST_QUOTE = 200
"""Characters of a foreign text that a message may hold."""


def failure_of(status: int) -> Failure:
    """The row of the policy for an HTTP status other than 200."""
    return _BY_STATUS.get(status, POLICY["request refused"])


def failure_of_wait(seconds: float, daily: int | None) -> Failure:
    """The row for a 429 that asks to wait too long; ``daily`` is the daily quota, if there is one.

    The quotas of a second and a minute never ask for more than a minute.
    """
    return POLICY["daily quota" if daily is not None and seconds > 60 else "rate limit"]


def failure_of_exception(error: Exception) -> tuple[str, str]:
    """The name of the row for a request that got no answer, and the reason in one line."""
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        return "certificate invalid", reason_of(error)
    if type(error) is OSError and error.errno is None:
        # This is how requests says that a file of certificate authorities does not exist.
        return "certificate file missing", one_line(str(error))
    return "no answer", reason_of(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all errors that it wraps, as requests and urllib3 do it."""
    remaining: list[object] = [error]
    seen: set[int] = set()
    while remaining:
        cause = remaining.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            remaining += [*cause.args, getattr(cause, "reason", None), cause.__cause__]


class Reaction(enum.Enum):
    """What becomes of a window whose request Klaviyo refused."""

    SMALLER_PAGES = "request the page again with fewer records"
    RESTART_WINDOW = "read the window again from its first page"
    CHECK_PARENT = "ask whether the parent exists, and end the partition if it does not"
    END_STREAM = "end the stream"


class RefusedRequest(NamedTuple):
    """The request of a window that Klaviyo refused with ``status``.

    ``can_shrink`` says that the page can still be requested in a smaller size, ``first_page`` that
    no cursor was sent. ``restarts`` counts how often the window has started again.
    """

    status: int
    first_page: bool
    can_shrink: bool
    of_child: bool
    restarts: int


MAX_RESTARTS = 2

REACTIONS: Sequence[tuple[str, Callable[[RefusedRequest], bool], Reaction]] = (
    (
        "a first page in full size: it may be too large",
        lambda request: request.status == 400 and request.first_page and request.can_shrink,
        Reaction.SMALLER_PAGES,
    ),
    (
        "a later page: its cursor may have expired",
        lambda request: (
            request.status == 400 and not request.first_page and request.restarts < MAX_RESTARTS
        ),
        Reaction.RESTART_WINDOW,
    ),
    (
        "the children of a record: it may have been deleted during the run",
        lambda request: request.status == 404 and request.of_child,
        Reaction.CHECK_PARENT,
    ),
    ("anything else", lambda request: True, Reaction.END_STREAM),
)
"""What Klaviyo refused, and what becomes of the window; the first row that holds counts."""


def reaction_to(request: RefusedRequest) -> Reaction:
    """What becomes of the window, by :data:`REACTIONS`."""
    return next(reaction for _, holds, reaction in REACTIONS if holds(request))


ALL = ""
"""The path that stands for all endpoints."""


class RetryClock:
    """Since when requests have failed: for each endpoint, and for all of them. Thread-safe.

    ``limit`` is ``max_retry_wait`` and ``clock`` returns seconds. An endpoint that 32 workers ask
    is given up once, not 32 times one after the other. Failures that are more than ``stale_after``
    seconds apart have nothing to do with each other.
    """

    def __init__(self, limit: float, clock: Callable[[], float], stale_after: float) -> None:
        self.limit = limit
        self._clock = clock
        self._stale_after = stale_after
        # The times of the first and the last failure, by endpoint and for all of them.
        self._failing: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def failed(self, path: str) -> bool:
        """Notes a failure of an endpoint; returns whether it is the first since it answered."""
        now = self._clock()
        with self._lock:
            known = self._failing.get(path)
            first = known is None or now - known[1] > self._stale_after
            for key in (path, ALL):
                self._failing[key] = (self._since(key, now), now)
        return first

    def answered(self, path: str) -> float | None:
        """Notes an answer of an endpoint; returns how long it had failed, None if it had not."""
        with self._lock:
            self._failing.pop(ALL, None)
            times = self._failing.pop(path, None)
        return None if times is None else self._clock() - times[0]

    def remaining(self, path: str, since: float, tries: int) -> float:
        """Seconds for which a request may still be retried.

        It has failed ``since`` then, and ``tries`` times.
        """
        now = self._clock()
        with self._lock:
            since = min(since, self._since(path, now))
            if tries >= MIN_TRIES:
                since = min(since, self._since(ALL, now))
        return max(0.0, self.limit - (now - since))

    def _since(self, key: str, now: float) -> float:
        """The time of the first failure in a row; ``now`` if there is none."""
        first, last = self._failing.get(key, (now, now))
        return first if now - last <= self._stale_after else now


def backoffs() -> Iterator[float]:
    """Pauses in seconds: exponential up to ``LONGEST_BACKOFF``, with full jitter."""
    longest = backoff.expo(max_value=LONGEST_BACKOFF)
    next(longest)  # Its first value only starts it.
    return map(backoff.full_jitter, longest)


class ErrorDetail(NamedTuple):
    """Klaviyo's text in an error, and the parameter that it names as the cause; empty for none."""

    text: str = ""
    parameter: str = ""


NO_DETAIL = ErrorDetail()


def error_detail(body: bytes) -> ErrorDetail:
    """What the body of an error says. A proxy in front of Klaviyo may have sent HTML instead."""
    try:
        first = json.loads(body)["errors"][0]
        text = " ".join(str(first.get("detail") or first.get("title") or "").split())
        source = first.get("source") or {}
        return ErrorDetail(text, str(source.get("parameter") or ""))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return NO_DETAIL


def reason_of(error: BaseException) -> str:
    """The cause of an error in one short line, without object addresses and query strings."""
    cause: Any = error
    while cause.args and isinstance(cause.args[0], BaseException):
        cause = cause.args[0]
    cause = getattr(cause, "reason", None) or cause
    text = one_line(str(cause).rsplit(">: ", 1)[-1].split("?")[0])
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def one_line(text: str) -> str:
    """A foreign text in one line, cut to ``LONGEST_QUOTE`` characters."""
    return " ".join(text.split())[:LONGEST_QUOTE]
