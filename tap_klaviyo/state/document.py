"""The state document: read, migrated from other taps, advanced, written.

``docs/state.md`` describes every key. In short, for each stream::

    {"bookmarks": {"receive": {"timestamp": 1767225600, "start_date": 1704067200,
                               "swept_at": 1767225600, "metrics": ["M1"],
                               "joining": {"M2": 1735689600}}},
     "currently_syncing": null}

* ``timestamp`` is the bookmark, a low-water mark in Unix seconds: every record before it has been
  written, for the ``metrics`` (or reports) listed.
* ``start_date`` is the second from which the stream was read: between it and ``timestamp`` there is
  no gap.
* ``joining`` holds bookmarks of metrics that the stream's bookmark does not cover: they are new and
  still being backfilled, or the account did not have them in a later run. A metric moves from there
  to ``metrics`` when its bookmark has reached the stream's.
* ``swept_at`` is the end of what the last run that looked for very late events has read.
* ``resume`` says what a run that was interrupted has read besides, so that the next one does not
  read it again. It counts only as long as ``timestamp`` is the one that it holds too.
* ``full_table_read_at`` is the start of the last run that has read all records of a full table,
  for a stream that is not read in full by each run.
* ``counts`` is what is remembered of Klaviyo's counts of events, by metric.
* ``definition`` is the metric that the user has configured for a stream, and its integration.
* ``account_id``, beside ``bookmarks``, is the ID of the account if a run has asked for it.

Keys that this version does not know are carried along unchanged, so that an older version does not
lose what a newer one wrote.

States of other taps are read too. Those of singer-io's tap-klaviyo are ``{"bookmarks": {"<metric ID
or stream>": {"since": "2026-01-01T00:00:00Z"}}}`` and the flat form ``{"receive":
"2017-01-01T00:00:00Z"}``. Taps of Meltano's SDK write ``{"replication_key": "datetime",
"replication_key_value": "2026-01-01T00:00:00Z"}``, and singer-python's ``write_bookmark`` writes
``{"updated": "2026-01-01T00:00:00Z"}``.

A STATE message, and what Meltano stores, are read too: the state in them counts.

A document that cannot be understood raises :class:`StateError`. To start over silently would cost
days; to skip silently would lose records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tap_klaviyo.state.bookmarks import (
    BACKFILLS,
    BOOKMARK,
    COUNTS,
    DEFINITION,
    FULL_TABLE_KEYS,
    LEGACY_BOOKMARK,
    METRICS,
    OWN_KEYS,
    RESUME,
    START_DATE,
    SWEPT_AT,
    FullRead,
    Resume,
    any_bookmark_in,
    bookmark_in,
    full_read_in,
    seconds_in,
    validate,
    with_full_read,
    without_foreign,
    without_negatives,
)
from tap_klaviyo.state.counts import MetricCounts
from tap_klaviyo.state.stored_counts import counts_document, counts_from
from tap_klaviyo.state.wrappers import ACCOUNT, account_in, unwrapped


class State:
    """The bookmarks of all streams. Raises :class:`StateError` for an invalid document.

    All times are Unix seconds.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = unwrapped(document)
        bookmarks = self._document["bookmarks"]
        for name, bookmark in bookmarks.items():
            validate(name, bookmark)
        # Bookmarks are replaced, never changed in place: a shallow copy is enough.
        self._bookmarks: dict[str, Any] = {
            name: bookmark and without_negatives(bookmark) for name, bookmark in bookmarks.items()
        }

    @property
    def account_id(self) -> str | None:
        """The ID of the account; None if none is stored. Raises :class:`StateError` if invalid."""
        return account_in(self._document)

    def set_account(self, account_id: str) -> None:
        """Stores the ID of the account."""
        self._document[ACCOUNT] = account_id

    @property
    def names(self) -> list[str]:
        """The names that have a bookmark."""
        return [name for name, bookmark in self._bookmarks.items() if bookmark]

    def unknown_keys(self, stream: str) -> list[str]:
        """What is stored for ``stream`` if none of it is a key of this tap."""
        keys = (self._bookmarks.get(stream) or {}).keys()
        return [] if keys & {*OWN_KEYS, LEGACY_BOOKMARK} else sorted(keys)

    def migrate(
        self,
        stream: str,
        aliases: Iterable[str],
        metric_ids: Iterable[str],
        replication_keys: Collection[str] = (),
    ) -> None:
        """Moves bookmarks that other taps keep under ``aliases`` or metric IDs to ``stream``.

        ``replication_keys`` are the names that other taps may have for the date that ``stream`` is
        read by. The oldest of several bookmarks wins: an event twice is better than an event lost.
        A bookmark under a metric ID covers that metric only. Raises :class:`StateError` for a
        bookmark of another tap that is not a date.
        """
        others = {
            key: bookmark
            for key in dict.fromkeys((*aliases, *metric_ids))
            if key != stream and (bookmark := self._bookmarks.pop(key, None))
        }
        own = self._bookmarks.get(stream) or {}
        seconds = any_bookmark_in(own, stream, replication_keys)
        if seconds is not None:
            self._bookmarks[stream] = {**without_foreign(own, replication_keys), BOOKMARK: seconds}
            return
        known = {
            key: seconds
            for key, other in others.items()
            if (seconds := any_bookmark_in(other, key, replication_keys)) is not None
        }
        if known:
            kept = without_foreign(own, replication_keys)
            migrated = {**kept, BOOKMARK: min(known.values())}
            if known.keys() <= set(metric_ids):
                migrated[METRICS] = sorted(known)
            self._bookmarks[stream] = migrated

    def bookmark(self, stream: str) -> int | None:
        """The bookmark of ``stream``; None if it has never been read."""
        return bookmark_in(self._bookmarks.get(stream) or {})

    def start_date(self, stream: str) -> int | None:
        """The second from which ``stream`` was read up to its bookmark; None if unknown."""
        return self._seconds_of(stream, START_DATE)

    def definition(self, stream: str) -> list[str] | None:
        """The definition that was stored with the metrics of ``stream``; None if there is none."""
        definition = (self._bookmarks.get(stream) or {}).get(DEFINITION)
        return None if definition is None else list(definition)

    def metric_ids(self, stream: str) -> list[str]:
        """The metrics that have a bookmark of their own or that the stream's covers by name."""
        bookmark = self._bookmarks.get(stream) or {}
        return sorted({*(bookmark.get(METRICS) or ()), *(bookmark.get(BACKFILLS) or ())})

    def swept_at(self, stream: str) -> int | None:
        """The end of what the last sweep of ``stream`` has read; None if there was none."""
        return self._seconds_of(stream, SWEPT_AT)

    def covers(self, stream: str, metric_id: str) -> bool:
        """Whether the bookmark of ``stream`` holds for a metric; without a list, for all."""
        if self.bookmark(stream) is None:
            return False
        metrics = self._bookmarks[stream].get(METRICS)
        return metrics is None or metric_id in metrics

    def backfill_bookmark(self, stream: str, metric_id: str) -> int | None:
        """The bookmark of a metric that the stream's does not cover; None if it has none."""
        backfills = (self._bookmarks.get(stream) or {}).get(BACKFILLS) or {}
        return seconds_in(backfills.get(metric_id), f"{stream}.{BACKFILLS}.{metric_id}")

    def set_metrics(
        self,
        stream: str,
        *,
        metrics: Iterable[str],
        swept_at: int | None = None,
        set_aside_at: int | None = None,
    ) -> None:
        """Stores which ``metrics`` the stream has now and, if given, the end of a sweep.

        Metrics that the bookmark covered stay covered. The first bookmark covers all. A metric that
        it covered and that is missing now gets a bookmark of its own, at ``set_aside_at`` or else
        at the stream's: when it returns, it is read from there.
        """
        first, metrics = self.bookmark(stream) is None, sorted(metrics)
        bookmark = self._bookmarks.get(stream) or {}
        covered = [metric for metric in metrics if first or self.covers(stream, metric)]
        aside = self.bookmark(stream) if set_aside_at is None else set_aside_at
        missing = set() if first else {*(bookmark.get(METRICS) or ())} - {*metrics}
        backfills = {**(bookmark.get(BACKFILLS) or {}), **dict.fromkeys(sorted(missing), aside)}
        changes: dict[str, Any] = {METRICS: covered} if metrics else {}
        if swept_at is not None:
            changes[SWEPT_AT] = swept_at
        kept = {metric: backfills[metric] for metric in backfills if metric not in covered}
        self._update(stream, {**changes, BACKFILLS: kept})

    def define(self, stream: str, definition: Sequence[str], *, without: Collection[str]) -> None:
        """Stores the definition of a stream, and drops the bookmarks of the metrics ``without``."""
        bookmark = self._bookmarks.get(stream) or {}
        changes: dict[str, Any] = {DEFINITION: list(definition)}
        if bookmark.get(METRICS) is not None:
            changes[METRICS] = [key for key in bookmark[METRICS] if key not in without]
        backfills = bookmark.get(BACKFILLS) or {}
        changes[BACKFILLS] = {k: mark for k, mark in backfills.items() if k not in without}
        self._update(stream, changes)

    def advance(
        self, stream: str, mark: int, *, latest: int, start_date: int | None = None
    ) -> bool:
        """Moves the bookmark of ``stream`` forward to ``mark``, at most to ``latest``.

        Returns whether it moved. A bookmark after ``latest``, from a clock that was ahead, is moved
        back to it, since events after it may be unread. ``start_date`` is that of the run: it is
        stored with the first bookmark, and if the run started after the bookmark.
        """
        known = self.bookmark(stream)
        mark = max(0, min(mark if known is None else max(mark, known), latest))
        if mark == known:
            return False
        changes = {BOOKMARK: mark}
        if start_date is not None and (
            known is None or known < start_date or self.start_date(stream) is None
        ):
            changes[START_DATE] = start_date
        self._update(stream, changes)
        return True

    def advance_backfill(
        self, stream: str, metric_id: str, mark: int, *, latest: int, start_date: int | None = None
    ) -> bool:
        """Moves the bookmark of a metric that the stream's does not cover; returns if it moved.

        When it reaches the stream's bookmark, that one covers the metric from then on. If the
        metric was read from a later ``start_date`` than the stream, that one is stored.
        """
        bookmark = self._bookmarks[stream]
        known = self.backfill_bookmark(stream, metric_id)
        mark = max(0, min(mark if known is None else max(mark, known), latest))
        if mark == known:
            return False
        changes: dict[str, Any] = {}
        if start_date is not None and (known is None or known < start_date):
            changes[START_DATE] = max(start_date, self.start_date(stream) or 0)
        backfills = {**(bookmark.get(BACKFILLS) or {}), metric_id: mark}
        covered = bookmark.get(METRICS) or []
        if mark >= (self.bookmark(stream) or 0):
            del backfills[metric_id]
            covered = sorted({*covered, metric_id})
        self._update(stream, {**changes, METRICS: covered, BACKFILLS: backfills})
        return True

    def set_back(self, stream: str, now: int) -> list[str]:
        """Sets the bookmarks of ``stream`` that are after ``now`` back to it.

        Returns the metrics whose own bookmarks were, and the empty text for the stream's.
        """
        bookmark = self.bookmark(stream)
        if bookmark is None:
            return []
        parts = [""] if self.advance(stream, bookmark, latest=now) else []
        for metric in self.metric_ids(stream):
            mark = self.backfill_bookmark(stream, metric) or 0
            if mark > now and self.advance_backfill(stream, metric, mark, latest=now):
                parts.append(metric)
        return parts

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

    def full_read(self, stream: str) -> FullRead | None:
        """When all of ``stream`` was read last; None if that is not known."""
        return full_read_in(self._bookmarks.get(stream) or {}, stream)

    def set_full_read(self, stream: str, read: FullRead | None) -> None:
        """Stores when all of ``stream`` was read last; None removes it."""
        stored = self._bookmarks.get(stream) or {}
        if read is None and not stored.keys() & {*FULL_TABLE_KEYS}:
            return
        self._bookmarks[stream] = with_full_read(stored, read)
        if not self._bookmarks[stream]:
            del self._bookmarks[stream]

    def counts(self, stream: str) -> dict[str, MetricCounts]:
        """What is remembered of Klaviyo's counts of the events of ``stream``, by metric."""
        found = (self._bookmarks.get(stream) or {}).get(COUNTS) or {}
        return {metric: counts_from(document) for metric, document in found.items()}

    def set_counts(self, stream: str, metric: str, counts: MetricCounts) -> None:
        """Stores what is remembered of the counts of a metric."""
        known = (self._bookmarks.get(stream) or {}).get(COUNTS) or {}
        self._update(stream, {COUNTS: {**known, metric: counts_document(counts)}})

    def stored(self, stream: str) -> Mapping[str, Any] | None:
        """All that is stored for ``stream``; it is never changed in place."""
        stored: Mapping[str, Any] | None = self._bookmarks.get(stream)
        return stored

    def document(
        self,
        currently_syncing: str | None,
        held: Mapping[str, Mapping[str, Any] | None] = {},
    ) -> dict[str, Any]:
        """The value of a STATE message. ``held`` replaces what is stored for some streams."""
        bookmarks = {**self._bookmarks, **held}
        for stream in [stream for stream, stored in held.items() if stored is None]:
            del bookmarks[stream]
        return {**self._document, "bookmarks": bookmarks, "currently_syncing": currently_syncing}

    def _seconds_of(self, stream: str, key: str) -> int | None:
        return seconds_in((self._bookmarks.get(stream) or {}).get(key), f"{stream}.{key}")

    def _update(self, stream: str, changes: Mapping[str, Any]) -> None:
        """Stores ``changes`` in the bookmark of ``stream``, but no empty objects."""
        changed = {**(self._bookmarks.get(stream) or {}), **changes}
        for key in (BACKFILLS, RESUME):
            if not changed.get(key):
                changed.pop(key, None)
        self._bookmarks[stream] = changed
