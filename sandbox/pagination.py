"""Selections of sorted rows, and the opaque cursors that walk them.

A cursor holds the sort key of the last row seen, not an offset: rows that arrive during a walk
move no other row onto a second page, and none off every page.
"""

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from sandbox.errors import invalid

Row = TypeVar("Row")
Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class Cursor:
    """A place in a selection: before or after a sort key, or at its start if `key` is None.

    `query` is the fingerprint of the request that made the cursor; `salt` makes two texts of one
    place.
    """

    direction: str
    key: Key | None
    query: int
    salt: int = 0

    def encode(self) -> str:
        """The opaque text."""
        parts = [self.direction, self.key, self.query, self.salt]
        return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()

    @classmethod
    def decode(cls, text: str, query: int) -> "Cursor":
        """Read a cursor back; raises Refusal for one that this query did not make."""
        try:
            direction, key, made_for, salt = json.loads(
                base64.b64decode(text.encode(), altchars=b"-_", validate=True)
            )
            cursor = cls(direction, None if key is None else tuple(key), made_for, salt)
        except (ValueError, TypeError) as error:
            raise _invalid_cursor() from error
        if cursor.direction not in ("next", "prev") or cursor.query != query:
            raise _invalid_cursor()
        return cursor


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows in the order asked for, and the sort keys at which the neighbouring pages begin."""

    rows: Sequence[Row]
    prev: Key | None
    next: Key | None


@dataclass(frozen=True)
class Selection(Generic[Row]):
    """The part `[lo, hi)` of rows sorted ascending by a unique key, read up or down."""

    rows: Sequence[Row]
    key: Callable[[Row], Key]
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
        below = self.key(rows[0]) if start > self.lo else None
        above = self.key(rows[-1]) if end < self.hi else None
        if self.descending:
            return Page(rows[::-1], prev=above, next=below)
        return Page(rows, prev=below, next=above)


def _invalid_cursor() -> Exception:
    return invalid("page[cursor]", "Invalid cursor provided.")
