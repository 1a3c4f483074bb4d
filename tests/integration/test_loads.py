"""What stands in the tables of each target is what the account has, value by value.

With and without flattening, on a server in UTC and in another time zone, after a second run, after
a kill in the middle of a run, and after changes of the catalog.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from external_programs import TAP, pipe, pipe_until_killed
from postgres import Server
from sandbox_account import KEY_OF, Record, SandboxAccount, serve_account
from stored_values import canonical, decoded, flattened
from targets import DATABASES, FILES, FLATTENING, Row, Target

from tap_klaviyo.discovery.catalog import build_catalog
from tap_klaviyo.streams import BY_NAME

Environment = Callable[[str], Path]

STREAMS = ("open", "campaigns", "lists", "global_exclusions", "profiles")
KEYS = {**KEY_OF, "profiles": "id"}
FREE_FORM = ("open", "global_exclusions", "profiles")
DEPTH = 2
SMALL_BATCHES = {"batch_size_rows": 50}


@dataclass(frozen=True)
class Load:
    """A target, its settings besides those of `targets`, and the time zone of its server.

    With `in_files` the records come by BATCH messages.
    """

    target: str
    settings: Row = field(default_factory=dict, hash=False)
    time_zone: str = "UTC"
    variables: Mapping[str, str] | None = None
    in_files: bool = False

    @property
    def depth(self) -> int:
        """How many levels of objects become columns."""
        return DEPTH if self.settings == FLATTENING.get(self.target) else 0


PLAIN = {
    "jsonl": Load("jsonl"),
    **{name: Load(name) for name in DATABASES},
    "meltanolabs-postgres, BATCH": Load("meltanolabs-postgres", in_files=True),
}
FLATTENED = {f"{name}, flattened": Load(name, FLATTENING[name]) for name in DATABASES}
UTC = PLAIN | FLATTENED
BERLIN = {
    f"{name}, Berlin": replace(load, time_zone="Europe/Berlin")
    for name, load in UTC.items()
    if load.target in DATABASES
}
LOADS = UTC | BERLIN

WITHOUT_VARIABLE = Load("meltanolabs-postgres", time_zone="Europe/Berlin", variables={})


def _expected_failure(load: Load, stream: str) -> Sequence[pytest.MarkDecorator]:
    """The marks of a combination that a target cannot store."""
    if load.target == "pipelinewise-postgres" and load.depth and stream in FREE_FORM:
        reason = "flattens every record by its values; docs/targets.md says so"
        return [pytest.mark.xfail(strict=True, reason=reason)]
    if load is WITHOUT_VARIABLE:
        reason = "stores the time of the server's zone without PGTZ=UTC; docs/targets.md says so"
        return [pytest.mark.xfail(strict=True, reason=reason)]
    return []


ROWS = [
    pytest.param(load, stream, marks=_expected_failure(load, stream), id=f"{name}-{stream}")
    for name, load in LOADS.items()
    for stream in STREAMS
] + [
    pytest.param(
        WITHOUT_VARIABLE,
        "lists",
        marks=_expected_failure(WITHOUT_VARIABLE, "lists"),
        id="meltanolabs-postgres, Berlin, without PGTZ-lists",
    )
]


@dataclass(frozen=True)
class Shop:
    """An account that is served and does not change, and its records by stream and key."""

    klaviyo: SandboxAccount
    records: Mapping[str, Mapping[str, Record]]


@dataclass(frozen=True)
class Pipeline:
    """The tap and a target with their files in a folder."""

    folder: Path
    target: Target
    commands: Sequence[Sequence[str | Path]]
    variables: Mapping[str, str]

    def run(self) -> None:
        """Runs the tap into the target from the stored state, and stores the new one."""
        out = pipe(*self.commands, cwd=self.folder, environment=self.variables)
        self._store_state(out)

    def run_until_killed(self, lines: int, with_target: bool) -> None:
        """Kills the tap, or both, after some lines, and stores the last state that was emitted."""
        out = pipe_until_killed(
            *self.commands,
            lines=lines,
            with_target=with_target,
            cwd=self.folder,
            environment=self.variables,
        )
        self._store_state(out)

    def forget_state(self) -> None:
        """Makes the next run the first one."""
        (self.folder / "state.json").write_text("{}")

    def change_catalog(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Changes each entry of the catalog."""
        path = self.folder / "catalog.json"
        catalog = json.loads(path.read_text())
        for entry in catalog["streams"]:
            change(entry)
        path.write_text(json.dumps(catalog))

    def table(self, stream: str, key: str) -> dict[str, Row]:
        """The rows of a table by key, the last one of each key; once each if the target upserts."""
        rows = self.target.rows(stream)
        by_key = {row[key]: row for row in rows}
        assert len(by_key) == len(rows) or not self.target.upserts
        return by_key

    def _store_state(self, out: str) -> None:
        (self.folder / "state.json").write_text((out.splitlines() or ["{}"])[-1])


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """An account, and its records up to now."""
    with serve_account() as klaviyo:
        now = time.time()
        records = {stream: klaviyo.records(stream) for stream in STREAMS}
        records["open"] = {
            key: record for key, record in records["open"].items() if record["timestamp"] < now
        }
        yield Shop(klaviyo, records)


@pytest.fixture(scope="module")
def pipeline_of(
    shop: Shop, environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Load, Server | None], Pipeline]:
    """Makes a pipeline from the account into an empty target."""

    def make(load: Load, server: Server | None) -> Pipeline:
        folder = tmp_path_factory.mktemp("load")
        if server:
            target = DATABASES[load.target](server.database(folder.name, load.time_zone))
        else:
            target = FILES[load.target](folder / "data")
            (folder / "data").mkdir()
        shop.klaviyo.write_files(folder, *STREAMS)
        if load.in_files:
            _write_to_files(folder)
        (folder / "state.json").write_text("{}")
        (folder / "target.json").write_text(json.dumps({**target.settings, **load.settings}))
        return Pipeline(
            folder,
            target,
            (
                (TAP, "--config=config.json", "--catalog=catalog.json", "--state=state.json"),
                (environment(target.environment) / target.executable, "--config=target.json"),
            ),
            target.variables if load.variables is None else load.variables,
        )

    return make


def _write_to_files(folder: Path) -> None:
    """Makes the tap write its records to files in a folder."""
    config = json.loads((folder / "config.json").read_text())
    storage = {"root": (folder / "batches").as_uri()}
    config["batch_config"] = {"storage": storage, "batch_size": 60}
    (folder / "config.json").write_text(json.dumps(config))


def _server(request: pytest.FixtureRequest, load: Load) -> Server | None:
    found: Server | None = None
    if load.target in DATABASES:
        found = request.getfixturevalue("postgres")
    return found


@dataclass(frozen=True)
class Loaded:
    """A pipeline that has run once, and how deep its target flattens."""

    pipeline: Pipeline
    depth: int


@pytest.fixture(scope="module")
def loaded(
    request: pytest.FixtureRequest, pipeline_of: Callable[[Load, Server | None], Pipeline]
) -> Loaded:
    """Runs a load once."""
    pipeline = pipeline_of(request.param, _server(request, request.param))
    pipeline.run()
    return Loaded(pipeline, request.param.depth)


def _differences(
    shop: Shop, pipeline: Pipeline, stream: str, depth: int = 0, table: str = ""
) -> dict[str, int]:
    """In how many rows each column differs from the account; empty if the table is complete."""
    entries = {entry["stream"]: entry["schema"] for entry in build_catalog()["streams"]}
    for name in BY_NAME[stream].fields_not_by_default:
        del entries[stream]["properties"][name]
    rows = pipeline.table(table or stream, KEYS[stream])
    assert rows.keys() == shop.records[stream].keys()
    different: dict[str, int] = {}
    for key, record in shop.records[stream].items():
        for column, value in flattened(record, entries[stream], depth).items():
            stored = rows[key][column]
            if depth:  # then targets store as text what they leave whole
                stored = decoded(stored, value)
            if canonical({column: stored}) != canonical({column: value}):
                different[column] = different.get(column, 0) + 1
    return different


@pytest.mark.parametrize(("loaded", "stream"), ROWS, indirect=["loaded"])
def test_every_value_is_stored(shop: Shop, loaded: Loaded, stream: str) -> None:
    """A table has a row for each record, and every value of it: instants, objects and arrays."""
    assert shop.records[stream]
    assert _differences(shop, loaded.pipeline, stream, loaded.depth) == {}


@pytest.mark.parametrize("loaded", UTC.values(), ids=UTC, indirect=True)
def test_a_second_run_changes_nothing(loaded: Loaded) -> None:
    """After a second run, and a first one once more, the tables have the same rows."""

    def tables() -> dict[str, dict[str, Row]]:
        return {
            stream: {
                key: {name: value for name, value in row.items() if not name.startswith("_sdc_")}
                for key, row in loaded.pipeline.table(stream, KEYS[stream]).items()
            }
            for stream in STREAMS
        }

    before = tables()
    loaded.pipeline.run()
    assert tables() == before
    loaded.pipeline.forget_state()
    loaded.pipeline.run()
    assert tables() == before


@pytest.mark.parametrize("with_target", [False, True], ids=["tap", "tap and target"])
@pytest.mark.parametrize("name", PLAIN)
def test_a_run_after_a_kill_completes_the_tables(
    request: pytest.FixtureRequest,
    shop: Shop,
    pipeline_of: Callable[[Load, Server | None], Pipeline],
    name: str,
    with_target: bool,
) -> None:
    """After a kill in the middle, a new run from the state that the target emitted is complete."""
    load = PLAIN[name]
    batches = SMALL_BATCHES if load.target in DATABASES else {}
    pipeline = pipeline_of(replace(load, settings=batches), _server(request, load))
    messages = 12 if load.in_files else sum(map(len, shop.records.values())) // 2
    pipeline.run_until_killed(messages, with_target)
    pipeline.run()
    for stream in STREAMS:
        assert _differences(shop, pipeline, stream) == {}, stream


ADDED = {"open": "uuid", "campaigns": "campaign-messages", "lists": "opt_in_process"}
RENAMED = {"open": "opened_email"}


@pytest.mark.parametrize("name", PLAIN)
def test_changes_of_the_catalog_are_followed(
    request: pytest.FixtureRequest,
    shop: Shop,
    pipeline_of: Callable[[Load, Server | None], Pipeline],
    name: str,
) -> None:
    """A field that is selected later becomes a column, a renamed stream a table of its own."""
    pipeline = pipeline_of(PLAIN[name], _server(request, PLAIN[name]))

    def select(entry: dict[str, Any], selected: bool) -> None:
        for item in entry["metadata"]:
            if item["breadcrumb"] == ["properties", ADDED.get(entry["stream"])]:
                item["metadata"]["selected"] = selected

    def rename(entry: dict[str, Any]) -> None:
        entry["stream"] = RENAMED.get(entry["stream"], entry["stream"])

    pipeline.change_catalog(lambda entry: select(entry, False))
    pipeline.run()
    for stream, column in ADDED.items():
        for row in pipeline.table(stream, KEYS[stream]).values():
            assert column not in row

    pipeline.change_catalog(lambda entry: select(entry, True))
    pipeline.forget_state()
    pipeline.run()
    for stream in ADDED:
        assert _differences(shop, pipeline, stream) == {}, stream

    pipeline.change_catalog(rename)
    pipeline.forget_state()
    pipeline.run()
    assert _differences(shop, pipeline, "open", table=RENAMED["open"]) == {}
