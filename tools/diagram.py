"""How the streams join, as a diagram in Mermaid's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tap_klaviyo.about.metadata import StreamFacts
from tap_klaviyo.about.render import by_area

AS_ONE: Mapping[str, str] = {"Events": "event streams", "Reports": "reports"}
"""Areas of which many streams join alike: each is drawn as one node, by this name."""


class Edge(NamedTuple):
    """A join between two nodes by the property of the first."""

    start: str
    property: str
    end: str


def diagram(streams: Sequence[StreamFacts]) -> str:
    """A flowchart with a box around each area. Streams that join to none are left out."""
    edges = _edges(streams)
    ends = {end for edge in edges for end in (edge.start, edge.end)}
    lines = ["flowchart LR"]
    for area, members in by_area(streams):
        nodes = [node for node in dict.fromkeys(map(_node, members)) if node in ends]
        if nodes:
            lines += [f'  subgraph {_id(area)}_area["{area}"]']
            lines += [f'    {_id(node)}["{node}"]' for node in nodes]
            lines += ["  end"]
    lines += [f'  {_id(start)} -- "{name}" --> {_id(end)}' for start, name, end in edges]
    return "\n".join(lines)


def _edges(streams: Iterable[StreamFacts]) -> list[Edge]:
    """All joins between nodes, each once.

    What a record embeds is left out if its own stream joins back: the same is said there.
    """
    by_name = {stream["name"]: stream for stream in streams}
    edges = [
        Edge(_node(stream), join["property"], _node(by_name[join["stream"]]))
        for stream in by_name.values()
        for join in stream["joins"]
    ]
    pairs = {(edge.start, edge.end) for edge in edges}
    return [
        edge
        for edge in dict.fromkeys(edges)
        if edge.start != edge.end
        and not ("[]" in edge.property and (edge.end, edge.start) in pairs)
    ]


def _node(stream: StreamFacts) -> str:
    return AS_ONE.get(stream["area"], stream["name"])


def _id(name: str) -> str:
    return name.lower().replace(" ", "_")
