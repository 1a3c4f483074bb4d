"""OAuth: a kill at any step of a refresh, and several threads and processes at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from run_output import Killed
from simulated_klaviyo import time_limit
from simulated_oauth import OAUTH, SimulatedOAuth
from tap_processes import TIMEOUT

from sandbox import Account, OAuthApp, Sandbox
from tap_klaviyo import Tap
from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.errors import AccessError, RetryableError, Stopped
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.queries import Query
from tap_klaviyo.klaviyo.token_file import TokenFile

LISTS = Query("/api/lists", {}, scopes=("lists:read",), tier="XL")
"""A list with a rate limit that these tests do not reach."""

STEPS = ("open", "fchmod", "fsync", "replace", "close")
"""What the token file calls of the system."""


@pytest.fixture(autouse=True)
def limit_time() -> Iterator[None]:
    """Fails a test that hangs."""
    with time_limit():
        yield


class Steps:
    """The module ``os`` as the token file sees it. It counts calls, and kills before one of them.

    ``called`` has the names of the calls so far.
    """

    def __init__(self, fatal: int | None = None) -> None:
        self.fatal = fatal
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        return self._counted(name, function) if name in STEPS else function

    def note(self, name: str) -> None:
        """Counts a step; raises Killed before the fatal one and all that follow."""
        self.called.append(name)
        if self.fatal is not None and len(self.called) > self.fatal:
            raise Killed

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if name == "close":
                function(*arguments)  # The system does that when it kills a process.
            self.note(name)
            return None if name == "close" else function(*arguments)

        return call


def refresh(oauth: SimulatedOAuth, patch: pytest.MonkeyPatch, steps: Steps) -> None:
    """Makes one run that refreshes its access token."""
    oauth.on_refresh = lambda: steps.note("answered")
    with patch.context() as watched:
        watched.setattr("tap_klaviyo.klaviyo.token_file.os", steps)
        try:
            oauth.read(oauth.client())
        finally:
            oauth.on_refresh = lambda: None


@pytest.mark.parametrize("rotation", [False, True])
@pytest.mark.parametrize("earlier", [False, True], ids=["no file", "a file"])
def test_a_kill_at_any_step_of_a_refresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rotation: bool, earlier: bool
) -> None:
    """The next run goes on, unless the only valid token was lost; then it says what to do."""

    def run_after(name: str) -> SimulatedOAuth:
        oauth = SimulatedOAuth(tmp_path / f"{name}.json", rotation)
        if earlier:
            oauth.read(oauth.client())
            oauth.klaviyo.pass_time(2 * 3600)
        return oauth

    complete = Steps()
    refresh(run_after("complete"), monkeypatch, complete)
    answered = complete.called.index("answered")
    replaced = complete.called.index("replace")
    assert 0 < answered < replaced < len(complete.called) - 1
    for fatal in range(len(complete.called)):
        oauth = run_after(str(fatal))
        with pytest.raises(Killed):
            refresh(oauth, monkeypatch, Steps(fatal))
        if rotation and answered <= fatal <= replaced:
            with pytest.raises(AccessError, match="lost when a run was killed"):
                oauth.read(oauth.client())
        else:
            oauth.read(oauth.client())


@pytest.fixture(scope="module")
def account() -> Account:
    """A small account."""
    return Account.seeded(seed=3, events=200)


@pytest.fixture(params=[False, True], ids=["no rotation", "rotation"])
def box(request: pytest.FixtureRequest, account: Account) -> Iterator[Sandbox]:
    """A server of the account, with an app."""
    with Sandbox(account, oauth=OAuthApp(rotation=request.param)) as box:
        yield box


def settings_of(box: Sandbox, file: Path | None) -> dict[str, Any]:
    """The settings for an account, with a token file or none."""
    required = {"base_url": box.url, "start_date": "2026-01-01"}
    return {**required, **OAUTH, "oauth_token_file": str(file) if file else None}


def read(client: Client) -> bytes:
    """Requests a page of lists."""
    return client.request("/api/lists", LISTS, lambda body: body.decompressed())


@pytest.mark.parametrize("kept", ["memory", "file"])
def test_many_threads_whose_token_is_refused(box: Sandbox, tmp_path: Path, kept: str) -> None:
    """A token that 32 threads use when it is refused is refreshed once."""
    file = tmp_path / "tokens.json" if kept == "file" else None
    client = client_for(parse_config(settings_of(box, file)))
    together = threading.Barrier(32)

    def read_together(_: int) -> bytes:
        together.wait(TIMEOUT)
        return read(client)

    with ThreadPoolExecutor(32) as threads:
        for refreshes in (1, 2, 3):
            assert len(list(threads.map(read_together, range(32)))) == 32
            assert box.oauth.refreshes == refreshes
            box.oauth.expire_access_tokens()
    client.close()


def test_many_clients_with_one_token_file(box: Sandbox, tmp_path: Path) -> None:
    """Of clients that share a file, one refreshes, and the others use what it has saved."""
    config = parse_config(settings_of(box, tmp_path / "tokens.json"))
    clients = [client_for(config, sleep=lambda seconds: time.sleep(0.001)) for _ in range(8)]
    together = threading.Barrier(8)

    def read_together(client: Client) -> bytes:
        together.wait(TIMEOUT)
        return read(client)

    with ThreadPoolExecutor(8) as threads:
        for refreshes in (1, 2, 3, 4):
            assert len(list(threads.map(read_together, clients))) == 8
            assert box.oauth.refreshes == refreshes
            box.oauth.expire_access_tokens()
    for client in clients:
        client.close()


def test_runs_of_one_tap_share_tokens(box: Sandbox) -> None:
    """Without a file, too, each run of a ``Tap`` goes on with the tokens of the run before."""
    tap = Tap(settings_of(box, None))
    for _ in range(2):
        assert len(list(tap.records("lists"))) == len(box.account.list_ids())
    assert box.oauth.refreshes == 1


def test_many_processes_with_one_token_file(box: Sandbox, tmp_path: Path) -> None:
    """Commands that start at the same time refresh once; each reads all records."""
    entries = [one for one in build_catalog()["streams"] if one["tap_stream_id"] == "lists"]
    (tmp_path / "catalog.json").write_text(json.dumps({"streams": entries}))
    (tmp_path / "config.json").write_text(json.dumps(settings_of(box, tmp_path / "tokens.json")))
    files = ["--config", tmp_path / "config.json", "--catalog", tmp_path / "catalog.json"]
    command = [sys.executable, "-m", "tap_klaviyo", *files]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
    ]
    for process in started:
        out, err = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0, err
        assert out.count(b'"RECORD"') == len(box.account.list_ids())
    assert box.oauth.refreshes == 1


def test_a_file_that_stays_locked(tmp_path: Path) -> None:
    """Another process that never unlocks the file is waited for, but not for ever."""
    oauth = SimulatedOAuth(tmp_path / "tokens.json")
    client = oauth.client(max_retry_wait="PT5M", request_timeout=30)
    credentials = parse_config({"start_date": "2026-01-01", **oauth.settings}).refresh_token
    assert credentials is not None
    unlock = TokenFile(str(tmp_path / "tokens.json"), credentials).try_lock()
    assert unlock is not None
    with pytest.raises(RetryableError, match="has been refreshing the access token for 300 s"):
        oauth.read(client)
    unlock()
    oauth.read(client)


def test_a_stop_during_the_wait_for_a_lock(tmp_path: Path, box: Sandbox) -> None:
    """A run that is stopped does not wait for the lock any more."""
    config = parse_config(settings_of(box, tmp_path / "tokens.json"))
    assert config.refresh_token is not None
    unlock = TokenFile(str(tmp_path / "tokens.json"), config.refresh_token).try_lock()
    client = client_for(config)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(read, client)
        client.stop()
        error = waiting.exception(TIMEOUT)
    assert "stopped" in str(error)
    assert unlock is not None
    unlock()


def test_a_stop_during_a_refresh(tmp_path: Path, account: Account) -> None:
    """Tokens that Klaviyo has been asked for are saved before a run that is stopped ends."""
    app = OAuthApp(rotation=True)
    with Sandbox(account, oauth=app, latency=0.3) as box, ThreadPoolExecutor(1) as threads:
        config = parse_config(settings_of(box, tmp_path / "tokens.json"))
        client = client_for(config)
        reading = threads.submit(read, client)
        while not app.refreshes:
            assert not reading.done()
        client.stop()
        client.close()
        assert isinstance(reading.exception(TIMEOUT), Stopped)
        assert read(client_for(config))
    assert app.refreshes == 1


def test_a_stop_while_the_token_endpoint_is_silent(tmp_path: Path, account: Account) -> None:
    """A run that is stopped ends within five seconds, also if no tokens come."""
    with Sandbox(account) as box, ThreadPoolExecutor(1) as threads:
        box.faults.add("silence", path="/oauth/token", times=None)
        client = client_for(parse_config(settings_of(box, tmp_path / "tokens.json")))
        reading = threads.submit(read, client)
        while not box.oauth.refreshes:
            assert not reading.done()
        started = time.monotonic()
        client.stop()
        client.close()
        assert isinstance(reading.exception(TIMEOUT), Stopped)
        assert time.monotonic() - started < 5
