"""An HTTP adapter whose connections can be shut down from another thread.

A thread that reads from a socket cannot be interrupted in Python, but it wakes up when another
thread shuts the socket down. So each connection leaves a duplicate of its socket's descriptor here
as soon as it is connected. A duplicate stays valid while TLS wraps the socket and while the
connection is closed, so that no other file can be hit by mistake.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter

MAX_CONNECTIONS = 64
"""Connections that are kept alive: as many as the most workers that can be configured."""


class Connections:
    """The open sockets of one client. Any thread, and a signal handler, may call its methods."""

    def __init__(self) -> None:
        self._duplicates: set[socket.socket] = set()
        self._shut_down = False
        self._lock = threading.RLock()

    def add(self, connected: socket.socket) -> socket.socket:
        """Registers a connected socket and returns its duplicate, for :meth:`discard`."""
        duplicate = connected.dup()
        with self._lock:
            self._duplicates.add(duplicate)
            if self._shut_down:
                _shut_down(duplicate)
        return duplicate

    def discard(self, duplicate: socket.socket) -> None:
        """Forgets a socket whose connection was closed."""
        with self._lock:
            self._duplicates.discard(duplicate)
        duplicate.close()

    def shut_down(self) -> None:
        """Shuts all sockets down, now and as soon as they are connected. All reads then end."""
        with self._lock:
            self._shut_down = True
            for duplicate in self._duplicates:
                _shut_down(duplicate)


class ConnectionAdapter(HTTPAdapter):
    """An adapter of requests that registers its sockets in ``connections``, through proxies too.

    All threads of a client share one adapter, and so its pool of connections.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        super().__init__(pool_maxsize=MAX_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Creates the pools for direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self._register(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Creates, or finds, the pools for a proxy."""
        known = set(self.proxy_manager)
        manager = super().proxy_manager_for(*args, **kwargs)
        if set(self.proxy_manager) != known:
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
                connections.discard(self._duplicate)
                self._duplicate = None

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


def _shut_down(connected: socket.socket) -> None:
    with suppress(OSError):  # The other side may have closed it already.
        connected.shutdown(socket.SHUT_RDWR)
