"""One exchange with Klaviyo: a request, and its answer within a time limit.

Any number of threads share an :class:`Exchanges`; each has a session of its own, and all share the
pool of connections.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

import requests
from requests.auth import AuthBase

from tap_klaviyo.klaviyo.connections import TOO_SLOW, ConnectionAdapter, Connections
from tap_klaviyo.klaviyo.mapped_bytes import MappedBytes
from tap_klaviyo.klaviyo.memory_budget import MemoryBudget, NoRoom, Reservation
from tap_klaviyo.klaviyo.response import MAX_BODY, Body, too_large

MEDIA_TYPE = "application/vnd.api+json"

READ_SIZE = 2**18
"""The most bytes to read from a connection at once."""

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection. A thread that waits for one cannot be stopped before."""


OK = 200

MAX_ERROR_BODY = 2**20
"""The most bytes that are read of an answer other than 200."""


class Answer(NamedTuple):
    """What a server answered. ``seconds`` is how long the exchange took."""

    status: int
    headers: Mapping[str, str]
    body: Body
    seconds: float


class Post(NamedTuple):
    """What a request sends by POST: the bytes of its body, and headers besides the usual ones."""

    body: bytes
    headers: Mapping[str, str]


class _Authorization(AuthBase):
    """Sends a header ``Authorization``.

    Without an ``auth`` requests would send a password from ~/.netrc instead.
    """

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the header."""
        request.headers["Authorization"] = self._value
        return request


class _Session(requests.Session):
    """A session that looks at no redirect.

    Even if none is followed, requests reads and decodes the whole body to prepare the next request.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """None: there is no next request."""
        return None


class Exchanges:
    """Sends requests with the revision, and reads the answers.

    ``clock`` returns seconds. ``grace`` is for how many of them exchanges may go on after
    :meth:`shut_down`.
    """

    def __init__(
        self,
        *,
        revision: str,
        user_agent: str,
        clock: Callable[[], float],
        grace: float = 0.0,
    ) -> None:
        self._headers = {
            "Accept": MEDIA_TYPE,
            "Accept-Encoding": "gzip",
            "User-Agent": user_agent,
            "revision": revision,
            # A retired revision then is an error and not another shape of the data.
            "X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1",
        }
        self._clock = clock
        self._thread = threading.local()
        self._connections = Connections(grace)
        self._adapter = ConnectionAdapter(self._connections)
        self._ended = False
        self._budget = MemoryBudget(lambda: self._ended)

    def send(self, url: str, authorization: str, post: Post | None, timeout: float) -> Answer:
        """Sends one request, by POST if there is something to ``post``.

        The exchange may take ``timeout`` seconds in all, from the request to the last byte.

        Raises :class:`requests.RequestException`, a urllib3 ``HTTPError`` or OSError if there is no
        whole answer in time, and :class:`ApiError` if it is too large.
        """
        try:
            return self._send(url, authorization, post, timeout, Reservation(self._budget))
        except NoRoom:
            pass  # To wait here would keep what has arrived: the frames of the error hold it.
        # Large answers have to wait for each other, before they are sent.
        self._budget.wait_for(MAX_BODY)
        return self._send(url, authorization, post, timeout, Reservation(self._budget, MAX_BODY))

    def shut_down(self) -> None:
        """Ends all exchanges, now and later. Signal-safe."""
        self._ended = True
        self._connections.shut_down()

    def close(self) -> None:
        """Closes all connections. Not for signal handlers."""
        self._adapter.close()

    def _send(
        self,
        url: str,
        authorization: str,
        post: Post | None,
        timeout: float,
        reservation: Reservation,
    ) -> Answer:
        started = self._clock()
        try:
            with (
                self._connections.exchange(timeout),
                self._session().request(
                    "POST" if post else "GET",
                    url,
                    data=post.body if post else None,
                    headers=post.headers if post else None,
                    auth=_Authorization(authorization),
                    timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
                    stream=True,
                    allow_redirects=False,
                ) as response,
            ):
                received = self._read(response, started + timeout, reservation)
        except BaseException:
            reservation.release()
            raise
        body = Body(received, response.headers.get("Content-Encoding", "").lower() == "gzip")
        reservation.keep_for(body, len(received))
        return Answer(response.status_code, response.headers, body, self._clock() - started)

    def _read(
        self, response: requests.Response, deadline: float, reservation: Reservation
    ) -> MappedBytes:
        """The body as it arrived. Of an error no more is read than a message needs."""
        longest = MAX_BODY if response.status_code == OK else MAX_ERROR_BODY
        received = MappedBytes()
        while piece := response.raw.read1(READ_SIZE, decode_content=False):
            if len(received) + len(piece) > longest:
                if response.status_code == OK:
                    raise too_large(f"larger than {MAX_BODY // 2**20} MiB")
                break
            reservation.grow(len(received) + len(piece))
            received.append(piece)
            if self._clock() > deadline:
                raise requests.exceptions.ReadTimeout(TOO_SLOW)
        return received

    def _session(self) -> requests.Session:
        """The session of the calling thread."""
        session: requests.Session | None = getattr(self._thread, "session", None)
        if session is None:
            session = self._thread.session = _Session()
            for scheme in ("http://", "https://"):
                session.mount(scheme, self._adapter)
            session.headers.update(self._headers)
        return session
