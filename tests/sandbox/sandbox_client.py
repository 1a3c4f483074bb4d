"""A client that calls `Api` without a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from sandbox import Api, Request
from sandbox.api import DEFAULT_API_KEY
from sandbox.http_messages import MEDIA_TYPE

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
HEADERS = {"Authorization": f"Klaviyo-API-Key {DEFAULT_API_KEY}", "revision": "2026-07-15"}


class DecodedResponse(NamedTuple):
    """A response with its JSON document."""

    status: int
    document: dict[str, Any]
    headers: dict[str, str]

    @property
    def error(self) -> dict[str, Any]:
        """The only error of an error document."""
        (error,) = self.document["errors"]
        return error

    @property
    def ids(self) -> list[str]:
        """The ids of a page."""
        return [record["id"] for record in self.document["data"]]


class SandboxClient:
    """Sends requests of a revision with a valid API key to an `Api`."""

    def __init__(self, api: Api, revision: str = HEADERS["revision"]) -> None:
        self.api = api
        self.headers = {**HEADERS, "revision": revision}

    def get(self, url: str, headers: dict[str, str] | None = None, **query: str) -> DecodedResponse:
        """GET a URL. Query parameters are keywords: `page__size` stands for `page[size]`."""
        parts = urlsplit(url)
        string = parts.query + urlencode(
            {_parameter(name): value for name, value in query.items()}, quote_via=quote
        )
        return self._send(Request("GET", parts.path, string, headers or self.headers))

    def post(
        self, url: str, type: str, headers: dict[str, str] | None = None, **attributes: Any
    ) -> DecodedResponse:
        """POST a JSON:API document of a type with these attributes."""
        parts = urlsplit(url)
        body = json.dumps({"data": {"type": type, "attributes": attributes}}).encode()
        headers = {**self.headers, "Content-Type": MEDIA_TYPE, **(headers or {})}
        return self._send(Request("POST", parts.path, parts.query, headers, body))

    def pages(self, path: str, **query: str) -> Iterator[DecodedResponse]:
        """All pages, following the `next` links."""
        response = self.get(path, **query)
        yield response
        while response.document["links"]["next"]:
            response = self.get(response.document["links"]["next"])
            assert response.status == 200, response.document
            yield response

    def ids(self, path: str, **query: str) -> list[str]:
        """The ids on all pages."""
        return [id for page in self.pages(path, **query) for id in page.ids]

    def _send(self, request: Request) -> DecodedResponse:
        response = self.api.handle(request)
        return DecodedResponse(response.status, json.loads(response.body), dict(response.headers))


def _parameter(name: str) -> str:
    """`additional_fields__push_token` as `additional-fields[push-token]`."""
    outer, _, inner = name.partition("__")
    outer, inner = outer.replace("_", "-"), inner.replace("_", "-")
    return f"{outer}[{inner}]" if inner else outer
