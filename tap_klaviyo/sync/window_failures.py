"""Carries out what the failure policy says about a window that could not be read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tap_klaviyo.errors import ApiError, StreamError, forget_frames
from tap_klaviyo.klaviyo.reactions import MAX_RESTARTS, Reaction, reaction_to, smaller_page_size
from tap_klaviyo.logs import get_logger
from tap_klaviyo.sync.page_sizes import PageSizes
from tap_klaviyo.sync.parent_check import ParentCheck
from tap_klaviyo.sync.scheduler import Scheduler
from tap_klaviyo.sync.window_reader import WindowReader

logger = get_logger(__name__)


class WindowFailures:
    """Restarts windows that failed, and hands over what must be decided otherwise.

    ``finish`` is called with a window that has nothing to read, such as one whose parent is gone,
    ``end`` with one that cannot be read, and its error. ``parent_checks`` are the tasks that ask
    whether a parent still exists.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        page_sizes: PageSizes,
        finish: Callable[[WindowReader], object],
        end: Callable[[WindowReader, StreamError], object],
    ) -> None:
        self._scheduler = scheduler
        self._page_sizes = page_sizes
        self._finish = finish
        self._end = end
        self.parent_checks: deque[ParentCheck] = deque()

    def fail(self, reader: WindowReader, error: BaseException) -> None:
        """Reacts to the error of a window. Raises what ends the run."""
        if not isinstance(error, StreamError):
            raise error
        forget_frames(error)
        reaction = reaction_to(reader.refused(error))
        if reaction is Reaction.SMALLER_PAGES:
            reader.shrunk_by = error
            self.restart(reader, smaller_page_size(reader.page_size))
        elif reaction is Reaction.RESTART_WINDOW:
            self.restart_after(reader, error)
        elif reaction is Reaction.END_EMPTY:
            reader.partition.sync.lacking += 1
            self._finish(reader)
        elif reaction is Reaction.CHECK_PARENT and isinstance(error, ApiError):
            self.parent_checks.append(ParentCheck(reader, error))
        else:
            self._end(reader, error)

    def take_parent_check(self, check: ParentCheck, exists: bool | BaseException) -> None:
        """Reads the children again if their parent exists, else ends their partition."""
        reader = check.reader
        if isinstance(exists, StreamError):
            self._end(reader, exists)
        elif isinstance(exists, BaseException):
            raise exists
        elif not exists:
            reader.partition.sync.gone.add(reader.partition.parent)
            self._finish(reader)
        elif reader.restarts < MAX_RESTARTS:
            self.restart_after(reader, check.error)
        else:
            self._end(reader, check.error)

    def restart_after(self, reader: WindowReader, error: StreamError) -> None:
        """Restarts a window after an error that may not come again."""
        sync = reader.partition.sync
        logger.warning("Stream '%s': a window starts again: %s", sync.name, error)
        reader.restarts += 1
        self.restart(reader)

    def restart(self, reader: WindowReader, page_size: int | None = None) -> None:
        """Starts a window again, with pages of ``page_size`` records at most."""
        sizes = (page_size or reader.page_size, self._page_sizes.of(reader.partition.sync))
        reader.restart(min(sizes))
        self._scheduler.resume(reader)
