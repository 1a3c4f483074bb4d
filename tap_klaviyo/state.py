"""The state document: read, migrated from other taps, advanced, written. Pure data, no I/O.

``docs/state.md`` describes every key. In short, for each stream::

    {"bookmarks": {"receive": {"timestamp": 1767225600, "swept_at": 1767225600,
                               "metrics": ["M1"], "joining": {"M2": 1735689600}}},
     "currently_syncing": null}

* ``timestamp`` is the bookmark, a low-water mark in Unix seconds: every record before it has been
  written, for the ``metrics`` (or reports) listed.
* ``joining`` holds bookmarks of metrics that are new to the stream and still being backfilled. A
  metric moves from there to ``metrics`` when its bookmark has reached the stream's.
* ``swept_at`` is the start of the last run that looked for very late events.
* ``resume`` says what a run that was interrupted has read besides, so that the next one does not
  read it again. It counts only as long as ``timestamp`` is the one that it holds too.

Keys that this version does not know are carried along unchanged, so that an older version does not
lose what a newer one wrote.

States of singer-io's tap-klaviyo are read too: ``{"bookmarks": {"<metric ID or stream>": {"since":
"2026-01-01T00:00:00Z"}}}`` and the flat form ``{"receive": "2017-01-01T00:00:00Z"}``.

A document that cannot be understood raises :class:`StateError`. To start over silently would cost
days; to skip silently would lose records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tap_klaviyo.dates import parse_utc
from tap_klaviyo.errors import StateError

BOOKMARK = "timestamp"
SWEPT_AT = "swept_at"
METRICS = "metrics"
BACKFILLS = "joining"
RESUME = "resume"
LEGACY_BOOKMARK = "since"


class _StoredResume(msgspec.Struct):
    """The form of :class:`Resume` in the document."""

    timestamp: int
    done: dict[str, list[tuple[int, int]]]
    sweep: int | None = None


_LAST_SECOND = 253_402_300_799
"""The last second of the year 9999."""


class Resume(NamedTuple):
    """What a run that was interrupted has read of a stream.

    ``done`` holds periods ``(start, end)`` by metric ID, the empty text for a stream without
    metrics. ``sweep`` is the start of the sweep that was interrupted, None if it was none.
    """

    done: Mapping[str, Sequence[tuple[int, int]]] = {}
    sweep: int | None = None


class State:
    """The bookmarks of all streams. Raises :class:`StateError` for an invalid document.

    All times are Unix seconds.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = dict(document)
        if "bookmarks" not in self._document:
            self._document = _from_flat(self._document)
        bookmarks = self._document["bookmarks"]
        if bookmarks is None:
            bookmarks = {}
        if not isinstance(bookmarks, dict):
            raise StateError("state: 'bookmarks' must be an object.")
        for name, bookmark in bookmarks.items():
            _validate(name, bookmark)
        # Bookmarks are replaced, never changed in place: a shallow copy is enough.
        self._bookmarks: dict[str, Any] = dict(bookmarks)

    def migrate(self, stream: str, aliases: Iterable[str], metric_ids: Iterable[str]) -> None:
        """Moves bookmarks that other taps keep under ``aliases`` or metric IDs to ``stream``.

        The oldest of several wins: an event twice is better than an event lost. A bookmark under a
        metric ID covers that metric only.
        """
        others = {
            key: bookmark
            for key in dict.fromkeys((*aliases, *metric_ids))
            if key != stream and (bookmark := self._bookmarks.pop(key, None))
        }
        own = self._bookmarks.get(stream) or {}
        if _bookmark_in(own) is not None:
            self._bookmarks[stream] = {**_without_legacy(own), BOOKMARK: _bookmark_in(own)}
            return
        known = {
            key: seconds for key, o in others.items() if (seconds := _bookmark_in(o)) is not None
        }
        if known:
            migrated = {**_without_legacy(own), BOOKMARK: min(known.values())}
            if known.keys() <= set(metric_ids):
                migrated[METRICS] = sorted(known)
            self._bookmarks[stream] = migrated

    def bookmark(self, stream: str) -> int | None:
        """The bookmark of ``stream``; None if it has never been read."""
        return _bookmark_in(self._bookmarks.get(stream) or {})

    def swept_at(self, stream: str) -> int | None:
        """The start of the last sweep of ``stream``; None if there was none."""
        return _seconds((self._bookmarks.get(stream) or {}).get(SWEPT_AT), f"{stream}.{SWEPT_AT}")

    def covers(self, stream: str, metric_id: str) -> bool:
        """Whether the bookmark of ``stream`` holds for a metric; without a list, for all."""
        if self.bookmark(stream) is None:
            return False
        metrics = self._bookmarks[stream].get(METRICS)
        return metrics is None or metric_id in metrics

    def backfill_bookmark(self, stream: str, metric_id: str) -> int | None:
        """The bookmark of a metric that is being backfilled; None if it has none."""
        seconds = (self._bookmarks.get(stream) or {}).get(BACKFILLS, {}).get(metric_id)
        return _seconds(seconds, f"{stream}.{BACKFILLS}.{metric_id}")

    def set_metrics(
        self, stream: str, *, metrics: Iterable[str], swept_at: int | None = None
    ) -> None:
        """Stores which ``metrics`` the stream has now and, if given, the start of a sweep.

        Metrics that the bookmark covered stay covered. The first bookmark covers all.
        """
        first, metrics = self.bookmark(stream) is None, sorted(metrics)
        covered = [metric for metric in metrics if first or self.covers(stream, metric)]
        backfills = {
            metric: seconds
            for metric in metrics
            if metric not in covered
            and (seconds := self.backfill_bookmark(stream, metric)) is not None
        }
        changes: dict[str, Any] = {METRICS: covered} if metrics else {}
        if swept_at is not None:
            changes[SWEPT_AT] = swept_at
        self._update(stream, {**changes, BACKFILLS: backfills})

    def advance(self, stream: str, mark: int, *, latest: int) -> bool:
        """Moves the bookmark of ``stream`` forward to ``mark``, at most to ``latest``.

        Returns whether it moved. A bookmark after ``latest``, from a clock that was ahead, is moved
        back to it, since events after it may be unread.
        """
        known = self.bookmark(stream)
        mark = min(mark if known is None else max(mark, known), latest)
        if mark == known:
            return False
        self._update(stream, {BOOKMARK: mark})
        return True

    def advance_backfill(self, stream: str, metric_id: str, mark: int, *, latest: int) -> bool:
        """Moves the bookmark of a metric that is being backfilled; returns whether it moved.

        When it reaches the stream's bookmark, that one covers the metric from then on.
        """
        bookmark = self._bookmarks[stream]
        known = self.backfill_bookmark(stream, metric_id)
        mark = min(mark if known is None else max(mark, known), latest)
        if mark == known:
            return False
        backfills = {**bookmark.get(BACKFILLS, {}), metric_id: mark}
        covered = bookmark[METRICS]
        if mark >= (self.bookmark(stream) or 0):
            del backfills[metric_id]
            covered = sorted({*covered, metric_id})
        self._update(stream, {METRICS: covered, BACKFILLS: backfills})
        return True

    def resume(self, stream: str) -> Resume:
        """What an interrupted run has read of ``stream`` besides what its bookmark says.

        Nothing if the bookmark has been changed since then, by hand or by an older version.
        """
        bookmark = self._bookmarks.get(stream) or {}
        stored = bookmark.get(RESUME) or {}
        if not stored or stored[BOOKMARK] != bookmark.get(BOOKMARK):
            return Resume()
        done = {part: [(a, b) for a, b in periods] for part, periods in stored["done"].items()}
        return Resume(done, stored.get("sweep"))

    def set_resume(self, stream: str, resume: Resume) -> bool:
        """Stores what has been read of a stream that is not finished; returns whether it is new."""
        done = {part: periods for part, periods in resume.done.items() if periods}
        stored: dict[str, Any] | None = None
        if done:
            stored = {BOOKMARK: self.bookmark(stream), "done": done}
            if resume.sweep is not None:
                stored["sweep"] = resume.sweep
        if stored == (self._bookmarks.get(stream) or {}).get(RESUME):
            return False
        self._update(stream, {RESUME: stored})
        return True

    def document(self, currently_syncing: str | None) -> dict[str, Any]:
        """The value of a STATE message."""
        return {
            **self._document,
            "bookmarks": dict(self._bookmarks),
            "currently_syncing": currently_syncing,
        }

    def _update(self, stream: str, changes: Mapping[str, Any]) -> None:
        """Stores ``changes`` in the bookmark of ``stream``, but no empty ``joining``."""
        changed = {**(self._bookmarks.get(stream) or {}), **changes}
        for key in (BACKFILLS, RESUME):
            if not changed.get(key):
                changed.pop(key, None)
        self._bookmarks[stream] = changed


def _from_flat(document: dict[str, Any]) -> dict[str, Any]:
    """``{"receive": "2017-…"}`` as a document with bookmarks; other values are refused."""
    flat = {key: value for key, value in document.items() if key != "currently_syncing"}
    for name, value in flat.items():
        if not isinstance(value, str):
            raise StateError(f"state: '{name}' is neither 'bookmarks' nor a date.")
    return {"bookmarks": {name: {LEGACY_BOOKMARK: value} for name, value in flat.items()}}


def _validate(name: str, bookmark: Any) -> None:
    if bookmark is None:
        return
    if not isinstance(bookmark, dict):
        raise StateError(f"state: bookmarks.{name} must be an object.")
    _bookmark_in(bookmark, name)
    _seconds(bookmark.get(SWEPT_AT), f"{name}.{SWEPT_AT}")
    metrics = bookmark.get(METRICS)
    if metrics is not None and not (
        isinstance(metrics, list) and all(isinstance(identifier, str) for identifier in metrics)
    ):
        raise StateError(f"state: bookmarks.{name}.{METRICS} must be an array of metric IDs.")
    backfills = bookmark.get(BACKFILLS, {})
    if not isinstance(backfills, dict):
        raise StateError(f"state: bookmarks.{name}.{BACKFILLS} must be an object.")
    for metric, seconds in backfills.items():
        _seconds(seconds, f"{name}.{BACKFILLS}.{metric}")
    if bookmark.get(RESUME) is not None and not _is_resume(bookmark[RESUME]):
        raise StateError(
            f"state: bookmarks.{name}.{RESUME} cannot be read; remove it, and what it says is read "
            "again."
        )


def _is_resume(stored: Any) -> bool:
    try:
        msgspec.convert(stored, _StoredResume)
    except msgspec.ValidationError:
        return False
    return True


def _without_legacy(bookmark: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in bookmark.items() if key != LEGACY_BOOKMARK}


def _bookmark_in(bookmark: Mapping[str, Any], name: str = "") -> int | None:
    seconds = _seconds(bookmark.get(BOOKMARK), f"{name}.{BOOKMARK}")
    if seconds is None:
        seconds = _seconds(bookmark.get(LEGACY_BOOKMARK), f"{name}.{LEGACY_BOOKMARK}")
    return seconds


def _seconds(value: Any, place: str) -> int | None:
    """Unix seconds from a number or a date; None stays None. Raises :class:`StateError`."""
    try:
        if value is None:
            return None
        if isinstance(value, str):
            value = int(parse_utc(value).timestamp())
        if isinstance(value, bool) or not 0 <= value <= _LAST_SECOND:
            raise ValueError(value)
        return int(value)
    except (ValueError, TypeError, OverflowError):
        message = f"state: bookmarks.{place} must be Unix seconds or a date, not {value!r}."
        raise StateError(message) from None
