"""HTTP with Klaviyo: auth, retries, rate limits, paging. The only module that talks to it.

Sources: Klaviyo's API overview and its guide on rate limits, status codes and errors.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import backoff
import requests
import urllib3
from singer import metrics

from tap_klaviyo.config.settings import Config
from tap_klaviyo.errors import ApiError, ConfigError, RetryableError, TapError
from tap_klaviyo.klaviyo.auth import ApiKeyAuth
from tap_klaviyo.klaviyo.failures import (
    LONGEST_QUOTE,
    RETRYABLE_STATUS,
    one_line,
    place_of,
    reason,
    retry_after,
    said_in,
    too_long,
)
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.rate_limits import Gate
from tap_klaviyo.klaviyo.response import Body, joined
from tap_klaviyo.klaviyo.urls import origin
from tap_klaviyo.streams.model import TIERS

logger = logging.getLogger(__name__)


Parsed = TypeVar("Parsed")


MEDIA_TYPE = "application/vnd.api+json"


MAX_TRIES = 7


MAX_PAUSE = 60
"""Tries at one request that fails for now, and the longest pause between two, in seconds."""


MAX_THROTTLED = 1000
"""Answers of 429 to one request after which something else must be wrong."""


LONGEST_RESET = 60
"""Seconds after which the quota of a minute is whole again: a longer wait would be a mistake."""


PIECE = 2**18
"""The most bytes to take from a connection at once."""


class Throttled(TapError):
    """Klaviyo answered 429; the gate knows until when."""


def _log_retry(details: Any) -> None:
    client: Client = details["args"][0]
    client.say(
        logger.warning,
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
        self._origin = origin(config.base_url + "/")
        self._clock = clock
        self._sleep = sleep
        self._gates: dict[tuple[str, str], Gate] = {}
        self._making_gates = threading.Lock()
        self._local = threading.local()
        self._hushed = False
        self._saying = threading.Lock()

    def get(self, url: str, query: Query, parse: Callable[[Body], Parsed]) -> Parsed:
        """What ``parse`` makes of the body at ``url``, a path with query or one of Klaviyo's links.

        A body that ``parse`` refuses with ValueError counts as a failed try. ``query`` tells the
        endpoint, its rate limit and the scopes it needs. Raises :class:`ConfigError` (key or
        revision refused), :class:`ApiError` (this request refused for good) or
        :class:`RetryableError` (all tries failed).
        """
        return self.ask(url, query, None, parse)

    def ask(
        self, url: str, query: Query, question: bytes | None, parse: Callable[[Body], Parsed]
    ) -> Parsed:
        """The same with a ``question``, a JSON document that is posted; without one it is a GET."""
        if url.startswith("/"):
            url = self._config.base_url + url
        if origin(url) != self._origin:
            raise ApiError(
                f"Klaviyo's answer links to {place_of(url)}, which is not {self._config.base_url}; "
                "nothing is sent there. Report this to Klaviyo.",
                status=0,
            )
        return self._try(url, query, question, parse)

    def hush(self) -> None:
        """Logs nothing any more. A worker that is still under way must not have the last word."""
        with self._saying:
            self._hushed = True

    def say(self, log: Callable[..., None], *arguments: Any) -> None:
        """Logs something, unless the run is over."""
        with self._saying:
            if not self._hushed:
                log(*arguments)

    def asked_today(self) -> list[tuple[str, int, int]]:
        """The endpoints with a quota for a day: path, requests of this client, the quota."""
        # A copy: a worker that goes on behind the end of a run may add one.
        return [
            (path, gate.passed, daily)
            for (path, tier), gate in list(self._gates.items())
            if (daily := TIERS[tier].daily) is not None
        ]

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
    def _try(
        self, url: str, query: Query, question: bytes | None, parse: Callable[[Body], Parsed]
    ) -> Parsed:
        gate = self._gate(query)
        try:
            with gate.passage():
                response, body = self._send(url, query.path, question)
        except requests.exceptions.SSLError as error:
            raise TapError(
                f"The certificate of {self._config.base_url} is not valid, so nothing was sent: "
                f"{reason(error)}. Check base_url. If a proxy in between has a certificate of its "
                "own, name the file of its authority in REQUESTS_CA_BUNDLE."
            ) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unanswered(query, error) from error
        if response.status_code == 429:
            self._throttle(gate, response, query)
        if response.status_code != 200:
            raise self._fault(response.status_code, body, query)
        self._heed_quota(gate, response)
        try:
            return parse(body)
        except ValueError as error:
            raise RetryableError(
                f"{self._config.base_url}{query.path} sent something that is no page of its API "
                f"({error}). Run again; the state keeps what is done."
            ) from error

    def _unanswered(self, query: Query, error: Exception) -> TapError:
        """What it means for the user that a request could not be sent, or got no answer."""
        if type(error) is OSError and error.errno is None:
            # So requests says that there is no such file of authorities.
            return TapError(f"{one_line(str(error))}. Correct REQUESTS_CA_BUNDLE.")
        return RetryableError(
            f"No answer from {self._config.base_url}{query.path}: {reason(error)}. "
            "Check the network and run again; the state keeps what is done."
        )

    def _gate(self, query: Query) -> Gate:
        """The one gate of an endpoint, whoever comes first."""
        with self._making_gates:
            key = query.path, query.tier
            if key not in self._gates:
                share = self._config.quota_share
                self._gates[key] = Gate(query.tier, share, self._clock, self._sleep)
            return self._gates[key]

    def _send(
        self, url: str, endpoint: str, question: bytes | None
    ) -> tuple[requests.Response, Body]:
        """One request, which may take ``request_timeout`` in all."""
        started = self._clock()
        response = self._session().request(
            "GET" if question is None else "POST",
            url,
            data=question,
            headers=None if question is None else {"Content-Type": MEDIA_TYPE},
            timeout=self._config.request_timeout,
            stream=True,
            allow_redirects=False,
        )
        with response:
            raw = joined(self._pieces(response, started + self._config.request_timeout))
        tags = {
            metrics.Tag.endpoint: endpoint,
            metrics.Tag.http_status_code: response.status_code,
        }
        duration = self._clock() - started
        # Not singer's timer: it configures logging anew for each request, from whatever thread.
        point = metrics.Point("timer", metrics.Metric.http_request_duration, duration, tags)
        self.say(metrics.log, logger, point)
        gzipped = response.headers.get("Content-Encoding", "").lower() == "gzip"
        return response, Body(raw, gzipped)

    def _pieces(self, response: requests.Response, deadline: float) -> Iterator[bytes]:
        """The body as it comes: a server that only drips never runs into a socket's timeout."""
        while piece := response.raw.read1(PIECE, decode_content=False):
            yield piece
            if self._clock() > deadline:
                raise requests.exceptions.ReadTimeout("the answer takes too long")

    def _throttle(self, gate: Gate, response: requests.Response, query: Query) -> NoReturn:
        """Closes the gate for as long as a 429 asks for."""
        seconds = retry_after(response.headers.get("Retry-After"))
        longest = self._config.max_retry_wait.total_seconds()
        if seconds > longest:
            raise too_long(seconds, longest, query)
        reached = "Klaviyo's rate limit of %s is reached; waiting %g s."
        self.say(logger.info, reached, query.path, seconds)
        gate.close(seconds)
        raise Throttled(
            f"Klaviyo's rate limit of {query.path} stays exceeded (429). Run again later; the "
            "state keeps what is done."
        )

    def _heed_quota(self, gate: Gate, response: requests.Response) -> None:
        """Closes the gate if Klaviyo says that nothing is left but what others may take.

        A request that is under way may be counted already, or not yet: rather one too few than 429.
        """
        try:
            remaining = int(response.headers["RateLimit-Remaining"])
            reset = float(response.headers["RateLimit-Reset"])
        except (KeyError, ValueError):
            return
        if remaining <= gate.under_way and 0 < reset <= LONGEST_RESET:
            gate.close(reset)

    def _session(self) -> requests.Session:
        """The calling thread's own session, and so its own connection, kept alive."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.auth = ApiKeyAuth(self._config.api_key)
            session.headers.update(
                {
                    "Accept": MEDIA_TYPE,
                    "Accept-Encoding": "gzip",
                    "User-Agent": self._config.user_agent,
                    "revision": self._config.revision,
                    # A retired revision is then an error and not another shape in silence.
                    "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1",
                }
            )
        return session

    def _fault(self, status: int, body: Body, query: Query) -> TapError:
        """What an answer other than 200 means for the user."""
        detail, parameter = said_in(body)
        detail = detail.replace(self._config.api_key.reveal(), "***")[:LONGEST_QUOTE]
        said = f" Klaviyo says: {detail}" if detail else ""
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
                f"Klaviyo fails at {query.path} ({status}). Run again later; the state keeps what "
                f"is done.{said}"
            )
        if status == 403:
            message = (
                f"The key may not read {query.path} (403). It needs {', '.join(query.scopes)}: "
                f"create a key with these scopes in Klaviyo > Settings > API keys.{said}"
            )
        elif status == 404:
            message = (
                f"Klaviyo does not know {query.path} (404). Check base_url and revision.{said}"
            )
        else:
            message = f"Klaviyo refuses the request to {query.path} ({status}).{said}"
        return ApiError(message, status, parameter)
