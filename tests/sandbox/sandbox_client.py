"""A way to ask the API about an account without a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from sandbox import Api, Request
from sandbox.api import KEY
from sandbox.http_messages import MEDIA_TYPE

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
HEADERS = {"Authorization": f"Klaviyo-API-Key {KEY}", "revision": "2026-07-15"}


class Reply(NamedTuple):
    """An answer, decoded."""

    status: int
    document: dict[str, Any]
    headers: dict[str, str]

    @property
    def error(self) -> dict[str, Any]:
        """The only error of a refusal."""
        (error,) = self.document["errors"]
        return error

    @property
    def ids(self) -> list[str]:
        """The ids of a page."""
        return [record["id"] for record in self.document["data"]]


class Asking:
    """Asks an API about its account, as a client with a key would."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def __call__(self, url: str, headers: dict[str, str] | None = None, **query: str) -> Reply:
        """One answer; the parameters of a query are given with `__` for brackets."""
        parts = urlsplit(url)
        string = parts.query + urlencode(
            {_parameter(name): value for name, value in query.items()}, quote_via=quote
        )
        answer = self.api.answer(Request("GET", parts.path, string, headers or HEADERS))
        return Reply(answer.status, json.loads(answer.body), dict(answer.headers))

    def post(
        self, url: str, kind: str, headers: dict[str, str] | None = None, **attributes: Any
    ) -> Reply:
        """The answer to a body of a type with these attributes."""
        parts = urlsplit(url)
        body = json.dumps({"data": {"type": kind, "attributes": attributes}}).encode()
        headers = {**HEADERS, "Content-Type": MEDIA_TYPE, **(headers or {})}
        answer = self.api.answer(Request("POST", parts.path, parts.query, headers, body))
        return Reply(answer.status, json.loads(answer.body), dict(answer.headers))

    def pages(self, path: str, **query: str) -> Iterator[Reply]:
        """All pages, along the next links."""
        reply = self(path, **query)
        yield reply
        while reply.document["links"]["next"]:
            reply = self(reply.document["links"]["next"])
            assert reply.status == 200, reply.document
            yield reply

    def ids(self, path: str, **query: str) -> list[str]:
        """The ids on all pages."""
        return [id for page in self.pages(path, **query) for id in page.ids]


def _parameter(name: str) -> str:
    word, _, inside = name.partition("__")
    word, inside = word.replace("_", "-"), inside.replace("_", "-")
    return f"{word}[{inside}]" if inside else word
