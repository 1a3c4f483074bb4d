"""OAuth tokens, and what keeps them: a file, or memory."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from urllib.parse import quote_plus

from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.logs import get_logger
from tap_klaviyo.redaction import hide

logger = get_logger(__name__)

Unlock: TypeAlias = Callable[[], None]

_TOKEN = re.compile("[!-~]+")
"""One word of ASCII, which can be sent in a header."""


@dataclass(frozen=True)
class Tokens:
    """A refresh token, and the access token that it gave; none is "", and has expired.

    ``expires_at`` is in Unix seconds by the clock of this machine.
    """

    refresh: Secret
    access: Secret
    expires_at: float = 0.0

    @classmethod
    def of(cls, refresh: str, access: str = "", expires_at: float = 0.0) -> Tokens:
        """Hides the tokens. Raises ValueError for what is not a token."""
        for token in (refresh, access or "none"):
            if not _TOKEN.fullmatch(token):
                raise ValueError("a token is not one word of ASCII")
        hide(quote_plus(refresh))  # This is how it is sent.
        return cls(Secret(refresh), Secret(access), expires_at)


class TokenStore(Protocol):
    """Where tokens are kept. Locked during a refresh, so that no refresh token is used twice."""

    def try_lock(self) -> Unlock | None:
        """Locks the store; returns what unlocks it, or None if another one has locked it.

        Raises :class:`AccessError` if it cannot be locked.
        """

    def load(self) -> Tokens:
        """The tokens that were saved last. Raises :class:`AccessError` if they cannot be read."""

    def check(self) -> None:
        """Raises :class:`AccessError` if nothing can be saved. Changes nothing."""

    def save(self, tokens: Tokens) -> None:
        """Keeps tokens. Raises :class:`AccessError` if that fails; then those before are kept."""


class TokenMemory:
    """Keeps tokens until the process ends."""

    def __init__(self, refresh_token: Secret) -> None:
        self._tokens = Tokens.of(refresh_token.reveal())
        self._lock = threading.Lock()
        self._warned = False

    def try_lock(self) -> Unlock | None:
        """Locks the store for one of the threads."""
        return self._lock.release if self._lock.acquire(blocking=False) else None

    def load(self) -> Tokens:
        """The tokens that were saved last, at first the refresh token of the settings."""
        return self._tokens

    def check(self) -> None:
        """Does nothing: memory can be written to."""

    def save(self, tokens: Tokens) -> None:
        """Keeps tokens, and warns once if a new refresh token will be lost."""
        is_new = tokens.refresh.reveal() != self._tokens.refresh.reveal()
        self._tokens = tokens
        if is_new and not self._warned:
            self._warned = True
            logger.warning(
                "Klaviyo has replaced the refresh token, and the new one is kept in memory only. "
                "The next run may need it: authorize the app again, and set oauth_token_file to "
                "the path of a file that the tap may write (docs/oauth.md)."
            )
