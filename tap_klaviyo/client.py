"""HTTP with Klaviyo: auth, retries, rate limits, paging. The only module that talks to it.

Sources: Klaviyo's API overview and its guide on rate limits, status codes and errors.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import backoff
import requests
import urllib3
from singer import metrics

from tap_klaviyo.config import Config
from tap_klaviyo.errors import ApiError, ConfigError, RetryableError, TapError
from tap_klaviyo.jsonapi import error_detail, origin

logger = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")

MAX_TRIES = 7
MAX_PAUSE = 60
"""Tries at one request that fails for now, and the longest pause between two, in seconds."""

MAX_THROTTLED = 1000
"""Answers of 429 to one request after which something else must be wrong."""

DEFAULT_RETRY_AFTER = 1.0
"""Seconds to wait after a 429 that does not say how long."""

RETRYABLE_STATUS = frozenset({408, 500, 502, 503, 504, *range(520, 525)})


class Throttled(TapError):
    """Klaviyo answered 429; the gate knows until when."""


class Gate:
    """Holds every worker back from an endpoint until its pause is over."""

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock = clock
        self._sleep = sleep
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def pause(self, endpoint: str, seconds: float) -> None:
        """Closes the gate of ``endpoint`` for ``seconds`` from now; a longer pause stays."""
        with self._lock:
            until = self._clock() + seconds
            self._until[endpoint] = max(until, self._until.get(endpoint, until))

    def wait(self, endpoint: str) -> None:
        """Returns once the gate of ``endpoint`` is open."""
        while (left := self._until.get(endpoint, 0.0) - self._clock()) > 0:
            self._sleep(left)


class _Key(requests.auth.AuthBase):
    """Sets the key itself: without an ``auth``, requests would take one from ~/.netrc instead."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Klaviyo-API-Key {self._config.api_key.reveal()}"
        return request


def _log_retry(details: Any) -> None:
    logger.warning(
        "%s Trying again in %.1f s (try %d of %d).",
        details["exception"],
        details["wait"],
        details["tries"] + 1,
        MAX_TRIES,
    )


class Client:
    """Requests to one Klaviyo account, from any number of threads, one connection each."""

    def __init__(
        self,
        config: Config,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._origin = origin(config.base_url)
        self._clock = clock
        self._gate = Gate(clock, sleep)
        self._local = threading.local()

    def get(self, url: str, parse: Callable[[bytes], Parsed], needs: str) -> Parsed:
        """What ``parse`` makes of the body at ``url``, a path with query or one of Klaviyo's links.

        A body that ``parse`` refuses with ValueError counts as a failed try. ``needs`` names the
        scopes of the request, for the message when they are missing. Raises :class:`ConfigError`
        (key or revision refused), :class:`ApiError` (this request refused for good) or
        :class:`RetryableError` (all tries failed).
        """
        url = urljoin(self._config.base_url, url)
        if origin(url) != self._origin:
            raise ApiError(
                f"Klaviyo's answer links to {urlsplit(url).netloc}, which is not "
                f"{self._config.base_url}; nothing is sent there. Report this to Klaviyo.",
                status=0,
            )
        return self._try(url, parse, needs)

    @backoff.on_exception(
        backoff.constant, Throttled, interval=0, jitter=None, max_tries=MAX_THROTTLED, logger=None
    )
    @backoff.on_exception(
        backoff.expo,
        RetryableError,
        max_tries=MAX_TRIES,
        max_value=MAX_PAUSE,
        on_backoff=_log_retry,
        logger=None,
    )
    def _try(self, url: str, parse: Callable[[bytes], Parsed], needs: str) -> Parsed:
        endpoint = urlsplit(url).path.rstrip("/")
        self._gate.wait(endpoint)
        try:
            response, body = self._send(url, endpoint)
        except requests.exceptions.SSLError as error:
            raise TapError(
                f"The certificate of {self._config.base_url} is not valid, so nothing was sent: "
                f"{_reason(error)}. Check base_url and any proxy in between."
            ) from error
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            zlib.error,
        ) as error:
            raise RetryableError(
                f"No answer from {self._config.base_url}{endpoint}: {_reason(error)}. "
                "Check the network and run again; the state keeps what is done."
            ) from error
        if response.status_code != 200:
            raise self._fault(response, body, endpoint, needs)
        try:
            return parse(body)
        except ValueError as error:
            raise RetryableError(
                f"{self._config.base_url}{endpoint} sent something that is no page of its API "
                f"({error}). Run again; the state keeps what is done."
            ) from error

    def _send(self, url: str, endpoint: str) -> tuple[requests.Response, bytes]:
        """One request. The body is read in one go: requests reads in pieces of 10 KB."""
        started = self._clock()
        response = self._session().get(
            url, timeout=self._config.request_timeout, stream=True, allow_redirects=False
        )
        with response:
            raw: bytes = response.raw.read(decode_content=False)
        if response.headers.get("Content-Encoding", "").lower() == "gzip":
            raw = zlib.decompress(raw, wbits=31)
        tags = {
            metrics.Tag.endpoint: endpoint,
            metrics.Tag.http_status_code: response.status_code,
        }
        duration = self._clock() - started
        # Not singer's timer: it configures logging anew for each request, from whatever thread.
        metrics.log(
            logger, metrics.Point("timer", metrics.Metric.http_request_duration, duration, tags)
        )
        return response, raw

    def _session(self) -> requests.Session:
        """The calling thread's own session, and so its own connection, kept alive."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.auth = _Key(self._config)
            session.headers.update(
                {
                    "Accept": "application/vnd.api+json",
                    "Accept-Encoding": "gzip",
                    "User-Agent": self._config.user_agent,
                    "revision": self._config.revision,
                    # A retired revision is then an error and not another shape in silence.
                    "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1",
                }
            )
        return session

    def _fault(
        self, response: requests.Response, body: bytes, endpoint: str, needs: str
    ) -> Exception:
        """What an answer other than 200 means for the user. Closes the gate on a 429."""
        status = response.status_code
        detail, parameter = error_detail(body)
        said = f" Klaviyo says: {detail}" if detail else ""
        if status == 429:
            seconds = retry_after(response.headers.get("Retry-After"))
            logger.info("Klaviyo's rate limit of %s is reached; waiting %g s.", endpoint, seconds)
            self._gate.pause(endpoint, seconds)
            return Throttled(
                f"Klaviyo's rate limit of {endpoint} stays exceeded (429). Run again later; the "
                "state keeps what is done."
            )
        if status == 401:
            return ConfigError(
                "Klaviyo does not accept the key (401). Set api_key to a valid private API key: "
                f"Klaviyo > Settings > API keys.{said}"
            )
        if status == 410:
            return ConfigError(
                f"Klaviyo has retired revision {self._config.revision} (410). Remove the setting "
                f"'revision', or update tap-klaviyo.{said}"
            )
        if status in RETRYABLE_STATUS:
            return RetryableError(
                f"Klaviyo fails at {endpoint} ({status}). Run again later; the state keeps what is "
                f"done.{said}"
            )
        if status == 403:
            message = (
                f"The key may not read {endpoint} (403). It needs {needs}: create a key with these "
                f"scopes in Klaviyo > Settings > API keys.{said}"
            )
        elif status == 404:
            message = f"Klaviyo does not know {endpoint} (404). Check base_url and revision.{said}"
        else:
            message = f"Klaviyo refuses the request to {endpoint} ({status}).{said}"
        return ApiError(message, status, parameter)


def retry_after(value: str | None, now: Callable[[], float] = time.time) -> float:
    """The seconds that a ``Retry-After`` of seconds or a date asks for."""
    if value is None:
        return DEFAULT_RETRY_AFTER
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except (ValueError, TypeError, OverflowError):
        return DEFAULT_RETRY_AFTER


def _reason(error: BaseException) -> str:
    """What went wrong, in short and without addresses of objects or URLs with queries."""
    cause: Any = error
    while cause.args and isinstance(cause.args[0], BaseException):
        cause = cause.args[0]
    cause = getattr(cause, "reason", None) or cause
    text = str(cause).rsplit(">: ", 1)[-1].split("?")[0]
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
