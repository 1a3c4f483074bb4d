"""Faults that a network, a proxy or an API can cause, injected on request.

Each entry of `FAULTS` is a function from a response to a faulty one, with its options as keyword
arguments. It returns None if it does not apply, such as a wrong `next` link to a response without
links; the fault then waits for the next response.
"""

import inspect
import json
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from sandbox.documents import dumps
from sandbox.errors import ApiError, invalid_parameter
from sandbox.http_messages import ConnectionFault, PageLinks, Request, Response

FaultFunction: TypeAlias = Callable[..., Response | None]

_HTML = b"<!DOCTYPE html><html><head><title>Error</title></head><body>cloudflare</body></html>"
_CODES = {
    400: "invalid",
    401: "authentication_failed",
    403: "permission_denied",
    404: "not_found",
    410: "gone",
    429: "throttled",
}


def _status(
    response: Response,
    *,
    status: int = 503,
    retry_after: str | int | None = None,
    html: bool | None = None,
) -> Response:
    """Another status; with an HTML body if `html`, which is the default from 520 on."""
    error = ApiError(status, _CODES.get(status, "error"), "A fault.", "A fault was asked for.")
    headers = _without_rate_limits(response)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    faulty = replace(response, status=status, headers=headers, body=error.document(), records=0)
    return _html(faulty) if html or (html is None and status >= 520) else faulty


def _invalid_cursor(response: Response) -> Response:
    """The error of an invalid cursor."""
    error = invalid_parameter("page[cursor]", "Invalid cursor provided.")
    return replace(response, status=error.status, body=error.document(), records=0)


def _html(response: Response) -> Response:
    """An HTML page instead of the document."""
    return replace(response, body=_HTML, headers={**response.headers, "Content-Type": "text/html"})


def _body(response: Response, *, body: str | bytes) -> Response:
    """The given bytes instead of the document."""
    return replace(response, body=body.encode() if isinstance(body, str) else body)


def _not_json(response: Response) -> Response:
    """An incomplete JSON document."""
    return replace(response, body=b'{"data": [{"type": ')


def _empty(response: Response) -> Response:
    """An empty body."""
    return replace(response, body=b"")


def _array(response: Response) -> Response:
    """An array instead of the document."""
    return replace(response, body=b"[]")


def _no_data(response: Response) -> Response | None:
    """A document without `data`."""
    return _edited(response, lambda document: document.pop("data"))


def _unsorted(response: Response) -> Response | None:
    """The records of a page in reverse order."""
    if response.records < 2:
        return None
    return _edited(response, lambda document: document["data"].reverse())


class _Repeated:
    """The last record of a page again as the first of the next page."""

    def __init__(self) -> None:
        self._last: dict[int, Any] = {}

    def __call__(self, response: Response) -> Response | None:
        links = response.page_links
        if links is None or not response.records:
            return None
        previous = self._last.get(links.fingerprint)
        self._last[links.fingerprint] = json.loads(response.body)["data"][-1]
        if previous is None or links.url == links.first:
            return None
        return _edited(response, lambda document: document["data"].insert(0, previous))


class _Late:
    """A record `back` before the end of a page, after the first `by` of the next one instead."""

    def __init__(self) -> None:
        self._held: dict[int, Any] = {}

    def __call__(self, response: Response, *, back: int = 2, by: int = 0) -> Response | None:
        links = response.page_links
        if links is None:
            return None
        document = json.loads(response.body)
        held = self._held.pop(links.fingerprint, None) if links.url != links.first else None
        if document["links"]["next"] and len(document["data"]) >= back:
            self._held[links.fingerprint] = document["data"].pop(-back)
        if held is not None:
            document["data"].insert(by, held)
        return replace(response, body=dumps(document))


def _empty_page(response: Response) -> Response | None:
    """A page without records whose `next` link leads to the records it should have had."""

    def empty(document: dict[str, Any], links: PageLinks) -> None:
        document["data"] = []
        document["links"]["next"] = links.alternate
        if "included" in document:
            document["included"] = []

    links = response.page_links
    return None if links is None else _edited(response, lambda document: empty(document, links))


def _next_host(response: Response, *, host: str = "elsewhere.example") -> Response | None:
    """A `next` link to another host."""
    return _with_next_link(response, lambda link, _: urlunsplit((link[0], host, *link[2:])))


def _next_scheme(response: Response, *, scheme: str = "http") -> Response | None:
    """A `next` link with another scheme; choose one that the server does not use."""
    return _with_next_link(response, lambda link, _: urlunsplit((scheme, *link[1:])))


def _next_self(response: Response) -> Response | None:
    """A `next` link to the page itself."""
    return _with_next_link(response, lambda _, links: links.url)


def _next_loop(response: Response) -> Response | None:
    """A `next` link from a later page to the first page."""
    links = response.page_links
    if links and links.url == links.first:
        return None
    return _with_next_link(response, lambda _, links: links.first)


def _reset(response: Response) -> Response:
    """A connection reset before the response."""
    return _with_connection_fault(response, "reset")


def _reset_in_body(response: Response) -> Response:
    """A connection reset in the middle of the body."""
    return _with_connection_fault(response, "reset_in_body")


def _truncated(response: Response) -> Response:
    """A connection closed normally after half of the promised length."""
    return _with_connection_fault(response, "truncated")


def _drip(response: Response, *, pieces: int = 20, seconds: float = 0.05) -> Response:
    """The body in `pieces`, one every `seconds`."""
    return _with_connection_fault(response, "drip", pieces=pieces, seconds=seconds)


def _silence(response: Response, *, seconds: float = 600.0) -> Response:
    """Nothing for `seconds`, then a reset."""
    return _with_connection_fault(response, "silence", seconds=seconds)


FAULTS: Mapping[str, FaultFunction | type[_Repeated] | type[_Late]] = {
    "array": _array,
    "body": _body,
    "drip": _drip,
    "empty": _empty,
    "empty_page": _empty_page,
    "html": _html,
    "late": _Late,
    "invalid_cursor": _invalid_cursor,
    "next_host": _next_host,
    "next_loop": _next_loop,
    "next_scheme": _next_scheme,
    "next_self": _next_self,
    "no_data": _no_data,
    "not_json": _not_json,
    "repeated": _Repeated,
    "reset": _reset,
    "reset_in_body": _reset_in_body,
    "silence": _silence,
    "status": _status,
    "truncated": _truncated,
    "unsorted": _unsorted,
}


@dataclass
class Fault:
    """A fault that waits for matching requests.

    A request matches if `path` (a glob) matches its path, its decoded query contains `query`, and
    its body contains `sent`.
    The fault skips the first `at - 1` matches. It then applies with `probability`, at most `times`
    times (None: without limit). `matched` and `applied` count the requests.
    """

    name: str
    function: FaultFunction
    path: str
    query: str
    sent: str
    at: int
    times: int | None
    probability: float
    options: Mapping[str, Any]
    rng: random.Random
    matched: int = 0
    applied: int = 0

    def apply(self, request: Request, response: Response) -> Response | None:
        """The faulty response, or None if the fault does not apply."""
        if not fnmatchcase(request.path.rstrip("/"), self.path):
            return None
        if self.query not in unquote(request.query) or self.sent.encode() not in request.body:
            return None
        self.matched += 1
        if self.matched < self.at or self.applied == self.times:
            return None
        if self.rng.random() >= self.probability:
            return None
        faulty = self.function(response, **self.options)
        if faulty is None:
            return None
        self.applied += 1
        return replace(faulty, fault=self.name)


@dataclass
class Faults:
    """The active faults. Thread-safe."""

    _faults: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        name: str,
        *,
        path: str = "/api/*",
        query: str = "",
        sent: str = "",
        at: int = 1,
        times: int | None = 1,
        probability: float = 1.0,
        seed: int = 0,
        **options: Any,
    ) -> Fault:
        """Add a fault of `FAULTS`; `Fault` describes the parameters.

        At most one fault applies to a response, the first that was added. Raises ValueError for an
        unknown name and TypeError for options that the fault does not have.
        """
        if name not in FAULTS:
            raise ValueError(f"no fault is called '{name}': one of {', '.join(FAULTS)}")
        function = FAULTS[name]
        if isinstance(function, type):
            function = function()
        inspect.signature(function).bind(None, **options)
        rng = random.Random(seed)
        fault = Fault(name, function, path, query, sent, at, times, probability, options, rng)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def apply(self, request: Request, response: Response) -> Response:
        """The response with the first fault that applies, else unchanged."""
        with self._lock:
            for fault in self._faults:
                faulty = fault.apply(request, response)
                if faulty is not None:
                    return faulty
        return response


def _without_rate_limits(response: Response) -> dict[str, str]:
    return {
        name: value for name, value in response.headers.items() if not name.startswith("RateLimit-")
    }


def _with_connection_fault(response: Response, name: str, **options: float) -> Response:
    return replace(response, connection_fault=ConnectionFault(name, options))


def _edited(response: Response, edit: Callable[[dict[str, Any]], object]) -> Response | None:
    if response.page_links is None:
        return None
    document = json.loads(response.body)
    edit(document)
    return replace(response, body=dumps(document))


def _with_next_link(
    response: Response, change: Callable[[SplitResult, PageLinks], str]
) -> Response | None:
    """The response with a changed `next` link; None if it has none or would not change."""
    if response.page_links is None:
        return None
    document = json.loads(response.body)
    link = document["links"]["next"]
    changed = link and change(urlsplit(link), response.page_links)
    if changed == link:
        return None
    document["links"]["next"] = changed
    return replace(response, body=dumps(document))
