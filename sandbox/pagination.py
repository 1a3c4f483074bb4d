"""Cursor pagination over sorted rows.

A cursor holds the sort key of the last row returned, not an offset. Rows inserted while a client
follows `next` links therefore neither repeat nor hide other rows.
"""

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from sandbox.errors import invalid_parameter

Row = TypeVar("Row")
SortKey: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class Cursor:
    """A position in a selection: after (`next`) or before (`prev`) a sort key.

    A `key` of None is the start. `query` is the fingerprint of the query that the cursor belongs
    to. `salt` allows different cursor texts for the same position.
    """

    direction: str
    key: SortKey | None
    query: int
    salt: int = 0

    def encode(self) -> str:
        """The opaque text of the cursor."""
        parts = [self.direction, self.key, self.query, self.salt]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()

    @classmethod
    def decode(cls, text: str, query: int) -> "Cursor":
        """Parse a cursor. Raises ApiError (400) if it is malformed or of another query."""
        try:
            direction, key, fingerprint, salt = json.loads(
                base64.b64decode(text.encode(), altchars=b"-_", validate=True)
            )
            cursor = cls(direction, None if key is None else tuple(key), fingerprint, salt)
        except (ValueError, TypeError) as error:
            raise _invalid_cursor() from error
        if cursor.direction not in ("next", "prev") or cursor.query != query:
            raise _invalid_cursor()
        return cursor


@dataclass(frozen=True)
class Page(Generic[Row]):
    """The rows of a page, and the sort keys of its `prev` and `next` cursors (None: no page)."""

    rows: Sequence[Row]
    prev: SortKey | None
    next: SortKey | None


@dataclass(frozen=True)
class Selection(Generic[Row]):
    """The rows `[lo, hi)` of a sequence sorted ascending by a unique `key`.

    `descending` reverses the order in which they are returned.
    """

    rows: Sequence[Row]
    key: Callable[[Row], SortKey]
    lo: int
    hi: int
    descending: bool

    def page(self, cursor: Cursor | None, size: int) -> Page[Row]:
        """Up to `size` rows at the cursor."""
        forward = cursor is None or cursor.direction == "next"
        key = cursor.key if cursor else None
        if forward is not self.descending:
            start = self.lo
            if key is not None:
                start = bisect_right(self.rows, key, self.lo, self.hi, key=self.key)
            end = min(self.hi, start + size)
        else:
            end = self.hi
            if key is not None:
                end = bisect_left(self.rows, key, self.lo, self.hi, key=self.key)
            start = max(self.lo, end - size)
        rows = self.rows[start:end]
        if not rows:
            return Page(rows, None, None)
        lower = self.key(rows[0]) if start > self.lo else None
        upper = self.key(rows[-1]) if end < self.hi else None
        if self.descending:
            return Page(rows[::-1], prev=upper, next=lower)
        return Page(rows, prev=lower, next=upper)


def _invalid_cursor() -> Exception:
    return invalid_parameter("page[cursor]", "Invalid cursor provided.")
