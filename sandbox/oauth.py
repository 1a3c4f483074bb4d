"""An OAuth app of an account: `/oauth/authorize`, `/oauth/token`, and its access tokens.

Klaviyo does not document whether a refresh token stays the same, so `OAuthApp.rotation` chooses.
Sources: Klaviyo's guide to OAuth; RFC 6749, sections 4.1, 5 and 6; RFC 7636 for PKCE.
"""

import base64
import binascii
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlencode

from sandbox.http_messages import Request, Response

AUTHORIZE_PATH, TOKEN_PATH = "/oauth/authorize", "/oauth/token"
CLIENT_ID, CLIENT_SECRET = "sandbox_app", "sandbox_app_secret"
REFRESH_TOKEN = "sandbox_refresh_token"
_FORM = "application/x-www-form-urlencoded"
_CODE_LIFETIME = 300.0  # seconds


class OAuthError(Exception):
    """An error response of the token endpoint."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description


class OAuthApp:
    """The grant of one account to one app. Thread-safe.

    With `rotation` each refresh answers with a new refresh token, and the old one is refused from
    then on. Access tokens are valid for `lifetime` seconds. Both may be changed at any time.
    `clock` returns Unix seconds. `refreshes` counts the refreshes that succeeded.
    """

    def __init__(
        self,
        *,
        rotation: bool = False,
        lifetime: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rotation = rotation
        self.lifetime = lifetime
        self.refreshes = 0
        self.refresh_token: str | None = REFRESH_TOKEN
        self._clock = clock
        self._expiries: dict[str, float] = {}
        self._codes: dict[str, tuple[dict[str, str], float]] = {}
        self._lock = threading.Lock()

    def revoke(self) -> None:
        """End the grant: no token is accepted any more."""
        with self._lock:
            self.refresh_token = None
            self._expiries.clear()

    def grant(self) -> str:
        """Authorize the app anew; returns the new refresh token."""
        with self._lock:
            self.refresh_token = secrets.token_urlsafe()
            return self.refresh_token

    def accepts(self, access_token: str) -> bool:
        """Whether requests with an access token are authorized now."""
        return self._clock() < self._expiries.get(access_token, 0.0)

    def expire_access_tokens(self) -> None:
        """Refuse all access tokens that were given so far."""
        with self._lock:
            self._expiries.clear()

    def handle(self, request: Request) -> Response:
        """The response to a request of one of the two paths."""
        try:
            if request.path == AUTHORIZE_PATH:
                return self._authorize(dict(parse_qsl(request.query)))
            return _document(200, self._token(request))
        except OAuthError as error:
            document = {"error": error.error, "error_description": error.description}
            return _document(error.status, document)

    def _authorize(self, query: Mapping[str, str]) -> Response:
        """The redirect that follows after the user has agreed, which is at once here."""
        if query.get("response_type") != "code" or query.get("client_id") != CLIENT_ID:
            raise OAuthError(400, "invalid_request", "Expected a code for a known client_id.")
        if query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
            raise OAuthError(400, "invalid_request", "PKCE with S256 is required.")
        if not query.get("redirect_uri") or not query.get("scope"):
            raise OAuthError(400, "invalid_request", "redirect_uri and scope are required.")
        code = secrets.token_urlsafe()
        with self._lock:
            self._codes[code] = dict(query), self._clock() + _CODE_LIFETIME
        answer = urlencode({"code": code, "state": query.get("state", "")})
        return Response(302, b"", {"Location": f"{query['redirect_uri']}?{answer}"})

    def _token(self, request: Request) -> dict[str, object]:
        if (request.header("Content-Type") or "").partition(";")[0] != _FORM:
            raise OAuthError(400, "invalid_request", f"The body has to be {_FORM}.")
        if _basic_credentials(request) != f"{CLIENT_ID}:{CLIENT_SECRET}":
            raise OAuthError(401, "invalid_client", "The client is unknown.")
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        grant_type = form.get("grant_type")
        if grant_type == "authorization_code":
            self._use_code(form)
            return {**self._access_token(), "refresh_token": self.grant()}
        if grant_type != "refresh_token":
            raise OAuthError(400, "unsupported_grant_type", "The grant_type is not supported.")
        with self._lock:
            if self.refresh_token is None or form.get("refresh_token") != self.refresh_token:
                raise OAuthError(400, "invalid_grant", "The refresh token is not valid.")
            self.refreshes += 1
            if not self.rotation:
                return self._access_token()
            self.refresh_token = secrets.token_urlsafe()
            return {**self._access_token(), "refresh_token": self.refresh_token}

    def _use_code(self, form: Mapping[str, str]) -> None:
        with self._lock:
            query, expiry = self._codes.pop(form.get("code", ""), ({}, 0.0))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        redirect = form.get("redirect_uri")
        if (
            self._clock() >= expiry
            or challenge != query.get("code_challenge")
            or redirect != query.get("redirect_uri")
        ):
            raise OAuthError(400, "invalid_grant", "The code is not valid.")

    def _access_token(self) -> dict[str, object]:
        token = secrets.token_urlsafe()
        self._expiries[token] = self._clock() + self.lifetime
        return {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}


def _basic_credentials(request: Request) -> str:
    scheme, _, encoded = (request.header("Authorization") or "").partition(" ")
    try:
        return base64.b64decode(encoded, validate=True).decode() if scheme == "Basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _document(status: int, document: Mapping[str, object]) -> Response:
    return Response(status, json.dumps(document).encode(), {"Content-Type": "application/json"})
