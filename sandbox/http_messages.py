"""HTTP requests and responses as values, independent of any server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MEDIA_TYPE = "application/vnd.api+json"


@dataclass(frozen=True)
class Request:
    """A request. `query` is still percent-encoded; header names are case-insensitive."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The value of a header, None if it is missing."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), None)


@dataclass(frozen=True)
class PageLinks:
    """URLs of a page of a collection, from which faults build wrong `next` links.

    `url` is the page itself and `first` the first page of the query. `alternate` returns the same
    page as `url` but with another cursor. `fingerprint` is equal for all pages of one query.
    """

    url: str
    first: str
    alternate: str
    fingerprint: int


@dataclass(frozen=True)
class ConnectionFault:
    """A connection failure to simulate while sending a response, by its name in `FAULTS`."""

    name: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Response:
    """A response. `records` counts the records in its body; `fault` names the applied fault."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    records: int = 0
    page_links: PageLinks | None = None
    fault: str | None = None
    connection_fault: ConnectionFault | None = None
