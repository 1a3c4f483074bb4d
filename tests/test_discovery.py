"""Discovery: writing the catalog, and reading it as a selection."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from singer.catalog import Catalog

from tap_klaviyo.discovery.catalog import build_catalog, catalog_text
from tap_klaviyo.discovery.schemas import load_schema
from tap_klaviyo.discovery.selection import SelectedStream, has_metric_ids, read_catalog
from tap_klaviyo.errors import ConfigError
from tap_klaviyo.streams import DEFAULT_STREAMS, STREAMS

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = build_catalog()["streams"]
Select = Callable[..., SelectedStream]


def entry(name: str, **changes: Any) -> dict[str, Any]:
    """A copy of the tap's own catalog entry for a stream."""
    found = next(entry for entry in ENTRIES if entry["tap_stream_id"] == name)
    return {**copy.deepcopy(found), **changes}


def with_metadata(entry: dict[str, Any], path: str, **metadata: Any) -> dict[str, Any]:
    """Changes the metadata of the field at dotted ``path`` ("" is the stream) of an entry."""
    for item in entry["metadata"]:
        steps = [step for step in item["breadcrumb"] if step not in ("properties", "items")]
        if ".".join(steps) == path:
            item["metadata"] |= metadata
    return entry


def selection(*entries: dict[str, Any], **names: str) -> list[SelectedStream]:
    """The streams that a catalog of these entries selects."""
    return read_catalog({"streams": list(entries)}, names)


def error_message(document: Any) -> str:
    """The one-line error message of an invalid catalog."""
    with pytest.raises(ConfigError) as caught:
        read_catalog(document)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def breadcrumbs(schema: dict[str, Any], parent: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The breadcrumbs of all properties of a schema."""
    for name, child in schema.get("properties", {}).items():
        yield (*parent, "properties", name)
        yield from breadcrumbs(child, (*parent, "properties", name))
    if "items" in schema:
        yield from breadcrumbs(schema["items"], (*parent, "items"))


def test_catalog_file() -> None:
    """The bundled catalog is identical to the output of --discover."""
    command = [sys.executable, "-m", "tap_klaviyo", "--discover"]
    printed = subprocess.run(command, capture_output=True, timeout=60, check=True, cwd=ROOT)
    assert printed.stdout == (ROOT / "catalog.json").read_bytes()


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_entries(stream: Any) -> None:
    """Each stream has the Singer metadata of the stream and of each field."""
    found = entry(stream.name)
    metadata = {tuple(item["breadcrumb"]): item["metadata"] for item in found["metadata"]}
    assert len(metadata) == len(found["metadata"])
    assert set(metadata) == {(), *breadcrumbs(found["schema"])}
    top = metadata[()]
    assert top["inclusion"] == "available"
    assert top["selected-by-default"] is stream.selected_by_default
    assert top["table-key-properties"] == found["key_properties"] == list(stream.keys)
    can_choose = stream.name in ("profiles", "list_members", "segment_members")
    forced = None if can_choose else found["replication_method"]
    assert top.get("forced-replication-method") == forced
    keys = [stream.replication_key] if stream.replication_key else []
    assert top.get("valid-replication-keys", []) == keys
    automatic = {
        breadcrumb for breadcrumb, item in metadata.items() if item.get("inclusion") == "automatic"
    }
    wanted = {*stream.keys, *keys, *filter(None, [stream.time_property])}
    assert automatic == {("properties", name) for name in wanted}
    jsonschema.Draft4Validator.check_schema(found["schema"])


def test_singer_reads_the_catalog(tmp_path: Path) -> None:
    """The singer-python library loads the catalog with all streams."""
    path = tmp_path / "catalog.json"
    path.write_text(catalog_text(build_catalog()))
    assert len(Catalog.load(path).streams) == len(STREAMS)


def test_schemas_are_self_contained() -> None:
    """No schema of the catalog has a reference or a part to merge."""
    assert '"$ref"' not in catalog_text(build_catalog())
    assert '"allOf"' not in catalog_text(build_catalog())


def test_defaults() -> None:
    """An unchanged catalog selects the default streams and fields."""
    chosen = {selected.name: selected for selected in read_catalog(build_catalog())}
    assert list(chosen) == [stream.name for stream in DEFAULT_STREAMS]
    assert len(chosen) == 21
    assert "predictive_analytics" not in chosen["global_exclusions"].schema["properties"]
    assert chosen["open"].schema == entry("open")["schema"]
    assert chosen["open"].incremental
    assert not chosen["lists"].incremental


@pytest.mark.parametrize(
    ("metadata", "selected"),
    [
        ({"selected": True}, True),
        ({"selected": False}, False),
        ({"selected": True, "selected-by-default": False}, True),
        ({"selected": False, "selected-by-default": True}, False),
        ({"selected-by-default": False}, False),
        ({"selected": None}, True),
        ({"selected": True, "inclusion": "unsupported"}, False),
    ],
)
@pytest.mark.parametrize("path", ["", "uuid", "profile.location.city"])
def test_selection_rules(path: str, metadata: dict[str, Any], selected: bool) -> None:
    """`selected` overrides `selected-by-default`, for streams, fields and nested fields."""
    chosen = selection(with_metadata(entry("open"), path, **metadata))
    found = [
        ".".join(step for step in breadcrumb if step not in ("properties", "items"))
        for one in chosen
        for breadcrumb in ((), *breadcrumbs(one.schema))
    ]
    assert (path in found) is selected


def test_automatic_fields() -> None:
    """Key and replication key cannot be deselected."""
    without = with_metadata(
        with_metadata(entry("open"), "id", selected=False), "timestamp", selected=False
    )
    del without["schema"]["properties"]["timestamp"]
    assert {"id", "timestamp"} <= selection(without)[0].schema["properties"].keys()


@pytest.mark.parametrize(
    ("changes", "selected"),
    [
        ({"selected": False}, False),
        ({"selected": True}, True),
        ({"schema": {"selected": False, "properties": {}}}, False),
        ({"schema": {"selected": True, "properties": {}}}, True),
    ],
)
def test_legacy_selection(changes: dict[str, Any], selected: bool) -> None:
    """Legacy catalogs have "selected" in the entry or its schema."""
    assert bool(selection(entry("lists", metadata=[], **changes))) is selected


def test_deselected_parent(select: Select) -> None:
    """A deselected object deselects its fields."""
    assert "profile" not in select("open", "profile").schema["properties"]


def test_object_without_selected_fields(select: Select) -> None:
    """An object without selected fields is left out of the schema."""
    fields = [
        breadcrumb[-1]
        for breadcrumb in breadcrumbs(entry("open")["schema"])
        if "location" in breadcrumb[:-1]
    ]
    selected = select("open", *(f"profile.location.{field}" for field in fields))
    profile = selected.schema["properties"]["profile"]["items"]["properties"]
    assert "location" not in profile


def test_fields_that_the_catalog_does_not_list() -> None:
    """An object listed without fields is selected with all of them; an unlisted field is not."""
    shortened = entry("open")
    shortened["schema"]["properties"]["profile"] = {"type": ["null", "array"]}
    del shortened["schema"]["properties"]["uuid"]
    properties = selection(shortened)[0].schema["properties"]
    assert properties["profile"] == entry("open")["schema"]["properties"]["profile"]
    assert "uuid" not in properties


def test_order() -> None:
    """Streams are synced in the order of the catalog."""
    assert [s.name for s in selection(entry("lists"), entry("click"))] == ["lists", "click"]


@pytest.mark.parametrize(
    ("name", "chosen", "expected"),
    [
        ("profiles", None, "INCREMENTAL"),
        ("profiles", "FULL_TABLE", "FULL_TABLE"),
        ("list_members", None, "FULL_TABLE"),
        ("list_members", "INCREMENTAL", "INCREMENTAL"),
        ("lists", "FULL_TABLE", "FULL_TABLE"),
        ("lists", "INCREMENTAL", "FULL_TABLE"),
        ("open", "FULL_TABLE", "INCREMENTAL"),
        ("reviews", "INCREMENTAL", "FULL_TABLE"),
        ("flow_values_report", "FULL_TABLE", "INCREMENTAL"),
    ],
)
def test_replication_method(
    caplog: pytest.LogCaptureFixture, name: str, chosen: str | None, expected: str
) -> None:
    """A method is chosen where a stream has two; the only one wins with a warning."""
    selected = with_metadata(entry(name), "", selected=True, **{"replication-method": chosen})
    found = selection(selected)[0]
    assert found.replication_method == expected
    assert ("is ignored" in caplog.text) is (chosen not in (None, expected))
    assert found.windowed is (expected == "INCREMENTAL" and name != "flow_values_report") or (
        name == "reviews"
    )


@pytest.mark.parametrize(
    ("method", "others"), [("INCREMENTAL", "FULL_TABLE"), ("FULL_TABLE", "INCREMENTAL")]
)
def test_one_method_for_all_streams(
    caplog: pytest.LogCaptureFixture, method: str, others: str
) -> None:
    """Meltano's metadata for '*' is one warning for all streams that have only the other method."""
    every = [
        with_metadata(entry(e["stream"]), "", selected=True, **{"replication-method": method})
        for e in ENTRIES
    ]
    chosen = {found.name: found.replication_method for found in selection(*every)}
    assert len(chosen) == len(STREAMS)
    assert chosen["profiles"] == chosen["segment_members"] == method
    (record,) = caplog.records
    assert f"only one: {others} for " in record.message
    assert len(record.message) < 1000


def test_replication_method_in_metadata() -> None:
    """The replication method in the metadata overrides that of the entry."""
    members = entry("list_members", replication_method="FULL_TABLE")
    chosen = with_metadata(members, "", selected=True, **{"replication-method": "INCREMENTAL"})
    assert selection(chosen)[0].incremental


def test_keys() -> None:
    """A catalog may use the key of another tap; the tap's own key is then nullable."""
    chosen = selection(entry("global_exclusions", key_properties=["id"]))[0]
    assert chosen.keys == ("id",)
    assert chosen.schema["properties"]["email"]["type"] == ["null", "string"]
    assert selection(entry("global_exclusions", key_properties=[]))[0].keys == ("email",)
    assert load_schema("global_exclusion")["properties"]["email"]["type"] == "string"


def test_unknown_stream_that_is_not_selected() -> None:
    """An unknown stream is not an error if it is not selected."""
    unknown = entry("open", tap_stream_id="orders", stream="orders")
    assert selection(with_metadata(unknown, "", selected=False), entry("lists"))[0].name == "lists"


INVALID_CATALOGS: dict[str, tuple[Any, str]] = {
    "no streams": ({}, "'streams'"),
    "streams no array": ({"streams": {}}, "'streams'"),
    "stream no object": ({"streams": ["open"]}, "'streams'"),
    "no schema": ({"streams": [entry("open", schema=None)]}, "'open' has no schema"),
    "twice": ({"streams": [entry("open"), entry("open")]}, "'open' is selected twice"),
    "twice, one object": ({"streams": [entry("open")] * 2}, "'open' is selected twice"),
    "an alias too": (
        {"streams": [entry("clicked_sms"), entry("open", tap_stream_id="clicked_text_message")]},
        "'clicked_sms' is selected twice",
    ),
    "unknown stream": (
        {
            "streams": [
                with_metadata(entry("open", tap_stream_id="x", stream="orders"), "", selected=True)
            ]
        },
        "'orders'",
    ),
    "no method": ({"streams": [entry("open", replication_method="LOG_BASED")]}, "LOG_BASED"),
    "method no text": (
        {"streams": [entry("lists", replication_method=["INCREMENTAL"])]},
        "'lists'",
    ),
    "wrong key": ({"streams": [entry("lists", key_properties=["name"])]}, "'lists'"),
    "key no array": ({"streams": [entry("lists", key_properties="id")]}, "'lists'"),
    "key no text": ({"streams": [entry("lists", key_properties=[["id"]])]}, "'lists'"),
    "metadata no array": ({"streams": [entry("lists", metadata=1)]}, "'lists'"),
    "metadata no objects": ({"streams": [entry("lists", metadata=["x"])]}, "'lists'"),
    "metadata a text": (
        {"streams": [entry("lists", metadata=[{"breadcrumb": [], "metadata": "x"}])]},
        "'lists'",
    ),
    "odd breadcrumb": ({"streams": [entry("lists", metadata=[{"breadcrumb": [{}]}])]}, "'lists'"),
}


@pytest.mark.parametrize(
    ("document", "named"), INVALID_CATALOGS.values(), ids=INVALID_CATALOGS.keys()
)
def test_invalid_catalogs(document: Any, named: str) -> None:
    """An invalid catalog is an error in one line that names the location."""
    message = error_message(document)
    assert message.startswith("catalog: ")
    assert named in message


def test_selected_field_that_does_not_exist() -> None:
    """A selected field that does not exist is an error; an unselected one is ignored."""
    odd = entry("open")
    odd["schema"]["properties"]["profile"]["items"]["properties"]["shoe_size"] = {"type": "integer"}
    breadcrumb = ["properties", "profile", "items", "properties", "shoe_size"]
    odd["metadata"].append({"breadcrumb": breadcrumb, "metadata": {}})
    assert selection(odd)
    odd["metadata"][-1]["metadata"]["selected"] = True
    assert "'profile.shoe_size' of stream 'open'" in error_message({"streams": [odd]})


def foreign(identifier: str, stream: str, *properties: str, selected: bool = True) -> Any:
    """A catalog entry of singer-io's tap, which uses metric ids as stream ids."""
    return {
        "tap_stream_id": identifier,
        "stream": stream,
        "key_properties": ["id"],
        "schema": {
            "type": "object",
            "properties": {name: {"type": ["null", "string"]} for name in properties},
        },
        "metadata": [
            {"breadcrumb": [], "metadata": {"selected": selected, "inclusion": "available"}},
            {"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "automatic"}},
        ],
    }


@pytest.mark.parametrize(
    ("identifier", "name", "expected"),
    [
        ("Mt1", "open", "open"),
        ("Mt1", "clicked_text_message", "clicked_sms"),
        ("Mt1", "subscribed_to_text_message", "consented_to_receive"),
        ("Mt1", "unsubscribed_from_text_message", "unsubscribed_from_sms"),
        ("Mt1", "received_text_message", "received_sms"),
        ("Mt1", "what_it_was_called", "bounce"),
        ("global_exclusions", "global_exclusions", "global_exclusions"),
    ],
)
def test_foreign_catalog(identifier: str, name: str, expected: str) -> None:
    """Streams of singer-io's tap are recognized by name, alias or metric, and keep their name."""
    chosen = selection(foreign(identifier, name, "id", "email", "datetime"), Mt1="bounce")[0]
    assert (chosen.stream.name, chosen.name) == (expected, name)
    assert (chosen.keys, chosen.tap_stream_id) == (("id",), identifier)
    assert chosen.incremental is bool(chosen.stream.metrics)


def test_has_metric_ids() -> None:
    """A catalog has metric ids if a selected stream id is neither a stream nor an alias."""
    assert not has_metric_ids(build_catalog())
    assert not has_metric_ids({"streams": [foreign("Mt1", "open")]})
    assert has_metric_ids({"streams": [foreign("Mt1", "opened")]})
    assert not has_metric_ids({"streams": None})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"selected": False, "metadata": []},
        {"metadata": []},
        {"metadata": [{"breadcrumb": [], "metadata": {"selected-by-default": False}}]},
        {"metadata": [{"breadcrumb": [], "metadata": {"inclusion": "unsupported"}}]},
    ],
)
def test_deselected_metric_ids_cost_nothing(changes: dict[str, Any]) -> None:
    """A stream that is not selected is not looked up, and not read if it is known by a metric."""
    entry_of_metric = {**foreign("Mt1", "opened", selected=False), **changes}
    assert not has_metric_ids({"streams": [entry_of_metric]})
    assert not selection(entry_of_metric, Mt1="open")


def test_catalog_is_not_changed() -> None:
    """Reading a catalog changes neither it nor the bundled schemas."""
    document = json.loads(catalog_text(build_catalog()))
    read_catalog(document)
    assert document == json.loads(catalog_text(build_catalog()))


@pytest.mark.parametrize("properties", [{}, None])
def test_a_free_form_object_stays_free_form(properties: Any) -> None:
    """A selected free-form object has no `properties`, also if an older catalog lists none."""
    listed = entry("open")
    listed["schema"]["properties"]["event_properties"]["properties"] = properties
    (selected,) = selection(listed)
    assert "properties" not in selected.schema["properties"]["event_properties"]
