"""One exchange with Klaviyo: a request, and its answer within a time limit.

Any number of threads share an :class:`Exchanges`; each has a session of its own, and all share the
pool of connections.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import requests

from tap_klaviyo.klaviyo.auth import ApiKeyAuth
from tap_klaviyo.klaviyo.connections import ConnectionAdapter, Connections
from tap_klaviyo.klaviyo.response import Body, joined

MEDIA_TYPE = "application/vnd.api+json"

READ_SIZE = 2**18
"""The most bytes to read from a connection at once."""

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection. A thread that waits for one cannot be stopped before."""


class Answer(NamedTuple):
    """What a server answered. ``seconds`` is how long the exchange took."""

    status: int
    headers: Mapping[str, str]
    body: Body
    seconds: float


class Exchanges:
    """Sends requests with the API key and the revision, and reads the answers.

    ``clock`` returns seconds.
    """

    def __init__(
        self,
        auth: ApiKeyAuth,
        *,
        revision: str,
        user_agent: str,
        clock: Callable[[], float],
    ) -> None:
        self._auth = auth
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
        self._connections = Connections()
        self._adapter = ConnectionAdapter(self._connections)

    def send(self, url: str, json_body: bytes | None, timeout: float) -> Answer:
        """Sends one request, by POST if there is a ``json_body``.

        The exchange may take ``timeout`` seconds in all, from the request to the last byte.

        Raises :class:`requests.RequestException`, a urllib3 ``HTTPError`` or OSError if there is no
        whole answer in time, and :class:`ApiError` if it is too large.
        """
        started = self._clock()
        response = self._session().request(
            "GET" if json_body is None else "POST",
            url,
            data=json_body,
            headers=None if json_body is None else {"Content-Type": MEDIA_TYPE},
            timeout=(min(CONNECT_TIMEOUT, timeout), timeout),
            stream=True,
            allow_redirects=False,
        )
        try:
            with response:
                raw = joined(self._pieces(response, started + timeout))
        finally:
            self._connections.response_read()
        gzipped = response.headers.get("Content-Encoding", "").lower() == "gzip"
        body = Body(raw, gzipped)
        return Answer(response.status_code, response.headers, body, self._clock() - started)

    def shut_down(self) -> None:
        """Ends all exchanges, now and later. Signal-safe."""
        self._connections.shut_down()

    def close(self) -> None:
        """Closes all connections. Not for signal handlers."""
        self._adapter.close()
        self._connections.response_read()

    def _pieces(self, response: requests.Response, deadline: float) -> Iterator[bytes]:
        """The body as it arrives. The timeout of a socket does not bound a slow sender."""
        while piece := response.raw.read1(READ_SIZE, decode_content=False):
            yield piece
            if self._clock() > deadline:
                raise requests.exceptions.ReadTimeout("the answer takes too long")

    def _session(self) -> requests.Session:
        """The session of the calling thread."""
        session: requests.Session | None = getattr(self._thread, "session", None)
        if session is None:
            session = self._thread.session = requests.Session()
            for scheme in ("http://", "https://"):
                session.mount(scheme, self._adapter)
            session.auth = self._auth
            session.headers.update(self._headers)
        return session
