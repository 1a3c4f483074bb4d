"""The state document: read, taken over from other taps, advanced, dumped. Pure data, no I/O.

The document is ``{"bookmarks": {"receive": {"timestamp": 1767225600, "swept_at": 1767225600}},
"currently_syncing": null}``. ``timestamp`` is the low-water mark of a stream: every event before it
has been written. ``swept_at`` is the start of the last run that swept the stream for events that
came very late. Both are Unix seconds. ``metrics`` are the ids of the metrics that the mark speaks
of. One that is new to the stream has a history yet to be read: until that has come up to the
stream's mark, the metric has a mark of its own, ``"joining": {"<metric id>": 1767225600}``, so that
a run that dies meanwhile does not read it from the start again. What the document holds beyond that
is kept as it is.

States of singer-io's tap-klaviyo are read too: ``{"bookmarks": {"<metric id or stream>": {"since":
"2026-01-01T00:00:00Z"}}}`` and the flat ``{"receive": "2017-01-01T00:00:00Z"}``.

A document that cannot be understood is an error that names the place. Silently starting over
would cost days, silently skipping would cost rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tap_klaviyo.dates import parse_utc
from tap_klaviyo.errors import ConfigError

MARK = "timestamp"


SWEPT = "swept_at"


METRICS = "metrics"


JOINING = "joining"


LEGACY_MARK = "since"


MAX_SECONDS = 253_402_300_799  # the last second of the year 9999


class State:
    """The bookmarks of all streams. Raises :class:`ConfigError` for what cannot be a state."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = dict(document)
        if "bookmarks" not in self._document:
            self._document = _from_flat(self._document)
        bookmarks = self._document["bookmarks"]
        if bookmarks is None:
            bookmarks = {}
        if not isinstance(bookmarks, dict):
            raise ConfigError("state: 'bookmarks' must be an object.")
        for name, bookmark in bookmarks.items():
            _check(name, bookmark)
        # Bookmarks are replaced, never changed in place: a shallow copy is a copy.
        self._bookmarks: dict[str, Any] = dict(bookmarks)

    def adopt(self, stream: str, aliases: Iterable[str], metric_ids: Iterable[str]) -> None:
        """Takes the bookmark of ``stream`` over from the keys that other taps or names gave it.

        Of several the oldest counts: an event twice is better than an event lost. A bookmark under
        the id of a metric speaks of that metric alone.
        """
        others = {
            key: bookmark
            for key in dict.fromkeys((*aliases, *metric_ids))
            if key != stream and (bookmark := self._bookmarks.pop(key, None))
        }
        own = self._bookmarks.get(stream) or {}
        if _mark(own) is not None:
            self._bookmarks[stream] = {**_without_legacy(own), MARK: _mark(own)}
            return
        marks = {key: mark for key, other in others.items() if (mark := _mark(other)) is not None}
        if marks:
            adopted = {**_without_legacy(own), MARK: min(marks.values())}
            if marks.keys() <= set(metric_ids):
                adopted[METRICS] = sorted(marks)
            self._bookmarks[stream] = adopted

    def mark(self, stream: str) -> int | None:
        """The low-water mark of ``stream``; None if it has never been read."""
        return _mark(self._bookmarks.get(stream) or {})

    def swept_at(self, stream: str) -> int | None:
        """When ``stream`` was last swept; None if never."""
        return _seconds((self._bookmarks.get(stream) or {}).get(SWEPT), f"{stream}.{SWEPT}")

    def covers(self, stream: str, metric_id: str) -> bool:
        """Whether the mark of ``stream`` speaks of this metric too."""
        if self.mark(stream) is None:
            return False
        known = self._bookmarks[stream].get(METRICS)
        return known is None or metric_id in known

    def joining(self, stream: str, metric_id: str) -> int | None:
        """The mark of a metric that the mark of ``stream`` does not speak of; None if it has none.

        It is Unix seconds, as the stream's.
        """
        mark = (self._bookmarks.get(stream) or {}).get(JOINING, {}).get(metric_id)
        return _seconds(mark, f"{stream}.{JOINING}.{metric_id}")

    def note(self, stream: str, *, metrics: Iterable[str], swept_at: int | None = None) -> None:
        """Remembers that ``stream`` has just these ``metrics`` and, if given, a sweep.

        The mark goes on to speak of those that it spoke of; of all if there is no mark yet.
        """
        first, metrics = self.mark(stream) is None, sorted(metrics)
        covered = [metric for metric in metrics if first or self.covers(stream, metric)]
        others = {metric: self.joining(stream, metric) for metric in metrics}
        joining = {m: mark for m, mark in others.items() if mark is not None and m not in covered}
        noted: dict[str, Any] = {METRICS: covered} if metrics else {}
        if swept_at is not None:
            noted[SWEPT] = swept_at
        self._write(stream, {**noted, JOINING: joining})

    def advance(self, stream: str, mark: int, *, latest: int) -> bool:
        """Moves the mark of ``stream`` forward, never back and never past ``latest``.

        Returns whether it moved. A mark beyond ``latest`` (from a state of the future) is brought
        back to it, as events could be lost behind it.
        """
        known = self.mark(stream)
        mark = min(mark if known is None else max(mark, known), latest)
        if mark == known:
            return False
        self._write(stream, {MARK: mark})
        return True

    def join(self, stream: str, metric_id: str, mark: int, *, latest: int) -> bool:
        """Moves the mark of a metric that joins ``stream``, as :meth:`advance` does the stream's.

        When it has come up to the mark of the stream, that speaks of the metric too from then on.
        """
        bookmark = self._bookmarks[stream]
        known = self.joining(stream, metric_id)
        mark = min(mark if known is None else max(mark, known), latest)
        if mark == known:
            return False
        joining = {**bookmark.get(JOINING, {}), metric_id: mark}
        covered = bookmark[METRICS]
        if mark >= (self.mark(stream) or 0):
            del joining[metric_id]
            covered = sorted({*covered, metric_id})
        self._write(stream, {METRICS: covered, JOINING: joining})
        return True

    def document(self, currently_syncing: str | None) -> dict[str, Any]:
        """The whole document for a STATE message."""
        return {
            **self._document,
            "bookmarks": dict(self._bookmarks),
            "currently_syncing": currently_syncing,
        }

    def _write(self, stream: str, changes: Mapping[str, Any]) -> None:
        """Puts ``changes`` into the bookmark of ``stream``; what became empty there is left out."""
        changed = {**(self._bookmarks.get(stream) or {}), **changes}
        if not changed.get(JOINING):
            changed.pop(JOINING, None)
        self._bookmarks[stream] = changed


def _from_flat(document: dict[str, Any]) -> dict[str, Any]:
    """``{"receive": "2017-…"}`` as a document with bookmarks; anything else there is refused."""
    flat = {key: value for key, value in document.items() if key != "currently_syncing"}
    for name, value in flat.items():
        if not isinstance(value, str):
            raise ConfigError(f"state: '{name}' is neither 'bookmarks' nor a date.")
    return {"bookmarks": {name: {LEGACY_MARK: value} for name, value in flat.items()}}


def _check(name: str, bookmark: Any) -> None:
    if bookmark is None:
        return
    if not isinstance(bookmark, dict):
        raise ConfigError(f"state: bookmarks.{name} must be an object.")
    _mark(bookmark, name)
    _seconds(bookmark.get(SWEPT), f"{name}.{SWEPT}")
    metrics = bookmark.get(METRICS)
    if metrics is not None and not (
        isinstance(metrics, list) and all(isinstance(identifier, str) for identifier in metrics)
    ):
        raise ConfigError(f"state: bookmarks.{name}.{METRICS} must be an array of metric ids.")
    joining = bookmark.get(JOINING, {})
    if not isinstance(joining, dict):
        raise ConfigError(f"state: bookmarks.{name}.{JOINING} must be an object.")
    for metric, mark in joining.items():
        _seconds(mark, f"{name}.{JOINING}.{metric}")


def _without_legacy(bookmark: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in bookmark.items() if key != LEGACY_MARK}


def _mark(bookmark: Mapping[str, Any], name: str = "") -> int | None:
    mark = _seconds(bookmark.get(MARK), f"{name}.{MARK}")
    return (
        mark if mark is not None else _seconds(bookmark.get(LEGACY_MARK), f"{name}.{LEGACY_MARK}")
    )


def _seconds(value: Any, place: str) -> int | None:
    """Unix seconds from a number or a date; None stays None."""
    try:
        if value is None:
            return None
        if isinstance(value, str):
            value = int(parse_utc(value).timestamp())
        if isinstance(value, bool) or not 0 <= value <= MAX_SECONDS:
            raise ValueError(value)
        return int(value)
    except (ValueError, TypeError, OverflowError):
        message = f"state: bookmarks.{place} must be Unix seconds or a date, not {value!r}."
        raise ConfigError(message) from None
