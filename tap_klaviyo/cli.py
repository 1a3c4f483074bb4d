"""The command: arguments in, exit code out.

0: all is well. 1: a fault, said in one line on stderr. 130 and 143: stopped by SIGINT or SIGTERM,
after the page in hand and a STATE.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from tap_klaviyo import __version__
from tap_klaviyo.errors import TapError
from tap_klaviyo.messages import stdout
from tap_klaviyo.streams.model import Stream

PREFIX = "TAP_KLAVIYO_"


STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


SIGNAL_EXIT = 128
"""What a shell adds to a signal's number for an exit code."""


DESCRIPTION = """\
Reads a Klaviyo account and writes Singer messages to stdout.

  1. tap-klaviyo --config config.json --test            is the key good?
  2. tap-klaviyo --discover > catalog.json              what is there? (edit to select)
  3. tap-klaviyo --config config.json --catalog catalog.json | target-jsonl

Without --catalog the streams that are selected by default are read. Feed the last STATE that the
target prints back with --state, and the next run reads only what is new.
"""


EPILOG = """\
Settings may also come from the environment: TAP_KLAVIYO_API_KEY, TAP_KLAVIYO_START_DATE and so on.
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
    add("-c", "--config", metavar="FILE", help="settings, as a JSON object")
    add("-s", "--state", metavar="FILE", help="state of the last run, to go on from there")
    add("--catalog", metavar="FILE", help="streams and fields to read, as --discover writes it")
    add("-p", "--properties", metavar="FILE", dest="catalog", help="an older name for --catalog")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("-d", "--discover", action="store_true", help="write the catalog and exit")
    mode.add_argument(
        "--test", action="store_true", help="check the key and the scopes of each stream, and exit"
    )
    mode.add_argument("--about", action="store_true", help="describe this tap and exit")
    mode.add_argument("--version", action="version", version=f"tap-klaviyo {__version__}")
    add("--format", choices=("text", "json", "markdown"), default="text", help="for --about")
    add("--debug", action="store_true", help="log more, and a traceback if something fails")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except TapError as error:
        _logger(options).critical("%s", error, exc_info=options.debug)
    except BrokenPipeError:
        pass  # The target has gone, and has said why.
    except KeyboardInterrupt:
        return SIGNAL_EXIT + signal.SIGINT
    except ImportError as error:
        message = "The tap is not installed whole: %s. Install it again with pip."
        logging.basicConfig(format="%(levelname)s %(message)s")
        logging.getLogger().critical(message, error, exc_info=options.debug)
    except Exception as error:
        # The text of an error that nobody foresaw may hold data of the account.
        place = traceback.extract_tb(error.__traceback__)[-1]
        _logger(options).critical(
            "A fault of the tap itself: %s at %s:%d. Please report it, with the output of --debug.",
            type(error).__name__,
            os.path.basename(place.filename),
            place.lineno or 0,
            exc_info=options.debug,
        )
    return 1


def _run(options: argparse.Namespace) -> int:
    # Imported where needed: --version and --discover do not wait for what they do not use.
    if options.about:
        from tap_klaviyo.about.render import about

        stdout().text(about(options.format))
    elif options.discover:
        from tap_klaviyo.discovery.catalog import catalog_text
        from tap_klaviyo.streams import STREAMS

        stdout().text(catalog_text([*STREAMS, *_own_streams(options)]))
    else:
        return _sync(options)
    return 0


def _own_streams(options: argparse.Namespace) -> Sequence[Stream]:
    """The streams that the settings add to the catalog; to look is not free, so only if need be."""
    given = options.config and os.path.exists(options.config)
    if not given and not any(name.startswith(PREFIX) for name in os.environ):
        return ()
    from tap_klaviyo.config.loading import own_streams

    return own_streams(options.config if given else None)


def _sync(options: argparse.Namespace) -> int:
    """A run, or with --test a check of what a run would need. The exit code is 0 or a signal's."""
    with _here_to_stay():
        from tap_klaviyo.check import check
        from tap_klaviyo.config import loading as config
        from tap_klaviyo.discovery import selection as discovery
        from tap_klaviyo.discovery.catalog import build_catalog
        from tap_klaviyo.klaviyo.account import read_metrics
        from tap_klaviyo.klaviyo.client import Client
        from tap_klaviyo.state import State
        from tap_klaviyo.streams import STREAMS
        from tap_klaviyo.sync.progress import watched
        from tap_klaviyo.sync.run import Run

    _logger(options)
    settings = config.load(options.config)
    document = config.read_object(options.catalog, "catalog") if options.catalog else None
    state = State(config.read_object(options.state, "state") if options.state else {})
    client = Client(settings)
    streams = [*STREAMS, *settings.metric_streams]
    names = {}
    if document is not None and discovery.names_metrics(document, streams):
        names = read_metrics(client).stream_names()
    if document is None:
        document = build_catalog(streams)
    selection = discovery.read_catalog(document, names, streams)
    if options.test:
        with nullcontext() if options.debug else _without_requests():
            check(settings, client, selection)
        return 0
    run = Run(settings, client, stdout(), watched(), selection, state)
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        # Asked first: a second signal may come at any line, and must not hide this one.
        first = not received
        received.append(number)
        if first:
            run.stop()

    for number in STOPPING_SIGNALS:
        signal.signal(number, stop)
    try:
        run.sync()
    except TapError as error:
        if not received:
            raise
        _logger(options).error("%s", error)
    for number in STOPPING_SIGNALS:
        # While Python ends it would let a second one kill it.
        signal.signal(number, signal.SIG_IGN)
    if received:
        _logger(options).warning(
            "Stopped by %s; the state keeps what is done.", signal.Signals(received[0]).name
        )
    return SIGNAL_EXIT + received[0] if received else 0


@contextmanager
def _here_to_stay() -> Iterator[None]:
    """Spares the garbage collector what is imported: to look at it takes a tenth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _without_requests() -> Iterator[None]:
    """Keeps the log line of each request out of what a person wants to read."""
    logger = logging.getLogger("tap_klaviyo.klaviyo.client")
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(logging.NOTSET)


def _logger(options: argparse.Namespace) -> logging.Logger:
    """Singer's logger: lines of level and message on stderr."""
    import singer

    logger: logging.Logger = singer.get_logger()
    if options.debug:
        logger.setLevel(logging.DEBUG)
    return logger
