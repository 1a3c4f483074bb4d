"""Authentication: what requests are authorized with, hidden until it is sent."""

from __future__ import annotations

from typing import Protocol

from tap_klaviyo.klaviyo.failures import Refusal, key_refusal
from tap_klaviyo.redaction import hide


class Secret:
    """A value that prints, logs, errors and tracebacks show as asterisks."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        hide(value)

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"


class Auth(Protocol):
    """What the requests of a client are authorized with, from any number of threads."""

    refusal: Refusal
    """What it means that Klaviyo refuses such a request."""

    def header(self) -> str:
        """The header ``Authorization`` of the next request.

        Raises :class:`TapError` if there is none.
        """

    def renew(self, refused: str) -> bool:
        """Whether there is another header than the ``refused`` one, which Klaviyo answered by 401.

        Raises :class:`TapError` if there is none any more.
        """

    def stop(self) -> None:
        """Ends all requests for credentials and waits, now and later. Signal-safe."""

    def close(self) -> None:
        """Stops, and waits until what has been requested is saved. Not for signal handlers."""

    def failing(self) -> list[tuple[str, float]]:
        """The endpoints that do not answer at present: path, seconds since the first failure."""


class ApiKeyAuth:
    """A private API key, which stays the same."""

    refusal: Refusal = staticmethod(key_refusal)

    def __init__(self, api_key: Secret) -> None:
        self._api_key = api_key

    def header(self) -> str:
        """The header with the key."""
        return f"Klaviyo-API-Key {self._api_key.reveal()}"

    def renew(self, refused: str) -> bool:
        """False: there is one key."""
        return False

    def stop(self) -> None:
        """Does nothing: a key is not requested."""

    def close(self) -> None:
        """Does nothing, likewise."""

    def failing(self) -> list[tuple[str, float]]:
        """None, likewise."""
        return []
