"""Pagination: follows ``links.next`` as Klaviyo gives it and detects lists that never end."""

from __future__ import annotations

from tap_klaviyo.errors import ApiError

MAX_EMPTY_PAGES = 1000
"""Empty pages in a row after which a list counts as endless."""


class NextLinks:
    """The links of one list, from page to page."""

    def __init__(self) -> None:
        self._followed: set[int] = set()
        self._empty_pages = 0

    def follow(self, link: str, path: str, *, empty: bool) -> str:
        """Returns ``link``, the next page of ``path``; ``empty`` says that the last page was.

        Raises :class:`ApiError` if the link was followed before or too many pages were empty.
        """
        self._empty_pages = self._empty_pages + 1 if empty else 0
        if hash(link) in self._followed:
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
