"""The command ``tap-klaviyo``: arguments in, exit code out. A thin layer over :class:`Tap`.

:mod:`tap_klaviyo.ending` has the exit codes. A signal ends a run after its current page and a
STATE.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tap_klaviyo.arguments import parsed, summary_path
from tap_klaviyo.ending import (
    ArgumentsError,
    Ending,
    ExitCode,
    SummaryFile,
    closed_pipe,
    complete,
    failed,
    found,
    incomplete_error,
    stopped,
)
from tap_klaviyo.errors import CatalogError, ConfigError, Stopped, TapError
from tap_klaviyo.logs import format_handlers, get_logger
from tap_klaviyo.messages import check_stdout, write_stdout
from tap_klaviyo.process import (
    exit_at_stop_signals,
    handle_stop_signals,
    ignore_stop_signals,
    release_large_objects,
    write_error,
)
from tap_klaviyo.redaction import clean

if TYPE_CHECKING:
    from tap_klaviyo.check import StreamCheck
    from tap_klaviyo.streams import Registry
    from tap_klaviyo.sync.summary import RunSummary
    from tap_klaviyo.tap import Tap

LOG_FORMAT = "log_format"
"""The setting of the command that the tap itself does not read."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return _Command().run(sys.argv[1:] if arguments is None else arguments)


class _Command:
    """One call of the command. It notes what it has done, for its ending."""

    def __init__(self) -> None:
        self._options = argparse.Namespace(debug=False)
        self._summary_file: SummaryFile | None = None
        self._log_format: object = os.environ.get(f"TAP_KLAVIYO_{LOG_FORMAT.upper()}")
        self._logger: logging.Logger | None = None
        self._signals: list[int] = []
        self._summary: RunSummary | None = None
        self._readable = 0
        self._error: Exception | None = None

    def run(self, arguments: Sequence[str]) -> int:
        """Does what the arguments say, and ends with the exit code."""
        try:
            ending = self._do(arguments)
        except BrokenPipeError:
            ending = closed_pipe(self._summary)
        except KeyboardInterrupt:
            ending = stopped(signal.SIGINT, self._summary)
        except Exception as error:
            self._error = error
            ending = failed(error, self._summary, self._readable)
        if self._signals:
            ending = stopped(self._signals[0], self._summary, self._error)
        return self._end(ending)

    def _do(self, arguments: Sequence[str]) -> Ending:
        # Even wrong arguments may name a file in which somebody looks for the ending.
        if path := summary_path(arguments):
            self._summary_file = summary_file = SummaryFile(path)
            exit_at_stop_signals(lambda code, message: summary_file.end(Ending(code, message)))
        self._options = options = parsed(arguments)
        # Imports are here so that --version and --discover do not wait for what they do not use.
        if options.about:
            from tap_klaviyo.about.render import about

            _print(about(options.format, self._registry()))
            return complete()
        if options.discover:
            self._discover()
            return complete()
        return self._use_tap()

    def _end(self, ending: Ending) -> int:
        """Writes the summary file and then the last line, and returns the exit code."""
        code = ending.code
        if self._summary_file is not None:
            try:
                self._summary_file.end(ending)
            except TapError as error:
                self._log(logging.ERROR, str(error))
                code = code or ExitCode.FAILED
        if ending.message:
            self._log(ending.level, ending.message)
        return code

    def _log(self, level: int, message: str) -> None:
        exc_info = self._error if self._options.debug else None
        try:
            self._start_logging().log(level, "%s", message, exc_info=exc_info)
        except Exception:
            # A dependency, memory or a file is missing for the logger, too.
            write_error(logging.getLevelName(level), message)

    def _start_logging(self) -> logging.Logger:
        """Singer's logger, which writes to stderr, in our format."""
        if self._logger is None:
            import singer

            self._logger = singer.get_logger()
            get_logger(self._logger.name)
            if self._options.debug:
                self._logger.setLevel(logging.DEBUG)
        format_handlers(self._log_format)
        return self._logger

    def _settings(self) -> Mapping[str, Any]:
        """The settings of the file, which variables of the environment override."""
        from tap_klaviyo.config.loading import read_object

        path = self._options.config
        settings = read_object(path, "config", ConfigError) if path else {}
        self._log_format = self._log_format or settings.get(LOG_FORMAT)
        return settings

    def _is_configured(self) -> bool:
        """Whether there may be settings; it takes time to read them."""
        return bool(self._options.config) or any(n.startswith("TAP_KLAVIYO_") for n in os.environ)

    def _registry(self) -> Registry:
        """The registry for the revision in the settings, the default one without settings."""
        from tap_klaviyo.config.loading import parse_registry

        return parse_registry(self._settings(), os.environ)

    def _patterns(self) -> list[str]:
        from tap_klaviyo.discovery.patterns import split_patterns

        lists = {"select": self._options.select, "deselect": self._options.deselect}
        joined = {option: ",".join(given) for option, given in lists.items()}
        for option, given in lists.items():
            if given and not split_patterns(joined[option]):
                # A variable of a script may be empty, which must not mean all streams.
                raise ArgumentsError(
                    f"--{option}: there is no pattern; expected some, or no option."
                )
        return split_patterns(**joined)

    def _discover(self) -> None:
        """Prints the catalog, with the selection that the options ask for."""
        from tap_klaviyo.discovery.catalog import build_catalog, catalog_text
        from tap_klaviyo.discovery.patterns import apply_patterns
        from tap_klaviyo.streams import STREAMS

        streams = STREAMS
        if self._is_configured():
            from tap_klaviyo.config.loading import parse_streams

            streams = parse_streams(self._settings(), os.environ)
        if self._options.catalog:
            from tap_klaviyo.config.loading import read_object

            catalog = read_object(self._options.catalog, "catalog", CatalogError)
        else:
            catalog = build_catalog(streams)
        self._start_logging()
        _print(catalog_text(apply_patterns(catalog, self._patterns())))

    def _use_tap(self) -> Ending:
        """Runs a sync, or what the options ask for instead."""
        options = self._options
        if not options.test:
            check_stdout()
        with _imports_frozen():
            from tap_klaviyo.tap import Tap

            self._start_logging()
        release_large_objects()
        settings = self._settings()
        self._start_logging()
        patterns = self._patterns()
        documents = settings, options.catalog, options.state
        tap = Tap(*documents, environment=os.environ, select=patterns)
        with self._stopped_by_signals(tap), suppress(Stopped):
            if options.test:
                return self._check(tap)
            return self._verify(tap) if options.verify else self._sync(tap)
        return complete()  # A signal has stopped it, which decides the ending.

    def _sync(self, tap: Tap) -> Ending:
        from tap_klaviyo.sync.progress_bars import progress_for_terminal
        from tap_klaviyo.sync.target_watch import TargetWatch

        def note(summary: RunSummary) -> None:
            self._summary = summary

        with TargetWatch(write_stdout) as write:
            resync, progress = self._options.resync, progress_for_terminal()
            summary = tap.sync(write, resync=resync, progress=progress, report=note)
        if summary.error is not None:
            raise summary.error
        if not summary.complete and not summary.stopped:
            raise incomplete_error()
        return complete(summary=summary)

    def _check(self, tap: Tap) -> Ending:
        """Prints a line per stream to stderr."""
        from tap_klaviyo.check import check_error, pace_lines

        def report(check: StreamCheck) -> None:
            self._readable += check.ok
            print(_check_line(check), file=sys.stderr)

        checks = tap.check(report)
        for line in pace_lines(checks):
            print(clean(line), file=sys.stderr)
        if error := check_error(checks):
            raise error
        return complete(f"{len(checks)} of {len(checks)} ok: all that is selected can be read.")

    def _verify(self, tap: Tap) -> Ending:
        """Prints what Klaviyo counts now, and what was read."""
        from tap_klaviyo.verify.render import conclusion, rendered

        verification = tap.verify(self._options.target_counts)
        _print(rendered(verification, self._options.format))
        self._readable += sum(not metric.problem for metric in verification.metrics)
        if verification.error is not None:
            raise verification.error
        ending = complete if verification.complete else found
        return ending(conclusion(verification))

    @contextmanager
    def _stopped_by_signals(self, tap: Tap) -> Iterator[None]:
        """Stops ``tap`` at the first signal, and notes all."""

        def stop(number: int, _frame: object) -> None:
            # A second signal may arrive at any line, and must not hide the first one.
            first = not self._signals
            self._signals.append(number)
            if first:
                tap.stop()

        handle_stop_signals(stop)
        try:
            yield
        finally:
            ignore_stop_signals()


def _print(text: str) -> None:
    check_stdout()
    write_stdout(text.encode() + b"\n")


def _check_line(check: StreamCheck) -> str:
    return clean(f"{'ok' if check.ok else 'no':4}{check.stream:45}{', '.join(check.scopes)}")


@contextmanager
def _imports_frozen() -> Iterator[None]:
    """Keeps what is imported from the garbage collector, which takes a tenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
