"""The result of a report, before it is paginated and serialized."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sandbox.pagination import SortKey


@dataclass(frozen=True)
class ReportRow:
    """One row and its sort key."""

    key: SortKey
    content: Mapping[str, Any]


@dataclass(frozen=True)
class ReportResult:
    """All rows of a report, sorted by key.

    The rows are returned in the attribute `rows_attribute`, `page_size` per page;
    `other_attributes` are returned on every page. `fingerprint` identifies the request body; the
    `cursor` must belong to it. `relationships` maps the name of a relationship to its resource
    type and to the grouping that holds the ids.
    """

    rows_attribute: str
    rows: Sequence[ReportRow]
    other_attributes: Mapping[str, Any]
    page_size: int
    fingerprint: int
    descending: bool = False
    cursor: str | None = None
    relationships: Mapping[str, tuple[str, str]] = field(
        default_factory=lambda: MappingProxyType({})
    )
