"""Requests and answers as values, and the refusals among the answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MEDIA_TYPE = "application/vnd.api+json"


@dataclass(frozen=True)
class Request:
    """A request as it came: `query` is still encoded, `headers` are found in any letter case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """A header's value."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), None)


@dataclass(frozen=True)
class Place:
    """Where a page stands among its neighbours.

    `first` is the URL of the first page, `again` one that leads to this very page but differs from
    the one requested; `walk` is the same for all pages of one query.
    """

    url: str
    first: str
    again: str
    walk: int


@dataclass(frozen=True)
class Breakage:
    """How a connection shall break while it carries an answer: a name of `faults.BREAKAGES`."""

    name: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """An answer; `records` counts those on a page, `fault` names what was done to it on request."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    records: int = 0
    place: Place | None = None
    fault: str | None = None
    breakage: Breakage | None = None
