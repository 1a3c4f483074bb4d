"""The settings: one frozen dataclass, read from a file and the environment, checked all at once.

Each field of :class:`Config` is one setting. Its default, its parser and the sentence that tells a
user what is expected stand beside it, so ``--about``, the README's table and the error messages
speak of the same thing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tap_klaviyo import __version__
from tap_klaviyo.config import parsers
from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.reports.options import ReportOptions
from tap_klaviyo.streams.model import Stream

REQUIRED = object()


def _setting(
    parse: Callable[[Any], Any], expected: str, description: str, default: Any = REQUIRED
) -> Any:
    """A dataclass field; ``default`` is in the form a user would write, and is parsed the same."""
    return dataclasses.field(
        metadata={
            "parse": parse,
            "expected": expected,
            "description": description,
            "default": default,
        }
    )


@dataclass(frozen=True)
class Config:
    """What the user can set. Times are UTC; durations are timedeltas of zero or more."""

    api_key: Secret = _setting(
        parsers.secret,
        "a private API key such as pk_...",
        "Private API key of the Klaviyo account.",
    )
    start_date: datetime = _setting(
        parsers.time,
        "a date such as 2026-01-31 or 2026-01-31T00:00:00Z",
        "Where incremental streams begin (events, profiles, reports) that have no bookmark yet.",
    )
    end_date: datetime | None = _setting(
        parsers.time,
        "a date such as 2026-01-31 or 2026-01-31T00:00:00Z",
        "Where incremental streams end; by default at the start of the run.",
        None,
    )
    lookback_window: timedelta = _setting(
        parsers.duration,
        "an ISO 8601 duration such as PT1H, or seconds",
        "Each run reads this much before the bookmark again, for late events; 0 for none.",
        "PT1H",
    )
    sweep_window: timedelta = _setting(
        parsers.duration,
        "an ISO 8601 duration such as P7D, or seconds",
        "How far back a sweep looks for events that came very late; 0 for no sweeps.",
        "P7D",
    )
    sweep_interval: timedelta = _setting(
        parsers.duration,
        "an ISO 8601 duration such as P1D, or seconds",
        "The time between two sweeps; 0 for no sweeps.",
        "P1D",
    )
    page_size: int = _setting(
        parsers.integer(1, 1000),
        "a whole number from 1 to 1000",
        "Events asked for in one request; 200 is used if Klaviyo refuses it.",
        1000,
    )
    concurrency: int = _setting(
        parsers.integer(1, 64), "a whole number from 1 to 64", "Requests under way at once.", 32
    )
    quota_share: float = _setting(
        parsers.share,
        "a number above 0, at most 1",
        "The part of Klaviyo's rate limits to use; less leaves room for other integrations.",
        1,
    )
    request_timeout: float = _setting(
        parsers.timeout,
        "a number of seconds above 0",
        "The longest one request may take, in seconds.",
        300,
    )
    max_retry_wait: timedelta = _setting(
        parsers.duration,
        "an ISO 8601 duration such as PT10M, or seconds",
        "The longest wait that Klaviyo may ask for (Retry-After); beyond it the run ends.",
        "PT10M",
    )
    activate_version: bool = _setting(
        parsers.switch,
        "true or false",
        "Sends ACTIVATE_VERSION behind a stream that was read whole, so that a target which knows "
        "that message drops the rows that are no more.",
        False,
    )
    metric_streams: tuple[Stream, ...] = _setting(
        parsers.metric_streams,
        'an object such as {"placed_order": {"metric": "Placed Order", "integration": "Shopify"}}, '
        "with new names of small letters, digits and underscores",
        "Streams of your own: the events of a metric by its name, by its id, or by its name and "
        "integration.",
        {},
    )
    reports: Mapping[str, ReportOptions] = _setting(
        parsers.reports,
        'an object such as {"monthly": {"stream": "campaign_values_report", "conversion_metric": '
        '"Placed Order"}}, each with a stream and perhaps interval (hourly, daily, weekly, '
        "monthly), statistics, group_by, filter, conversion_metric, metrics, window (P30D)",
        "Reports of your own, by name; a stream of reports without any has one named default.",
        {},
    )
    user_agent: str = _setting(
        parsers.header,
        "a text in ASCII",
        "What the tap calls itself; add a contact of yours.",
        f"tap-klaviyo/{__version__}",
    )
    revision: str = _setting(
        parsers.revision,
        "a revision such as 2026-07-15",
        "Revision of Klaviyo's API; this tap is made for 2026-07-15.",
        "2026-07-15",
    )
    base_url: str = _setting(
        parsers.base_url,
        "an https address without a path, or http on this machine",
        "Address of Klaviyo's API; requests go nowhere else.",
        "https://a.klaviyo.com",
    )


SETTINGS = dataclasses.fields(Config)
