"""Waits and connections that can be ended from another thread or a signal handler.

A thread that reads from a socket cannot be interrupted in Python, but it wakes up when another
thread shuts the socket down. So each connection leaves a duplicate of its socket's descriptor here
as soon as it is connected. A duplicate stays valid while TLS wraps the socket, and while the body
of a response is read whose connection counts as closed already. It is closed when its thread has
read the response, at the end of the exchange.

The same way bounds an exchange as a whole (:meth:`Connections.exchange`): a timeout of a socket
starts anew with each byte, so that a server could drip its answer for hours.

Only the wait for a TCP connection and for DNS cannot be ended.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from requests.adapters import HTTPAdapter
from requests.exceptions import ReadTimeout

WAIT_SECONDS = 0.5
"""Seconds after which a waiting thread looks at the event again."""

MAX_CONNECTIONS = 64
"""Connections that are kept alive: as many as the most workers that can be configured."""


TOO_SLOW = "the answer takes too long"


class CloseEvent:
    """An event that a signal handler may set at any line of the thread that it interrupts.

    The lock of ``threading.Event`` is not reentrant: the handler could wait for its own thread.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._changed = threading.Condition()

    def is_set(self) -> bool:
        """Whether the event was set."""
        return self._is_set

    def set(self) -> None:
        """Sets the event, which ends all waits for it."""
        self._is_set = True
        with self._changed:
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Waits for the event, at most ``seconds``; returns whether it was set."""
        end = time.monotonic() + seconds
        with self._changed:
            while not self._is_set and (left := end - time.monotonic()) > 0:
                # A signal that arrives just before the wait is noticed after it.
                self._changed.wait(min(left, WAIT_SECONDS))
        return self._is_set


@dataclass(eq=False)
class _Exchange:
    """A request and its answer, in one thread, until ``deadline`` by the monotonic clock.

    ``sockets`` are the duplicates of those that it uses, ``closed`` of those that it has closed.
    """

    deadline: float
    sockets: list[socket.socket] = field(default_factory=list)
    closed: list[socket.socket] = field(default_factory=list)
    is_late: bool = False


class Connections:
    """The open sockets of one client. Any thread, and a signal handler, may call its methods.

    ``grace`` is for how many seconds exchanges may go on after :meth:`shut_down`.
    """

    def __init__(self, grace: float = 0.0) -> None:
        self._grace = grace
        self._last_deadline = math.inf
        self._duplicates: set[socket.socket] = set()
        self._thread = threading.local()
        self._running: set[_Exchange] = set()
        self._watching = False
        self._shut_down = CloseEvent()
        self._lock = threading.RLock()

    @contextmanager
    def exchange(self, seconds: float) -> Iterator[None]:
        """An exchange in the calling thread; its sockets are shut down after ``seconds``.

        Raises :class:`requests.exceptions.ReadTimeout` if it took longer.
        """
        exchange = _Exchange(min(time.monotonic() + seconds, self._last_deadline))
        self._thread.exchange = exchange
        self._watch(exchange)
        try:
            yield
        except Exception as error:
            if exchange.is_late:
                raise ReadTimeout(TOO_SLOW) from error
            raise
        finally:
            with self._lock:
                self._running.discard(exchange)
            self._thread.exchange = None
            self._forget(exchange.closed)
        if exchange.is_late:
            # The end of a body without a length looks like a whole body.
            raise ReadTimeout(TOO_SLOW)

    def add(self, connected: socket.socket) -> socket.socket:
        """Registers a connected socket and returns its duplicate, for :meth:`closed`."""
        duplicate = connected.dup()
        with self._lock:
            self._duplicates.add(duplicate)
            if self._shut_down.is_set():
                _shut_down(duplicate)
        self.use(duplicate)
        return duplicate

    def use(self, duplicate: socket.socket) -> None:
        """Notes that the exchange of the calling thread uses a connection."""
        exchange = self._exchange_here()
        if exchange is not None:
            with self._lock:
                exchange.sockets.append(duplicate)
                if exchange.is_late:
                    _shut_down(duplicate)

    def closed(self, duplicate: socket.socket) -> None:
        """Notes that a connection was closed; the body of its last response may be unread."""
        exchange = self._exchange_here()
        if exchange is None:
            self._forget([duplicate])
        else:
            exchange.closed.append(duplicate)

    def shut_down(self) -> None:
        """Shuts all sockets down, now and as soon as they are connected. All reads then end.

        If there is a ``grace``, this happens to those of exchanges that have not ended by then.
        """
        if self._grace:
            self._last_deadline = min(self._last_deadline, time.monotonic() + self._grace)
            with self._lock:
                for exchange in list(self._running):
                    exchange.deadline = min(exchange.deadline, self._last_deadline)
            return
        self._shut_down.set()
        with self._lock:
            for duplicate in list(self._duplicates):
                _shut_down(duplicate)

    def _exchange_here(self) -> _Exchange | None:
        return getattr(self._thread, "exchange", None)

    def _forget(self, closed: list[socket.socket]) -> None:
        for duplicate in closed:
            with self._lock:
                self._duplicates.discard(duplicate)
            duplicate.close()

    def _watch(self, exchange: _Exchange) -> None:
        with self._lock:
            self._running.add(exchange)
            if not self._watching:
                # Without a thread, the next exchange tries again. The timeouts of sockets remain.
                with suppress(RuntimeError, MemoryError):
                    threading.Thread(target=self._watch_deadlines, daemon=True).start()
                    self._watching = True

    def _watch_deadlines(self) -> None:
        """Shuts down the sockets of exchanges that are late, as long as there are exchanges."""
        while (seconds := self._next_deadline()) is not None:
            if self._shut_down.wait(min(seconds, WAIT_SECONDS)):
                return

    def _next_deadline(self) -> float | None:
        """Shuts down what is late; returns the seconds to the next deadline, None for none."""
        now = time.monotonic()
        with self._lock:
            for exchange in self._running:
                if exchange.deadline <= now:
                    exchange.is_late = True
                    for duplicate in exchange.sockets:
                        _shut_down(duplicate)
            self._watching = bool(self._running)
            pending = [one.deadline - now for one in self._running if not one.is_late]
        return min(pending, default=WAIT_SECONDS) if self._watching else None


class ConnectionAdapter(HTTPAdapter):
    """An adapter of requests that registers its sockets in ``connections``, through proxies too.

    All threads of a client share one adapter, and so its pool of connections.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._pools: list[Any] = []
        self._finding_proxy = threading.Lock()
        super().__init__(pool_maxsize=MAX_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Creates the pools for direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self._register(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Creates, or finds, the pools for a proxy."""
        with self._finding_proxy:
            known = len(self.proxy_manager)
            manager = super().proxy_manager_for(*args, **kwargs)
            if len(self.proxy_manager) != known:
                self._register(manager)
        return manager

    def close(self) -> None:
        """Closes all connections: idle ones now, others when their threads have finished.

        urllib3 leaves that to the garbage collector.
        """
        super().close()
        for pool in self._pools:
            pool.close()

    def _register(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {
            scheme: _registering_pool(pool, self._connections, self._pools)
            for scheme, pool in manager.pool_classes_by_scheme.items()
        }


def _registering_pool(pool: Any, connections: Connections, pools: list[Any]) -> Any:
    """A subclass of a urllib3 pool that adds itself to ``pools``.

    Its connections register their sockets.
    """
    closing = threading.RLock()

    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        _duplicate: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            connected: socket.socket = super()._new_conn()
            self._duplicate = connections.add(connected)
            return connected

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self._duplicate is not None:
                connections.use(self._duplicate)
            super().request(*args, **kwargs)

        def close(self) -> None:
            super().close()
            if self._duplicate is not None:
                connections.closed(self._duplicate)
                self._duplicate = None

    class Pool(pool):  # type: ignore[misc]
        ConnectionCls = Connection

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            pools.append(self)

        def close(self) -> None:
            with closing:
                super().close()

        def _put_conn(self, connection: Any) -> None:
            with closing:  # Or it could be put into a pool that has just been closed.
                super()._put_conn(connection)

    Pool.__name__ = pool.__name__
    return Pool


def _shut_down(connected: socket.socket) -> None:
    with suppress(OSError):  # The other side may have closed it already.
        connected.shutdown(socket.SHUT_RDWR)
