"""What can be said about an endpoint: its records, its limits, and what a request may ask for.

Filters are written one field a line: its name, its type and its operators; `range` stands for the
four comparisons.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from sandbox.filters import Condition, Field
from sandbox.resource_types import KINDS, words

_RANGE = words("greater-than greater-or-equal less-than less-or-equal")


@dataclass(frozen=True)
class Tier:
    """Requests allowed per second (burst), per minute (steady), and for a few per day."""

    burst: int
    steady: int
    daily: int | None = None


XL, L, M, S, XS = Tier(350, 3500), Tier(75, 750), Tier(10, 150), Tier(3, 60), Tier(1, 15)
REPORTS = Tier(1, 2, 225)


@dataclass(frozen=True)
class PageSize:
    """Records per page; without `maximum` there is no `page[size]` parameter."""

    default: int
    maximum: int | None = None


@dataclass(frozen=True)
class Endpoint:
    """A collection or, if `single`, one record: what it holds, and every parameter value allowed.

    With a `parent` type, the records are those that the resource with the id in the path relates to
    by `via`. `always` names additional attributes that show unasked, `slower` those that have
    limits of their own; `scopes` are needed besides that of the type. `implied` conditions hold
    unless the request filters that field itself; a request filters by one at least of `required`.
    `check` returns the detail of a refusal for combinations that no single condition shows.
    """

    kind: str
    tier: Tier
    page: PageSize | None = None
    filters: Mapping[str, Field] = field(default_factory=lambda: MappingProxyType({}))
    sorts: frozenset[str] = frozenset()
    default_sort: str = "id"
    includes: frozenset[str] = frozenset()
    additional: frozenset[str] = frozenset()
    always: frozenset[str] = frozenset()
    slower: Mapping[str, Tier] = field(default_factory=lambda: MappingProxyType({}))
    scopes: frozenset[str] = frozenset()
    parent: str = ""
    via: str = ""
    single: bool = False
    required: frozenset[str] = frozenset()
    implied: tuple[Condition, ...] = ()
    check: Callable[[Sequence[Condition]], str | None] = lambda _: None

    def kinds(self) -> dict[str, set[str]]:
        """The types that the answer can hold, and the includes that bring each; none its own."""
        kinds: dict[str, set[str]] = {self.kind: set()}
        for name in self.includes:
            kinds.setdefault(KINDS[self.kind].relationships[name].kind, set()).add(name)
        return kinds

    def fields(self, kind: str) -> frozenset[str]:
        """Every name that `fields[kind]` may hold here."""
        known = KINDS[kind].attributes | {"id"}
        if kind == self.kind:
            shown = self.additional | self.always
            known = known.union(*(KINDS[kind].additional[name] for name in shown))
        return known


def filters(text: str) -> dict[str, Field]:
    """Read the filters of an endpoint."""
    rows = (line.split() for line in text.splitlines() if line.strip())
    return {
        name: Field(
            kind, frozenset().union(*(_RANGE if word == "range" else {word} for word in words))
        )
        for name, kind, *words in rows
    }
