"""Mutations of some answers of a run: bodies, headers and statuses."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from asked_records import Key
from hypothesis import strategies as st
from mutations import JSON, mutated_bytes, mutated_document
from random_histories import GARBAGE

from sandbox import Request, Response

HEADERS: Mapping[str, st.SearchStrategy[str]] = {
    "Retry-After": st.sampled_from(
        ["0", "1", "-1", "3.5", "soon", "", "70", "67608", "1e400", "Sun, 01 Nov 2026 12:00:30 GMT"]
    ),
    "Date": st.sampled_from(
        (
            *("Sun, 01 Nov 2026 12:00:00 GMT", "Sun, 01 Nov 2026 11:00:00 GMT", "never", ""),
            *("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 02 Nov 2026 12:00:00 -0500", "Thu, 01 Jan"),
        )
    ),
    **dict.fromkeys(
        ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
        st.sampled_from(["0", "1", "3", "-1", "x", "", "1, 1;w=1, 15;w=60", "1e999", "9" * 400]),
    ),
    "Content-Type": st.sampled_from(["text/html", "", "application/json; charset=utf-16", "x"]),
    "Content-Length": st.sampled_from(["0", "1", "-1", "99999999999", "x", "1, 1"]),
    "Content-Encoding": st.sampled_from(["gzip", "identity", "br", "x", "gzip, gzip", ""]),
    "Transfer-Encoding": st.sampled_from(["chunked", "identity"]),
    "Location": st.sampled_from(["/login", "https://elsewhere.example/", "\\"]),
    "Retry-after": st.sampled_from(["2"]),
}
STATUSES = st.sampled_from(
    (
        *(200, 201, 204, 206, 301, 302, 304, 400, 400, 401, 403, 404, 404, 405, 407, 408, 409, 410),
        *(413, 418, 422, 425, 429, 429, 431, 451, 500, 501, 502, 503, 504, 507, 520, 524, 529, 999),
    )
)
WHOLE = ("/api/form-values-reports", "/api/accounts")
"""Paths of answers that hold or change all records of a report."""

ERROR_BODIES = st.sampled_from(
    [body if isinstance(body, bytes) else body.encode() for body in GARBAGE]
) | (
    mutated_document(
        {
            "errors": [
                {
                    "id": "1",
                    "status": 400,
                    "code": "invalid",
                    "title": "Invalid input.",
                    "detail": "The cursor is invalid.",
                    "source": {"parameter": "page[size]", "pointer": "/data"},
                }
            ]
        }
    ).map(lambda document: json.dumps(document).encode())
)


@dataclass
class MutatedAnswers:
    """Mutates the answers to some requests of a run; ``numbers`` counts them from 0.

    ``hidden`` holds the resources that a mutated page did not show as the account has them, by the
    path of the page and the ID. ``cut`` are the paths of lists with a wrong link to the next page.
    """

    draw: Callable[..., Any]
    numbers: frozenset[int]
    count: int = 0
    hidden: set[tuple[str, str]] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    mutations: list[str] = field(default_factory=list)

    def __call__(self, request: Request, answer: Response) -> Response:
        """The answer, mutated or not."""
        number, self.count = self.count, self.count + 1
        answer = _plain(answer)
        if number not in self.numbers:
            return answer
        kind = self.draw(st.sampled_from(["page", "page", "bytes", "headers", "status", "both"]))
        self.mutations.append(f"{kind} of {request.path}")
        if kind in ("page", "bytes") and answer.status == 200:
            return self._with_body(request, answer, kind)
        if kind in ("headers", "both"):
            changes = self.draw(st.fixed_dictionaries({}, optional=dict(HEADERS)))
            answer = replace(answer, headers={**answer.headers, **changes})
        if kind in ("status", "both"):
            answer = replace(answer, status=self.draw(STATUSES))
            if answer.status != 200 or self.draw(st.booleans()):
                answer = replace(answer, body=self.draw(ERROR_BODIES))
        return answer

    def _with_body(self, request: Request, answer: Response, kind: str) -> Response:
        before = json.loads(answer.body)
        if kind == "bytes":
            body = self.draw(mutated_bytes(answer.body))
        else:
            body = json.dumps(self.draw(mutated_document(before) | JSON)).encode()
        self._note(request.path, before, body)
        return replace(answer, body=body)

    def _note(self, path: str, before: Mapping[str, Any], body: bytes) -> None:
        """Notes what a page does not show any more."""
        path = path.rstrip("/")
        try:
            # The tap reads all that can be read.
            after = json.loads(body.decode("utf-8-sig", "replace"), strict=False)
        except (ValueError, RecursionError):
            return  # It is no page, so it cannot be taken for one.
        after = after if isinstance(after, dict) else {}
        if path in WHOLE:
            self.cut |= {path} if after != before else set()
            return
        if not isinstance(after.get("data"), list):
            return
        data = before["data"]
        shown = after["data"]
        for resource in data if isinstance(data, list) else [data]:
            if resource not in shown:
                self.hidden.add((path, resource["id"]))
        links = before.get("links") or {}
        changed = after.get("links")
        if isinstance(changed, dict | None) and (changed or {}).get("next") != links.get("next"):
            self.cut.add(path)


def _plain(answer: Response) -> Response:
    """The answer without compression."""
    gzipped = answer.headers.get("Content-Encoding") == "gzip"
    headers = {name: text for name, text in answer.headers.items() if name != "Content-Encoding"}
    body = gzip.decompress(answer.body) if gzipped else answer.body
    return replace(answer, body=body, headers=headers)


def hidden_keys(answers: MutatedAnswers, stream: str, keys: set[Key], *, again: bool) -> set[Key]:
    """Those of ``keys`` that the answers of a run did not show as the account has them.

    ``again`` says that a run with right answers has followed. It reads tables in full again, and
    metrics that it has not known from the start.
    """
    return {
        key for key in keys if any(_hides(answers, *step) for step in _steps(stream, key, again))
    }


def _hides(answers: MutatedAnswers, path: str, identifier: str) -> bool:
    return path in answers.cut or (path, identifier) in answers.hidden


def _steps(stream: str, key: Key, again: bool) -> list[tuple[str, str]]:
    """The pages that lead to a record, each with the ID of what it must show."""
    if stream == "list_members":
        group, profile = key
        return [("/api/lists", group), (f"/api/lists/{group}/profiles", profile)]
    if stream == "form_values_report":
        return [(path, "") for path in WHOLE]
    if stream == "lists":
        return [] if again else [("/api/lists", *key)]
    if stream == "profiles":
        return [("/api/profiles", *key)]
    return [("/api/events", *key)]
