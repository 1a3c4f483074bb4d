"""Follows `links.next` from page to page, and detects lists that never end."""

from __future__ import annotations

from tap_klaviyo.errors import ApiError

MAX_EMPTY = 1000
"""Pages without a record, one after the other, that a list may have."""


class Trail:
    """The way from page to page of one list, which may lead neither in a circle nor on for ever."""

    def __init__(self) -> None:
        self._followed: set[int] = set()
        self._empty = 0

    def follow(self, link: str, path: str, *, empty: bool) -> str:
        """The ``link`` that a page of ``path`` gives; ``empty`` tells that the page held nothing.

        Raises :class:`ApiError` if the link was followed before, or too many pages held nothing.
        """
        self._empty = self._empty + 1 if empty else 0
        if hash(link) in self._followed:
            fault = "lead in a circle"
        elif self._empty > MAX_EMPTY:
            fault = f"are empty and have no end: {MAX_EMPTY:,} in a row led to another one"
        else:
            self._followed.add(hash(link))
            return link
        raise ApiError(
            f"Klaviyo's pages of {path} {fault}. Run again; if it stays so, report it to Klaviyo.",
            status=200,
        )
