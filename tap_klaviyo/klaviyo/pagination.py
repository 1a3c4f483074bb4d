"""Pagination: follows ``links.next`` as Klaviyo gives it and detects lists that never end."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from tap_klaviyo.errors import ApiError

MAX_EMPTY_PAGES = 1000
"""Empty pages in a row after which a list counts as endless."""

MAX_REPEATED_PAGES = 10
"""Pages with the same content as an earlier one after which a list counts as endless."""


def next_link(document: Mapping[str, Any]) -> str | None:
    """The link of a page to the next one; None or empty on the last page.

    Raises TypeError for links of another type: what follows would be lost without an error.
    """
    links = document.get("links")
    if links is not None and not isinstance(links, dict):
        raise TypeError("links is not an object")
    link = (links or {}).get("next")
    if link is not None and not isinstance(link, str):
        raise TypeError("links.next is not text")
    return link


class NextLinks:
    """The links of one list, from page to page."""

    def __init__(self) -> None:
        self._followed: set[int] = set()
        self._contents: set[int] = set()
        self._empty_pages = 0
        self._repeated_pages = 0

    def follow(self, link: str, path: str, content: Sequence[Hashable]) -> str:
        """Returns ``link``, the next page of ``path``, after a page with ``content``.

        Raises :class:`ApiError` if the link was followed before, if too many pages were empty, or
        if too many had the content of an earlier page.
        """
        self._empty_pages = 0 if content else self._empty_pages + 1
        fingerprint = hash(tuple(content))
        self._repeated_pages += bool(content) and fingerprint in self._contents
        self._contents.add(fingerprint)
        if hash(link) in self._followed or self._repeated_pages >= MAX_REPEATED_PAGES:
            problem = "form a loop"
        elif self._empty_pages > MAX_EMPTY_PAGES:
            problem = f"do not end: {MAX_EMPTY_PAGES:,} empty pages in a row"
        else:
            self._followed.add(hash(link))
            return link
        raise ApiError(
            f"The pages of {path} {problem}. Run again; if it happens again, report it to Klaviyo.",
            status=200,
        )
