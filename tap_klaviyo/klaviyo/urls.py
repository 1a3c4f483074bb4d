"""Origins of URLs. Requests, and the API key with them, go to the configured origin only."""

from __future__ import annotations

import re

_URL = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?/[!-\[\]-~]*", re.I)
"""URLs that no two parsers read differently: no user name, no backslash, no control character."""

LONGEST_URL = 200

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL that has a path; None if it has an unusual form."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme = match[1].lower()
    port = int(match[3] or _DEFAULT_PORTS[scheme])
    return (scheme, match[2].lower(), port) if 0 < port < 65_536 else None


def without_query(url: str) -> str:
    """A foreign URL for a message: one short line without scheme and query string."""
    shown = " ".join(url.split("?")[0].split())[:LONGEST_URL]
    return shown.removeprefix("https://").removeprefix("http://")
