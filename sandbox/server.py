"""Serves one or several accounts over HTTP."""

import asyncio
import ipaddress
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from types import TracebackType

from aiohttp import web

from sandbox import control
from sandbox.account import Account
from sandbox.api import DEFAULT_API_KEY, Api
from sandbox.faults import Faults
from sandbox.get_requests import GetHandler
from sandbox.http_messages import Request
from sandbox.oauth import TOKEN_PATH, OAuthApp
from sandbox.query_string import parse_pairs
from sandbox.request_log import LoggedRequest
from sandbox.response_sender import send_response

_START_STOP_TIMEOUT = 30.0  # seconds
_SHUTDOWN_TIMEOUT = 0.1  # seconds that open requests may take when the server stops
_MAX_LINE_SIZE = 64 * 1024  # bytes of a request line, which holds long filters


class Sandbox:
    """An HTTP server for an account, or for several of them told apart by their API keys.

    As a context manager it serves in a thread; `run` serves in the foreground. Each response is
    delayed by `latency` seconds, and by `latency_per_record` for each record in it. `more_accounts`
    are further accounts by API key, each with rate limits of its own; the OAuth app belongs to
    `account`. `Api` describes the other options. `url` is the base URL, `requests` the log of
    requests, oldest first, `accounts` has all accounts by API key.
    """

    def __init__(
        self,
        account: Account,
        *,
        more_accounts: Mapping[str, Account] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        key: str = DEFAULT_API_KEY,
        scopes: Collection[str] | None = None,
        limits: float | None = None,
        latency: float = 0.0,
        latency_per_record: float = 0.0,
        get_handler: GetHandler | None = None,
        oauth: OAuthApp | None = None,
        extras: bool = False,
    ) -> None:
        self.account = account
        self.key = key
        self.accounts = {key: account, **(more_accounts or {})}
        self.oauth = oauth or OAuthApp()
        self.faults = Faults()
        self.requests: list[LoggedRequest] = []
        self._socket = socket.create_server((host, port))
        address, bound_port = self._socket.getsockname()[:2]
        self.url = f"http://{address}:{bound_port}"
        self._apis = {
            own_key: Api(
                own_account,
                self.url,
                key=own_key,
                scopes=scopes,
                limits=limits,
                faults=self.faults,
                get_handler=get_handler if own_account is account else None,
                oauth=self.oauth if own_account is account else None,
                extras=extras,
            )
            for own_key, own_account in self.accounts.items()
        }
        self._latency, self._latency_per_record = latency, latency_per_record
        self._in_flight = 0
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Sandbox":
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started.set)), name="sandbox", daemon=True
        )
        self._thread.start()
        if not started.wait(_START_STOP_TIMEOUT):
            raise TimeoutError("the sandbox did not start")
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_START_STOP_TIMEOUT)

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; calls `ready` once the server accepts connections."""
        asyncio.run(self._serve(ready, signals=(signal.SIGTERM, signal.SIGINT)))

    async def _serve(
        self, ready: Callable[[], None], signals: Collection[signal.Signals] = ()
    ) -> None:
        self._loop = asyncio.get_running_loop()
        for signal_number in signals:
            self._loop.add_signal_handler(signal_number, self._stopping.set)
        runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, max_line_size=_MAX_LINE_SIZE),
            shutdown_timeout=_SHUTDOWN_TIMEOUT,
        )
        await runner.setup()
        try:
            await web.SockSite(runner, self._socket).start()
            ready()
            await self._stopping.wait()
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if path.startswith("/sandbox/"):
            if not ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:
                raise web.HTTPForbidden
            return await control.handle(self, request)
        logged = self._log(request, path, query)
        try:
            body = await request.read()
            logged.body = "" if path == TOKEN_PATH else body.decode("utf-8", "replace")
            response = self._api_of(request).handle(
                Request(request.method, path, query, dict(request.headers), body)
            )
            logged.status, logged.fault = response.status, response.fault
            await asyncio.sleep(self._latency + self._latency_per_record * response.records)
            stream, logged.sent = await send_response(request, response)
            return stream
        except ConnectionResetError:  # The client was killed, or has ended the connection.
            return web.Response()
        finally:
            logged.ended = time.time()
            self._in_flight -= 1

    def _api_of(self, request: web.BaseRequest) -> Api:
        """The API of the account that a key belongs to; any other request is of the first one."""
        _, _, key = request.headers.get("Authorization", "").partition(" ")
        return self._apis.get(key, self._apis[self.key])

    def _log(self, request: web.BaseRequest, path: str, query: str) -> LoggedRequest:
        self._in_flight += 1
        logged = LoggedRequest(
            method=request.method,
            path=path,
            query=parse_pairs(query),
            key=_masked(request.headers.get("Authorization", "")),
            user_agent=request.headers.get("User-Agent", ""),
            started=time.time(),
            in_flight=self._in_flight,
        )
        self.requests.append(logged)
        return logged


def _masked(credentials: str) -> str:
    scheme, _, key = credentials.partition(" ")
    return f"{scheme} {key[:3]}…" if key else ""
