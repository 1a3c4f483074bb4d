"""Serve seeded accounts in the foreground: `python -m sandbox --help`."""

import argparse
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import get_args

from sandbox.account import Account
from sandbox.api import DEFAULT_API_KEY
from sandbox.oauth import CLIENT_ID, CLIENT_SECRET, OAuthApp
from sandbox.seeding.metrics import Naming
from sandbox.server import Sandbox


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Prints URL and credentials as one line of JSON when ready.

    `accounts` of this line has the account's ID for each API key. The key of account N, from 2 on,
    is that of the first one with `_N` at its end.
    """
    options = _parser().parse_args(arguments)
    accounts = [
        Account.seeded(
            options.seed + number,
            options.events,
            options.naming,
            options.now,
            options.days,
            without=options.without,
            odd_dates=options.odd_dates,
        )
        for number in range(options.accounts)
    ]
    server = Sandbox(
        accounts[0],
        more_accounts={f"{options.key}_{n}": one for n, one in enumerate(accounts[1:], start=2)},
        host=options.host,
        port=options.port,
        key=options.key,
        scopes=options.scopes,
        limits=options.limits,
        latency=options.latency,
        latency_per_record=options.latency_per_record,
        oauth=OAuthApp(rotation=options.token_rotation, lifetime=options.token_lifetime),
        extras=options.extras,
    )
    ready = {
        "url": server.url,
        "api_key": server.key,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": server.oauth.refresh_token,
        "accounts": {key: one.ids("account")[0] for key, one in server.accounts.items()},
    }
    server.run(lambda: print(json.dumps(ready), flush=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A local stand-in for Klaviyo's API, revisions 2026-07-15 and 2026-10-15.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, default=0, help="port to listen on; 0 for any free port")
    add("--seed", type=int, default=1, help="the same seed gives the same account")
    add("--accounts", type=_positive, default=1, help="accounts, of this seed and the next ones")
    add("--events", type=int, default=5000, help="number of events")
    add("--days", type=float, default=90, help="days before --now in which events happen")
    add("--naming", choices=get_args(Naming), default="new", help="names of renamed metrics")
    add("--without", type=_names, default=(), help="Klaviyo metrics to leave out: A,B")
    add("--odd-dates", action="store_true", help="some campaign dates have a space instead of T")
    add("--now", type=_datetime, help="end of the events, ISO 8601; the clock if not given")
    add("--latency", type=float, default=0.0, help="seconds before every response")
    add("--latency-per-record", type=float, default=0.0, help="further seconds for each record")
    add("--limits", type=_scale, help="factor of Klaviyo's rate limits, or off", default="1.0")
    add("--extras", action="store_true", help="add agent hints and unknown attributes")
    add("--key", default=DEFAULT_API_KEY, help="the private API key of the first account")
    add("--token-rotation", action="store_true", help="each refresh gives a new refresh token")
    add("--token-lifetime", type=float, default=3600.0, help="seconds of OAuth access tokens")
    add(
        "--scopes",
        type=_names,
        help="scopes of key and OAuth app: a:read,b:read; or all",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _scale(text: str) -> float | None:
    return None if text == "off" else float(text)


def _datetime(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


if __name__ == "__main__":
    main()
