"""A budget for the bytes of all answers that are in memory at once, over all workers."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

BUDGET = 2**26
"""Bytes of all answers in memory: 64 MiB, room for four of the largest or 200 usual ones."""

WAIT_SECONDS = 0.5
"""Seconds after which a thread that waits for room looks at ``ended`` again."""


class NoRoom(Exception):
    """The answers of other requests leave no room for one that arrives."""


class MemoryBudget:
    """Bytes that reservations have taken. Thread-safe. ``ended`` says that waits have to end."""

    def __init__(self, ended: Callable[[], bool], limit: int = BUDGET) -> None:
        self._ended = ended
        self._limit = limit
        self._used = 0
        self._changed = threading.Condition()

    def take(self, size: int) -> None:
        """Takes ``size`` bytes. Raises :class:`NoRoom` if there are not as many."""
        with self._changed:
            if self._used + size > self._limit:
                raise NoRoom
            self._used += size

    def wait_for(self, size: int) -> None:
        """Waits until there are ``size`` bytes, and takes them. Raises :class:`NoRoom` at the end.

        A thread that waits must hold nothing of the budget, or all would wait for each other.
        """
        with self._changed:
            while self._used + size > self._limit:
                if self._ended():
                    raise NoRoom
                self._changed.wait(WAIT_SECONDS)
            self._used += size

    def release(self, size: int) -> None:
        """Gives bytes back."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()


class Reservation:
    """The bytes of one answer. ``size`` bytes of ``budget`` have been taken for it already."""

    def __init__(self, budget: MemoryBudget, size: int = 0) -> None:
        self._budget = budget
        self._size = size

    def grow(self, size: int) -> None:
        """Takes what is missing of ``size`` bytes. Raises :class:`NoRoom`."""
        if size > self._size:
            self._budget.take(size - self._size)
            self._size = size

    def release(self) -> None:
        """Gives the bytes back."""
        self._budget.release(self._size)
        self._size = 0

    def keep_for(self, holder: object, size: int) -> None:
        """Gives all but ``size`` bytes back, and these as soon as ``holder`` no longer exists."""
        self._budget.release(self._size - size)
        weakref.finalize(holder, self._budget.release, size)
