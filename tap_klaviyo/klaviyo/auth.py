"""Authentication: the API key, hidden until it is sent."""

from __future__ import annotations

import requests
from requests.auth import AuthBase

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


class ApiKeyAuth(AuthBase):
    """Sends a private API key with each request.

    Without an ``auth`` requests would send a key from ~/.netrc instead.
    """

    def __init__(self, api_key: Secret) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the header."""
        request.headers["Authorization"] = f"Klaviyo-API-Key {self._api_key.reveal()}"
        return request
