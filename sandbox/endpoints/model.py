"""How an endpoint is described: its resource type, rate limits and accepted parameters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from sandbox.filters import Condition, FilterField
from sandbox.resource_types import RESOURCE_TYPES_OF, ResourceType, name_set
from sandbox.revisions import REVISION

_RANGE = name_set("greater-than greater-or-equal less-than less-or-equal")


@dataclass(frozen=True)
class RateTier:
    """Requests allowed per second (burst) and per minute (steady), and per day if limited."""

    burst: int
    steady: int
    daily: int | None = None


# Klaviyo's tiers.
XL, L, M = RateTier(350, 3500), RateTier(75, 750), RateTier(10, 150)
S, XS = RateTier(3, 60), RateTier(1, 15)
REPORTING = RateTier(1, 2, 225)


@dataclass(frozen=True)
class PageSize:
    """Records per page. Without a `maximum` the endpoint has no `page[size]` parameter."""

    default: int
    maximum: int | None = None


@dataclass(frozen=True)
class Endpoint:
    """A GET endpoint that returns a collection or, if `single`, one resource.

    With a `parent` type, the records are those related by `relationship` to the resource whose id
    is in the path. `additional` attributes are returned on request, `always` ones without;
    `additional_tiers` are further rate limits of some of them. `scopes` are required besides
    `scope`, which is that of the resource type if it is empty. Requests must filter by at least one
    of `required_filters`, if there are any. A condition of `default_filters` applies unless the
    request filters by its field. `check_filter` returns the error detail for an invalid combination
    of conditions. `revision` is the one whose resource types it returns, except for those in
    `own_types`.
    """

    resource_type: str
    tier: RateTier
    page: PageSize | None = None
    filters: Mapping[str, FilterField] = field(default_factory=lambda: MappingProxyType({}))
    sorts: frozenset[str] = frozenset()
    default_sort: str = "id"
    includes: frozenset[str] = frozenset()
    additional: frozenset[str] = frozenset()
    always: frozenset[str] = frozenset()
    additional_tiers: Mapping[str, RateTier] = field(default_factory=lambda: MappingProxyType({}))
    scope: str = ""
    scopes: frozenset[str] = frozenset()
    parent: str = ""
    relationship: str = ""
    single: bool = False
    required_filters: frozenset[str] = frozenset()
    default_filters: tuple[Condition, ...] = ()
    check_filter: Callable[[Sequence[Condition]], str | None] = lambda _: None
    revision: str = REVISION
    own_types: Mapping[str, ResourceType] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def resource_types(self) -> Mapping[str, ResourceType]:
        """The resource types that the endpoint knows."""
        return {**RESOURCE_TYPES_OF[self.revision], **self.own_types}

    def response_types(self) -> dict[str, set[str]]:
        """The resource types in a response, each with the includes that add it.

        The endpoint's own type has none unless it can be included as well.
        """
        types: dict[str, set[str]] = {self.resource_type: set()}
        relationships = self.resource_types[self.resource_type].relationships
        for name in self.includes:
            types.setdefault(relationships[name].type, set()).add(name)
        return types

    def fields(self, resource_type: str) -> frozenset[str]:
        """The names that `fields[resource_type]` accepts at this endpoint."""
        described = self.resource_types[resource_type]
        names = described.attributes | {"id"}
        if resource_type == self.resource_type:
            shown = self.additional | self.always
            names = names.union(*(described.additional[name] for name in shown))
        return names


def parse_filter_fields(text: str) -> dict[str, FilterField]:
    """Parse filter fields, one per line: name, type and operators.

    The operator `range` stands for the four comparisons.
    """
    rows = (line.split() for line in text.splitlines() if line.strip())
    return {
        name: FilterField(
            type,
            frozenset().union(
                *(_RANGE if operator == "range" else {operator} for operator in operators)
            ),
        )
        for name, type, *operators in rows
    }
