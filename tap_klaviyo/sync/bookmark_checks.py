"""Compares the bookmarks of the state with the settings, and says what will not be read.

A stream continues at its bookmark, whatever the settings say. So a changed ``start_date`` can leave
a gap that no run reads. Each warning is one line for all streams that it concerns.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from tap_klaviyo.config.settings import Config
from tap_klaviyo.dates import utc
from tap_klaviyo.errors import did_you_mean
from tap_klaviyo.logs import get_logger, listed, quoted
from tap_klaviyo.state import State
from tap_klaviyo.streams.model import Stream

logger = get_logger(__name__)

OTHER_REPLICATION_KEYS: Mapping[str, tuple[str, ...]] = {"timestamp": ("datetime",)}
"""Other names of a replication key: taps of Meltano's SDK read events by ``datetime``."""

_METRIC_ID = re.compile(r"(?=.*[A-Z0-9])[A-Za-z0-9]{6}")
"""What IDs of metrics look like, unlike names of streams. States of singer-io's tap hold them."""


def replication_keys(stream: Stream) -> tuple[str, ...]:
    """The names under which other taps may store the bookmark of ``stream``."""
    return (stream.replication_key, *OTHER_REPLICATION_KEYS.get(stream.replication_key, ()))


def warn_unknown_bookmarks(state: State, known: Iterable[str]) -> None:
    """Warns of bookmarks of streams that do not exist; ``known`` are the names that do."""
    names = set(known)
    unknown = [
        quoted(name) + suggestion
        for name in state.names
        if name not in names
        and ((suggestion := did_you_mean(name, names)) or not _METRIC_ID.fullmatch(name))
    ]
    if unknown:
        logger.warning(
            "state: bookmarks of unknown streams are kept and not used: %s.", listed(unknown)
        )


def warn_not_understood(state: State, streams: Mapping[str, str]) -> None:
    """Warns of streams without a bookmark for which the state holds only keys of other taps.

    ``streams`` maps names in messages to names in the state.
    """
    unread = [name for name, stream in streams.items() if state.bookmark(stream) is None]
    keys = {name: found for name in unread if (found := state.unknown_keys(streams[name]))}
    if keys:
        logger.warning(
            "state: these bookmarks hold no date up to which the whole stream was read, so the "
            "streams are read from start_date: %s.",
            listed(f"{stream} ({listed(found)})" for stream, found in keys.items()),
        )


def warn_future(starts: Mapping[str, int]) -> None:
    """Warns of streams whose bookmark is in the future; they are read again from ``starts``."""
    if starts:
        logger.warning(
            "state: bookmarks in the future, from a clock that was ahead, were set back to the "
            "start of this run. The streams are read again from %s. Records before that may be "
            "missing; to read them, set 'timestamp' of these streams to a date before the clock "
            "was wrong.",
            by_time(starts),
        )


def warn_dates(state: State, streams: Mapping[str, str], config: Config, now: int) -> None:
    """Warns of what ``start_date``, ``end_date`` and the bookmarks leave unread.

    ``streams`` maps names in messages to names in the state. ``now`` is the start of the run.
    """
    start_date = max(0, int(config.start_date.timestamp()))
    _warn_start(state, streams, start_date, now, utc(start_date) + config.source_of("start_date"))
    end_date = int(config.end_date.timestamp()) if config.end_date else now
    if end_date < now:
        _warn_end(state, streams, end_date, config.source_of("end_date"))


def _warn_start(
    state: State, streams: Mapping[str, str], start_date: int, now: int, shown: str
) -> None:
    bookmarks = {name: state.bookmark(stream) for name, stream in streams.items()}
    read_to = {name: mark for name, mark in bookmarks.items() if mark is not None}
    read_from = {name: state.start_date(streams[name]) for name in read_to}
    later = {name: mark for name, mark in read_to.items() if mark < start_date}
    earlier = {name: at for name, at in read_from.items() if at is not None and at > start_date}
    unread = [name for name in streams if name not in read_to]
    if later:
        logger.warning(
            "config: start_date %s is later than bookmarks in the state. Records from the bookmark "
            "up to start_date are not read: from %s. To read them, set start_date back.",
            shown,
            by_time(later),
        )
    if earlier:
        logger.warning(
            "config: start_date %s is earlier than before, but streams continue at their "
            "bookmarks. Records from start_date are not read up to %s. To read them, remove these "
            "streams from 'bookmarks' in the state, or run once without a state.",
            shown,
            by_time(earlier),
        )
    if unread and start_date > now:
        logger.warning(
            "config: start_date %s is in the future, so nothing is read of %s.",
            shown,
            listed(unread),
        )


def _warn_end(state: State, streams: Mapping[str, str], end_date: int, source: str) -> None:
    marks = {name: state.bookmark(stream) for name, stream in streams.items()}
    done = [name for name, mark in marks.items() if mark is not None and mark >= end_date]
    if done:
        logger.warning(
            "config: end_date %s is not later than bookmarks in the state, so nothing new is read "
            "of %s.",
            utc(end_date) + source,
            listed(done),
        )


def by_time(times: Mapping[str, int]) -> str:
    """``2026-01-01T00:00:00Z (open, click), 2026-02-01T00:00:00Z (profiles)``."""
    names = defaultdict[int, list[str]](list)
    for name, seconds in times.items():
        names[seconds].append(name)
    return listed(f"{utc(seconds)} ({listed(names[seconds])})" for seconds in sorted(names))
