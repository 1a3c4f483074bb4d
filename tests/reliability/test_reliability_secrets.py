"""Credentials are never sent to another host and never written to any output."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from tap_processes import TIMEOUT

from sandbox import Account, OAuthApp, Sandbox
from sandbox.oauth import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN
from tap_klaviyo.discovery.catalog import build_catalog

CANARY = "pk_canary_0123456789abcdef"
APP = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
LIST = {"type": "list", "id": "L1", "attributes": {"name": "News"}}


@dataclass
class CommandResult:
    """The exit code, stdout and stderr of a command."""

    code: int
    out: str
    err: str

    def assert_no_secret(self) -> None:
        """Checks that no output has the key or part of it."""
        assert CANARY not in self.out + self.err
        assert "canary" not in self.out + self.err


@pytest.fixture
def tap(tmp_path: Path) -> Callable[..., CommandResult]:
    """Runs the command with --debug and the canary as its key against a server."""
    entries = [e for e in build_catalog()["streams"] if e["tap_stream_id"] == "lists"]

    def run(url: str, *more: str, **settings: Any) -> CommandResult:
        settings = {"api_key": CANARY, "start_date": "2026-01-01", "base_url": url, **settings}
        files = {"config": settings, "catalog": {"streams": entries}}
        command = [sys.executable, "-m", "tap_klaviyo", "--debug", *more]
        for role, content in files.items():
            path = tmp_path / f"{role}.json"
            path.write_text(json.dumps(content))
            command += [f"--{role}", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
        return CommandResult(done.returncode, done.stdout, done.stderr)

    return run


def page(next_url: str | None) -> bytes:
    """A page with one list and a link to the next page."""
    return json.dumps({"data": [LIST], "links": {"next": next_url}}).encode()


LINKS = {
    "another port": "http://{there}/api/lists",
    "another scheme": "https://{here}/api/lists",
    "no scheme": "//{there}/api/lists",
    "a user": "http://{here}@{there}/api/lists",
    "a user and a password": "http://{host}:80@{there}/api/lists",
    "a backslash": "http://{there}\\@{here}/api/lists",
    "a fragment": "http://{there}#@{here}/api/lists",
    "a question mark": "http://{there}?@{here}/api/lists",
    "a blank": "http://{there} @{here}/api/lists",
    "a tab": "http://{there}\t@{here}/api/lists",
    "a dot": "http://{host}.:{port}/api/lists",
    "a path that is a link": "/http://{there}/api/lists",
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS.keys())
def test_a_link_to_elsewhere_is_not_followed(
    serve: Callable[[], Any], tap: Callable[..., CommandResult], link: str
) -> None:
    """A link to another host is never requested, however it is written."""
    here, there = serve(), serve().answer(page(None))
    target = urlsplit(there.url)
    url = link.format(
        here=urlsplit(here.url).netloc, there=target.netloc, host=target.hostname, port=target.port
    )
    here.answer(page(url)).answer(page(None))
    shown = tap(here.url)
    assert not there.requests
    shown.assert_no_secret()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(
    serve: Callable[[], Any], tap: Callable[..., CommandResult], status: str
) -> None:
    """A redirect to another host is an error."""
    here, there = serve(), serve().answer(page(None))
    here.answer(b"", status, Location=f"{there.url}/api/lists")
    shown = tap(here.url, max_retry_wait=0)
    assert shown.code == 3
    assert not there.requests
    shown.assert_no_secret()


STATUSES = ["200 OK", "400 Bad", "401 No", "403 No", "404 No", "410 Gone", "422 Odd"]


@pytest.mark.parametrize("mode", [[], ["--test"]], ids=["sync", "test"])
@pytest.mark.parametrize("status", STATUSES)
def test_nothing_shows_the_key(
    serve: Callable[[], Any], tap: Callable[..., CommandResult], status: str, mode: list[str]
) -> None:
    """Records, states, logs and tracebacks never have the key, whatever the response."""
    here = serve().answer(page(None), status)
    shown = tap(here.url, *mode)
    assert CANARY in here.requests[0][1]["Authorization"]
    assert shown.code == (0 if status.startswith("200") else 3)
    shown.assert_no_secret()


GRANTS: dict[str, tuple[int, Callable[[Sandbox], object]]] = {
    "good": (0, lambda box: None),
    "revoked": (3, lambda box: box.oauth.revoke()),
    "refused": (3, lambda box: box.faults.add("status", path="/api/*", status=401, times=None)),
}


@pytest.mark.parametrize(("code", "prepare"), GRANTS.values(), ids=GRANTS.keys())
def test_nothing_shows_a_token(
    tap: Callable[..., CommandResult],
    tmp_path: Path,
    code: int,
    prepare: Callable[[Sandbox], object],
) -> None:
    """Neither the output nor a traceback has a secret of an OAuth app."""
    app = OAuthApp(rotation=True)
    with Sandbox(Account.seeded(seed=3, events=10), oauth=app) as box:
        prepare(box)
        file = {"oauth_token_file": str(tmp_path / "tokens.json")}
        shown = tap(box.url, api_key=None, **APP, **file)
    saved = json.loads((tmp_path / "tokens.json").read_text()) if app.refreshes else {}
    tokens = {saved.get(name, "none yet") for name in ("refresh_token", "access_token")}
    assert shown.code == code
    assert not [one for one in {*tokens, CLIENT_SECRET, REFRESH_TOKEN} if one in shown.err]
    assert not [one for one in {*tokens, CLIENT_SECRET, REFRESH_TOKEN} if one in shown.out]


def test_a_server_that_repeats_the_key(
    serve: Callable[[], Any], tap: Callable[..., CommandResult]
) -> None:
    """An error detail that has the key is quoted without it."""
    error = {"detail": f"Key {CANARY} is not good", "source": {"parameter": CANARY}}
    here = serve().answer(json.dumps({"errors": [error]}).encode(), "403 No")
    tap(here.url).assert_no_secret()


def test_a_certificate_that_is_not_valid(
    serve: Callable[[], Any], tap: Callable[..., CommandResult]
) -> None:
    """A server without TLS receives nothing, and the error does not have the key."""
    here = serve().answer(page(None))
    shown = tap(here.url.replace("http://", "https://"), max_retry_wait=0)
    assert shown.code == 3
    assert not here.requests
    shown.assert_no_secret()


@pytest.mark.parametrize(
    "settings",
    [{"start_date": "no"}, {"api_key": f"{CANARY} {CANARY}"}, {"api_key": [CANARY]}],
    ids=["another setting", "a blank in it", "a list"],
)
def test_a_config_that_is_refused(
    tap: Callable[..., CommandResult], settings: dict[str, Any]
) -> None:
    """The error about an invalid config does not have the key."""
    shown = tap("https://a.klaviyo.com", **settings)
    assert shown.code == 2
    shown.assert_no_secret()


SALTED = {"good": ["*.name"], "refused": ["*.id"], "misspelt": ["lists.nmae"], "not text": [1]}


@pytest.mark.parametrize("salt", [CANARY, f"canary of '{CANARY}' \u00e9"], ids=["plain", "escaped"])
@pytest.mark.parametrize("patterns", SALTED.values(), ids=SALTED.keys())
def test_nothing_shows_the_salt(
    serve: Callable[[], Any],
    tap: Callable[..., CommandResult],
    monkeypatch: pytest.MonkeyPatch,
    patterns: list[Any],
    salt: str,
) -> None:
    """Neither a record, a log line nor an error has the salt of hash_fields."""
    monkeypatch.setenv("TAP_KLAVIYO_HASH_SALT", salt)
    shown = tap(serve().answer(page(None)).url, api_key="pk_1", hash_fields=patterns)
    assert shown.code == (0 if patterns == SALTED["good"] else 2)
    assert "News" not in shown.out
    shown.assert_no_secret()


def test_a_server_that_repeats_the_salt(
    serve: Callable[[], Any], tap: Callable[..., CommandResult]
) -> None:
    """An error detail that has the salt is quoted without it."""
    here = serve().answer(json.dumps({"errors": [{"detail": f"{CANARY}!"}]}).encode(), "403 No")
    shown = tap(here.url, api_key="pk_1", hash_fields=["*.name"], hash_salt=CANARY)
    assert "***!" in shown.err
    shown.assert_no_secret()


def test_a_salt_that_is_refused(tap: Callable[..., CommandResult]) -> None:
    """The error about an invalid salt does not have it."""
    shown = tap("https://a.klaviyo.com", hash_fields=["*.name"], hash_salt=f"{CANARY}\n{CANARY}")
    assert shown.code == 2
    assert "hash_salt" in shown.err
    shown.assert_no_secret()


def test_discovery_knows_no_key(tap: Callable[..., CommandResult]) -> None:
    """The catalog has nothing from the config."""
    shown = tap("https://a.klaviyo.com", "--discover")
    assert shown.code == 0
    assert [entry["stream"] for entry in json.loads(shown.out)["streams"]] == ["lists"]
    shown.assert_no_secret()


CREDENTIALS = {
    "plain": "user:canary99@",
    "percent-encoded": "user:can%23ary99@",
    "percent-encoded in lower case": "user:can%2fary99@",
    "percent-encoded letters": "user:can%61ry99@",
    "of two parts": "user:can:ary99@",
    "with an @": "user:can@ary99@",
    "with a slash": "user:can/ary99@",
    "only a user name": "canary99@",
    "three characters": "user:y99@",
}
PROXIES = ["http://{0}{1}", "https://{0}{1}", "{0}{1}", "socks5://{0}{1}", "socks5h://{0}{1}"]


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_nothing_shows_the_password_of_a_proxy(
    serve: Callable[[], Any],
    tap: Callable[..., CommandResult],
    monkeypatch: pytest.MonkeyPatch,
    proxy: str,
    credentials: str,
) -> None:
    """However a password is written, --debug does not show it, encoded or not."""
    here = serve().answer(b"no", "407 Proxy Authentication Required")
    monkeypatch.setenv("HTTPS_PROXY", proxy.format(credentials, urlsplit(here.url).netloc))
    shown = tap("https://klaviyo.invalid", max_retry_wait=0, request_timeout=1)
    assert shown.code == 3
    assert "HTTPS_PROXY" in shown.err
    assert "y99" not in shown.err
    assert b64encode(unquote(credentials[:-1]).encode()).decode() not in shown.err
