"""The sandbox on a socket of this machine."""

import asyncio
import ipaddress
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import TracebackType

from aiohttp import web

from sandbox import control, response_sender
from sandbox.account import Account
from sandbox.api import KEY, Api
from sandbox.faults import Faults
from sandbox.get_requests import Listing
from sandbox.http_messages import Request
from sandbox.query_string import pairs_of

_TIMEOUT = 30.0
_GRACE = 0.1
_LONGEST_LINE = 64 * 1024


@dataclass
class Seen:
    """One request in the log: times in Unix seconds, `in_flight` with itself, sizes in bytes.

    `status`, `sent` and `ended` are those of the answer and 0 before; the other end may have all of
    it a moment before `ended` is set, but not after the sandbox has stopped. `key` is masked.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    key: str
    user_agent: str
    started: float
    in_flight: int
    status: int = 0
    sent: int = 0
    ended: float = 0.0
    fault: str | None = None
    body: str = ""


class Sandbox:
    """An account behind HTTP: in a thread as a context manager, or served until cancelled.

    `latency` seconds pass before every answer, `latency_per_record` more for each record in it;
    for the other options see `Api`. `url` is where it listens, `requests` the log, oldest first.
    """

    def __init__(
        self,
        account: Account,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        key: str = KEY,
        scopes: Collection[str] | None = None,
        limits: float | None = None,
        latency: float = 0.0,
        latency_per_record: float = 0.0,
        listing: Listing | None = None,
    ) -> None:
        self.account = account
        self.key = key
        self.faults = Faults()
        self.requests: list[Seen] = []
        self._socket = socket.create_server((host, port))
        address, number = self._socket.getsockname()[:2]
        self.url = f"http://{address}:{number}"
        self._api = Api(
            account,
            self.url,
            key=key,
            scopes=scopes,
            limits=limits,
            faults=self.faults,
            listing=listing,
        )
        self._latency, self._latency_per_record = latency, latency_per_record
        self._in_flight = 0
        self._over = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Sandbox":
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started.set)), name="sandbox", daemon=True
        )
        self._thread.start()
        if not started.wait(_TIMEOUT):
            raise TimeoutError("the sandbox did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(_TIMEOUT)

    def run(self, ready: Callable[[], None]) -> None:
        """Serve in the foreground until SIGTERM or SIGINT; `ready` is called when it listens."""
        asyncio.run(self._serve(ready, signals=(signal.SIGTERM, signal.SIGINT)))

    async def _serve(
        self, ready: Callable[[], None], signals: Collection[signal.Signals] = ()
    ) -> None:
        self._loop = asyncio.get_running_loop()
        for number in signals:
            self._loop.add_signal_handler(number, self._over.set)
        runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, max_line_size=_LONGEST_LINE),
            shutdown_timeout=_GRACE,
        )
        await runner.setup()
        try:
            await web.SockSite(runner, self._socket).start()
            ready()
            await self._over.wait()
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if path.startswith("/sandbox/"):
            if not ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:
                raise web.HTTPForbidden
            return await control.handle(self, request)
        seen = self._see(request, path, query)
        try:
            body = await request.read()
            seen.body = body.decode("utf-8", "replace")
            answer = self._api.answer(
                Request(request.method, path, query, dict(request.headers), body)
            )
            seen.status, seen.fault = answer.status, answer.fault
            await asyncio.sleep(self._latency + self._latency_per_record * answer.records)
            response, seen.sent = await response_sender.send(request, answer)
            return response
        finally:
            seen.ended = time.time()
            self._in_flight -= 1

    def _see(self, request: web.BaseRequest, path: str, query: str) -> Seen:
        self._in_flight += 1
        seen = Seen(
            method=request.method,
            path=path,
            query=pairs_of(query),
            key=_masked(request.headers.get("Authorization", "")),
            user_agent=request.headers.get("User-Agent", ""),
            started=time.time(),
            in_flight=self._in_flight,
        )
        self.requests.append(seen)
        return seen


def _masked(credentials: str) -> str:
    scheme, _, key = credentials.partition(" ")
    return f"{scheme} {key[:3]}…" if key else ""
