"""OAuth: access tokens, which are refreshed before they expire and when Klaviyo refuses one.

Klaviyo does not document whether a refresh gives another refresh token, so both are right. One that
is given is saved before the access token is used: from then on, only it is valid. Threads of one
client, and all who share a :class:`TokenStore`, refresh one after the other. Each of them first
looks whether another one has done it.

Sources: Klaviyo's guide to OAuth; RFC 6749, section 6.
"""

from __future__ import annotations

import base64
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, overload
from urllib.parse import urlencode

from tap_klaviyo.errors import AccessError, ApiError, RetryableError, TapError
from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.klaviyo.exchange import Post
from tap_klaviyo.klaviyo.failures import (
    AGAIN,
    Refusal,
    Unauthorized,
    refresh_refusal,
    token_refusal,
)
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.klaviyo.token_file import TokenFile
from tap_klaviyo.klaviyo.tokens import TokenMemory, Tokens, TokenStore
from tap_klaviyo.klaviyo.transport import Transport

TOKEN_QUERY = Query("/oauth/token", {}, scopes=(), tier="S")
"""The token endpoint. Klaviyo documents no rate limit of it; a run sends one request an hour."""

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}

LIFETIME = 3600.0
"""Seconds for which an access token is valid if Klaviyo does not say so; it documents an hour."""

USED_LIFETIME = 0.9
"""The share of the remaining lifetime of an access token after which it is refreshed."""

STOP_GRACE = 2.0
"""Seconds that a request for tokens has to end after a stop. A run ends that much later at most."""

LOCK_INTERVAL = 0.2
"""Seconds between two looks whether another process has unlocked the store."""


@dataclass(frozen=True)
class OAuthApp:
    """An OAuth app of Klaviyo, and the refresh token that an account has given to it."""

    client_id: str
    client_secret: Secret
    refresh_token: Secret

    def header(self) -> str:
        """The header ``Authorization`` of the app itself, by HTTP Basic."""
        written = f"{self.client_id}:{self.client_secret.reveal()}".encode()
        return f"Basic {Secret(base64.b64encode(written).decode()).reveal()}"


@overload
def store_for(credentials: OAuthApp, path: str | None) -> TokenStore: ...
@overload
def store_for(credentials: Secret | OAuthApp, path: str | None) -> TokenStore | None: ...
def store_for(credentials: Secret | OAuthApp, path: str | None) -> TokenStore | None:
    """What keeps the tokens of an app: the file at ``path``, or memory. An API key needs none."""
    if isinstance(credentials, Secret):
        return None
    refresh_token = credentials.refresh_token
    return TokenFile(path, refresh_token) if path else TokenMemory(refresh_token)


class _AccessToken(NamedTuple):
    """The header with an access token, and when to refresh it by the clock of the client."""

    header: Secret
    refresh_at: float


class OAuth:
    """The access tokens of an app, for any number of threads.

    ``transport`` sends the requests for them and no others. It has a grace of ``STOP_GRACE`` and a
    memory budget of its own: a request that is broken off, or sent again for want of memory, could
    use up the refresh token in vain. ``store`` keeps the tokens; if another one has locked it, it
    is waited for at most ``patience`` seconds. ``clock`` returns seconds and never jumps, ``now``
    is the wall clock in Unix seconds.
    """

    refusal: Refusal = staticmethod(token_refusal)

    def __init__(
        self,
        app: OAuthApp,
        store: TokenStore,
        transport: Transport,
        *,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._app = app
        self._store = store
        self._transport = transport
        self._patience = patience
        self._clock = clock
        self._now = now
        self._token = _AccessToken(Secret(""), -math.inf)
        self._refreshing = threading.Lock()
        self._attempts = 0
        self._error: TapError | None = None

    def header(self) -> str:
        """The header with a valid access token.

        Raises :class:`AccessError` if there is none any more, and what :meth:`Transport.request`
        raises.
        """
        token = self._token
        if self._clock() >= token.refresh_at:
            token = self._replace(token)
        return token.header.reveal()

    def renew(self, refused: str) -> bool:
        """True: gets another access token, unless there is already one. Raises as above."""
        token = self._token
        if token.header.reveal() == refused:
            self._replace(token)
        return True

    def stop(self) -> None:
        """Ends all waits. A request that was sent may go on for ``STOP_GRACE``. Signal-safe."""
        self._transport.stop()

    def close(self) -> None:
        """Stops, and waits until the tokens of a request that was sent are saved."""
        self.stop()
        if self._refreshing.acquire(timeout=2 * STOP_GRACE):
            self._refreshing.release()
        self._transport.close()

    def failing(self) -> list[tuple[str, float]]:
        """The token endpoint, if it does not answer at present."""
        return self._transport.failing()

    def _replace(self, old: _AccessToken) -> _AccessToken:
        """Another access token than ``old``. One thread gets it, and the others wait for it."""
        attempts = self._attempts
        with self._refreshing:
            if self._token is not old:
                return self._token
            if self._attempts != attempts and self._error is not None:
                raise self._error  # Those who have waited fail together, not one after the other.
            self._error = None
            try:
                self._token = self._other_token(old)
            except TapError as error:
                self._error = error
                raise
            finally:
                self._attempts += 1
            return self._token

    def _other_token(self, old: _AccessToken) -> _AccessToken:
        """What another process has saved, or else a new access token."""
        with self._store_locked():
            tokens = self._store.load()
            self._store.check()  # A token that cannot be saved must not be requested.
            if self._remaining(tokens) <= 0 or _header(tokens) == old.header.reveal():
                tokens = self._refreshed(tokens)
                self._store.save(tokens)
        refresh_at = self._clock() + USED_LIFETIME * self._remaining(tokens)
        return _AccessToken(Secret(_header(tokens)), refresh_at)

    def _remaining(self, tokens: Tokens) -> float:
        return tokens.expires_at - self._now()

    def _refreshed(self, tokens: Tokens) -> Tokens:
        """Requests new tokens."""
        form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh.reveal()}
        try:
            return self._transport.request(
                TOKEN_QUERY.path,
                TOKEN_QUERY,
                lambda body: self._parsed(body, tokens),
                authorize=self._app.header,
                refusal=refresh_refusal,
                post=Post(urlencode(form).encode(), FORM),
            )
        except Unauthorized as error:
            raise AccessError(str(error)) from None  # It is not about an access token.
        except ApiError as error:
            raise RetryableError(str(error)) from None  # It is not about the request of the API.

    def _parsed(self, body: Body, old: Tokens) -> Tokens:
        """The tokens in an answer. Raises ValueError for another one."""
        try:
            answer = json.loads(body.decompressed())
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        access = answer.get("access_token") if isinstance(answer, dict) else None
        if not access or not isinstance(access, str):
            raise ValueError("it has no access_token")
        refresh = answer.get("refresh_token") or old.refresh.reveal()
        if not isinstance(refresh, str):
            raise ValueError("its refresh_token is no text")
        expires_at = self._now() + _lifetime(answer.get("expires_in"))
        return Tokens.of(refresh, access, expires_at)

    @contextmanager
    def _store_locked(self) -> Iterator[None]:
        started = self._clock()
        while (unlock := self._store.try_lock()) is None:
            if (waited := self._clock() - started) > self._patience:
                raise RetryableError(
                    "Another run of the tap has been refreshing the access token for "
                    f"{waited:.0f} s, and has locked oauth_token_file." + AGAIN
                )
            self._transport.wait(LOCK_INTERVAL)
        try:
            yield
        finally:
            unlock()


def _header(tokens: Tokens) -> str:
    return f"Bearer {tokens.access.reveal()}"


def _lifetime(expires_in: Any) -> float:
    """The seconds for which an access token is valid."""
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError, OverflowError):
        return LIFETIME
    return seconds if 0 < seconds < math.inf else LIFETIME
