"""What becomes of a window whose request Klaviyo refused, as one table."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tap_klaviyo.streams.events import EVENT_PAGE_SIZE_FALLBACK


class Reaction(enum.Enum):
    """What becomes of a window whose request Klaviyo refused."""

    SMALLER_PAGES = "request the page again with fewer records"
    RESTART_WINDOW = "read the window again from its first page"
    END_EMPTY = "end the partition: there is nothing to read"
    CHECK_PARENT = "ask whether the parent exists, and end the partition if it does not"
    END_STREAM = "end the stream"


class RefusedRequest(NamedTuple):
    """The request of a window that was refused with ``status``; 200 if the answer is too large.

    ``first_page`` says that no cursor was sent, ``restarts`` counts how often the window has
    started again. ``optional`` says that 404 means that there is no such resource. ``page_size`` is
    the size that was requested, 0 if the endpoint has none. ``is_page_size`` says whether that is
    the cause; None if Klaviyo names no cause.
    """

    status: int
    first_page: bool
    of_child: bool
    restarts: int
    optional: bool = False
    page_size: int = 0
    is_page_size: bool | None = None


MAX_RESTARTS = 2

REACTIONS: Sequence[tuple[str, Callable[[RefusedRequest], bool], Reaction]] = (
    (
        "a page that is too large",
        lambda request: request.is_page_size is True and request.page_size > 1,
        Reaction.SMALLER_PAGES,
    ),
    (
        "a first page of more than 200 records, without a cause: it may be too large",
        lambda request: (
            request.status == 400
            and request.first_page
            and request.is_page_size is None
            and request.page_size > EVENT_PAGE_SIZE_FALLBACK
        ),
        Reaction.SMALLER_PAGES,
    ),
    (
        "a later page: its cursor may have expired",
        lambda request: (
            request.status == 400 and not request.first_page and request.restarts < MAX_RESTARTS
        ),
        Reaction.RESTART_WINDOW,
    ),
    (
        "a resource that a record need not have",
        lambda request: request.status == 404 and request.optional,
        Reaction.END_EMPTY,
    ),
    (
        "the children of a record: it may have been deleted during the run",
        lambda request: request.status == 404 and request.of_child,
        Reaction.CHECK_PARENT,
    ),
    ("anything else", lambda request: True, Reaction.END_STREAM),
)
"""What Klaviyo refused, and what becomes of the window; the first row that holds counts."""


def reaction_to(request: RefusedRequest) -> Reaction:
    """What becomes of the window, by :data:`REACTIONS`."""
    return next(reaction for _, holds, reaction in REACTIONS if holds(request))


def smaller_page_size(page_size: int) -> int:
    """The size to request after ``page_size`` was too large: 200, and then half of it each time."""
    return EVENT_PAGE_SIZE_FALLBACK if page_size > EVENT_PAGE_SIZE_FALLBACK else page_size // 2
