"""How the key is kept and sent."""

from __future__ import annotations

import requests
from requests.auth import AuthBase


class Secret:
    """A value that shows itself only when asked: prints, logs and tracebacks get asterisks."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"


class ApiKeyAuth(AuthBase):
    """Sets the key itself: without an ``auth``, requests would take one from ~/.netrc instead."""

    def __init__(self, api_key: Secret) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Adds the header to a request."""
        request.headers["Authorization"] = f"Klaviyo-API-Key {self._api_key.reveal()}"
        return request
