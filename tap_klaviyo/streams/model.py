"""The vocabulary of the registry: what a row can say about a stream. Data only.

A row combines what it needs: a plain list; one pass for each of several ``filters``; a list read in
windows of time (``time_filter``); events of metrics (``metrics``); children of another stream's
records (``parent``); records that are elements of an array in a resource (``rows``); reports, which
are requested by POST (``report``).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

PARENT = "{parent}"
"""Placeholder for the ID of a parent in a path or a filter."""

ACCOUNT_ID = "account_id"
"""The property that says which account a record is of."""

KLAVIYO_INTEGRATION = "klaviyo"
"""The integration that Klaviyo's own metrics belong to."""


class Tier(NamedTuple):
    """A rate limit: requests per second, per minute and, for some endpoints, per day."""

    burst: int
    steady: int
    daily: int | None = None


TIERS: Mapping[str, Tier] = {
    "XL": Tier(350, 3500),
    "L": Tier(75, 750),
    "M": Tier(10, 150),
    "S": Tier(3, 60),
    "XS": Tier(1, 15),
    "reports": Tier(1, 2, 225),
}
"""Klaviyo's rate limits. Its API reference names the tier of each endpoint."""


DEFAULT_REVISION = "2026-07-15"
"""The revision of Klaviyo's API that is used unless the user chooses another one."""

ENTRY_DATE = "timestamp"
"""The attribute of an array's entries that says which one is the newest."""


@dataclass(frozen=True)
class FieldPath:
    """Where in a resource's attributes a property's value is.

    ``path`` is dotted; an empty one says that Klaviyo has no value, so the property is null. With
    ``latest``, the value at ``path`` is an array of objects with a ``timestamp`` each, and the
    property is the attribute ``latest`` of the newest one.

    With ``fields``, the property is an object of these attributes of the value, each under the name
    that it is mapped to, or an array of that one object if ``in_array``. With ``values``, it is the
    text that the value is mapped to; a text that is not mapped stays as it is.
    """

    path: str
    latest: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    in_array: bool = False
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_reshaped(self) -> bool:
        """Whether the property differs from the value."""
        return bool(self.fields or self.values)


NOWHERE = FieldPath("")
"""Says that a property is null, because Klaviyo has no value for it."""


@dataclass(frozen=True)
class Relationship:
    """A related resource, and which properties of a record come from it.

    ``property`` holds the whole resource, in an array. For a to-one relationship, ``id_property``
    holds its ID and ``lifted`` maps properties to attributes of it. Of a to-many relationship,
    ``lifted`` takes them where there is exactly one resource; otherwise they are null.
    ``id_needs_include`` says that Klaviyo gives the ID only if the resource is included.
    ``references`` maps properties of the embedded resource to its own to-one relationships.
    ``scope`` is what the API key needs for it. ``is_itself`` says that Klaviyo sends a resource for
    each relationship, with an ID of its own, and not the related resource.
    """

    property: str
    name: str
    type: str
    scope: str = ""
    id_property: str = ""
    id_needs_include: bool = False
    lifted: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    field_paths: Mapping[str, FieldPath] = field(default_factory=dict)
    is_itself: bool = False

    def is_wanted(self, properties: Container[str]) -> bool:
        """Whether a record with these properties needs more of the resource than its ID."""
        return self.property in properties or any(name in properties for name in self.lifted)

    def embedded(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schemas of the attributes that a record with these properties embeds, by name."""
        schemas: Mapping[str, Any] = (
            properties.get(self.property, {}).get("items", {}).get("properties", {})
        )
        return schemas

    def lifted_out(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schemas of the attributes that such a record lifts, by the attribute's name."""
        return {
            attribute: properties[name]
            for name, attribute in self.lifted.items()
            if name in properties
        }


@dataclass(frozen=True)
class TimeFilter:
    """How a list is filtered by time: by ``field``, a date that is also a property of the record.

    A dotted ``field`` is not: it is the date of the entries of an array in a resource, which has as
    many times as entries. Such a path ends with ``timestamp``.

    Values are Unix seconds, or ISO dates if ``iso``. ``lower`` and ``upper`` are the operators that
    Klaviyo offers for the field, ``upper`` is empty if it allows only one filter on it.
    """

    field: str
    iso: bool = True
    lower: str = "greater-or-equal"
    upper: str = "less-than"

    @property
    def is_of_entries(self) -> bool:
        """Whether a resource has several times: those of the entries of an array."""
        return "." in self.field

    @property
    def is_inexact(self) -> bool:
        """Whether a filtered list holds more than ``start <= field < end``."""
        return (self.lower, self.upper) != ("greater-or-equal", "less-than")


DATED_CHILDREN_DAYS = 7
"""Days after which a stream whose parents have an ``updated`` is read in full again, by default."""


@dataclass(frozen=True)
class Parent:
    """The parent stream, and the property of a child that holds the parent's ID.

    ``updated`` is the attribute of the parent that says when it was last changed. It is given where
    the children take so many requests that, between full reads, only those of changed parents are
    read.
    """

    stream: str
    property: str
    updated: str = ""


Interval = Literal["hourly", "daily", "weekly", "monthly"]
"""The length of time that a row of a report covers."""


@dataclass(frozen=True)
class Report:
    """How a report is requested: by POST, one period after the other.

    ``statistics`` names the schema that lists all statistics. Rows are grouped by ``groups``, and
    by more if the user configures it; ``extra_groups_key`` is the key property for those. A
    ``series`` has a row for each interval of a period; otherwise a period is one interval.
    ``conversion`` means that it needs a conversion metric. ``aggregates`` means that it is
    Klaviyo's metric-aggregates endpoint, whose requests look different. ``since`` is the first date
    that Klaviyo has data for, empty if unlimited.
    """

    statistics: str
    groups: tuple[str, ...] = ()
    extra_groups_key: str = ""
    series: bool = False
    conversion: bool = False
    aggregates: bool = False
    since: str = ""

    @property
    def interval(self) -> Interval:
        """The interval unless the user configures another one."""
        return "daily" if self.series else "monthly"


@dataclass(frozen=True)
class Stream:
    """One stream of the registry.

    Request: ``path``, ``type`` (of the resource), ``scopes``, ``tier``, ``page_size`` (the largest,
    None if Klaviyo knows no page[size]), ``sort``, ``filters`` (one pass each; the stream is their
    union), ``additional_fields`` (given by Klaviyo only on request), ``slow_fields`` (attributes
    that cost a lower tier), ``relationships``, ``parent``, ``report``, ``single`` (the endpoint
    answers one resource, by the ID of the parent), ``optional`` (not each parent has such a
    resource: Klaviyo answers 404 for one that has none).

    Time: ``time_filter``, ``replication_key`` (empty if it cannot be read incrementally),
    ``incremental_by_default``, and ``full_table_on_request`` (an incremental stream of which a user
    may choose to read all records).

    Events: ``metrics`` are the names of a metric, oldest first, or its ID; each matching metric is
    a pass. They belong to ``integration``, or to any if that is empty.

    Record: ``schema``, ``keys``, ``id_property`` (holds the resource's ID), ``rows`` (dotted path
    of an array whose elements are the records), ``field_paths``, ``fields_not_by_default``.

    ``added_schema`` names a second schema, whose properties follow those of ``schema``, in nested
    objects too.

    ``aliases`` are names of the stream in the catalogs of singer-io's tap. ``revision`` is the
    revision of Klaviyo's API for which the row is, and whose rows its parents are.
    ``account_column`` says that records have the ID of the account, which is not in their pages.
    """

    name: str
    schema: str
    description: str
    path: str
    type: str
    keys: tuple[str, ...] = ("id",)
    scopes: tuple[str, ...] = ()
    tier: str = "L"
    page_size: int | None = None
    sort: str = ""
    time_filter: TimeFilter | None = None
    replication_key: str = ""
    incremental_by_default: bool = True
    full_table_on_request: bool = False
    metrics: tuple[str, ...] = ()
    integration: str = KLAVIYO_INTEGRATION
    filters: tuple[str, ...] = ("",)
    parent: Parent | None = None
    single: bool = False
    optional: bool = False
    rows: str = ""
    report: Report | None = None
    id_property: str = "id"
    relationships: tuple[Relationship, ...] = ()
    field_paths: Mapping[str, FieldPath] = field(default_factory=dict)
    additional_fields: tuple[str, ...] = ()
    slow_fields: Mapping[str, str] = field(default_factory=dict)
    selected_by_default: bool = True
    fields_not_by_default: tuple[str, ...] = ()
    added_schema: str = ""
    aliases: tuple[str, ...] = ()
    revision: str = DEFAULT_REVISION
    account_column: bool = False

    @property
    def replication_method(self) -> str:
        """The replication method unless the user chooses another one."""
        return self.replication_methods[0]

    @property
    def replication_methods(self) -> tuple[str, ...]:
        """The replication methods that a user may choose, the default first; one if it is fixed."""
        if not self.replication_key:
            return ("FULL_TABLE",)
        if not self.incremental_by_default:
            return ("FULL_TABLE", "INCREMENTAL")
        return ("INCREMENTAL", "FULL_TABLE") if self.full_table_on_request else ("INCREMENTAL",)

    @property
    def is_reshaped(self) -> bool:
        """Whether a property differs from the value in the resource that it is made of."""
        places = (self.field_paths, *(one.field_paths for one in self.relationships))
        return any(path.is_reshaped for paths in places for path in paths.values())

    @property
    def automatic(self) -> tuple[str, ...]:
        """The properties that every record has, whatever is selected.

        The date that a list is filtered by is one of them: it tells the window of a record.
        """
        dates = (self.replication_key, self.time_property)
        return tuple(dict.fromkeys((*self.keys, *filter(None, dates))))

    @property
    def time_property(self) -> str:
        """The property that the list is filtered by; empty if no property holds that date."""
        has_property = self.time_filter is not None and not self.time_filter.is_of_entries
        return self.time_filter.field if self.time_filter and has_property else ""


def with_account_column(stream: Stream) -> Stream:
    """The stream with the ID of the account in each record, first in the key.

    A stream that is keyed by it anyway stays as it is.
    """
    if ACCOUNT_ID in stream.keys:
        return stream
    return replace(stream, keys=(ACCOUNT_ID, *stream.keys), account_column=True)
