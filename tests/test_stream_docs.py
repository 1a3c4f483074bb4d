"""docs/streams.md tells all there is to know of each stream, and of no more than there are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tap_klaviyo.about.metadata import FieldMetadata, StreamMetadata, tap_metadata
from tap_klaviyo.streams import AREAS
from tap_klaviyo.streams.model import Stream
from tools.diagram import AS_ONE, diagram
from tools.stream_docs import document

PAGE = (Path(__file__).parent.parent / "docs" / "streams.md").read_text()
STREAMS = tap_metadata()["streams"]
SHARED = "Events of one metric"
EDGE = r'^  (\w+) -- "(.+)" --> (\w+)$'

each_stream = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream["name"])


def sections(page: str) -> dict[str, str]:
    """The text below each heading, up to the next one."""
    parts = re.split(r"^##+ ", page, flags=re.M)[1:]
    return {part.partition("\n")[0].strip("`"): part.partition("\n")[2] for part in parts}


SECTIONS = sections(PAGE)


def section(stream: StreamMetadata) -> str:
    """All that the page says of a stream."""
    own = SECTIONS[SHARED if stream["metrics"] else stream["name"]]
    return own + (SECTIONS[SHARED] if f"[{SHARED.lower()}]" in own else "")


def down_to(depth: int, fields: Sequence[FieldMetadata], above: str = "") -> Iterator[str]:
    """The paths of fields, those of so many levels below a column."""
    for field in fields:
        yield above + field["name"]
        step = "[]." if "array" in field["types"] else "."
        if depth:
            yield from down_to(depth - 1, field["fields"], above + field["name"] + step)


def field_row(stream: StreamMetadata, path: str) -> str:
    """The row of a field."""
    (row, *_) = re.findall(rf"^\| `{re.escape(path)}`.*$", section(stream), re.M)
    return str(row)


@each_stream
def test_fields(stream: StreamMetadata) -> None:
    """Each field down to the second level has a row, and there is no row besides."""
    paths = [*down_to(2, stream["fields"])]
    for path in paths:
        assert field_row(stream, path).count(" | ") == 2
    fields = section(stream).replace("\\|", "").split("| field | type |")[1:]
    assert {*re.findall(r"^\| `(.+?)`", "".join(fields), re.M)} == {*paths}


@each_stream
def test_columns(stream: StreamMetadata) -> None:
    """Each column is described and marked."""
    for field in stream["fields"]:
        row = field_row(stream, field["name"])
        assert field["description"] in row.replace("\\|", "|")
        assert ("**key**" in row) == field["key"]
        assert ("(not by default)" in row) != field["selected_by_default"]
        assert ("array of" in row.split("|")[2]) == ("array" in field["types"])


@each_stream
def test_reading(stream: StreamMetadata) -> None:
    """Key, scopes, rate limits, endpoint, parent and filters of each stream are told."""
    text = section(stream)
    limits = [stream["rate_limit"], *stream["slower_with"].values()]
    told = [
        *stream["key_properties"],
        *stream["scopes"],
        *stream["field_scopes"],
        *stream["slower_with"],
        *stream["filters"],
        *stream["aliases"],
        f"{'POST ' if stream['posted'] else ''}{stream['endpoint']}",
        *filter(None, [stream["replication_key"], stream["rows"]]),
    ]
    assert [words for words in told if f"`{words}`" not in text] == []
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
    """What is selected by default has a star in the contents, and says so in its section."""
    link = f"[`{stream['name']}`](#{stream['name']})"
    assert (f"{link}\\*" in PAGE) == stream["selected_by_default"]
    assert link in PAGE
    if not stream["metrics"]:
        word = "yes" if stream["selected_by_default"] else "no"
        assert f"- **Selected by default:** {word}\n" in section(stream)


@pytest.mark.parametrize(
    "stream", [s for s in STREAMS if s["metrics"]], ids=lambda stream: stream["name"]
)
def test_metrics(stream: StreamMetadata) -> None:
    """A stream of events has a row with all names of its metric."""
    (row,) = re.findall(rf'^\| <a id="{stream["name"]}">.*$', SECTIONS[SHARED], re.M)
    assert f"| {'; '.join(stream['metrics'])} |" in row


def test_what_is_shared_is_told_once() -> None:
    """The fields that all streams of events have are described in one place."""
    assert PAGE.count("`profile[].email`") == 1


def edges(text: str) -> set[tuple[str, str, str]]:
    """The arrows of a diagram: from what, by which property, to what."""
    return {(start, name, end) for start, name, end in re.findall(EDGE, text, re.M)}


def node(stream: str) -> str:
    """The node in which a stream stands."""
    (area,) = (s["area"] for s in STREAMS if s["name"] == stream)
    return AS_ONE.get(area, stream).replace(" ", "_")


def test_diagram() -> None:
    """Each arrow is a join of the registry, and of joins only those are missing that go back."""
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


def test_diagram_draws_what_joins() -> None:
    """The nodes are the ends of arrows, each once and in the box of its area."""
    text = diagram(STREAMS)
    nodes = re.findall(r'^    (\w+)\["', text, re.M)
    ends = {end for start, _, other in edges(text) for end in (start, other)}
    assert len(nodes) == len({*nodes})
    assert {*nodes} == ends
    boxes = re.findall(r'^  subgraph \w+\["(.+)"\]$', text, re.M)
    assert [area for area in AREAS if area in boxes] == boxes
    assert text.count("  end") == len(boxes)


def test_a_new_row_appears_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row in a new area has its section, and joins what its columns name."""
    keys = ("report", "start", "end", "campaign_id", "campaign_message_id", "send_channel")
    row = Stream("sent", "campaign_values_report", "What was sent.", "/api/sent", "sent", keys)
    monkeypatch.setattr("tap_klaviyo.about.metadata.AREAS", {**AREAS, "Post": (row,)})
    page = document(tap_metadata())
    assert "[Post](#post-1-streams)" in page
    assert "What was sent." in sections(page)["sent"]
    assert {
        ("sent", "campaign_id", "campaigns"),
        ("sent", "campaign_message_id", "campaign_messages"),
    } <= edges(page)
