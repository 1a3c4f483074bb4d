"""Authorized requests to one Klaviyo account."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tap_klaviyo.klaviyo.auth import Auth
from tap_klaviyo.klaviyo.exchange import MEDIA_TYPE, Post
from tap_klaviyo.klaviyo.failures import Unauthorized
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.klaviyo.transport import Transport

Parsed = TypeVar("Parsed")


class Client:
    """Requests to one Klaviyo account, from any number of threads.

    ``auth`` authorizes what ``transport`` sends.
    """

    def __init__(self, transport: Transport, auth: Auth) -> None:
        self._transport = transport
        self._auth = auth
        self.rate_limits = transport.rate_limits
        self.unfolding = transport.unfolding
        """Held while an answer is parsed: unfolding one at a time bounds memory."""

    def request(
        self,
        url: str,
        query: Query,
        parse: Callable[[Body], Parsed],
        *,
        json_body: bytes | None = None,
        count: Callable[[], None] = lambda: None,
    ) -> Parsed:
        """Requests ``url`` and returns what ``parse`` makes of the body.

        A ``json_body`` is sent by POST. The other arguments, and what is raised, are those of
        :meth:`Transport.request`. If Klaviyo does not accept the credentials (401) and there are
        others, the request is sent once more.
        """
        post = None if json_body is None else Post(json_body, {"Content-Type": MEDIA_TYPE})
        renewed = False
        while True:
            try:
                return self._transport.request(
                    url,
                    query,
                    parse,
                    authorize=self._auth.header,
                    refusal=self._auth.refusal,
                    post=post,
                    count=count,
                )
            except Unauthorized as unauthorized:
                if renewed or not self._auth.renew(unauthorized.authorization):
                    raise
                renewed = True

    def stop(self) -> None:
        """Ends all requests and waits, now and later. Signal-safe."""
        self._transport.stop()
        self._auth.stop()

    def close(self) -> None:
        """Stops, closes all connections and logs nothing any more. Not for signal handlers."""
        self._transport.stop()
        self._auth.close()
        self._transport.close()

    def failing(self) -> list[tuple[str, float]]:
        """The endpoints that do not answer at present: path, seconds since the first failure."""
        return [*self._transport.failing(), *self._auth.failing()]

    def clock_offset(self) -> float | None:
        """Seconds by which the local wall clock is ahead of Klaviyo's, by its first answer.

        None before there is an answer with a valid ``Date``. Exact to a second and the time of the
        exchange.
        """
        return self._transport.clock_offset()
