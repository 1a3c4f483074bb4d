"""What a row of the registry can say of a stream: where it is read, how, and what a record holds.

The kinds of stream, all of them data: a plain list; one pass for each of several filters
(``variants``); a list read in windows of time (``cut``); events of metrics (``metrics``); the
children of another stream's records (``parent``); rows that stand in an array of a resource
(``rows``); reports that are asked for with a body (``report``).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

PARENT = "{parent}"
"""Stands for the id of a parent in a path or a filter."""


OWN_METRICS = "klaviyo"
"""The integration to which Klaviyo's own metrics belong."""


class Tier(NamedTuple):
    """Requests in a second, in a minute and, where that is limited too, in a day."""

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
"""Klaviyo's rate limits; its reference says which one holds where."""


@dataclass(frozen=True)
class Source:
    """Where in a resource's attributes the value of a record's property stands.

    ``path`` is dotted. With ``latest`` the value at ``path`` is an array of objects with a
    ``timestamp`` each, and the property is the ``latest`` attribute of the newest of them.
    """

    path: str
    latest: str = ""


@dataclass(frozen=True)
class Include:
    """A related resource: its id, a few of its attributes, or all of it beside each record.

    ``property`` holds it in the record as an array, ``id_property`` the id alone, ``lifted`` maps
    properties to attributes; the last two are for a to-one relation. Klaviyo tells the id without
    being asked for the resource if not ``id_asked``. ``references`` maps properties of the embedded
    resource to its own to-one relations. ``scope`` is what the key needs to see the resource.
    """

    property: str
    relationship: str
    type: str
    scope: str = ""
    id_property: str = ""
    id_asked: bool = False
    lifted: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)

    def is_wanted(self, properties: Container[str]) -> bool:
        """Whether a record with these properties needs more of the resource than its id."""
        return self.property in properties or any(name in properties for name in self.lifted)

    def embedded(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schemas of what a record with these properties embeds of the resource, by name."""
        schemas: Mapping[str, Any] = (
            properties.get(self.property, {}).get("items", {}).get("properties", {})
        )
        return schemas

    def lifted_out(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schemas of the attributes that such a record lifts out of it, by their own name."""
        return {
            attribute: properties[name]
            for name, attribute in self.lifted.items()
            if name in properties
        }


@dataclass(frozen=True)
class Cut:
    """How a list is cut into windows: by the date ``field``, which is a property of the record too.

    The filters take Unix seconds, or dates if ``iso``. ``lower`` and ``upper`` are the operators
    that Klaviyo offers for the field; a window is asked for so that both its ends are in it.
    """

    field: str
    iso: bool = True
    lower: str = "greater-or-equal"
    upper: str = "less-than"

    @property
    def reaches_over(self) -> bool:
        """Whether a window that is asked for brings what lies beside it, too."""
        return (self.lower, self.upper) != ("greater-or-equal", "less-than")


@dataclass(frozen=True)
class Parent:
    """The stream whose records' ids are put for ``{parent}``, and the property that holds them."""

    stream: str
    property: str


Interval = Literal["hourly", "daily", "weekly", "monthly"]
"""How much time a row of a report is about."""


@dataclass(frozen=True)
class Report:
    """How the rows of a report are asked for, by POST and for one timeframe after the other.

    ``statistics`` names the schema of all that can be asked for. Rows are grouped by
    ``groups``, and by more if the user wants it. A ``series`` has a row for each interval of a
    timeframe; else a timeframe is one interval and has one row. ``further`` is the property that
    tells rows apart which the user has grouped by more. Reports with a ``conversion`` need a metric
    to count conversions of. ``aggregates`` tell of the events of one metric, and have words of
    their own for everything. Klaviyo knows nothing of before ``since``.
    """

    statistics: str
    groups: tuple[str, ...] = ()
    further: str = ""
    series: bool = False
    conversion: bool = False
    aggregates: bool = False
    since: str = ""

    @property
    def interval(self) -> Interval:
        """The interval unless the user wants another one."""
        return "daily" if self.series else "monthly"


@dataclass(frozen=True)
class Stream:
    """One stream: what it is called, where it is read, what a record holds.

    ``variants`` are filters, one pass for each; the stream is the union of the passes. ``metrics``
    are the names, or the id, of the metric whose events the stream holds, oldest first, each of
    which is a pass too; they belong to ``integration``, or to any if that is empty. ``rows`` is the
    dotted path of an array, each element of which is a record. A ``report`` is asked for with a
    body. A stream with a ``replication_key`` can be read incrementally. ``id_property`` holds the
    resource's id. ``additional`` names the attributes that Klaviyo gives only on request. ``tier``
    is the endpoint's rate limit, ``slow`` the tier that holds when an attribute is asked for.
    ``aliases`` are the stream's names in the catalogs of singer-io's tap.
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
    cut: Cut | None = None
    replication_key: str = ""
    incremental_by_default: bool = True
    metrics: tuple[str, ...] = ()
    integration: str = OWN_METRICS
    variants: tuple[str, ...] = ("",)
    parent: Parent | None = None
    rows: str = ""
    report: Report | None = None
    id_property: str = "id"
    includes: tuple[Include, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    additional: tuple[str, ...] = ()
    slow: Mapping[str, str] = field(default_factory=dict)
    selected_by_default: bool = True
    fields_not_by_default: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def replication_method(self) -> str:
        """What Singer calls the way the stream is read unless the user overrides it."""
        by_default = self.replication_key and self.incremental_by_default
        return "INCREMENTAL" if by_default else "FULL_TABLE"

    @property
    def automatic(self) -> tuple[str, ...]:
        """The properties that are in each record, whatever is selected.

        What a list is cut by has to be seen to tell which window a record belongs to.
        """
        dates = (self.replication_key, self.cut.field if self.cut else "")
        return tuple(dict.fromkeys((*self.keys, *filter(None, dates))))
