"""The command ``tap-klaviyo``: arguments in, exit code out. A thin layer over :class:`Tap`.

Exit codes: 0 success; 1 an error, which the last line on stderr names; 2 invalid arguments; 129,
130 and 143 stopped by SIGHUP, SIGINT or SIGTERM, after the current page and a STATE.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from tap_klaviyo import __version__
from tap_klaviyo.errors import ConfigError, InternalError, Stopped, TapError, unexpected
from tap_klaviyo.logs import get_logger, redact_handlers
from tap_klaviyo.messages import check_stdout, write_stdout
from tap_klaviyo.process import (
    SIGNAL_EXIT,
    handle_stop_signals,
    ignore_stop_signals,
    release_large_objects,
    write_error,
)
from tap_klaviyo.redaction import clean

if TYPE_CHECKING:
    from tap_klaviyo.check import StreamCheck
    from tap_klaviyo.streams.model import Stream
    from tap_klaviyo.tap import Tap

STOPPED = "Stopped by %s; the state keeps what is done."

DESCRIPTION = """\
Reads a Klaviyo account and writes Singer messages to stdout.

  1. tap-klaviyo --config config.json --test            check the API key
  2. tap-klaviyo --discover > catalog.json              list streams and fields (edit to select)
  3. tap-klaviyo --config config.json --catalog catalog.json | target-jsonl

Without --catalog, the streams that are selected by default are read. Pass the last STATE that the
target prints to --state, and the next run reads only what is new.
"""

EPILOG = """\
Environment variables such as TAP_KLAVIYO_API_KEY and TAP_KLAVIYO_START_DATE override the file.
See 'tap-klaviyo --about' for all settings and streams.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tap-klaviyo",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("-c", "--config", metavar="FILE", help="settings, a JSON object")
    add("-s", "--state", metavar="FILE", help="state of the last run, to continue from there")
    add("--catalog", metavar="FILE", help="streams and fields to read, as --discover writes it")
    add("-p", "--properties", metavar="FILE", dest="catalog", help="old name of --catalog")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("-d", "--discover", action="store_true", help="write the catalog and exit")
    mode.add_argument(
        "--test", action="store_true", help="check the API key and its scopes for each stream"
    )
    mode.add_argument("--about", action="store_true", help="describe this tap and exit")
    mode.add_argument("--version", action="version", version=f"tap-klaviyo {__version__}")
    add("--format", choices=("text", "json", "markdown"), default="text", help="for --about")
    add("--debug", action="store_true", help="log more, and a traceback if an error occurs")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except BrokenPipeError:
        pass  # The target has ended, and has said why.
    except KeyboardInterrupt:
        return SIGNAL_EXIT + signal.SIGINT
    except Exception as error:
        _report(error, options)
    return 1


def _report(error: Exception, options: argparse.Namespace) -> None:
    """Says in one line why the command fails."""
    reported = unexpected(error)
    try:
        _logger(options).critical("%s", reported, exc_info=options.debug)
    except Exception:
        # A dependency, memory or a file is missing for the logger, too.
        write_error(f"CRITICAL {reported}")


def _run(options: argparse.Namespace) -> int:
    # Imports are here so that --version and --discover do not wait for what they do not use.
    if options.about:
        from tap_klaviyo.about.render import about

        _print(about(options.format))
    elif options.discover:
        from tap_klaviyo.discovery.catalog import catalog_text
        from tap_klaviyo.streams import STREAMS

        own = _metric_streams(options) if _has_settings(options) else ()
        _print(catalog_text([*STREAMS, *own]))
    else:
        return _use_tap(options)
    return 0


def _print(text: str) -> None:
    check_stdout()
    write_stdout(text.encode() + b"\n")


def _has_settings(options: argparse.Namespace) -> bool:
    """Whether there may be settings; reading them takes time, so only if need be."""
    return bool(options.config) or any(name.startswith("TAP_KLAVIYO_") for name in os.environ)


def _settings(options: argparse.Namespace) -> Mapping[str, Any]:
    """The settings of the file; those of the environment override them."""
    from tap_klaviyo.config.loading import read_object

    return read_object(options.config, "config", ConfigError) if options.config else {}


def _metric_streams(options: argparse.Namespace) -> Sequence[Stream]:
    from tap_klaviyo.config.loading import parse_metric_streams

    return parse_metric_streams(_settings(options), os.environ)


def _use_tap(options: argparse.Namespace) -> int:
    """Runs a sync or, with --test, a check. The exit code is 0, 1 or that of a signal."""
    if not options.test:
        check_stdout()
    with _imports_frozen():
        from tap_klaviyo.tap import Tap

        _logger(options)
    release_large_objects()
    received: list[int] = []
    documents = _settings(options), options.catalog or None, options.state or None
    tap = Tap(*documents, environment=os.environ)
    code = 0
    with _stopped_by_signals(tap, received):
        try:
            code = _check(tap, options) if options.test else _sync(tap, options)
        except Stopped:
            pass  # The signal decides the exit code.
        except TapError as error:
            if not received:
                raise
            _logger(options).error("%s", error)
    if received:
        number = signal.Signals(received[0])
        message = "Stopped by %s." if options.test else STOPPED
        _logger(options).warning(message, number.name)
        return SIGNAL_EXIT + number
    return code


def _sync(tap: Tap, options: argparse.Namespace) -> int:
    from tap_klaviyo.sync.progress_bars import progress_for_terminal

    summary = tap.sync(write_stdout, progress=progress_for_terminal())
    if summary.error is None:
        if not summary.complete and not summary.stopped:
            raise InternalError(
                "Internal error: a stream was not read completely. Please report it."
            )
        return 0
    if summary.stopped:
        _logger(options).error("%s", summary.error)
    else:
        _logger(options).critical("%s", summary.error)
    return 1


def _check(tap: Tap, options: argparse.Namespace) -> int:
    """Prints a line per stream to stderr."""
    from tap_klaviyo.check import check_error

    with nullcontext() if options.debug else _without_metrics():
        checks = tap.check(lambda check: print(_check_line(check), file=sys.stderr))
    if error := check_error(checks):
        raise error
    return 0


def _check_line(check: StreamCheck) -> str:
    return clean(f"{'ok' if check.ok else 'no':4}{check.stream:45}{', '.join(check.scopes)}")


@contextmanager
def _stopped_by_signals(tap: Tap, received: list[int]) -> Iterator[None]:
    """Stops ``tap`` at the first signal; ``received`` gets the numbers of all."""

    def stop(number: int, _frame: object) -> None:
        # A second signal may arrive at any line, and must not hide the first one.
        first = not received
        received.append(number)
        if first:
            tap.stop()

    handle_stop_signals(stop)
    try:
        yield
    finally:
        ignore_stop_signals()


@contextmanager
def _without_metrics() -> Iterator[None]:
    """Keeps the log line of each request out of what a person wants to read."""
    logger = get_logger("tap_klaviyo.klaviyo.client")
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(logging.NOTSET)


@contextmanager
def _imports_frozen() -> Iterator[None]:
    """Keeps what is imported from the garbage collector, which takes a tenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _logger(options: argparse.Namespace) -> logging.Logger:
    """Singer's logger, which writes level and message to stderr."""
    import singer

    logger: logging.Logger = singer.get_logger()
    redact_handlers()
    get_logger(logger.name)
    if options.debug:
        logger.setLevel(logging.DEBUG)
    return logger
