"""Outages of a simulated Klaviyo: all requests to some endpoints fail for a time."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import requests
import urllib3

from sandbox import Response

HANDSHAKE = "EOF occurred in violation of protocol (_ssl.c:1006)"
ALERT = "[SSL: TLSV1_ALERT_INTERNAL_ERROR] tlsv1 alert internal error (_ssl.c:1006)"
BLOCKED = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"


def _html(status: int, **headers: str) -> Callable[[], Response]:
    """A page of a proxy in front of Klaviyo."""
    return lambda: Response(status, BLOCKED, {"Content-Type": "text/html", **headers})


def _error(cause: Exception) -> Callable[[], Exception]:
    """A connection that fails with this cause, as requests reports it."""
    pool = urllib3.HTTPSConnectionPool("klaviyo.example")
    kind = requests.exceptions.SSLError if isinstance(cause, ssl.SSLError) else None
    reason = urllib3.exceptions.MaxRetryError(pool, "/api", cause)
    return lambda: (kind or requests.ConnectionError)(reason)


OUTAGES: Mapping[str, tuple[float, Callable[[], Response | Exception]]] = {
    "503": (0.0, lambda: Response(503, b'{"errors": []}')),
    "503, later": (0.0, lambda: Response(503, b'{"errors": []}', {"Retry-After": "20"})),
    "403 of a firewall": (0.0, _html(403, **{"cf-mitigated": "challenge"})),
    "a login page": (0.0, _html(200)),
    "reset": (0.0, _error(ConnectionResetError(104, "Connection reset by peer"))),
    "no name": (1.0, _error(OSError("Name or service not known"))),
    "handshake": (0.0, _error(ssl.SSLEOFError(8, HANDSHAKE))),
    "alert": (0.0, _error(ssl.SSLError(1, ALERT))),
    "no connection": (10.0, lambda: requests.ConnectTimeout("timed out")),
    "slow headers": (60.0, lambda: requests.ReadTimeout("Read timed out.")),
}
"""How long a request takes during an outage, in seconds, and what comes of it."""


@dataclass(frozen=True)
class Outage:
    """From ``after`` seconds on, all requests whose path matches fail for ``seconds``."""

    after: float
    seconds: float
    path: str
    kind: str

    def covers(self, now: float, path: str) -> bool:
        """Whether a request now, in seconds since the outage was announced, fails."""
        is_time = self.after <= now < self.after + self.seconds
        return is_time and fnmatchcase(path.rstrip("/"), self.path)
