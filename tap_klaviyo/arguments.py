"""The arguments of the command, and what is wrong with them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from tap_klaviyo import __version__
from tap_klaviyo.ending import ArgumentsError

DESCRIPTION = """\
Reads a Klaviyo account and writes Singer messages to stdout.

  1. tap-klaviyo --config config.json --test            check the API key
  2. tap-klaviyo --config config.json --select 'open,click,profiles' | target-jsonl
  3. tap-klaviyo --config config.json --select '...' --state state.json | target-jsonl

Without --catalog and --select, the streams that are selected by default are read. Pass the last
STATE that the target prints to --state, and the next run reads only what is new.
"""

EPILOG = """\
Patterns are streams and fields with dots: 'receive,open', 'events.*,!events.profile'.
Exit codes: 0 complete; 1 failed, in part, or --verify has found something; 2 invalid arguments,
configuration, catalog or state; 3 nothing could be read; 128 + n stopped by signal n.
Environment variables such as TAP_KLAVIYO_API_KEY and TAP_KLAVIYO_START_DATE override the file.
See 'tap-klaviyo --about' for all settings and streams.
"""


class _Parser(argparse.ArgumentParser):
    """A parser that reports invalid arguments as the command reports other errors: in one line."""

    def error(self, message: str) -> NoReturn:
        """Raises :class:`ArgumentsError`."""
        raise ArgumentsError(f"Invalid arguments: {message}. See tap-klaviyo --help.")


def parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = _Parser(
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
    patterns: dict[str, Any] = {"metavar": "PATTERNS", "action": "append", "default": []}
    add("--select", **patterns, help="streams and fields to read; ! before one deselects it")
    add("--deselect", **patterns, help="streams and fields not to read")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("-d", "--discover", action="store_true", help="write the catalog and exit")
    mode.add_argument(
        "--test", action="store_true", help="check the API key and its scopes for each stream"
    )
    mode.add_argument(
        "--verify", action="store_true", help="compare Klaviyo's counts with what was read"
    )
    mode.add_argument(
        "--resync",
        metavar="STREAM:FROM..TO",
        action="append",
        default=[],
        help="read days (UTC) again, such as open:2026-01-30..2026-01-31; the state stays",
    )
    mode.add_argument("--about", action="store_true", help="describe this tap and exit")
    mode.add_argument("--version", action="version", version=f"tap-klaviyo {__version__}")
    add("--target-counts", metavar="FILE", help="for --verify: CSV with stream, day and count")
    forms = ("text", "json", "markdown")
    add("--format", choices=forms, default="text", help="for --about and --verify")
    add("--summary-file", metavar="FILE", help="write how the command ended, as JSON")
    add("--debug", action="store_true", help="log each request, and a traceback of an error")
    return parser


def summary_path(arguments: Sequence[str]) -> str | None:
    """The value of --summary-file among arguments that may be invalid."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--summary-file")
    try:
        path: str | None = parser.parse_known_args(arguments)[0].summary_file
    except argparse.ArgumentError:
        return None  # Its value is missing, which the whole parser reports.
    return path


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options in ``arguments``. Raises :class:`ArgumentsError` for what does not fit."""
    options = parser().parse_args(arguments)
    for name in ("config", "catalog", "state", "target-counts"):
        if getattr(options, name.replace("-", "_")) == "":
            # Without a state, for example, all would be read again.
            raise ArgumentsError(f"--{name}: the name of the file is empty.")
    for name in ("verify", "resync"):
        if getattr(options, name) and options.state is None:
            raise ArgumentsError(f"--{name}: pass the state of the last run with --state.")
    if options.target_counts is not None and not options.verify:
        raise ArgumentsError("--target-counts: add --verify.")
    if options.verify and options.format == "markdown":
        raise ArgumentsError("--format: --verify writes text or json.")
    return options
