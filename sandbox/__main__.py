"""Serve a seeded account in the foreground: `python -m sandbox --help`."""

import argparse
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import get_args

from sandbox.account import Account
from sandbox.api import KEY
from sandbox.seeding.metrics import Naming
from sandbox.server import Sandbox


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; one line of JSON on stdout says when and where."""
    options = _parser().parse_args(arguments)
    account = Account.seeded(
        options.seed,
        options.events,
        options.naming,
        options.now,
        options.days,
        without=options.without,
        odd_dates=options.odd_dates,
    )
    box = Sandbox(
        account,
        host=options.host,
        port=options.port,
        key=options.key,
        scopes=options.scopes,
        limits=options.limits,
        latency=options.latency,
        latency_per_record=options.latency_per_record,
    )
    box.run(lambda: print(json.dumps({"url": box.url, "api_key": box.key}), flush=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A local stand-in for Klaviyo's API, revision 2026-07-15.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, default=0, help="port to listen on; 0 for any that is free")
    add("--seed", type=int, default=1, help="the same seed gives the same account")
    add("--events", type=int, default=5000, help="number of events")
    add("--days", type=float, default=90, help="days before now over which they spread")
    add("--naming", choices=get_args(Naming), default="new", help="names of renamed metrics")
    add("--without", type=_words, default=(), help="metrics of Klaviyo's to leave out: A,B")
    add("--odd-dates", action="store_true", help="some campaign dates with a blank for the T")
    add("--now", type=_moment, help="when the events end, ISO 8601; the clock if not given")
    add("--latency", type=float, default=0.0, help="seconds before every answer")
    add("--latency-per-record", type=float, default=0.0, help="seconds more for each record")
    add("--limits", type=_share, help="share of Klaviyo's rate limits, or off", default="1.0")
    add("--key", default=KEY, help="the private API key")
    add("--scopes", type=_words, help="scopes of the key: a:read,b:read; all if not given")
    return parser


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _share(text: str) -> float | None:
    return None if text == "off" else float(text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


if __name__ == "__main__":
    main()
