"""docs/streams.md documents every stream, field, scope and limit, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tap_klaviyo.about.metadata import FieldMetadata, StreamMetadata, tap_metadata
from tap_klaviyo.config.loading import parse_metric_streams
from tap_klaviyo.streams import AREAS, DEFAULT
from tap_klaviyo.streams.model import Stream
from tools.diagram import AS_ONE, diagram
from tools.stream_docs import document

PAGE = (Path(__file__).parent.parent / "docs" / "streams.md").read_text()
STREAMS = tap_metadata()["streams"]
SHARED = "Events of one metric"
EDGE = r'^  (\w+) -- "(.+)" --> (\w+)$'

each_stream = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream["name"])


def sections(page: str) -> dict[str, str]:
    """The text of each section by heading."""
    parts = re.split(r"^##+ ", page, flags=re.M)[1:]
    return {part.partition("\n")[0].strip("`"): part.partition("\n")[2] for part in parts}


SECTIONS = sections(PAGE)


def section(stream: StreamMetadata) -> str:
    """The section of a stream, with the shared section of event streams."""
    own = SECTIONS[SHARED if stream["metrics"] else stream["name"]]
    return own + (SECTIONS[SHARED] if f"[{SHARED.lower()}]" in own else "")


def test_attributions_are_said_to_be_where_they_are() -> None:
    """The page names the event streams that have the column `attributions`."""
    own = parse_metric_streams({"metric_streams": {"viewed": "Viewed Product"}})
    having = [
        stream["name"]
        for stream in STREAMS
        if any(field["name"] == "attributions" for field in stream["fields"])
    ]
    assert having == ["events"]
    assert "attributions" in own[0].fields_not_by_default
    sentence = "only `events` and the streams of the setting `metric_streams` have `attributions`"
    assert sentence in " ".join(PAGE.split())


def field_paths(depth: int, fields: Sequence[FieldMetadata], prefix: str = "") -> Iterator[str]:
    """The paths of fields, down to ``depth`` levels below a column."""
    for field in fields:
        yield prefix + field["name"]
        step = "[]." if "array" in field["types"] else "."
        if depth:
            yield from field_paths(depth - 1, field["fields"], prefix + field["name"] + step)


def field_row(stream: StreamMetadata, path: str) -> str:
    """The table row of a field."""
    (row, *_) = re.findall(rf"^\| `{re.escape(path)}`.*$", section(stream), re.M)
    return str(row)


@each_stream
def test_fields(stream: StreamMetadata) -> None:
    """Each field down to the second level has a row, and no other rows exist."""
    paths = [*field_paths(2, stream["fields"])]
    for path in paths:
        assert field_row(stream, path).count(" | ") == 2
    fields = section(stream).replace("\\|", "").split("| field | type |")[1:]
    assert {*re.findall(r"^\| `(.+?)`", "".join(fields), re.M)} == {*paths}


@each_stream
def test_columns(stream: StreamMetadata) -> None:
    """Each column has its description, and key and default marks."""
    for field in stream["fields"]:
        row = field_row(stream, field["name"])
        assert field["description"] in row.replace("\\|", "|")
        assert ("**key**" in row) == field["key"]
        assert ("(not by default)" in row) != field["selected_by_default"]
        assert ("array of" in row.split("|")[2]) == ("array" in field["types"])


@each_stream
def test_stream_properties(stream: StreamMetadata) -> None:
    """The section lists key, scopes, rate limits, endpoint, parent and filters of the stream."""
    text = section(stream)
    limits = [stream["rate_limit"], *stream["slower_with"].values()]
    expected = [
        *stream["key_properties"],
        *stream["scopes"],
        *stream["field_scopes"],
        *stream["slower_with"],
        *stream["filters"],
        *stream["aliases"],
        f"{'POST ' if stream['posted'] else ''}{stream['endpoint']}",
        *filter(None, [stream["replication_key"], stream["rows"]]),
    ]
    assert [name for name in expected if f"`{name}`" not in text] == []
    for limit in limits:
        assert (
            f"{limit['tier']} ({limit['per_second']} a second, {limit['per_minute']:,} a m" in text
        )
        assert limit["per_day"] is None or f", {limit['per_day']} a day)" in text
    if stream["parent"]:
        parent = stream["parent"]["stream"]
        assert f"for each of [`{parent}`](#{parent})" in text


@each_stream
def test_selection(stream: StreamMetadata) -> None:
    """Default streams have a star in the contents and "yes" in their section."""
    link = f"[`{stream['name']}`](#{stream['name']})"
    assert (f"{link}\\*" in PAGE) == stream["selected_by_default"]
    assert link in PAGE
    if not stream["metrics"]:
        answer = "yes" if stream["selected_by_default"] else "no"
        assert f"- **Selected by default:** {answer}\n" in section(stream)


@pytest.mark.parametrize(
    "stream", [s for s in STREAMS if s["metrics"]], ids=lambda stream: stream["name"]
)
def test_metrics(stream: StreamMetadata) -> None:
    """An event stream has a row with all names of its metric."""
    (row,) = re.findall(rf'^\| <a id="{stream["name"]}">.*$', SECTIONS[SHARED], re.M)
    assert f"| {'; '.join(stream['metrics'])} |" in row


def test_shared_fields_are_documented_once() -> None:
    """The fields that all event streams share are described once."""
    assert PAGE.count("`profile[].email`") == 1


def edges(text: str) -> set[tuple[str, str, str]]:
    """The arrows of a diagram as start, property and end."""
    return {(start, name, end) for start, name, end in re.findall(EDGE, text, re.M)}


def node(stream: str) -> str:
    """The diagram node of a stream."""
    (area,) = (s["area"] for s in STREAMS if s["name"] == stream)
    return AS_ONE.get(area, stream).replace(" ", "_")


def test_diagram() -> None:
    """Each arrow is a join of the registry; only joins in the opposite direction are omitted."""
    text = diagram(STREAMS)
    joins = {
        (node(stream["name"]), join["property"], node(join["stream"]))
        for stream in STREAMS
        for join in stream["joins"]
    }
    drawn = edges(text)
    assert drawn <= joins
    pairs = {(start, end) for start, _, end in drawn}
    for start, name, end in joins - drawn:
        assert start == end or ("[]" in name and (end, start) in pairs)
    assert f"```mermaid\n{text}\n```" in PAGE


def test_diagram_nodes() -> None:
    """The nodes are the ends of arrows, each once and in the box of its area."""
    text = diagram(STREAMS)
    nodes = re.findall(r'^    (\w+)\["', text, re.M)
    ends = {end for start, _, other in edges(text) for end in (start, other)}
    assert len(nodes) == len({*nodes})
    assert {*nodes} == ends
    boxes = re.findall(r'^  subgraph \w+\["(.+)"\]$', text, re.M)
    assert [area for area in AREAS if area in boxes] == boxes
    assert text.count("  end") == len(boxes)


def test_a_new_stream_is_documented() -> None:
    """A stream in a new area has a section and the joins of its columns."""
    keys = ("report", "start", "end", "campaign_id", "campaign_message_id", "send_channel")
    row = Stream("sent", "campaign_values_report", "What was sent.", "/api/sent", "sent", keys)
    page = document(tap_metadata(replace(DEFAULT, areas={**AREAS, "Post": (row,)})))
    assert "[Post](#post-1-streams)" in page
    assert "What was sent." in sections(page)["sent"]
    assert {
        ("sent", "campaign_id", "campaigns"),
        ("sent", "campaign_message_id", "campaign_messages"),
    } <= edges(page)
