"""Waits and connections that can be ended from another thread or a signal handler.

A thread that reads from a socket cannot be interrupted in Python, but it wakes up when another
thread shuts the socket down. So each connection leaves a duplicate of its socket's descriptor here
as soon as it is connected. A duplicate stays valid while TLS wraps the socket, and while the body
of a response is read whose connection counts as closed already. It is closed when its thread has
read the response (:meth:`Connections.response_read`).

Only the wait for a TCP connection and for DNS cannot be ended.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter

WAIT_SECONDS = 0.5
"""Seconds after which a waiting thread looks at the event again."""

MAX_CONNECTIONS = 64
"""Connections that are kept alive: as many as the most workers that can be configured."""


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


class Connections:
    """The open sockets of one client. Any thread, and a signal handler, may call its methods."""

    def __init__(self) -> None:
        self._duplicates: set[socket.socket] = set()
        self._closed_in_thread = threading.local()
        self._shut_down = False
        self._lock = threading.RLock()

    def add(self, connected: socket.socket) -> socket.socket:
        """Registers a connected socket and returns its duplicate, for :meth:`closed`."""
        duplicate = connected.dup()
        with self._lock:
            self._duplicates.add(duplicate)
            if self._shut_down:
                _shut_down(duplicate)
        return duplicate

    def closed(self, duplicate: socket.socket) -> None:
        """Notes that a connection was closed; the body of its last response may be unread."""
        self._closed_here().append(duplicate)

    def response_read(self) -> None:
        """Closes the duplicates of connections that the calling thread has closed."""
        closed = self._closed_here()
        while closed:
            duplicate = closed.pop()
            with self._lock:
                self._duplicates.discard(duplicate)
            duplicate.close()

    def shut_down(self) -> None:
        """Shuts all sockets down, now and as soon as they are connected. All reads then end."""
        with self._lock:
            self._shut_down = True
            for duplicate in list(self._duplicates):
                _shut_down(duplicate)

    def _closed_here(self) -> list[socket.socket]:
        if not hasattr(self._closed_in_thread, "duplicates"):
            self._closed_in_thread.duplicates = []
        duplicates: list[socket.socket] = self._closed_in_thread.duplicates
        return duplicates


class ConnectionAdapter(HTTPAdapter):
    """An adapter of requests that registers its sockets in ``connections``, through proxies too.

    All threads of a client share one adapter, and so its pool of connections.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
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

    def _register(self, manager: Any) -> None:
        manager.pool_classes_by_scheme = {
            scheme: _registering_pool(pool, self._connections)
            for scheme, pool in manager.pool_classes_by_scheme.items()
        }


def _registering_pool(pool: Any, connections: Connections) -> Any:
    """A subclass of a urllib3 pool whose connections register their sockets."""

    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        _duplicate: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            connected: socket.socket = super()._new_conn()
            self._duplicate = connections.add(connected)
            return connected

        def close(self) -> None:
            super().close()
            if self._duplicate is not None:
                connections.closed(self._duplicate)
                self._duplicate = None

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


def _shut_down(connected: socket.socket) -> None:
    with suppress(OSError):  # The other side may have closed it already.
        connected.shutdown(socket.SHUT_RDWR)
