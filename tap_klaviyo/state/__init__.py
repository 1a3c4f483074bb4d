"""The state: bookmarks, read, migrated from other taps, advanced, written. Pure data, no I/O."""

from tap_klaviyo.state.bookmarks import (
    BACKFILLS,
    BOOKMARK,
    METRICS,
    START_DATE,
    SWEPT_AT,
    FullRead,
    Resume,
)
from tap_klaviyo.state.document import State

__all__ = [
    "BACKFILLS",
    "BOOKMARK",
    "METRICS",
    "START_DATE",
    "SWEPT_AT",
    "FullRead",
    "Resume",
    "State",
]
