"""How many records a page is requested with: less after pages were refused or too large."""

from __future__ import annotations

from tap_klaviyo.errors import StreamError
from tap_klaviyo.logs import get_logger
from tap_klaviyo.sync.stream_sync import StreamSync

logger = get_logger(__name__)


class PageSizes:
    """The page sizes of all streams. ``configured`` is the setting ``page_size``."""

    def __init__(self, configured: int) -> None:
        self._configured = configured
        self._reduced: dict[str, int] = {}

    def of(self, sync: StreamSync) -> int:
        """The size for the pages of a stream; 0 if its endpoint has no page size."""
        stream = sync.selected.stream
        sizes = (self._configured, self._reduced.get(stream.path), self._reduced.get(sync.name))
        return min([stream.page_size or 0, *filter(None, sizes)])

    def reduce(self, sync: StreamSync, page_size: int, error: StreamError) -> None:
        """Notes that pages of ``page_size`` are answered, after ``error`` for larger ones.

        A size that Klaviyo refuses is reduced for the endpoint. A page that is too large concerns
        only its stream: other streams of the endpoint may hold smaller records.
        """
        before = self.of(sync)
        if page_size >= before:
            return
        refused = getattr(error, "status", 0) == 400
        self._reduced[sync.selected.stream.path if refused else sync.name] = page_size
        logger.warning(
            "Stream '%s': pages of %d records fail, so pages of %d are used. Set page_size to %d. "
            "The error was: %s",
            sync.name,
            before,
            page_size,
            page_size,
            error,
        )
