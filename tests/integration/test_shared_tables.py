"""Two accounts share the tables of a database: each row is of its account, addresses are hashes.

All streams of both revisions are loaded. The tap runs in this process, because it would wait for
minutes to keep Klaviyo's rate limits; here it waits in simulated time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from expected_hashes import ExpectedHashes, Record, Schema, without_free_form
from external_programs import run
from postgres import Database, Server
from similar_accounts import add_data, similar_accounts
from stored_values import canonical, decoded
from sync_runner import NOW, Output, Tap, catalog_of, tap_of
from targets import DATABASES, Row, Target

from tap_klaviyo.config.loading import parse_streams
from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.streams import REGISTRIES

Environment = Callable[[str], Path]
Key = tuple[Any, ...]
Table = dict[Key, Row]

RUNS = (("2026-07-15", NOW), ("2026-10-15", NOW + 90_000))
"""The revision of each run, and when it starts. The later revision has all streams of the other."""

HASHES = ExpectedHashes(
    patterns=(
        *("*.email", "*.phone_number", "*_email", "*.name", "*_name", "*.title", "*.label"),
        *("*.description", "*.location.[acrz]*", "*.images", "*.audiences.included"),
        *("reviews.?uthor", "coupon_codes.u*", "profiles.properties.pet"),
        *("*.properties.tags", "*.properties.points", "*.event_properties.Email Domain"),
        *("*.event_properties.$extra.depth", "events.event_properties.Items.Name"),
        *("events.event_properties.tags", "metric_aggregates.dimensions.Campaign Name"),
    ),
    salt="a salt of these tests",
)
COMPOSED_KEYS = {
    **dict.fromkeys(
        ("campaign_values_report", "flow_values_report", "flow_series_report"), "groupings_key"
    ),
    "metric_aggregates": "dimensions_key",
}
"""The keys of the reports with a hashed column. They are hashed exactly as they are."""

KEYED_BY_ACCOUNT = {"brand_voice", "text_messaging_configurations"}
"""The streams that have the key `account_id` anyway."""

CONTACT = re.compile(r"[\w.+-]+@[\w.-]+|\+\d{9,}")
"""An email address or a phone number."""

SETTINGS: Mapping[str, Any] = {
    "metric_streams": {"orders": {"metric": "Placed Order", "integration": "Shopify"}},
    "start_date": "2026-10-20",
    "reports": {
        "campaigns": {"stream": "campaign_values_report", "group_by": ["campaign_message_name"]},
        "flows": {"stream": "flow_series_report", "group_by": ["flow_name"]},
        "opens": {
            **{"stream": "metric_aggregates", "metrics": ["Opened Email"]},
            "group_by": ["Campaign Name", "Client Name"],
        },
    },
}
HASHED_AND_SHARED = {
    **{"account_column": True, "hash_salt": HASHES.salt, "hash_fields": [*HASHES.patterns]}
}


@dataclass
class Shared:
    """What the tap wrote for both accounts in each run, and the tables that result from it.

    `plain` are the records without hashes, by stream. `tables` are those after each run. `contacts`
    are the addresses and phone numbers of all profiles.
    """

    outputs: list[list[Output]] = field(default_factory=lambda: [[] for _ in RUNS])
    tables: list[dict[str, Table]] = field(default_factory=lambda: [{} for _ in RUNS])
    plain: dict[str, list[Record]] = field(default_factory=dict)
    contacts: set[str] = field(default_factory=set)

    def schemas(self, number: int) -> dict[str, Schema]:
        """The schema of each table after a run."""
        messages = [message for one in self.outputs[number] for message in one.of("SCHEMA")]
        return {message["stream"]: message["schema"] for message in messages}

    def keys(self, number: int) -> dict[str, list[str]]:
        """The key of each table after a run."""
        messages = [message for one in self.outputs[number] for message in one.of("SCHEMA")]
        return {message["stream"]: message["key_properties"] for message in messages}


@pytest.fixture(scope="module")
def shared() -> Shared:
    """Two runs for each account, with the settings and without; data is added between them."""
    shared = Shared()
    for account in similar_accounts(NOW):
        (identifier,) = account.ids("account")
        tables: dict[str, Table] = {}
        with tap_of(account) as tap:
            plain = hashed = None
            for number, (revision, now) in enumerate(RUNS):
                if number:
                    add_data(account, now, identifier)
                plain = _sync(tap, plain, revision, now)
                hashed = _sync(tap, hashed, revision, now, **HASHED_AND_SHARED)
                shared.outputs[number].append(hashed)
                _upsert(tables, plain, identifier)
                for stream, table in tables.items():
                    shared.tables[number].setdefault(stream, {}).update(table)
                for message in plain.of("RECORD"):
                    shared.plain.setdefault(message["stream"], []).append(message["record"])
        for profile in account.collections["profile"]:
            texts = (profile.attributes["email"], profile.attributes["phone_number"])
            shared.contacts.update(CONTACT.findall(" ".join(filter(None, texts))))
    assert len(shared.contacts) > 500
    return shared


def _sync(tap: Tap, before: Output | None, revision: str, now: float, **more: Any) -> Output:
    """Reads all fields of all streams of a revision."""
    settings = {"revision": revision, **SETTINGS, **more}
    names = [stream.name for stream in REGISTRIES[revision].streams]
    catalog = catalog_of(*names, all_fields=True, revision=revision)
    catalog["streams"] += build_catalog(parse_streams(settings))["streams"][len(names) :]
    output = tap.sync(before and before.state, catalog, now, **settings)
    assert output.fault is None
    return output


def _upsert(tables: dict[str, Table], plain: Output, account: str) -> None:
    """Adds plain records to tables, with hashes and the ID of the account."""
    for message in plain.of("SCHEMA"):
        stream, schema = message["stream"], message["schema"]
        table = tables.setdefault(stream, {})
        names = [name for name in message["key_properties"] if name != "account_id"]
        for given in plain.records(stream):
            record = HASHES.record(stream, schema, given)
            if composed := COMPOSED_KEYS.get(stream):
                record[composed] = HASHES.digest(given[composed])
            table[(account, *map(canonical, map(record.get, names)))] = {
                "account_id": account,
                **record,
            }


@dataclass(frozen=True)
class Loaded:
    """What a target has stored: the tables after each run, their keys, and the last states."""

    target: Target
    tables: list[dict[str, list[Row]]]
    keys: dict[str, list[str]]
    states: list[list[dict[str, Any]]]


@pytest.fixture(scope="module")
def databases(
    shared: Shared,
    environment: Environment,
    postgres: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Loaded]:
    """Each target loads the runs of both accounts in turn. The two targets run at the same time."""
    folder = tmp_path_factory.mktemp("shared")
    for number, outputs in enumerate(shared.outputs):
        for account, output in enumerate(outputs):
            lines = [json.dumps(message) + "\n" for message in output.messages]
            (folder / f"{number}-{account}.jsonl").write_text("".join(lines))

    def load(name: str, database: Database) -> Loaded:
        target = DATABASES[name](database)
        config = folder / f"{name}.json"
        config.write_text(json.dumps(target.settings))
        command = environment(target.environment) / target.executable
        tables, states = [], []
        for number, outputs in enumerate(shared.outputs):
            ended = [
                run(
                    *(command, f"--config={config}"),
                    cwd=folder,
                    environment=target.variables,
                    stdin=folder / f"{number}-{account}.jsonl",
                )
                for account in range(len(outputs))
            ]
            states.append([json.loads(one.stdout.splitlines()[-1]) for one in ended])
            tables.append(database.tables("shop", shared.schemas(number)))
        return Loaded(target, tables, database.keys("shop"), states)

    created = [postgres.database(f"shared-{name}") for name in DATABASES]
    with ThreadPoolExecutor() as threads:
        return dict(zip(DATABASES, threads.map(load, DATABASES, created), strict=True))


each_target = pytest.mark.parametrize("target", DATABASES)
each_run = pytest.mark.parametrize("number", range(len(RUNS)), ids=["first run", "second run"])


@each_run
@each_target
def test_rows_are_exact(
    shared: Shared, databases: dict[str, Loaded], target: str, number: int
) -> None:
    """Each table has the rows of both accounts, each once, with all values and hashes."""
    loaded, keys, different = databases[target], shared.keys(number), []
    for stream, expected in shared.tables[number].items():
        rows = loaded.tables[number][stream]
        stored = {_key(row, keys[stream]): row for row in rows}
        assert len(stored) == len(rows) > 0, stream
        assert stored.keys() == expected.keys(), stream
        different += [
            (stream, key, name)
            for key, row in stored.items()
            for name in _columns(row) | expected[key].keys()
            if _differ(loaded.target, row[name], expected[key].get(name))
        ]
    assert not different


def _key(row: Row, names: Sequence[str]) -> Key:
    return tuple(canonical(row[name]) for name in names)


def _columns(row: Row) -> set[str]:
    """The columns of a row without those that the target adds."""
    return {name for name in row if not name.startswith("_sdc_")}


def _differ(target: Target, stored: Any, expected: Any) -> bool:
    """Whether a stored value is not the expected one."""
    given = target.text(expected) if isinstance(expected, str) else expected
    return canonical(decoded(stored, expected)) != canonical(given)


@each_target
def test_tables_are_keyed_by_account(
    shared: Shared, databases: dict[str, Loaded], target: str
) -> None:
    """The primary key of each table is that of the SCHEMA, which begins with the account's ID."""
    keys = databases[target].keys
    assert keys == shared.keys(1)
    assert {key[0] for key in keys.values()} == {"account_id"}
    assert {stream for stream, key in keys.items() if len(key) == 1} == KEYED_BY_ACCOUNT


@each_target
def test_equal_ids_of_two_accounts(
    shared: Shared, databases: dict[str, Loaded], target: str
) -> None:
    """Where both accounts have the same ID, both have a row, mostly with other values."""
    keys, alone, same = shared.keys(1), set(), set()
    for stream, rows in databases[target].tables[1].items():
        pairs: dict[Key, list[Row]] = {}
        for row in rows:
            values = {name: row[name] for name in _columns(row) - {"account_id"}}
            pairs.setdefault(_key(row, keys[stream][1:]), []).append(values)
        of_both = [pair for pair in pairs.values() if len(pair) == 2]
        if not of_both:
            alone.add(stream)
        elif all(first == second for first, second in of_both):
            same.add(stream)
    assert alone == {"accounts", "tracking_settings", "brand_email_defaults"}
    assert len(same) < len(keys) / 2


@each_run
@each_target
def test_no_personal_value_is_left(
    shared: Shared, databases: dict[str, Loaded], target: str, number: int
) -> None:
    """No address or phone number of a profile is in any table, but in free-form objects."""
    schemas = shared.schemas(number)
    for stream, rows in databases[target].tables[number].items():
        text = json.dumps([without_free_form(schemas[stream], row) for row in rows])
        assert not {*CONTACT.findall(text)} & shared.contacts, stream


def test_patterns_hash_most_streams(shared: Shared) -> None:
    """Each pattern hashes some value, and together they hash values in most streams."""
    schemas = {**shared.schemas(0), **shared.schemas(1)}

    def hashed(stream: str, *patterns: str) -> bool:
        hashes = ExpectedHashes(patterns, HASHES.salt)
        return any(
            hashes.record(stream, schemas[stream], record) != record
            for record in shared.plain[stream]
        )

    for pattern in HASHES.patterns:
        assert any(hashed(stream, pattern) for stream in shared.plain), pattern
    streams = [stream for stream in shared.plain if hashed(stream, *HASHES.patterns)]
    assert len(streams) > 0.75 * len(shared.plain)


@each_target
def test_states_name_the_account(shared: Shared, databases: dict[str, Loaded], target: str) -> None:
    """The last state that a target confirms is that of the account."""
    states = databases[target].states
    assert states == [[output.state for output in outputs] for outputs in shared.outputs]
    for first, second in states:
        assert first["account_id"] != second["account_id"]
