"""Fields that the setting ``hash_fields`` matches have hashes in the output, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from sync_runner import NOW, Output, Tap, catalog_of, tap_of
from test_batches import batch_config, records_in

from sandbox.account import Account
from tap_klaviyo import Tap as Library
from tap_klaviyo.discovery.schemas import schema_of
from tap_klaviyo.streams import REGISTRIES

Record = dict[str, Any]

SALT = "a salt of these tests"
ADDRESS = re.compile(rb"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
ADDRESS_PATTERNS = ["*.email", "*_email"]
UNKNOWN: Mapping[str, Any] = {"type": "", "items": {"type": ""}}
"""In place of the schema of an attribute that Klaviyo has added."""

MOMENT = datetime.fromtimestamp(NOW, timezone.utc)

each_revision = pytest.mark.parametrize("revision", REGISTRIES)


def digest(text: str) -> str:
    """The hash of a text, as a user may compute it."""
    return hmac.new(SALT.encode(), text.strip().lower().encode(), hashlib.sha256).hexdigest()


def is_free_form(schema: Mapping[str, Any]) -> bool:
    """Whether a schema is that of an object without declared fields."""
    return "object" in schema["type"] and "properties" not in schema


def text_fields(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """The dotted paths of the fields that hold text but no date and no ID."""
    for name, child in schema.get("properties", {}).items():
        yield from text_fields(child, f"{path}.{name}")
    if "items" in schema:
        yield from text_fields(schema["items"], path)
    name = path.rpartition(".")[2]
    joins = name in ("id", "type") or name.endswith("_id")
    if "string" in schema["type"] and "format" not in schema and not joins:
        yield path


def with_hashes(value: Any, schema: Mapping[str, Any], path: str, hashed: set[str]) -> Any:
    """A value of a record with hashes in place of the text at the paths ``hashed``."""
    if isinstance(value, list):
        return [with_hashes(item, schema["items"], path, hashed) for item in value]
    if isinstance(value, dict) and "properties" in schema:
        parts = schema["properties"]
        return {
            name: with_hashes(child, parts.get(name, UNKNOWN), f"{path}.{name}", hashed)
            for name, child in value.items()
        }
    return digest(value) if path in hashed and isinstance(value, str) and value.strip() else value


def without_free_form(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value of a record without the free-form objects in it."""
    if isinstance(value, list):
        return [without_free_form(item, schema["items"]) for item in value]
    if isinstance(value, dict) and "properties" in schema:
        parts = schema["properties"]
        return {
            name: without_free_form(child, parts.get(name, UNKNOWN))
            for name, child in value.items()
        }
    return None if is_free_form(schema) else value


def streams_of(revision: str) -> list[str]:
    """The names of all streams of a revision."""
    return [stream.name for stream in REGISTRIES[revision].streams]


@pytest.fixture(scope="module")
def tap() -> Iterator[Tap]:
    """A tap with an account that does not change."""
    with tap_of(Account.seeded(seed=1, events=500, now=MOMENT)) as started:
        started.settings["start_date"] = "2025-11-01"
        yield started


Sync = Callable[..., Output]


@pytest.fixture(scope="module")
def sync(tap: Tap) -> Sync:
    """Reads all streams of a revision with all fields, once for each list of patterns."""
    outputs: dict[tuple[str, ...], Output] = {}

    def run(revision: str, *patterns: str) -> Output:
        key = (revision, *patterns)
        if key not in outputs:
            catalog = catalog_of(*streams_of(revision), all_fields=True, revision=revision)
            outputs[key] = tap.sync(
                now=NOW,
                catalog=catalog,
                revision=revision,
                hash_fields=list(patterns),
                hash_salt=SALT,
            )
            assert outputs[key].fault is None
        return outputs[key]

    return run


def sorted_records(output: Output, stream: str) -> list[str]:
    """The records of a stream as JSON text, sorted: streams are read by several workers."""
    return sorted(map(json.dumps, output.records(stream)))


@each_revision
def test_every_text_can_be_hashed(sync: Sync, revision: str) -> None:
    """Of each schema, each text that is no date and no ID is hashed, and nothing else changes.

    Parts of keys stay, but for the one that is composed of other columns.
    """
    streams = REGISTRIES[revision].streams
    paths = [
        path
        for stream in streams
        for path in text_fields(schema_of(stream), stream.name)
        if len(stream.keys) == 1 or path not in {f"{stream.name}.{key}" for key in stream.keys}
    ]
    plain, output = sync(revision), sync(revision, *paths)
    for stream in streams:
        expected = [
            with_hashes(record, schema_of(stream), stream.name, {*paths})
            for record in plain.records(stream.name)
        ]
        composed = stream.report.extra_groups_key if stream.report else ""
        if composed and any(path.startswith(f"{stream.name}.") for path in paths):
            for record in expected:
                record[composed] = digest(record[composed])
        assert expected
        assert sorted_records(output, stream.name) == sorted(map(json.dumps, expected))


@each_revision
def test_no_address_is_left(sync: Sync, revision: str) -> None:
    """With patterns for addresses, none of the account's is in the output but in free forms."""
    plain, output = sync(revision), sync(revision, *ADDRESS_PATTERNS)
    addresses: set[bytes] = set()
    for stream in REGISTRIES[revision].streams:
        schema = schema_of(stream)
        sent, written = (
            json.dumps([without_free_form(record, schema) for record in one.records(stream.name)])
            for one in (plain, output)
        )
        addresses |= {*ADDRESS.findall(sent.encode())}
        assert not ADDRESS.findall(written.encode()), stream.name
    assert len(addresses) > 50


@each_revision
def test_all_other_messages_stay(sync: Sync, revision: str) -> None:
    """Schemas and the last state are the same as without hashes."""
    plain, output = sync(revision), sync(revision, *ADDRESS_PATTERNS)
    assert output.of("SCHEMA") == plain.of("SCHEMA")
    assert output.state == plain.state


def test_a_star_spans_levels(sync: Sync) -> None:
    """One pattern makes the same hash in each stream, so tables join by it."""
    output = sync("2026-07-15", *ADDRESS_PATTERNS)
    by_id = {record["id"]: record["email"] for record in output.records("profiles")}
    profiles = [one for record in output.records("receive") for one in record["profile"]]
    known = [profile for profile in profiles if profile["id"] in by_id]
    assert known
    for profile in known:
        assert profile["email"] == by_id[profile["id"]]


def test_a_key_may_be_hashed(sync: Sync) -> None:
    """The key of global_exclusions, an address, is its hash; no record is lost or comes twice."""
    plain, output = sync("2026-07-15"), sync("2026-07-15", *ADDRESS_PATTERNS)
    expected = [(digest(email),) for (email,) in plain.keys("global_exclusions")]
    assert expected
    assert sorted(output.keys("global_exclusions")) == sorted(expected)


def test_free_form_objects(tap: Tap, sync: Sync) -> None:
    """A value that a pattern names in free-form objects is hashed there, and only there."""
    plain = sync("2026-07-15")
    catalog = catalog_of("receive", "click", all_fields=True)
    sent = {record["id"]: record for record in plain.records("receive")}
    name = next(iter(next(one["event_properties"] for one in sent.values())))
    patterns = [f"receive.event_properties.{name}"]
    output = tap.sync(now=NOW, catalog=catalog, hash_fields=patterns, hash_salt=SALT)
    written = {record["id"]: record for record in output.records("receive")}
    assert written.keys() == sent.keys()
    for key, record in sent.items():
        properties = record["event_properties"]
        if properties and name in properties:
            value = properties[name]
            text = value if isinstance(value, str) else json.dumps(value)
            record["event_properties"] = {**properties, name: digest(text)}
            assert written[key]["event_properties"][name] == digest(text)
        assert written[key] == record
    assert sorted_records(output, "click") == sorted_records(plain, "click")


def test_batch_files(tap: Tap, sync: Sync, tmp_path: Path) -> None:
    """The files of BATCH messages have the same records as RECORD messages."""
    expected = sync("2026-07-15", *ADDRESS_PATTERNS)
    output = tap.sync(
        now=NOW,
        catalog=catalog_of("receive", "profiles", all_fields=True),
        hash_fields=ADDRESS_PATTERNS,
        hash_salt=SALT,
        batch_config=batch_config(tmp_path),
    )
    for stream in ("receive", "profiles"):
        written = sorted(map(json.dumps, records_in(output.messages, stream)))
        assert written == sorted_records(expected, stream)


def test_records_of_the_library(tap: Tap) -> None:
    """``Tap.records`` yields hashes too."""
    settings = {**tap.settings, "end_date": "2026-11-01"}
    plain = Library(settings).records("profiles")
    hashing = {"hash_fields": ["profiles.email"], "hash_salt": SALT}
    emails = {record["id"]: record["email"] for record in plain}
    assert any(emails.values())
    for record in Library({**settings, **hashing}).records("profiles"):
        email = emails.pop(record["id"])
        assert record["email"] == (digest(email) if email else email)
    assert not emails


def test_a_second_run_reads_what_is_new(tap: Tap) -> None:
    """Requests and bookmarks have true values: a run with hashes continues one without."""
    catalog = catalog_of("receive", "profiles")
    state = tap.sync(now=NOW, catalog=catalog).state
    plain = tap.sync(state, catalog, NOW + 3600)
    paths = [*tap.box.requests]
    tap.box.requests.clear()
    hashed = tap.sync(state, catalog, NOW + 3600, hash_fields=ADDRESS_PATTERNS, hash_salt=SALT)
    assert hashed.state == plain.state
    assert {one.path for one in tap.box.requests} <= {one.path for one in paths}
