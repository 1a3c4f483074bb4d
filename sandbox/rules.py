"""What each endpoint allows, as tables. A further endpoint is a further row.

Filters are written one field a line: its name, its type and its operators; `range` stands for the
four comparisons.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from sandbox.filters import Condition, Field
from sandbox.kinds import KINDS, words

REVISION = "2026-07-15"
REVISIONS = words("2025-01-15 2025-04-15 2025-07-15 2025-10-15 2026-01-15 2026-04-15 2026-07-15")
RETIRED = words(
    """2022-10-17 2023-01-24 2023-02-22 2023-06-15 2023-07-15 2023-08-15 2023-09-15 2023-10-15
    2023-12-15 2024-02-15 2024-05-15 2024-06-15 2024-07-15 2024-10-15"""
)

CHANNELS = ("email", "sms", "mobile_push")

_RANGE = words("greater-than greater-or-equal less-than less-or-equal")


@dataclass(frozen=True)
class Tier:
    """Requests allowed per second (burst) and per minute (steady)."""

    burst: int
    steady: int


XL, L, M, XS = Tier(350, 3500), Tier(75, 750), Tier(10, 150), Tier(1, 15)


@dataclass(frozen=True)
class PageSize:
    """Records per page; without `maximum` there is no `page[size]` parameter."""

    default: int
    maximum: int | None = None


@dataclass(frozen=True)
class Endpoint:
    """One collection: its records, and every parameter value that it allows.

    `implied` conditions hold unless the request filters that field itself. `check` returns the
    detail of a refusal for combinations that no single condition shows.
    """

    kind: str
    tier: Tier
    page: PageSize | None
    filters: Mapping[str, Field] = field(default_factory=lambda: MappingProxyType({}))
    sorts: frozenset[str] = frozenset()
    default_sort: str = ""
    includes: frozenset[str] = frozenset()
    additional: frozenset[str] = frozenset()
    slower: Mapping[str, Tier] = field(default_factory=lambda: MappingProxyType({}))
    required_filter: str | None = None
    implied: tuple[Condition, ...] = ()
    check: Callable[[Sequence[Condition]], str | None] = lambda _: None

    def kinds(self) -> dict[str, str]:
        """The types that the answer can hold: the include that brings each, "" for its own."""
        relationships = KINDS[self.kind].relationships
        return {self.kind: ""} | {relationships[name].kind: name for name in self.includes}

    def fields(self, kind: str) -> frozenset[str]:
        """Every name that `fields[kind]` may hold here."""
        known = KINDS[kind].attributes | {"id"}
        if kind == self.kind:
            known = known.union(*(KINDS[kind].additional[name] for name in self.additional))
        return known


def _filters(text: str) -> dict[str, Field]:
    rows = (line.split() for line in text.strip().splitlines())
    return {
        name: Field(
            kind, frozenset().union(*(_RANGE if word == "range" else {word} for word in words))
        )
        for name, kind, *words in rows
    }


def _channels(conditions: Sequence[Condition]) -> str | None:
    """One pass per channel: campaigns are only listed for one that exists."""
    for condition in conditions:
        if condition.field == "messages.channel" and condition.value not in CHANNELS:
            return f"'{condition.value}' is not a channel: use one of {', '.join(CHANNELS)}."
    return None


def _suppressions(conditions: Sequence[Condition]) -> str | None:
    """Klaviyo's three rules for filters on suppressions."""
    marketing = "subscriptions.email.marketing."
    used = {condition.field for condition in conditions}
    in_lists = {name for name in used if name.startswith(f"{marketing}list_suppressions.")}
    everywhere = {name for name in used if name.startswith(f"{marketing}suppression.")}
    dates = [name for name in used if PROFILES.filters[name].type == "datetime"]
    dated = sum(condition.field in dates for condition in conditions)
    if in_lists and everywhere:
        return "Filters on suppression and list_suppressions cannot be combined."
    if (in_lists or everywhere) and dated > 1:
        return "Only one date filter is allowed together with a suppression filter."
    if in_lists and f"{marketing}list_suppressions.list_id" not in used:
        return "A filter on list_suppressions requires list_suppressions.list_id."
    return None


PROFILES = Endpoint(
    "profile",
    L,
    PageSize(20, 100),
    _filters(
        """
        id                                                      string    equals any
        email                                                   string    equals any
        phone_number                                            string    equals any
        external_id                                             string    equals any
        _kx                                                     string    equals
        created                                                 datetime  greater-than less-than
        updated                                                 datetime  greater-than less-than
        subscriptions.email.marketing.suppression.reason          string    equals
        subscriptions.email.marketing.suppression.timestamp       datetime  range
        subscriptions.email.marketing.list_suppressions.list_id   string    equals
        subscriptions.email.marketing.list_suppressions.reason    string    equals
        subscriptions.email.marketing.list_suppressions.timestamp datetime  range
        """
    ),
    sorts=words("""id created updated email
        subscriptions.email.marketing.suppression.timestamp
        subscriptions.email.marketing.list_suppressions.timestamp"""),
    default_sort="id",
    includes=words("conversations push-tokens"),
    additional=words("subscriptions predictive_analytics"),
    slower={"predictive_analytics": M},
    check=_suppressions,
)

ENDPOINTS: Mapping[str, Endpoint] = {
    "/api/accounts": Endpoint("account", XS, page=None),
    "/api/campaigns": Endpoint(
        "campaign",
        M,
        PageSize(100, 100),
        _filters(
            """
            id                string    any
            messages.channel  string    equals
            name              string    contains
            status            string    equals any
            archived          boolean   equals
            created_at        datetime  range
            scheduled_at      datetime  range
            updated_at        datetime  range
            """
        ),
        sorts=words("created_at id name scheduled_at updated_at"),
        default_sort="-created_at",
        includes=words("campaign-messages tags"),
        required_filter="messages.channel",
        implied=(Condition("equals", "archived", False),),
        check=_channels,
    ),
    "/api/events": Endpoint(
        "event",
        XL,
        PageSize(200, 1000),
        _filters(
            """
            metric_id   string    equals
            profile_id  string    equals
            profile     relation  has
            metric      relation  has
            datetime    datetime  range
            timestamp   integer   range
            """
        ),
        sorts=words("datetime timestamp"),
        default_sort="-datetime",
        includes=words("attributions metric profile"),
    ),
    "/api/lists": Endpoint(
        "list",
        L,
        PageSize(10, 10),
        _filters(
            """
            id       string    equals any
            name     strings   equals any
            created  datetime  greater-than
            updated  datetime  greater-than
            """
        ),
        sorts=words("created id name updated"),
        default_sort="id",
        includes=words("flow-triggers tags"),
    ),
    "/api/metrics": Endpoint(
        "metric",
        M,
        PageSize(200),
        _filters(
            """
            integration.name      string  equals
            integration.category  string  equals
            """
        ),
        default_sort="id",
        includes=words("flow-triggers"),
    ),
    "/api/profiles": PROFILES,
}
