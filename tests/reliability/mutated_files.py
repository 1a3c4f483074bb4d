"""Mutated configs, catalogs and states for an account with a few records of each kind of stream."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from mutations import DISGUISES, JSON, METHODS, mutated_document, states
from simulated_klaviyo import NOW, URL, Arrival, SimulatedKlaviyo, empty_account

from sandbox.memberships import Memberships
from sandbox.resources import Collection, Resource
from tap_klaviyo.config.loading import parse_config
from tap_klaviyo.config.settings import SETTINGS
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.streams import STREAMS

DAY = 86_400
FIELDS_KEPT = 7
"""Fields of each stream that the catalogs list."""

(ACCOUNT_ID,) = empty_account().ids("account")

REPORT = "form_values_report"
STREAMS_READ = ("open", "clicked_sms", "opened", "lists", "list_members", "profiles")
CONFIG: Mapping[str, Any] = {
    "api_key": "pk_test",
    "start_date": "2026-08-10",
    "base_url": URL,
    "page_size": 7,
    "concurrency": 4,
    "max_retry_wait": "PT5M",
    "metric_streams": {"opened": {"metric": "Opened Email", "integration": "Klaviyo"}},
}
EVERY_SETTING: Mapping[str, Any] = {
    **CONFIG,
    "end_date": "2026-10-30T06:00:00Z",
    "lookback_window": "PT1H",
    "sweep_window": "P7D",
    "sweep_interval": "P1D",
    "recount_interval": "P1D",
    "recount_budget": 500,
    "quota_share": 0.9,
    "request_timeout": 300,
    "activate_version": True,
    "full_table_interval": {"list*": "P1D", "profiles": 3600},
    "reports": {
        "monthly": {
            "stream": "form_values_report",
            "interval": "monthly",
            "statistics": ["viewed_form", "submits"],
            "window": "P30D",
        }
    },
    "account_column": False,
    "account_id": ACCOUNT_ID,
    "hash_fields": ["*.email", "profiles.properties.size"],
    "hash_salt": "a salt of tests",
    "user_agent": "tap (me@example.com)",
    "revision": "2026-07-15",
}

_DATES = st.sampled_from(
    (
        *("0001-01-01", "1969-12-31T23:59:59Z", "2026-08-10", "08/10/2026", "2026-10-20 06:00"),
        *("2026-10-31T23:30:00-05:00", "2026-12-31", "2999-01-01", "9999-12-31T23:59:59Z"),
    )
)
_DURATIONS = st.sampled_from(["PT0S", "PT1H", "P7D", "P3650D", 0, 3600, 0.5, "86400", 315_360_000])
_METRIC = st.sampled_from(["Opened Email", "opened  email", "Clicked SMS", "Placed Order", "M1"])
SETTING_VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("start_date", "end_date"), _DATES),
    **dict.fromkeys(("lookback_window", "sweep_window", "sweep_interval"), _DURATIONS),
    "recount_interval": _DURATIONS,
    "recount_budget": st.sampled_from([1, 3, 500, "20"]),
    "max_retry_wait": _DURATIONS,
    "page_size": st.sampled_from([1, 2, 50, 200, 201, 1000, "7", 7.0]),
    "concurrency": st.sampled_from([1, 2, 64, "3"]),
    "quota_share": st.sampled_from([1, 0.01, "0.5", 1e-3]),
    "request_timeout": st.sampled_from([1, 0.1, 86_400, "30"]),
    "activate_version": st.sampled_from([True, False, "true"]),
    "full_table_interval": _DURATIONS
    | st.dictionaries(st.sampled_from(["lists", "list*", "*", "open", "profiles"]), _DURATIONS),
    **dict.fromkeys(("client_id", "oauth_token_file"), st.sampled_from([None, "", "x", "a:b"])),
    "batch_config": st.sampled_from([None, {}, {"storage": {"root": "s3:"}}, {"encoding": 1}]),
    "metric_streams": st.dictionaries(
        st.sampled_from(["opened", "clicked", "a1"]),
        _METRIC
        | st.fixed_dictionaries({"metric": _METRIC})
        | st.fixed_dictionaries(
            {"metric": _METRIC, "integration": st.sampled_from(["Klaviyo", "Shopify", "", None])}
        ),
        max_size=2,
    ),
    "reports": st.dictionaries(
        st.sampled_from(["monthly", "default"]),
        st.fixed_dictionaries(
            {"stream": st.sampled_from(["form_values_report", "form_series_report", "open"])},
            optional={
                "interval": st.sampled_from(["hourly", "daily", "weekly", "monthly"]),
                "window": st.sampled_from(["P30D", "PT0S", 3600]),
                "group_by": st.lists(st.sampled_from(["form_version_id", "x"]), max_size=2),
            },
        ),
        max_size=2,
    ),
    "account_column": st.sampled_from([True, False, "true"]),
    "account_id": st.sampled_from([ACCOUNT_ID, f" {ACCOUNT_ID}", ACCOUNT_ID.lower(), "AbC123"]),
    "hash_fields": st.lists(
        st.sampled_from(["*.email", "*.event_properties.a", "profiles.p[h]*", "*", "lists.id", "x"])
    ),
    "hash_salt": st.sampled_from([None, "", "short", "a salt of tests", "é" * 8]),
    "log_format": st.sampled_from(["text", "json", "JSON", None]),
    "user_agent": st.sampled_from(["x", "tap (me@example.com)", "é", "a\r\nb"]),
    "revision": st.sampled_from(["2026-07-15", "2020-01-01", "2026-07-15.pre", "9999-01-01"]),
    "base_url": st.sampled_from([URL, f"{URL}/", "http://127.0.0.1:1", "https://a.example/api"]),
}
"""Values of each setting as a user may write them: most are right."""

SECRETS = {"api_key", "client_secret", "refresh_token"}

assert SETTING_VALUES.keys() | SECRETS == {setting.name for setting in SETTINGS}

CONFIGS = (
    mutated_document(CONFIG)
    | mutated_document(EVERY_SETTING)
    | st.dictionaries(st.sampled_from(sorted(SETTING_VALUES)), JSON, max_size=3).map(
        lambda changes: {**CONFIG, **changes}
    )
    | st.lists(st.sampled_from(sorted(SETTING_VALUES)), min_size=1, max_size=3)
    .flatmap(lambda names: st.fixed_dictionaries({name: SETTING_VALUES[name] for name in names}))
    .map(lambda changes: {**CONFIG, **changes})
)


def small_account() -> SimulatedKlaviyo:
    """An account with 3 lists, 40 profiles and 90 events, at most 80 days old."""
    klaviyo = SimulatedKlaviyo()
    account = klaviyo.account
    for type, size in (("list", 3), ("profile", 40)):
        kept = [*account.collections[type]][:size]
        account.collections[type] = Collection(_copied(resource) for resource in kept)
    account.memberships = Memberships()
    profiles = account.ids("profile")
    for number, group in enumerate(account.ids("list")):
        for place, profile in enumerate(profiles[: 4 + 8 * number]):
            account.join(group, profile, timestamp=NOW - (80 - 4 * place) * DAY - 7)
    for metric in ("Opened Email", "Clicked SMS", "Clicked Text Message"):
        for number in range(15):
            klaviyo.arrive(Arrival(0, (number * number // 3 + 1) * DAY, metric, 2))
    return klaviyo


def _copied(resource: Resource) -> Resource:
    return replace(resource, attributes=copy.deepcopy(resource.attributes), json_cache={})


def _catalog(*names: str) -> dict[str, Any]:
    """A catalog of these streams, each selected and with a few fields."""
    streams = (*STREAMS, *parse_config(CONFIG).metric_streams)
    entries = []
    for entry in copy.deepcopy(build_catalog(streams)["streams"]):
        if entry["stream"] in names:
            properties = entry["schema"]["properties"]
            kept = dict.fromkeys((*entry["key_properties"], *[*properties][:FIELDS_KEPT]))
            entry["schema"]["properties"] = {name: properties[name] for name in kept}
            entry["metadata"] = [
                item
                for item in entry["metadata"]
                if not item["breadcrumb"] or item["breadcrumb"][1:] in [[name] for name in kept]
            ]
            entry["metadata"][0]["metadata"]["selected"] = True
            if entry["stream"] == "list_members":
                entry["metadata"][0]["metadata"]["replication-method"] = "INCREMENTAL"
            entries.append(entry)
    return {"streams": entries}


def _of_singer_io(identifier: str, stream: str, *fields: str) -> dict[str, Any]:
    """A catalog entry of singer-io's tap, whose streams of metrics have IDs of metrics."""
    return {
        "tap_stream_id": identifier,
        "stream": stream,
        "key_properties": ["id"],
        "schema": {
            "type": "object",
            "properties": {
                name: {"type": ["null", "string"]} for name in fields or ("id", "datetime")
            },
        },
        "metadata": [
            {"breadcrumb": [], "metadata": {"selected": True, "inclusion": "available"}},
            {"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "automatic"}},
        ],
    }


def with_methods(method: Any, stream: str) -> dict[str, Any]:
    """The catalog with another replication method for all streams, and one stream deselected."""
    document = copy.deepcopy(CATALOG)
    for entry in document["streams"]:
        top = entry["metadata"][0]["metadata"]
        top |= {"replication-method": method, "selected": entry["stream"] != stream}
    return document


@st.composite
def _with_mutated_entry(draw: st.DrawFn) -> dict[str, Any]:
    """A catalog with one value mutated that selects a stream or a field, or names it."""
    document = copy.deepcopy(draw(st.sampled_from([CATALOG, CATALOG, CATALOG_OF_SINGER_IO])))
    entry = draw(st.sampled_from(document["streams"]))
    item = draw(st.just(entry["metadata"][0]) | st.sampled_from(entry["metadata"]))
    holder = draw(st.sampled_from([item["metadata"], item["metadata"], item, entry]))
    selecting = ["selected"] * 5 if holder is item["metadata"] else []
    key = draw(st.sampled_from([*sorted({*holder} - {"schema"}), *selecting]))
    mutated = [st.just(disguise(holder.get(key, True))) for disguise in DISGUISES]
    holder[key] = draw(st.one_of(*mutated, JSON))
    return document


_ACCOUNT = small_account()
OPENED, CLICKED, TEXTED = map(
    _ACCOUNT.metric_id, ("Opened Email", "Clicked SMS", "Clicked Text Message")
)
CATALOG = _catalog(*STREAMS_READ)
CATALOG_OF_ALL_PAGES = _catalog(*STREAMS_READ, REPORT)
"""With a report too, of whose answers each is a page of its own form."""

CATALOG_OF_SINGER_IO = {
    "streams": [
        _of_singer_io(OPENED, "open", "id"),
        _of_singer_io(TEXTED, "clicked_text_message"),
        _of_singer_io("lists", "lists"),
    ]
}
CATALOGS = (
    mutated_document(CATALOG)
    | mutated_document(CATALOG_OF_SINGER_IO)
    | st.builds(with_methods, METHODS, st.sampled_from(STREAMS_READ))
    | _with_mutated_entry()
    | _with_mutated_entry()
)

_OWN = {"timestamp": NOW - DAY, "start_date": NOW - 90 * DAY, "swept_at": NOW - 2 * DAY}
_RESUME = {
    "timestamp": NOW - 30 * DAY,
    "done": {OPENED: [[NOW - 20 * DAY, NOW - 10 * DAY]]},
    "sweep": NOW - DAY,
}
_COUNTS = {
    "asked_at": NOW - DAY,
    "counted_at": NOW - DAY,
    "strikes": 1,
    "first": "2026-08-10",
    "days_from": "2026-10-20",
    "days": [5, None, 7, 0, 2],
    "months": [310, 290, 40],
    "due": [["2026-09-01", "2026-10-01"], ["2026-10-22", "2026-10-23"]],
    "short": [["2026-10-20", "2026-10-21", NOW - DAY]],
    "reading": {"2026-09-01": [1_788_300_000, 4]},
    "day_differences": [-2, 0, 0, 0, 0],
    "month_differences": [1, 0, 0],
}
STATES: Sequence[Mapping[str, Any]] = (
    {
        "bookmarks": {
            "open": {**_OWN, "metrics": [OPENED], "timestamp": NOW - 30 * DAY, "resume": _RESUME},
            "clicked_sms": {
                **_OWN,
                "metrics": [CLICKED],
                "joining": {TEXTED: NOW - 60 * DAY},
                "counts": {CLICKED: _COUNTS},
            },
            "opened": {**_OWN, "metrics": [OPENED], "definition": ["Opened Email", "Klaviyo"]},
            "lists": {"full_table_read_at": NOW - DAY, "full_table_of": "0a1b2c3d4e5f"},
            "list_members": {**_OWN, "resume": {"timestamp": NOW - DAY, "done": {"": []}}},
            "profiles": {**_OWN, "resume": {"timestamp": NOW - DAY, "done": {"": [[0, 10]]}}},
        },
        "currently_syncing": "open",
    },
    {
        "bookmarks": {
            "open": {
                "replication_key": "datetime",
                "replication_key_value": "2026-10-01T00:00:00Z",
            },
            "profiles": {"replication_key_value": "2026-10-01T00:00:00+00:00", "partitions": []},
            "list_members": {
                "partitions": [
                    {"context": {"list_id": "A"}, "replication_key_value": "2026-10-01T00:00:00Z"}
                ]
            },
            "clicked_sms": {
                "starting_replication_value": "2026-09-01",
                "progress_markers": {"replication_key_value": "2026-10-01T00:00:00Z"},
            },
        }
    },
    {
        "bookmarks": {
            OPENED: {"since": "2026-10-01T00:00:00Z"},
            TEXTED: {"since": "2026-09-01T00:00:00Z"},
            "clicked_sms": {"since": None},
            "profiles": {"updated": "2026-10-01T00:00:00.000000Z"},
        }
    },
    {"open": "2026-10-01T00:00:00Z", "clicked_text_message": "2026-09-01T00:00:00Z"},
)
"""States of this tap, of a tap of Meltano's SDK, and of singer-io's in two forms."""

MUTATED_STATES = st.one_of(*map(mutated_document, STATES)) | states(*STREAMS_READ, OPENED, TEXTED)


@dataclass(frozen=True)
class Files:
    """The three files of a command; ``role`` is the one that was mutated, empty for any."""

    role: str
    config: Any
    catalog: Any
    state: Any

    def contents(self) -> dict[str, Any]:
        """The files by role."""
        return {"config": self.config, "catalog": self.catalog, "state": self.state}


_RIGHT = {
    "config": st.sampled_from([CONFIG, EVERY_SETTING]),
    "catalog": st.sampled_from([CATALOG, CATALOG, CATALOG_OF_SINGER_IO]),
    "state": st.sampled_from([{}, {}, {}, *STATES]),
}
_MUTATED = {"config": CONFIGS, "catalog": CATALOGS, "state": MUTATED_STATES}
ROLES = (*_RIGHT, "")


def mutated_files(role: str) -> st.SearchStrategy[Files]:
    """Files of which one is mutated, or any of them."""
    chosen = {name: _MUTATED[name] if role == name else _RIGHT[name] for name in _RIGHT}
    if not role:
        chosen = {name: _RIGHT[name] | _MUTATED[name] for name in _RIGHT}
    return st.builds(Files, st.just(role), **chosen)
