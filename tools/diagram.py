"""Draw the joins between streams as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tap_klaviyo.about.metadata import StreamMetadata
from tap_klaviyo.about.render import by_area

AS_ONE: Mapping[str, str] = {"Events": "event streams", "Reports": "reports"}
"""Areas drawn as a single node, because their streams have the same joins, and the node's name."""


class Edge(NamedTuple):
    """A join: ``property`` of the node ``start`` holds an id of the node ``end``."""

    start: str
    property: str
    end: str


def diagram(streams: Sequence[StreamMetadata]) -> str:
    """Return the flowchart, with a box for each area. Streams without joins are left out."""
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


def _edges(streams: Iterable[StreamMetadata]) -> list[Edge]:
    """Return the joins between different nodes without duplicates.

    A join from an embedded record (``[]`` in the property) is left out if the embedded record's
    stream also joins back to this one, because both arrows would show the same relation.
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


def _node(stream: StreamMetadata) -> str:
    return AS_ONE.get(stream["area"], stream["name"])


def _id(name: str) -> str:
    return name.lower().replace(" ", "_")
