"""OAuth: access tokens that expire or are refused, and a token endpoint that fails."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_runs import CONFIG, run_with
from run_output import ids
from simulated_klaviyo import Arrival, time_limit
from simulated_oauth import OAUTH, SimulatedOAuth

from sandbox import Response
from sandbox.http_messages import Request
from sandbox.oauth import CLIENT_SECRET, REFRESH_TOKEN, TOKEN_PATH
from tap_klaviyo.errors import AccessError, RetryableError, TapError

HOUR = 3600
DAY = 24 * HOUR
AGAIN = "Authorize the app again (docs/oauth.md), and set refresh_token to the new refresh token."


@pytest.fixture(autouse=True)
def limit_time() -> Iterator[None]:
    """Fails a test that hangs."""
    with time_limit():
        yield


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """The token file, or none."""
    return tmp_path / "tokens.json" if request.param == "file" else None


@pytest.mark.parametrize("rotation", [False, True])
def test_a_token_is_refreshed_before_it_expires(path: Path | None, rotation: bool) -> None:
    """One refresh an hour, in time, so that no request is refused."""
    oauth = SimulatedOAuth(path, rotation)
    client = oauth.client()
    for _ in range(100):
        oauth.read(client)
        oauth.klaviyo.pass_time(300)
    assert oauth.requests("/api/lists") == 100
    assert 9 <= oauth.refreshes <= 10


@pytest.mark.parametrize("jump", [-7 * DAY, -HOUR, HOUR, 7 * DAY])
def test_a_wall_clock_that_jumps(path: Path | None, jump: float) -> None:
    """A jump of the local clock neither keeps an expired token nor refreshes a valid one."""
    oauth = SimulatedOAuth(path)
    client = oauth.client()
    oauth.read(client)
    oauth.klaviyo.shift_clock(jump)
    oauth.klaviyo.pass_time(HOUR / 2)
    oauth.read(client)
    assert oauth.refreshes == 1
    oauth.klaviyo.pass_time(HOUR / 2)
    oauth.read(client)
    assert oauth.refreshes == 2


@pytest.mark.parametrize("rotation", [False, True])
def test_a_run_whose_tokens_expire(path: Path | None, rotation: bool) -> None:
    """Tokens that are valid for seconds, and end sooner than announced, lose no event."""
    oauth = SimulatedOAuth(path, rotation)
    oauth.app.lifetime = 10
    for minute in range(100):
        oauth.klaviyo.arrive(Arrival(0, 60 * (minute + 2), "Opened Email"))

    def expire_early(request: Request, answer: Response) -> Response:
        if oauth.klaviyo.requests % 7 == 0:
            oauth.app.expire_access_tokens()
        return answer

    oauth.klaviyo.on_answer = expire_early
    output = oauth.klaviyo.sync({}, page_size=2, concurrency=3, **oauth.settings)
    assert output.fault is None
    assert ids(output.messages)["open"] == set(oauth.klaviyo.events)
    assert oauth.app.refreshes > 5


def test_a_token_that_is_refused_is_refreshed_once(path: Path | None) -> None:
    """A 401 leads to one refresh, and the request is sent again."""
    oauth = SimulatedOAuth(path)
    client = oauth.client()
    oauth.read(client)
    oauth.app.expire_access_tokens()
    oauth.read(client, 3)
    assert (oauth.refreshes, oauth.requests("/api/lists")) == (2, 5)


def test_a_new_token_that_is_refused(path: Path | None) -> None:
    """A second 401, with a new token, ends the run."""
    oauth = SimulatedOAuth(path)
    oauth.klaviyo.api.faults.add("status", path="/api/lists", status=401, times=None)
    with pytest.raises(AccessError, match=r"does not accept a new access token .* \(401\)"):
        oauth.read(oauth.client())
    assert (oauth.refreshes, oauth.requests("/api/lists")) == (2, 2)


def test_a_refusal_of_a_proxy(path: Path | None) -> None:
    """A 401 that is not Klaviyo's says nothing about the token, and is retried."""
    oauth = SimulatedOAuth(path)
    oauth.klaviyo.api.faults.add("status", path="/api/lists", status=401, html=True, times=3)
    oauth.read(oauth.client())
    assert (oauth.refreshes, oauth.requests("/api/lists")) == (1, 4)


def test_the_next_run_uses_the_saved_token(tmp_path: Path) -> None:
    """While the access token in the file is valid, a run refreshes nothing."""
    oauth = SimulatedOAuth(tmp_path / "tokens.json", rotation=True)
    for _ in range(5):
        oauth.read(oauth.client())
        oauth.klaviyo.pass_time(600)
    assert oauth.refreshes == 1
    oauth.klaviyo.pass_time(HOUR)
    oauth.read(oauth.client())
    assert oauth.refreshes == 2


def test_a_new_refresh_token_in_the_settings(tmp_path: Path) -> None:
    """A new grant replaces the file of an older one, once its token has worked."""
    oauth = SimulatedOAuth(tmp_path / "tokens.json", rotation=True)
    oauth.read(oauth.client())
    with pytest.raises(AccessError, match="does not accept the refresh token"):
        oauth.read(oauth.client(refresh_token="mistyped"))
    oauth.read(oauth.client())
    oauth.app.revoke()
    granted = oauth.app.grant()
    with pytest.raises(AccessError, match="does not accept the refresh token"):
        oauth.read(oauth.client())
    for _ in range(2):
        oauth.read(oauth.client(refresh_token=granted))
        oauth.klaviyo.pass_time(2 * HOUR)


def test_memory_warns_of_a_new_refresh_token(caplog: pytest.LogCaptureFixture) -> None:
    """Without a file, one warning says that the next run may need the new token."""
    caplog.set_level(logging.WARNING)
    oauth = SimulatedOAuth(rotation=True)
    client = oauth.client()
    for _ in range(3):
        oauth.read(client)
        oauth.klaviyo.pass_time(HOUR)
    (line,) = caplog.messages
    assert line.startswith("Klaviyo has replaced the refresh token, and the new one is kept in ")
    assert "set oauth_token_file" in line
    with pytest.raises(AccessError, match="does not accept the refresh token"):
        oauth.read(oauth.client())


@pytest.mark.parametrize(("file", "rotation"), [(True, True), (True, False), (False, False)])
def test_nothing_to_warn_of(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, file: bool, rotation: bool
) -> None:
    """With a file, or if the refresh token stays, there is no warning."""
    caplog.set_level(logging.WARNING)
    oauth = SimulatedOAuth(tmp_path / "tokens.json" if file else None, rotation)
    oauth.read(oauth.client())
    assert not caplog.messages


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    """An answer of the token endpoint, as JSON unless the body is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, content, headers)


def error(code: str, status: int) -> Response:
    """A refusal of the token endpoint."""
    return answer({"error": code, "error_description": f"{code}: {REFRESH_TOKEN}"}, status)


def answering(oauth: SimulatedOAuth, *answers: Response) -> list[Request]:
    """Lets the token endpoint give these answers first; returns the requests of it."""
    remaining, received = list(answers), list[Request]()

    def replaced(request: Request, usual: Response) -> Response:
        if request.path != TOKEN_PATH:
            return usual
        received.append(request)
        return remaining.pop(0) if remaining else usual

    oauth.klaviyo.on_answer = replaced
    return received


PASSING: dict[str, Response] = {
    **{f"{status}": answer(b"", status) for status in (500, 502, 503, 504, 520, 524)},
    "429": answer({"error": "throttled"}, 429, **{"Retry-After": "7"}),
    "503 with Retry-After": answer(b"", 503, **{"Retry-After": "7"}),
    "401 of a proxy": answer(b"<html>login</html>", 401),
    "400 without a body": answer(b"", 400),
    "200 of a proxy": answer(b"<html>login</html>"),
    "an array": answer([]),
    "no access token": answer({"refresh_token": "r"}),
    "an access token that cannot be sent": answer({"access_token": "a b"}),
    "a number as a token": answer({"access_token": 1}),
    "a list as a refresh token": answer({"access_token": "a", "refresh_token": ["r"]}),
    "deep nesting": answer(b"[" * 50_000),
}


def test_an_answer_of_the_token_endpoint_that_is_too_large(path: Path | None) -> None:
    """It is an error of the token endpoint, and not of the page that needs the token."""
    oauth = SimulatedOAuth(path)
    answering(oauth, answer(b" " * (2**24 + 1)))
    with pytest.raises(RetryableError, match="larger than 16 MiB"):
        oauth.read(oauth.client())


@pytest.mark.parametrize("first", PASSING.values(), ids=PASSING.keys())
def test_a_token_endpoint_that_fails_for_a_while(path: Path | None, first: Response) -> None:
    """What may pass is retried like a request of the API."""
    oauth = SimulatedOAuth(path)
    received = answering(oauth, first, first, first)
    oauth.read(oauth.client())
    assert len(received) == 4


@pytest.mark.parametrize("first", [PASSING["503"], PASSING["401 of a proxy"], PASSING["an array"]])
def test_a_token_endpoint_that_stays_down(path: Path | None, first: Response) -> None:
    """It is retried for max_retry_wait, and for other requests not again."""
    oauth = SimulatedOAuth(path)
    received = answering(oauth, *[first] * 1000)
    client, started = oauth.client(max_retry_wait="PT10M"), oauth.klaviyo.now
    for _ in range(10):
        with pytest.raises(RetryableError, match="/oauth/token"):
            oauth.read(client)
    assert 500 < oauth.klaviyo.now - started < 700
    assert len(received) < 60


REFUSALS: dict[str, tuple[Response, str]] = {
    "invalid_grant": (error("invalid_grant", 400), f"(400). It was revoked, was not {{}}{AGAIN}"),
    "invalid_grant by 401": (error("invalid_grant", 401), AGAIN),
    "invalid_grant_type": (error("invalid_grant_type", 400), AGAIN),
    "as JSON:API": (answer({"errors": [{"code": "invalid_grant"}]}, 400), AGAIN),
    "without a code": (answer({"detail": REFRESH_TOKEN}, 400), AGAIN),
    "with a token as its code": (error(REFRESH_TOKEN + "?", 400), AGAIN),
    "403": (answer({}, 403), AGAIN),
    "404": (answer({}, 404), AGAIN),
    "410": (answer({}, 410), AGAIN),
    "invalid_client": (error("invalid_client", 401), "Set client_id and client_secret to those of"),
    "invalid_client by 400": (error("invalid_client", 400), "(400). Set client_id and "),
    "invalid_client as JSON:API": (
        answer({"errors": [{"code": "invalid_client"}]}, 401),
        "Set client_id and client_secret to those of the app",
    ),
}


@pytest.mark.parametrize(("refusal", "expected"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refresh_that_is_refused(path: Path | None, refusal: Response, expected: str) -> None:
    """It is not retried, and one line says what to do; it quotes no token."""
    oauth = SimulatedOAuth(path)
    received = answering(oauth, *[refusal] * 10)
    with pytest.raises(AccessError) as caught:
        oauth.read(oauth.client())
    for part in expected.split("{}"):
        assert part in str(caught.value)
    assert REFRESH_TOKEN not in str(caught.value)
    assert len(received) == 1
    assert not oauth.requests("/api/lists")


LIFETIMES: dict[str, Any] = {
    "absent": {},
    **{
        repr(value): {"expires_in": value}
        for value in (None, 3600, "3600", 3600.0, 0, -1, "soon", [], {}, 10**400)
    },
}


@pytest.mark.parametrize("lifetime", LIFETIMES.values(), ids=LIFETIMES.keys())
def test_the_lifetime_of_a_token(lifetime: dict[str, Any]) -> None:
    """A lifetime that is missing or unusable is an hour."""
    oauth = SimulatedOAuth()
    first = answer({"access_token": "a", "token_type": "bearer", **lifetime})
    received = answering(oauth, first)
    oauth.app._expiries["a"] = float("inf")
    client = oauth.client()
    for minutes, refreshes in ((0, 1), (50, 1), (9, 2)):
        oauth.klaviyo.pass_time(60 * minutes)
        oauth.read(client)
        assert len(received) == refreshes


@pytest.mark.parametrize("rotation", [False, True])
def test_a_grant_that_is_revoked(tmp_path: Path, rotation: bool) -> None:
    """A run that can read nothing any more ends with exit code 3 and one line."""
    oauth = SimulatedOAuth(rotation=rotation)
    oauth.app.revoke()
    file = {"oauth_token_file": str(tmp_path / "tokens.json")}
    outcome = run_with(tmp_path, oauth.klaviyo, config={**CONFIG, **OAUTH, **file})
    assert outcome.code == 3
    (line,) = outcome.errors
    assert "Klaviyo does not accept the refresh token (400). " in line
    assert AGAIN in line
    assert not [one for one in outcome.messages if one["type"] == "RECORD"]


def test_a_token_file_that_cannot_be_used(tmp_path: Path) -> None:
    """It ends a run before any request, with one line."""
    for content, expected in (("{}", "is not a token file"), (None, "is not a regular file")):
        file = tmp_path / "tokens.json"
        file.unlink(missing_ok=True)
        file.mkdir() if content is None else file.write_text(content)
        oauth = SimulatedOAuth(file)
        outcome = run_with(tmp_path, oauth.klaviyo, config={**CONFIG, **oauth.settings})
        (line,) = outcome.errors
        assert (outcome.code, oauth.received) == (3, [])
        assert "oauth_token_file: " in line
        assert expected in line


def test_a_full_disk_during_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh token that could not be saved is not used up: the next run goes on."""
    oauth = SimulatedOAuth(tmp_path / "tokens.json", rotation=True)
    client = oauth.client()
    oauth.read(client)
    oauth.klaviyo.pass_time(HOUR)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("tap_klaviyo.klaviyo.token_file.os.fsync", fail)
        with pytest.raises(AccessError, match="No space left"):
            oauth.read(client)
    assert oauth.refreshes == 1
    oauth.read(oauth.client())
    assert oauth.refreshes == 2


def test_no_token_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No log line and no error has a secret, whatever Klaviyo's answers repeat."""
    caplog.set_level(logging.DEBUG)
    oauth = SimulatedOAuth(tmp_path / "tokens.json", rotation=True)
    secrets, shown = {CLIENT_SECRET, REFRESH_TOKEN}, list[str]()
    statuses = iter([200, 403, 401, 200, 401, 400])

    def repeat(request: Request, usual: Response) -> Response:
        secrets.add(request.headers["Authorization"].partition(" ")[2])
        if (status := next(statuses)) == 200:
            secrets.add(json.loads(gzip.decompress(usual.body))["refresh_token"])
            return usual
        quoted = " ".join([*secrets, request.body.decode(), str(dict(request.headers))])
        return answer({"error": quoted, "errors": [{"detail": quoted, "title": quoted}]}, status)

    oauth.klaviyo.on_answer = repeat
    client = oauth.client()
    for _ in range(3):
        with pytest.raises(TapError) as caught:
            oauth.read(client)
        shown.append(str(caught.value))
        oauth.klaviyo.pass_time(2 * HOUR if len(shown) == 2 else 0)
    assert not list(statuses)
    assert len(secrets) == 7
    shown += caplog.text.splitlines()
    assert not [line for line in shown if any(secret in line for secret in secrets)]


def test_scopes_of_the_app(tmp_path: Path) -> None:
    """A missing scope ends a stream, and the advice names the app."""
    oauth = SimulatedOAuth()
    oauth.klaviyo.api._scopes = {"metrics:read", "events:read"}
    config = {**CONFIG, **OAUTH}
    outcome = run_with(tmp_path, oauth.klaviyo, config=config)
    assert outcome.code == 1
    assert "The OAuth app lacks access to /api/lists (403). It needs " in outcome.errors[0]
    assert "or authorize the OAuth app with them: " in outcome.errors[0]


def test_the_request_for_a_token() -> None:
    """It is a form with HTTP Basic, as Klaviyo documents it."""
    oauth = SimulatedOAuth()
    received = answering(oauth)
    oauth.read(oauth.client())
    (request,) = received
    assert request.method == "POST"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["Authorization"].startswith("Basic ")
    assert request.body == f"grant_type=refresh_token&refresh_token={REFRESH_TOKEN}".encode()
