"""The OAuth app: refreshes, rotation, expiry, revocation, and a new authorization."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from sandbox import Account, Api, OAuthApp, Request, Sandbox
from sandbox.oauth import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN

FORM = "application/x-www-form-urlencoded"
BASIC = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()
REDIRECT = "https://app.example/callback"
AUTHORIZE = {
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": REDIRECT,
    "scope": "lists:read",
    "state": "s1",
    "code_challenge_method": "S256",
    "code_challenge": CHALLENGE.rstrip("="),
}


class Grant:
    """An account whose app is used through an `Api`; time stands still at `now`."""

    def __init__(self, account: Account) -> None:
        self.now = 1_000_000.0
        self.app = OAuthApp(clock=lambda: self.now)
        self.api = Api(account, "https://klaviyo.example", oauth=self.app, scopes={"metrics:read"})

    def token(
        self, authorization: str = BASIC, content_type: str = FORM, **form: str
    ) -> tuple[int, dict[str, Any]]:
        """The status and the document of a token request."""
        headers = {"Authorization": authorization, "Content-Type": content_type}
        body = urlencode(form).encode()
        answer = self.api.handle(Request("POST", "/oauth/token", "", headers, body))
        return answer.status, json.loads(answer.body)

    def refresh(self, token: str, **headers: str) -> tuple[int, dict[str, Any]]:
        """The status and the document of a refresh."""
        return self.token(grant_type="refresh_token", refresh_token=token, **headers)

    def authorize(self, **query: str) -> tuple[int, str]:
        """The status and the redirect of an authorization."""
        text = urlencode({**AUTHORIZE, **query})
        answer = self.api.handle(Request("GET", "/oauth/authorize", text))
        return answer.status, answer.headers.get("Location", "")

    def read(self, token: str, path: str = "/api/metrics") -> int:
        """The status of a request of the API."""
        headers = {"Authorization": f"Bearer {token}", "revision": "2026-07-15"}
        return self.api.handle(Request("GET", path, "", headers)).status


@pytest.fixture
def grant(account: Account) -> Grant:
    """The grant of an account that no test may change."""
    return Grant(account)


def test_refresh_without_rotation(grant: Grant) -> None:
    """The refresh token stays, and each refresh gives an access token for an hour."""
    for _ in range(2):
        status, answer = grant.refresh(REFRESH_TOKEN)
        assert (status, answer["expires_in"], answer["token_type"]) == (200, 3600, "Bearer")
        assert "refresh_token" not in answer
    assert grant.read(answer["access_token"]) == 200
    assert grant.app.refreshes == 2


def test_refresh_with_rotation(grant: Grant) -> None:
    """Each refresh gives a new refresh token, and an old one is refused."""
    grant.app.rotation = True
    _, first = grant.refresh(REFRESH_TOKEN)
    status, answer = grant.refresh(REFRESH_TOKEN)
    assert (status, answer["error"]) == (400, "invalid_grant")
    status, second = grant.refresh(first["refresh_token"])
    assert status == 200
    assert len({first["refresh_token"], second["refresh_token"], REFRESH_TOKEN}) == 3


def test_access_tokens(grant: Grant) -> None:
    """An access token expires, has the scopes of the app, and only one that was given is valid."""
    grant.app.lifetime = 60
    _, answer = grant.refresh(REFRESH_TOKEN)
    token = answer["access_token"]
    assert (grant.read(token), grant.read(token, "/api/lists")) == (200, 403)
    assert grant.read("another") == 401
    grant.now += 60
    assert grant.read(token) == 401


@pytest.mark.parametrize("end", [OAuthApp.revoke, OAuthApp.expire_access_tokens])
def test_an_end_of_access(grant: Grant, end: Callable[[OAuthApp], None]) -> None:
    """Without its grant, an app can neither read nor refresh; without access tokens, it can."""
    _, answer = grant.refresh(REFRESH_TOKEN)
    end(grant.app)
    assert grant.read(answer["access_token"]) == 401
    revoked = end is OAuthApp.revoke
    assert grant.refresh(REFRESH_TOKEN)[0] == (400 if revoked else 200)


@pytest.mark.parametrize(
    ("headers", "form", "status", "error"),
    [
        ({"content_type": "application/json"}, {}, 400, "invalid_request"),
        ({"authorization": "Basic eA=="}, {}, 401, "invalid_client"),
        ({"authorization": "Basic ?"}, {}, 401, "invalid_client"),
        ({"authorization": ""}, {}, 401, "invalid_client"),
        ({}, {"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({}, {"grant_type": "refresh_token"}, 400, "invalid_grant"),
        ({}, {"grant_type": "authorization_code", "code": "x"}, 400, "invalid_grant"),
    ],
)
def test_refusals(
    grant: Grant, headers: dict[str, str], form: dict[str, str], status: int, error: str
) -> None:
    """A request that is wrong is refused with an error of RFC 6749."""
    answered, answer = grant.token(**headers, **form)
    assert (answered, answer["error"]) == (status, error)


def test_authorization(grant: Grant) -> None:
    """A code is exchanged for tokens once, within five minutes, by who has the verifier."""

    def exchange(verifier: str = VERIFIER, seconds: float = 0, redirect: str = REDIRECT) -> int:
        status, location = grant.authorize()
        query = parse_qs(urlsplit(location).query)
        assert (status, location.partition("?")[0], query["state"]) == (302, REDIRECT, ["s1"])
        grant.now += seconds
        form = {"code": query["code"][0], "code_verifier": verifier, "redirect_uri": redirect}
        answers = [grant.token(grant_type="authorization_code", **form) for _ in range(2)]
        assert answers[1][0] == 400
        return answers[0][0]

    assert exchange() == 200
    assert grant.app.refresh_token != REFRESH_TOKEN
    assert (exchange("w" * 43), exchange(seconds=300), exchange(redirect="https://x")) == (400,) * 3


@pytest.mark.parametrize(
    "query",
    [
        {"response_type": "token"},
        {"client_id": "another"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
        {"redirect_uri": ""},
        {"scope": ""},
    ],
)
def test_authorization_that_is_refused(grant: Grant, query: dict[str, str]) -> None:
    """An authorization without PKCE, a redirect or scopes is refused."""
    assert grant.authorize(**query)[0] == 400


def test_over_http(account: Account) -> None:
    """The server has both endpoints, its log no token, and its control endpoint the switches."""
    with Sandbox(account) as server:
        form = {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}
        token = f"{server.url}/oauth/token"
        control = f"{server.url}/sandbox/oauth"
        keys = (CLIENT_ID, CLIENT_SECRET)
        assert requests.get(token, timeout=10).status_code == 405
        assert requests.post(control, json={"rotation": True, "lifetime": 9}, timeout=10).ok
        answer = requests.post(token, data=form, auth=keys, timeout=10).json()
        assert answer["expires_in"] == 9
        assert requests.post(control, json={"revoke": True}, timeout=10).json() == {
            "refresh_token": None,
            "refreshes": 1,
        }
        assert requests.post(control, json={"grant": True}, timeout=10).json()["refresh_token"]
        assert answer["refresh_token"] not in repr(server.requests)
        assert REFRESH_TOKEN not in repr(server.requests)
