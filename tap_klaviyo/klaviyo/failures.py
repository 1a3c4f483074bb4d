"""The failure policy as one table: what is retried, how long, and what ends when it is not.

:data:`POLICY` has a row for each kind of failed request. The client and the run only carry out what
stands here. What becomes of the window that was being read stands in
:mod:`tap_klaviyo.klaviyo.reactions`.

How long: a request that fails for now is retried with exponential backoff until it, or its
endpoint, has failed for ``max_retry_wait`` (:mod:`tap_klaviyo.klaviyo.retries`).

Source: Klaviyo's guide on rate limits, status codes and errors.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from tap_klaviyo.errors import AccessError, ApiError, RetryableError, TapError
from tap_klaviyo.klaviyo.refusals import ErrorDetail, error_detail, json_api_document, oauth_error


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
    ``{base_url}``, ``{revision}``, ``{scopes}``, ``{reason}`` and ``{variable}``. ``{source}`` says
    where ``setting``, which has to be corrected, comes from, if that is not the file.
    """

    statuses: Sequence[int]
    retry: Retry
    ends: Ends
    message: str
    setting: str = ""

    def error(self, detail: ErrorDetail, **values: object) -> TapError:
        """The failure as an error. ``values`` fill the placeholders, ``detail`` is appended."""
        message = self.message.format(**values)
        if detail.text:
            message += f" Klaviyo says: {detail.text}"
        if self.ends is Ends.RUN:
            return AccessError(message)
        if self.retry is not Retry.NEVER:
            return RetryableError(message)
        return ApiError(
            message, int(str(values["status"])), detail.parameter, is_page_size=detail.is_page_size
        )


def is_forbidden(error: TapError) -> bool:
    """Whether Klaviyo refuses a request because the key lacks a scope."""
    return isinstance(error, ApiError) and error.status in POLICY["scope missing"].statuses


def scopes_advice(scopes: Iterable[str]) -> str:
    """What to do about missing scopes: all that a selection needs."""
    return (
        "Create a key with all scopes that this selection needs in Klaviyo > Settings > API keys, "
        f"or authorize the OAuth app with them: {', '.join(sorted(set(scopes)))}."
    )


class Throttled(Exception):
    """Klaviyo answered 429. The rate limiter knows until when to wait."""


class Transient(Exception):
    """A try failed in a way that may pass; ``error`` is raised if it does not.

    ``sent`` is when the request was sent, by the clock of the client.
    """

    def __init__(self, error: TapError, sent: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.sent = sent


class Unauthorized(AccessError):
    """Klaviyo does not accept the credentials of a request, the header ``authorization`` (401)."""

    def __init__(self, message: str, authorization: str) -> None:
        super().__init__(message)
        self.authorization = authorization


AGAIN = " Run again later; the state keeps what is done."


def given_up(error: TapError, seconds: float) -> RetryableError:
    """An error that came again and again for ``seconds``, which is ``max_retry_wait``."""
    retried = f" Retried for {seconds:.0f} s (max_retry_wait)." if seconds else ""
    return RetryableError(str(error).replace(AGAIN, f"{retried}{AGAIN}"))


POLICY: Mapping[str, Failure] = {
    "key refused": Failure(
        (401,),
        Retry.NEVER,
        Ends.RUN,
        "Klaviyo does not accept the API key (401). Set api_key{source} to a valid private API "
        "key: Klaviyo > Settings > API keys.",
        "api_key",
    ),
    "token refused": Failure(
        (),
        Retry.NEVER,
        Ends.RUN,
        "Klaviyo does not accept a new access token of the OAuth app (401). Check that the app is "
        "still installed in the account, authorize it again (docs/oauth.md), and set "
        "refresh_token{source} to the new refresh token.",
        "refresh_token",
    ),
    "grant refused": Failure(
        (),
        Retry.NEVER,
        Ends.RUN,
        "Klaviyo does not accept the refresh token ({status}). It was revoked, was not used for 90 "
        "days, or was replaced by one that was lost when a run was killed. Authorize the app again "
        "(docs/oauth.md), and set refresh_token{source} to the new refresh token.",
        "refresh_token",
    ),
    "app refused": Failure(
        (),
        Retry.NEVER,
        Ends.RUN,
        "Klaviyo does not know the OAuth app, or its secret is wrong ({status}). Set client_id and "
        "client_secret{source} to those of the app (docs/oauth.md).",
        "client_secret",
    ),
    "revision retired": Failure(
        (410,),
        Retry.NEVER,
        Ends.RUN,
        "Klaviyo has retired revision {revision} (410). Remove the setting 'revision'{source}, or "
        "update tap-klaviyo.",
        "revision",
    ),
    "certificate invalid": Failure(
        (),
        Retry.NEVER,
        Ends.RUN,
        "The certificate of {base_url} is not valid, so nothing was sent: {reason}. Check "
        "base_url{source}. If a proxy has a certificate of its own, set REQUESTS_CA_BUNDLE to the "
        "file of its certificate authority.",
        "base_url",
    ),
    "certificate file missing": Failure(
        (),
        Retry.NEVER,
        Ends.RUN,
        "The certificate authorities cannot be read: {reason}. Correct {variable}.",
    ),
    "proxy unusable": Failure(
        (),
        Retry.NEVER,
        Ends.RUN,
        "The proxy in {variable} cannot be used: {reason}. Correct {variable}.",
    ),
    "proxy authentication": Failure(
        (407,),
        Retry.NEVER,
        Ends.RUN,
        "The proxy in {variable} does not accept its user name and password (407). Correct "
        "{variable}: http://user:password@host:port, with percent-encoded special characters.",
    ),
    "socks authentication": Failure(
        (),
        Retry.NEVER,
        Ends.RUN,
        "The SOCKS proxy in {variable} does not accept its user name and password. Correct "
        "{variable}: socks5h://user:password@host:port, with percent-encoded special characters.",
    ),
    "address invalid": Failure(
        (),
        Retry.NEVER,
        Ends.RUN,
        "No request can be sent to {base_url}: {reason}. Correct base_url{source}.",
        "base_url",
    ),
    "limit reached": Failure(
        (),
        Retry.NEVER,
        Ends.RUN,
        "No connection to {base_url} can be opened: the process has reached its limit of {reason}. "
        "Raise the limit, or lower the setting concurrency.",
    ),
    "scope missing": Failure(
        (403,),
        Retry.NEVER,
        Ends.STREAM,
        "The API key lacks access to {path} (403). It needs {scopes}.",
    ),
    "scope of the app missing": Failure(
        (),
        Retry.NEVER,
        Ends.STREAM,
        "The OAuth app lacks access to {path} (403). It needs {scopes}.",
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
    "unavailable": Failure(
        (),
        Retry.AS_ASKED,
        Ends.STREAM,
        "Klaviyo fails at {path} ({status}) and asks to wait {reason}, longer than what is left of "
        "max_retry_wait." + AGAIN,
    ),
    "answer of a proxy": Failure(
        (),
        Retry.BACKOFF,
        Ends.STREAM,
        "The answer to {base_url}{path} ({status}, {reason}) is not Klaviyo's: a proxy, a firewall "
        "or a login page before Klaviyo sent it. Check the network, the proxy and base_url."
        + AGAIN,
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
"""Every kind of failed request. A status that no row names is "request refused".

An answer whose body is not JSON:API is not Klaviyo's, and says nothing about the key, its scopes or
the path. Klaviyo's own answers are JSON:API whatever their status. So every status that would not
be retried is "answer of a proxy" then: 400, 401, 403, 404 and 410 in HTML, as plain text or without
a body, redirects to a login page, and the challenges of a firewall.
"""

PROXY_AUTHENTICATION = 407
"""The status of a proxy that Klaviyo never sends. It cannot heal if the proxy is configured."""

_OF_TOKENS = {
    POLICY["key refused"]: POLICY["token refused"],
    POLICY["scope missing"]: POLICY["scope of the app missing"],
}
"""The rows that mean something else of an access token than of an API key."""

_BY_STATUS = {status: row for row in POLICY.values() for status in row.statuses}


def failure_of(status: int, *, json_api: bool = True, proxied: bool = True) -> Failure:
    """The row of the policy for an HTTP status other than 200.

    ``json_api`` says that the body of the answer is a document of JSON:API, ``proxied`` that a
    proxy is configured.
    """
    failure = _BY_STATUS.get(status, POLICY["request refused"])
    klaviyos = proxied if status == PROXY_AUTHENTICATION else json_api
    if klaviyos or failure.retry is not Retry.NEVER:
        return failure
    return POLICY["answer of a proxy"]


Refusal: TypeAlias = Callable[[int, bytes, bool], tuple[Failure, ErrorDetail]]
"""What an answer means that is neither 200 nor 429: its row, and what it says.

The arguments are the status, the body, and whether a proxy is configured.
"""


def key_refusal(status: int, body: bytes, proxied: bool) -> tuple[Failure, ErrorDetail]:
    """The :data:`Refusal` of requests with an API key."""
    json_api = json_api_document(body) is not None
    return failure_of(status, json_api=json_api, proxied=proxied), error_detail(body)


def token_refusal(status: int, body: bytes, proxied: bool) -> tuple[Failure, ErrorDetail]:
    """The :data:`Refusal` of requests with an access token."""
    failure, detail = key_refusal(status, body, proxied)
    return _OF_TOKENS.get(failure, failure), detail


def refresh_refusal(status: int, body: bytes, proxied: bool) -> tuple[Failure, ErrorDetail]:
    """The :data:`Refusal` of requests for another access token.

    Klaviyo sends 400 or 401 with ``invalid_grant``, ``invalid_grant_type`` or ``invalid_client``.
    """
    code = oauth_error(body)
    failure = failure_of(status, json_api=code is not None, proxied=proxied)
    if failure.retry is Retry.NEVER and status != PROXY_AUTHENTICATION:
        failure = POLICY["app refused" if code == "invalid_client" else "grant refused"]
    return failure, ErrorDetail(code or "")


def failure_of_wait(seconds: float, daily: int | None) -> Failure:
    """The row for a 429 that asks to wait too long; ``daily`` is the daily quota, if there is one.

    The quotas of a second and a minute never ask for more than a minute.
    """
    return POLICY["daily quota" if daily is not None and seconds > 60 else "rate limit"]
