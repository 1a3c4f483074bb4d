"""Requests and answers as values, and the refusals among the answers."""

import json
import uuid
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


class Refusal(Exception):
    """An answer other than 200: HTTP status, Klaviyo's error code, title and detail.

    `parameter` names the query parameter at fault; without one the source points at the document,
    or by `pointer` at a part of it.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        *,
        parameter: str | None = None,
        pointer: str = "/data/",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.source = {"parameter": parameter} if parameter else {"pointer": pointer}
        self.headers = dict(headers or {})

    def document(self) -> bytes:
        """The JSON:API error document; the same refusal always has the same bytes."""
        error = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.code}:{self.detail}")),
            "status": self.status,
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "source": self.source,
            "links": {},
            "meta": {},
        }
        return json.dumps({"errors": [error]}, ensure_ascii=False, separators=(",", ":")).encode()


def invalid(parameter: str, detail: str) -> Refusal:
    """The 400 for a query parameter that the API does not allow."""
    return Refusal(400, "invalid", "Invalid input.", detail, parameter=parameter)


def unfit(pointer: str, detail: str) -> Refusal:
    """The 400 for a part of a body that the API does not allow, by its JSON pointer."""
    return Refusal(400, "invalid", "Invalid input.", detail, pointer=pointer)
