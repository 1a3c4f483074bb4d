"""What is stored for one stream: the keys, their validation, and the forms of other taps. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tap_klaviyo.dates import parse_utc
from tap_klaviyo.errors import StateError
from tap_klaviyo.state.stored_counts import counts_from

BOOKMARK = "timestamp"
START_DATE = "start_date"
SWEPT_AT = "swept_at"
METRICS = "metrics"
BACKFILLS = "joining"
DEFINITION = "definition"
RESUME = "resume"
COUNTS = "counts"
FULL_READ_AT = "full_table_read_at"
FULL_READ_OF = "full_table_of"
UPDATED_READ_AT = "updated_read_at"
PARENTS = "parents"
LEGACY_BOOKMARK = "since"

TIMES = (BOOKMARK, LEGACY_BOOKMARK, START_DATE, SWEPT_AT, FULL_READ_AT, UPDATED_READ_AT)
"""The keys whose values are times."""

FULL_TABLE_KEYS = (FULL_READ_AT, FULL_READ_OF, UPDATED_READ_AT, PARENTS)
"""The keys of a :class:`FullRead`."""

OWN_KEYS = frozenset(
    {BOOKMARK, START_DATE, SWEPT_AT, METRICS, BACKFILLS, DEFINITION, RESUME, COUNTS}
    | {*FULL_TABLE_KEYS}
)

SDK_KEY = "replication_key"
SDK_BOOKMARK = "replication_key_value"
SDK_PARTITIONS = "partitions"
SDK_KEYS = frozenset(
    {
        SDK_KEY,
        SDK_BOOKMARK,
        SDK_PARTITIONS,
        "replication_key_signpost",
        "starting_replication_value",
        "progress_markers",
    }
)
"""What a tap of Meltano's SDK stores for a stream. Progress markers are those of a run that did not
end, so they are no bookmark. Source: singer_sdk/helpers/_state.py."""


class Resume(NamedTuple):
    """What a run that was interrupted has read of a stream.

    ``done`` holds periods ``(start, end)`` by metric ID, the empty text for a stream without
    metrics. ``sweep`` is the end of the sweep that was interrupted, None if it was none.
    """

    done: Mapping[str, Sequence[tuple[int, int]]] = {}
    sweep: int | None = None


class FullRead(NamedTuple):
    """When a full table was last read.

    ``at`` is the start of the last run that has read all of it, ``of`` tells what was selected
    then. For a table of which changes are read in between, ``updated_at`` is the start of the last
    run that has read them, by Klaviyo's clock, and ``parents`` are the IDs of the parents whose
    children have been read.
    """

    at: int
    of: str
    updated_at: int | None = None
    parents: Collection[str] = ()


class _StoredResume(msgspec.Struct):
    """The form of :class:`Resume` in the document."""

    timestamp: int
    done: dict[str, list[tuple[int, int]]]
    sweep: int | None = None


_FIRST_SECOND = -62_135_596_800
"""The first second of the year 1. Times before 1970 are read as 1970-01-01: older versions
stored them if ``start_date`` was earlier."""

_LAST_SECOND = 253_402_300_799
"""The last second of the year 9999."""

_LONGEST_VALUE = 100
"""Characters of a wrong value that an error shows."""


def from_flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """``{"receive": "2017-…"}`` as a document with bookmarks; other values are refused."""
    flat = {
        name: value
        for name, value in document.items()
        if value is not None and name != "currently_syncing"
    }
    for name, value in flat.items():
        if not _is_date(value):
            raise StateError(
                f"state: '{name[:_LONGEST_VALUE]}' is neither 'bookmarks' nor a date; expected "
                'a state that the target printed, such as {"bookmarks": {"open": {...}}}.'
            )
    return {"bookmarks": {name: {LEGACY_BOOKMARK: value} for name, value in flat.items()}}


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(parse_utc(value))
    except ValueError:
        return False


def validate(name: str, bookmark: Any) -> None:
    """Raises :class:`StateError` unless a value of this tap's keys can be used, or is null."""
    if bookmark is None:
        return
    if not isinstance(bookmark, dict):
        raise StateError(f"state: bookmarks.{name} must be an object.")
    for key in TIMES:
        seconds_in(bookmark.get(key), f"{name}.{key}")
    if not isinstance(bookmark.get(FULL_READ_OF), str | None):
        raise StateError(f"state: bookmarks.{name}.{FULL_READ_OF} must be a text.")
    for key, contents in ((METRICS, "metric IDs"), (DEFINITION, "texts"), (PARENTS, "IDs")):
        texts = bookmark.get(key)
        if texts is not None and not (
            isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        ):
            raise StateError(f"state: bookmarks.{name}.{key} must be an array of {contents}.")
    backfills = bookmark.get(BACKFILLS)
    if backfills is not None and not isinstance(backfills, dict):
        raise StateError(f"state: bookmarks.{name}.{BACKFILLS} must be an object.")
    for metric, seconds in (backfills or {}).items():
        seconds_in(seconds, f"{name}.{BACKFILLS}.{metric}")
    if bookmark.get(RESUME) is not None and not _is_resume(bookmark[RESUME]):
        raise StateError(
            f"state: bookmarks.{name}.{RESUME} cannot be read; remove it, and what it says is read "
            "again."
        )
    if not _are_counts(bookmark.get(COUNTS) or {}):
        raise StateError(
            f"state: bookmarks.{name}.{COUNTS} cannot be read; remove it, and the counts are "
            "remembered anew."
        )


def _is_resume(stored: Any) -> bool:
    try:
        msgspec.convert(stored, _StoredResume)
    except msgspec.ValidationError:
        return False
    return True


def _are_counts(stored: Any) -> bool:
    try:
        for document in stored.values():
            counts_from(document)
    except (AttributeError, LookupError, ValueError, OverflowError):
        return False
    return True


def without_negatives(bookmark: Mapping[str, Any]) -> dict[str, Any]:
    """The bookmark with 0 for times before 1970, so that they are not written again."""
    backfills = bookmark.get(BACKFILLS)
    changed = {key: 0 for key in TIMES if _is_negative(bookmark.get(key))}
    if not backfills:
        return {**bookmark, **changed}
    kept = {metric: 0 if _is_negative(mark) else mark for metric, mark in backfills.items()}
    return {**bookmark, **changed, BACKFILLS: kept}


def _is_negative(value: Any) -> bool:
    return isinstance(value, int | float) and value < 0


def without_foreign(
    bookmark: Mapping[str, Any], replication_keys: Collection[str]
) -> dict[str, Any]:
    """The bookmark without the keys under which other taps keep theirs."""
    foreign = {LEGACY_BOOKMARK, *SDK_KEYS, *replication_keys} - OWN_KEYS
    return {key: value for key, value in bookmark.items() if key not in foreign}


def bookmark_in(bookmark: Mapping[str, Any]) -> int | None:
    """The bookmark of this tap or of singer-io's, in Unix seconds; None if there is none."""
    seconds = seconds_in(bookmark.get(BOOKMARK), BOOKMARK)
    if seconds is None:
        seconds = seconds_in(bookmark.get(LEGACY_BOOKMARK), LEGACY_BOOKMARK)
    return seconds


def full_read_in(bookmark: Mapping[str, Any], name: str) -> FullRead | None:
    """When all of a full table was read last; None if that is not known."""
    at = seconds_in(bookmark.get(FULL_READ_AT), f"{name}.{FULL_READ_AT}")
    if at is None:
        return None
    updated_at = seconds_in(bookmark.get(UPDATED_READ_AT), f"{name}.{UPDATED_READ_AT}")
    parents = bookmark.get(PARENTS) or ()
    return FullRead(at, bookmark.get(FULL_READ_OF) or "", updated_at, tuple(parents))


def with_full_read(bookmark: Mapping[str, Any], read: FullRead | None) -> dict[str, Any]:
    """The bookmark that says when all of a full table was read last; None removes that."""
    kept = {key: value for key, value in bookmark.items() if key not in FULL_TABLE_KEYS}
    if read is not None:
        kept |= {FULL_READ_AT: read.at, FULL_READ_OF: read.of}
        if read.updated_at is not None:
            kept |= {UPDATED_READ_AT: read.updated_at, PARENTS: sorted(read.parents)}
    return kept


def any_bookmark_in(bookmark: Any, name: str, replication_keys: Collection[str]) -> int | None:
    """The bookmark of this tap, else that of another one, in Unix seconds.

    A bookmark of Meltano's SDK counts if it is a value of one of ``replication_keys`` and holds for
    the whole stream, not for partitions of it.
    """
    if not isinstance(bookmark, dict):
        return None
    keys = [BOOKMARK, LEGACY_BOOKMARK, *(key for key in replication_keys if key not in OWN_KEYS)]
    if bookmark.get(SDK_KEY) in (None, *replication_keys) and not bookmark.get(SDK_PARTITIONS):
        keys.append(SDK_BOOKMARK)
    found = (seconds_in(bookmark.get(key), f"{name}.{key}") for key in keys)
    return next((seconds for seconds in found if seconds is not None), None)


def seconds_in(value: Any, place: str) -> int | None:
    """Unix seconds from a number or a date; None stays None. Raises :class:`StateError`.

    A time before 1970 is 0: Klaviyo has no data from then.
    """
    try:
        if value is None:
            return None
        if isinstance(value, str):
            value = int(parse_utc(value).timestamp())
        if isinstance(value, bool) or not _FIRST_SECOND <= value <= _LAST_SECOND:
            raise ValueError(value)
        return max(0, int(value))
    except (ValueError, TypeError, OverflowError):
        shown = repr(value)[:_LONGEST_VALUE]
        message = f"state: bookmarks.{place} must be Unix seconds or a date, not {shown}."
        raise StateError(message) from None
