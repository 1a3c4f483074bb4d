"""Origins of URLs, so that requests go to the configured one only."""

from __future__ import annotations

import re

_URL = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?/[!-\[\]-~]*", re.I)
"""An address that no two parsers can read differently: no user, no backslash, no odd character."""


_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an address with a path; None for anything unusual."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme = match[1].lower()
    port = int(match[3] or _PORTS[scheme])
    return (scheme, match[2].lower(), port) if 0 < port < 65_536 else None
