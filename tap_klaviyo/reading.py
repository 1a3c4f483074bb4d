"""One window on its way, page by page. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, TypeGuard

from tap_klaviyo.client import Trail
from tap_klaviyo.plan import Lane
from tap_klaviyo.records import Page
from tap_klaviyo.windows import Window


@dataclass(eq=False)
class Reading:
    """One window of one lane on its way, page by page.

    ``url`` is the page to fetch next, ``pages`` and ``records`` count what has been written, of
    which ``latest`` is the last second. ``cut`` means that pages may hold records from behind the
    window, which are not this reader's. ``trail`` is the way from page to page. ``doubtful`` means
    that the page came in a form that could not be read, ``small`` that it is asked for in a small
    size. ``restarts`` counts how often the window had to begin again.
    """

    lane: Lane
    window: Window
    url: str
    pages: int = 0
    records: int = 0
    latest: int | None = None
    cut: bool = False
    trail: Trail = field(default_factory=Trail)
    doubtful: bool = False
    small: bool = False
    restarts: int = 0

    def own(self, page: Page) -> tuple[list[Any], bool]:
        """The records of a page that are for this reader to write, and whether more may follow."""
        more = page.next_url is not None
        if not self.cut:
            return page.records, more
        end = self.window.end
        inside = [moment is None or moment < end for moment in page.times]
        return list(compress(page.records, inside)), more and (
            all(inside) or not is_sorted(page.times)
        )


def is_sorted(times: Sequence[int | None]) -> TypeGuard[Sequence[int]]:
    """Whether all moments are known, there are some, and none comes before an older one."""
    known = [moment for moment in times if moment is not None]
    return bool(known) and len(known) == len(times) and known == sorted(known)
