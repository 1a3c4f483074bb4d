"""Faults on request: what a network, a proxy or an API can do to an answer.

`FAULTS` names them all. Each is a function from an answer to a worse one, with its options as
keyword arguments. It returns None if there is nothing to spoil: a next link cannot be bent where
there is none. The fault then waits for the next answer.
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
from sandbox.errors import Refusal, invalid
from sandbox.http_messages import Answer, Breakage, Place, Request

Spoil: TypeAlias = Callable[..., Answer | None]

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
    answer: Answer,
    *,
    status: int = 503,
    retry_after: str | int | None = None,
    html: bool | None = None,
) -> Answer:
    """Another status, and a page of the proxy if `html`, which is so by default from 520 on."""
    refusal = Refusal(status, _CODES.get(status, "error"), "A fault.", "A fault was asked for.")
    headers = _unlimited(answer)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    worse = replace(answer, status=status, headers=headers, body=refusal.document(), records=0)
    return _html(worse) if html or (html is None and status >= 520) else worse


def _invalid_cursor(answer: Answer) -> Answer:
    """A cursor that is refused."""
    refusal = invalid("page[cursor]", "Invalid cursor provided.")
    return replace(answer, status=refusal.status, body=refusal.document(), records=0)


def _html(answer: Answer) -> Answer:
    """A page of HTML in place of the document."""
    return replace(answer, body=_HTML, headers={**answer.headers, "Content-Type": "text/html"})


def _body(answer: Answer, *, body: str | bytes) -> Answer:
    """Any bytes in place of the document."""
    return replace(answer, body=body.encode() if isinstance(body, str) else body)


def _not_json(answer: Answer) -> Answer:
    """The beginning of a document, and no more."""
    return replace(answer, body=b'{"data": [{"type": ')


def _empty(answer: Answer) -> Answer:
    """No body."""
    return replace(answer, body=b"")


def _array(answer: Answer) -> Answer:
    """An array in place of the document."""
    return replace(answer, body=b"[]")


def _no_data(answer: Answer) -> Answer | None:
    """A document without `data`."""
    return _edited(answer, lambda document: document.pop("data"))


def _unsorted(answer: Answer) -> Answer | None:
    """The records of a page from last to first."""
    if answer.records < 2:
        return None
    return _edited(answer, lambda document: document["data"].reverse())


class _Repeated:
    """The last record of a page once more, as the first of the page after it."""

    def __init__(self) -> None:
        self._last: dict[int, Any] = {}

    def __call__(self, answer: Answer) -> Answer | None:
        place = answer.place
        if place is None or not answer.records:
            return None
        before = self._last.get(place.walk)
        self._last[place.walk] = json.loads(answer.body)["data"][-1]
        if before is None or place.url == place.first:
            return None
        return _edited(answer, lambda document: document["data"].insert(0, before))


def _empty_page(answer: Answer) -> Answer | None:
    """A page without records, whose next link leads to those that it should have had."""

    def emptied(document: dict[str, Any], place: Place) -> None:
        document["data"] = []
        document["links"]["next"] = place.again
        if "included" in document:
            document["included"] = []

    place = answer.place
    return None if place is None else _edited(answer, lambda document: emptied(document, place))


def _next_host(answer: Answer, *, host: str = "elsewhere.example") -> Answer | None:
    """A next link to another host."""
    return _bent(answer, lambda link, _: urlunsplit((link[0], host, *link[2:])))


def _next_scheme(answer: Answer, *, scheme: str = "http") -> Answer | None:
    """A next link of another scheme; one that is `http` already needs to be told which."""
    return _bent(answer, lambda link, _: urlunsplit((scheme, *link[1:])))


def _next_self(answer: Answer) -> Answer | None:
    """A next link to the page that carries it."""
    return _bent(answer, lambda _, place: place.url)


def _next_loop(answer: Answer) -> Answer | None:
    """A next link from a later page to the first: from the second, a loop of two."""
    place = answer.place
    if place and place.url == place.first:
        return None
    return _bent(answer, lambda _, place: place.first)


def _reset(answer: Answer) -> Answer:
    """The connection is reset before an answer."""
    return _broken(answer, "reset")


def _reset_in_body(answer: Answer) -> Answer:
    """The connection is reset in the middle of the body."""
    return _broken(answer, "reset_in_body")


def _truncated(answer: Answer) -> Answer:
    """The connection ends in order, but half way through the promised length."""
    return _broken(answer, "truncated")


def _drip(answer: Answer, *, pieces: int = 20, seconds: float = 0.05) -> Answer:
    """The body comes in `pieces`, one every `seconds`."""
    return _broken(answer, "drip", pieces=pieces, seconds=seconds)


def _silence(answer: Answer, *, seconds: float = 600.0) -> Answer:
    """No answer for `seconds`, then a reset."""
    return _broken(answer, "silence", seconds=seconds)


FAULTS: Mapping[str, Spoil | type[_Repeated]] = {
    "array": _array,
    "body": _body,
    "drip": _drip,
    "empty": _empty,
    "empty_page": _empty_page,
    "html": _html,
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
    """One fault, waiting for requests whose path matches `path` (a glob).

    Of these it lets the first `at - 1` pass, and of those whose decoded query does not contain
    `query` all; then it strikes with `probability`, at most `times` times (None: for ever).
    `struck` counts how often it has.
    """

    name: str
    spoil: Spoil
    path: str
    query: str
    at: int
    times: int | None
    probability: float
    options: Mapping[str, Any]
    rng: random.Random
    seen: int = 0
    struck: int = 0

    def strike(self, request: Request, answer: Answer) -> Answer | None:
        """The spoilt answer, or None if this one is spared."""
        if not fnmatchcase(request.path.rstrip("/"), self.path):
            return None
        if self.query not in unquote(request.query):
            return None
        self.seen += 1
        if self.seen < self.at or self.struck == self.times:
            return None
        if self.rng.random() >= self.probability:
            return None
        worse = self.spoil(answer, **self.options)
        if worse is None:
            return None
        self.struck += 1
        return replace(worse, fault=self.name)


@dataclass
class Faults:
    """The faults that wait for their requests. Safe to change while requests are answered."""

    _waiting: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        name: str,
        *,
        path: str = "/api/*",
        query: str = "",
        at: int = 1,
        times: int | None = 1,
        probability: float = 1.0,
        seed: int = 0,
        **options: Any,
    ) -> Fault:
        """Wait with a fault of `FAULTS`; see `Fault`. The first of several to strike is the only.

        Raises ValueError for an unknown name, TypeError for options that the fault does not have.
        """
        if name not in FAULTS:
            raise ValueError(f"no fault is called '{name}': one of {', '.join(FAULTS)}")
        spoil = FAULTS[name]
        if isinstance(spoil, type):
            spoil = spoil()
        inspect.signature(spoil).bind(None, **options)
        rng = random.Random(seed)
        fault = Fault(name, spoil, path, query, at, times, probability, options, rng)
        with self._lock:
            self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._waiting.clear()

    def strike(self, request: Request, answer: Answer) -> Answer:
        """The answer, spoilt by the first fault that strikes."""
        with self._lock:
            for fault in self._waiting:
                worse = fault.strike(request, answer)
                if worse is not None:
                    return worse
        return answer


def _unlimited(answer: Answer) -> dict[str, str]:
    return {
        name: value for name, value in answer.headers.items() if not name.startswith("RateLimit-")
    }


def _broken(answer: Answer, name: str, **options: float) -> Answer:
    return replace(answer, breakage=Breakage(name, options))


def _edited(answer: Answer, edit: Callable[[dict[str, Any]], object]) -> Answer | None:
    if answer.place is None:
        return None
    document = json.loads(answer.body)
    edit(document)
    return replace(answer, body=dumps(document))


def _bent(answer: Answer, bend: Callable[[SplitResult, Place], str]) -> Answer | None:
    """The answer with another next link; None if it has none, or has this one already."""
    if answer.place is None:
        return None
    document = json.loads(answer.body)
    link = document["links"]["next"]
    bent = link and bend(urlsplit(link), answer.place)
    if bent == link:
        return None
    document["links"]["next"] = bent
    return replace(answer, body=dumps(document))
