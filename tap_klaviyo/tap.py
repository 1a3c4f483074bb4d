"""``Tap``, the public API: discover, check and sync from Python.

::

    from tap_klaviyo import Tap

    tap = Tap({"api_key": "pk_...", "start_date": "2026-01-01"})
    for profile in tap.records("profiles"):
        print(profile["email"])

Nothing here changes the process: no logging handler, no signal handler, no stdout. Settings come
from the arguments only. Several taps, and several runs of one tap, may be active at once; each run
has a client and threads of its own, which end with it.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from os import PathLike
from typing import TYPE_CHECKING, Any

import msgspec

from tap_klaviyo.config.client import client_for
from tap_klaviyo.config.loading import Document, object_from, parse_config
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.discovery.patterns import apply_patterns, split_patterns
from tap_klaviyo.discovery.selection import SelectedStream, has_metric_ids, read_catalog
from tap_klaviyo.errors import (
    CatalogError,
    ConfigError,
    StateError,
    Stopped,
    TapError,
    unexpected,
)
from tap_klaviyo.klaviyo.account import read_metrics
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.oauth import store_for
from tap_klaviyo.limits import affordable_workers
from tap_klaviyo.logs import get_logger
from tap_klaviyo.messages import Writer
from tap_klaviyo.state import State
from tap_klaviyo.streams import revision_warning
from tap_klaviyo.sync.account_check import check_account
from tap_klaviyo.sync.progress_bars import Progress
from tap_klaviyo.sync.resync import resync_run
from tap_klaviyo.sync.run import Run
from tap_klaviyo.sync.summary import RunSummary, log_fewer_workers

if TYPE_CHECKING:
    from tap_klaviyo.check import StreamCheck
    from tap_klaviyo.verify.verification import Verification

logger = get_logger(__name__)


class Tap:
    """One Klaviyo account. ``config``, ``catalog`` and ``state`` are mappings or paths of files.

    Without a ``catalog``, the streams and fields that are selected by default are read. ``select``
    has patterns that change this selection or that of the catalog, such as "receive,!*.profile" or
    a list of them; see :mod:`tap_klaviyo.discovery.patterns`. Without a ``state``,
    incremental streams start at the setting ``start_date``. The ``TAP_KLAVIYO_...`` variables of
    ``environment``, such as ``os.environ``, override ``config``; none by default.

    Raises :class:`ConfigError`, :class:`CatalogError` or :class:`StateError` for invalid documents.
    """

    def __init__(
        self,
        config: Document,
        catalog: Document | None = None,
        state: Document | None = None,
        *,
        select: str | Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._config = parse_config(object_from(config, "config", ConfigError), environment or {})
        self._streams = self._config.streams
        self._patterns = split_patterns(select) if isinstance(select, str) else list(select)
        given = None if catalog is None else object_from(catalog, "catalog", CatalogError)
        self._catalog = apply_patterns(
            build_catalog(self._streams) if given is None else given, self._patterns
        )
        self._state = {} if state is None else object_from(state, "state", StateError)
        State(self._state)
        self._tokens = store_for(self._config.credentials, self._config.oauth_token_file)
        self._selection: list[SelectedStream] | None = None
        if not has_metric_ids(self._catalog, self._streams):
            self._selection = read_catalog(self._catalog, streams=self._streams)
        self._active: set[Callable[[], None]] = set()
        self._stopped = False
        self._lock = threading.RLock()

    def discover(self) -> dict[str, Any]:
        """A new catalog of all streams, those of the setting ``metric_streams`` included.

        It has the selection of the ``select`` of the constructor.
        """
        return copy.deepcopy(apply_patterns(build_catalog(self._streams), self._patterns))

    def check(
        self, report: Callable[[StreamCheck], object] = lambda check: None
    ) -> list[StreamCheck]:
        """Requests one record of each selected stream, to see whether the API key may read it.

        ``report`` is called with each result as soon as it is known. Raises :class:`TapError` for
        what would end a run, such as a key that Klaviyo refuses.
        """
        from tap_klaviyo.check import check

        checks = []
        with self._client() as client, self._running(client.stop), _bugs_reported():
            if account_id := check_account(self._config, State(self._state), client):
                logger.info("The credentials are of account '%s'.", account_id)
            for checked in check(self._config, client, self._select(client)):
                report(checked)
                checks.append(checked)
        return checks

    def verify(self, target_counts: str | PathLike[str] | None = None) -> Verification:
        """Compares Klaviyo's counts of events with what the state says of the last readings.

        For each selected event stream and metric there is a row for each month: Klaviyo's count of
        now, the count when it was read last, what that reading has brought, and what is to be read
        again. Lists and segments have their numbers of profiles. No event is read, and nothing is
        written.

        ``target_counts`` is the path of a CSV file with the columns stream, day and count: how many
        events a target holds. The days are named of which it holds fewer than were read.

        Raises :class:`ConfigError` for a file that cannot be read, :class:`TapError` for what would
        end a run, and :class:`StreamError` if the metrics of the account cannot be read.
        """
        from tap_klaviyo.verify.target_counts import read_target_counts
        from tap_klaviyo.verify.verification import verify

        held = None if target_counts is None else read_target_counts(target_counts)
        with self._client() as client, self._running(client.stop), _bugs_reported():
            state = State(self._state)
            check_account(self._config, state, client)
            return verify(self._config, client, self._select(client), state, held)

    def sync(
        self,
        write: Callable[[bytes], object],
        *,
        resync: str | Sequence[str] = (),
        progress: Progress | None = None,
        report: Callable[[RunSummary], object] = lambda summary: None,
    ) -> RunSummary:
        """Reads the selected streams, from the state of the constructor.

        With ``resync``, it reads days of some of them again instead, such as
        "open:2026-01-30..2026-01-31" (UTC, both included), and the STATE stays the one that was
        given. Raises :class:`ConfigError` for streams and days that cannot be read again.

        Singer messages are passed to ``write`` in the calling thread, as bytes of one or more whole
        lines. An error that ``write`` raises ends the run and is raised here. ``progress`` shows
        how far the run is. ``report`` is called with the summary of a run that ends with an error
        or without.

        Streams that cannot be read are named in the summary, and the others are read. Raises
        :class:`TapError` for errors that end the run.
        """
        writer = Writer(write)
        days = [resync] if isinstance(resync, str) else list(resync)
        try:
            with self._client() as client, _bugs_reported():
                return self._sync(client, writer, days, progress, report)
        except Exception:
            if writer.error is not None:
                raise writer.error from None
            raise

    def records(self, stream: str) -> Iterator[dict[str, Any]]:
        """The records of one stream with the fields that are selected by default, as dicts.

        The setting ``batch_config`` and the catalog of the constructor are not used, the state is:
        of a full table that is not due, there are none. Records are read while the caller iterates,
        at most a page per worker ahead. To close the iterator ends the run. Raises
        :class:`CatalogError` for an unknown stream and, while iterating, the :class:`StreamError`
        of a stream that cannot be read, or :class:`Stopped`.
        """
        entries = build_catalog(self._streams)["streams"]
        entry = next((e for e in entries if e["tap_stream_id"] == stream), None)
        if entry is None:
            raise CatalogError(f"There is no stream '{stream}'.")
        stream_metadata = {"breadcrumb": [], "metadata": {"selected": True}}
        selected = {**entry, "metadata": [*entry["metadata"], stream_metadata]}
        selection = read_catalog({"streams": [selected]}, streams=self._streams)
        return self._records(selection)

    def stop(self) -> None:
        """Ends all active runs after their current page, and all later ones at once.

        Any thread, and a signal handler, may call it.
        """
        with self._lock:
            self._stopped = True
            active = list(self._active)
        for stop in active:
            stop()

    def _sync(
        self,
        client: Client,
        writer: Writer,
        resync: Sequence[str],
        progress: Progress | None,
        report: Callable[[RunSummary], object],
    ) -> RunSummary:
        try:
            with self._running(client.stop):
                selection = self._select(client)
        except Stopped:
            return RunSummary((), time.time(), 0.0, stopped=True, saved=False, error=None)
        run = self._run(client, writer, selection, progress, resync=resync)
        try:
            with self._running(run.stop):
                run.sync()
        finally:
            summary = run.summary()
            # After a resync, a new run starts from the state that was given.
            summary = dataclasses.replace(summary, saved=summary.saved and not resync)
            report(summary)
        return summary

    def _records(self, selection: list[SelectedStream]) -> Iterator[dict[str, Any]]:
        lines: list[bytes] = []
        with self._client() as client, _bugs_reported():
            run = self._run(client, Writer(lines.append), selection, batches=False)
            with self._running(run.stop), closing(run.steps()) as steps:
                for _ in steps:
                    yield from _decoded(lines)
                    lines.clear()
                yield from _decoded(lines)
            if run.errors:
                raise run.errors[0]
            if not run.summary().complete:
                raise Stopped("The run was stopped.")

    @contextmanager
    def _client(self) -> Iterator[Client]:
        """A client that is closed at the end. Warns of what is to be known of the revision."""
        today = datetime.fromtimestamp(time.time(), timezone.utc).date()
        if warning := revision_warning(self._config.revision, today):
            logger.warning("%s", warning)
        client = client_for(self._config, tokens=self._tokens)
        try:
            yield client
        finally:
            client.close()

    def _run(
        self,
        client: Client,
        writer: Writer,
        selection: list[SelectedStream],
        progress: Progress | None = None,
        batches: bool = True,
        resync: Sequence[str] = (),
    ) -> Run:
        workers, limit = affordable_workers(self._config.concurrency)
        if limit:
            log_fewer_workers(workers, limit)
        options = self._config.batch_config if batches else None
        config = dataclasses.replace(self._config, concurrency=workers, batch_config=options)
        if resync:
            return resync_run(config, client, writer, selection, self._state, resync, progress)
        return Run(config, client, writer, selection, State(self._state), progress=progress)

    def _select(self, client: Client) -> list[SelectedStream]:
        """The selected streams. Catalogs of singer-io's tap take a request for the metrics."""
        if self._selection is None:
            names = read_metrics(client).stream_names()
            self._selection = read_catalog(self._catalog, names, self._streams)
        return self._selection

    @contextmanager
    def _running(self, stop: Callable[[], None]) -> Iterator[None]:
        """Lets :meth:`stop` call ``stop`` in the meantime."""
        with self._lock:
            self._active.add(stop)
            stopped = self._stopped
        if stopped:
            stop()
        try:
            yield
        finally:
            with self._lock:
                self._active.discard(stop)


def _decoded(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    """The records among the messages in ``lines``."""
    for line in b"".join(lines).splitlines():
        try:
            message = msgspec.json.decode(line)
        except msgspec.DecodeError:
            message = json.loads(line)  # A free-form value has a number that no float holds.
        if message["type"] == "RECORD":
            yield message["record"]


@contextmanager
def _bugs_reported() -> Iterator[None]:
    """Turns an error that nobody expected into a :class:`TapError`, mostly an InternalError."""
    try:
        yield
    except TapError:
        raise
    except Exception as error:
        raise unexpected(error) from error
