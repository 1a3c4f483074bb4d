"""The settings: one frozen dataclass whose fields carry all that is known about each setting.

The default, the parser, the text that says what is expected and the description stand together, so
``--about``, the documentation and the error messages cannot disagree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tap_klaviyo import __version__
from tap_klaviyo.batches import BatchOptions
from tap_klaviyo.config import parsers
from tap_klaviyo.config.batch_options import batch_config
from tap_klaviyo.config.credentials import credentials_of
from tap_klaviyo.config.hash_fields import hash_patterns, hash_salt
from tap_klaviyo.config.parsers import Intervals
from tap_klaviyo.discovery.hash_patterns import HashPattern
from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.klaviyo.oauth import OAuthApp
from tap_klaviyo.records.hashing import Hashing
from tap_klaviyo.reports.options import ReportOptions
from tap_klaviyo.streams import REGISTRIES, Registry, dated_parent, registry_of
from tap_klaviyo.streams.model import (
    DATED_CHILDREN_DAYS,
    DEFAULT_REVISION,
    Stream,
    with_account_column,
)

REQUIRED = object()

SOURCE = " (set by the environment variable {}, which overrides the file)"
"""Follows the name of a setting that comes from the environment."""

_DATE = "a date such as 2026-03-09, 2026-03-09T00:00:00Z or 03/09/2026 (MM/DD/YYYY, so 9 March)"
_DAY = 86_400

_DATED_CHILDREN = ", ".join(
    dict.fromkeys(
        stream.name
        for registry in REGISTRIES.values()
        for stream in registry.streams
        if dated_parent(stream)
    )
)
"""The streams of which updates are read between full reads."""


def _setting(
    parse: Callable[[Any], Any], expected: str, description: str, default: Any = REQUIRED
) -> Any:
    """A dataclass field; ``default`` is written as a user would write it and parsed the same."""
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
    """The parsed settings. Times are UTC; durations are timedeltas of zero or more."""

    api_key: Secret | None = _setting(
        parsers.secret,
        "a private API key (pk_...)",
        "Private API key of the Klaviyo account. Required, unless the settings of OAuth are used.",
        None,
    )
    client_id: str | None = _setting(
        parsers.client_id,
        "the client ID of an OAuth app",
        "OAuth, instead of api_key: client ID of the app.",
        None,
    )
    client_secret: Secret | None = _setting(
        parsers.secret,
        "the client secret of an OAuth app",
        "OAuth, instead of api_key: client secret of the app.",
        None,
    )
    refresh_token: Secret | None = _setting(
        parsers.secret,
        "a refresh token of an OAuth app",
        "OAuth, instead of api_key: refresh token that the account has given to the app.",
        None,
    )
    oauth_token_file: str | None = _setting(
        parsers.text,
        "the path of a file that the tap may write",
        "OAuth: file that keeps tokens from one run to the next. It is created if it does not "
        "exist. One for each account.",
        None,
    )
    start_date: datetime = _setting(
        parsers.date,
        _DATE,
        "Start of incremental streams (events, profiles, reports) that have no bookmark yet.",
    )
    end_date: datetime | None = _setting(
        parsers.date,
        _DATE,
        "End of incremental streams. Default: the start of the run.",
        None,
    )
    lookback_window: timedelta = _setting(
        parsers.duration,
        parsers.DURATION.format("PT1H"),
        "Each run reads this much time before the bookmark again, to find late events. 0 turns it "
        "off.",
        "PT1H",
    )
    sweep_window: timedelta = _setting(
        parsers.duration,
        parsers.DURATION.format("P7D"),
        "How far back a sweep looks for very late events. 0 turns sweeps off.",
        "P7D",
    )
    sweep_interval: timedelta = _setting(
        parsers.duration,
        parsers.DURATION.format("P1D"),
        "Time between two sweeps. 0 turns sweeps off.",
        "P1D",
    )
    recount_interval: timedelta = _setting(
        parsers.duration,
        parsers.DURATION.format("P1D"),
        "Time between two recounts: Klaviyo's own counts show where events have arrived late, "
        "however late, and the days or months that have grown are read again. 0 turns them off.",
        "P1D",
    )
    recount_budget: int = _setting(
        parsers.integer(1, 1_000_000),
        "a whole number from 1 to 1000000",
        "Pages that a run reads again at most because of a recount; later runs read the rest.",
        500,
    )
    page_size: int = _setting(
        parsers.integer(1, 1000),
        "a whole number from 1 to 1000",
        "Events per request. If pages are refused or too large, smaller ones are used.",
        1000,
    )
    concurrency: int = _setting(
        parsers.integer(1, 64), "a whole number from 1 to 64", "Number of parallel requests.", 32
    )
    quota_share: float = _setting(
        parsers.number_up_to(1),
        "a number above 0, at most 1",
        "Share of Klaviyo's rate limits to use. Less leaves room for other integrations.",
        1,
    )
    request_timeout: float = _setting(
        parsers.number_up_to(_DAY),
        "a number of seconds above 0",
        "Longest time for one request, in seconds.",
        300,
    )
    max_retry_wait: timedelta = _setting(
        parsers.duration,
        parsers.DURATION.format("PT10M"),
        "How long a failing endpoint is retried, and the longest wait that Klaviyo may ask for "
        "(Retry-After). After that its streams end; the other streams go on.",
        "PT10M",
    )
    activate_version: bool = _setting(
        parsers.boolean,
        "true or false",
        "Write ACTIVATE_VERSION after each full table that was read completely. Targets that "
        "support it then delete rows that no longer exist in Klaviyo.",
        False,
    )
    full_table_interval: Intervals = _setting(
        parsers.intervals,
        f"{parsers.DURATION.format('P1D')}; or an object of them by stream or pattern, such as "
        '{"templates": "P1D", "list*": "PT6H"}',
        f"Time until a full table is read again. Default: each run; P{DATED_CHILDREN_DAYS}D for "
        f"{_DATED_CHILDREN}, of which until then only the children of new and updated parents are "
        "read. 0 means each run.",
        {},
    )
    batch_config: BatchOptions | None = _setting(
        batch_config,
        'an object such as {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": '
        '{"root": "file:///data/batches", "prefix": ""}, "batch_size": 20000}',
        "Write records to files and BATCH messages that name them, for targets that load files. "
        "Cannot be used with activate_version.",
        {},
    )
    metric_streams: tuple[Stream, ...] = _setting(
        parsers.metric_streams,
        'an object such as {"placed_order": {"metric": "Placed Order", "integration": "Shopify"}}, '
        "with new names of lower-case letters, digits and underscores",
        "Additional event streams: the events of a metric, chosen by name, by ID, or by name and "
        "integration.",
        {},
    )
    reports: Mapping[str, ReportOptions] = _setting(
        parsers.reports,
        'an object such as {"monthly": {"stream": "campaign_values_report", "conversion_metric": '
        '"Placed Order"}}; each report has a stream and optionally interval (hourly, daily, '
        "weekly, monthly), statistics, group_by, filter, conversion_metric, metrics, window (P30D)",
        "Custom reports by name. A report stream without any reads one report named default.",
        {},
    )
    account_column: bool = _setting(
        parsers.boolean,
        "true or false",
        "Add the column account_id to each stream, first in the key: the ID of the account. So "
        "several accounts may share tables. Cannot be used with activate_version.",
        False,
    )
    account_id: str | None = _setting(
        parsers.account_id,
        "the ID of a Klaviyo account such as AbC123",
        "ID of the account that is to be read: credentials and states of another one are refused.",
        None,
    )
    hash_fields: tuple[HashPattern, ...] = _setting(
        hash_patterns,
        'an array of patterns of fields such as ["*.email", "receive.profile.phone_number"]',
        "Fields whose text is replaced by a keyed hash, so that no plain value is written.",
        [],
    )
    hash_salt: Secret | None = _setting(
        hash_salt,
        "a text of at least 8 characters",
        "Secret key of the hashes of hash_fields, which need it. A new one changes all hashes.",
        None,
    )
    log_format: str = _setting(
        parsers.choice("text", "json"),
        "text or json",
        "Form of the log lines on stderr: text, or one JSON object per line.",
        "text",
    )
    user_agent: str = _setting(
        parsers.header,
        "ASCII text",
        "User-Agent header. Add a contact address.",
        f"tap-klaviyo/{__version__}",
    )
    revision: str = _setting(
        parsers.revision,
        "a revision such as 2026-07-15",
        f"Revision of Klaviyo's API: {' or '.join(REGISTRIES)}. It decides which streams and "
        "fields there are.",
        DEFAULT_REVISION,
    )
    base_url: str = _setting(
        parsers.base_url,
        "an https address without a path, or http on this machine",
        "Address of Klaviyo's API. Requests go nowhere else.",
        "https://a.klaviyo.com",
    )
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The environment variables that settings come from, by the name of the setting."""
    start_day: date | None = None
    """The day of ``start_date`` if it was written without a time; reports mean a local day."""
    end_day: date | None = None
    """The same of ``end_date``."""

    @property
    def registry(self) -> Registry:
        """The registry for the revision."""
        return registry_of(self.revision)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """All streams of the revision, and those of the setting ``metric_streams``."""
        return streams_of(self.registry, self.metric_streams, account_column=self.account_column)

    @property
    def credentials(self) -> Secret | OAuthApp:
        """The API key, or the OAuth app."""
        return credentials_of(vars(self))

    @property
    def hashing(self) -> Hashing | None:
        """What is hashed in records; None if nothing is."""
        if not (self.hash_fields and self.hash_salt):
            return None
        return Hashing(self.hash_fields, self.hash_salt.reveal())

    def source_of(self, name: str) -> str:
        """Says after the name of a setting in a message that an environment variable sets it.

        Empty for other settings.
        """
        variable = self.variables.get(name)
        return SOURCE.format(variable) if variable else ""


def streams_of(
    registry: Registry, added: tuple[Stream, ...], *, account_column: bool
) -> tuple[Stream, ...]:
    """The streams of a registry and ``added`` ones, with the column that settings add to them."""
    streams = (*registry.streams, *added)
    return tuple(map(with_account_column, streams)) if account_column else streams


SETTINGS = tuple(field for field in dataclasses.fields(Config) if field.metadata)
