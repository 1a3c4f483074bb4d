"""The endpoints of profiles, of the lists and segments that they are in, and of tags."""

from collections.abc import Mapping, Sequence

from sandbox.endpoints.model import XS, Endpoint, L, M, PageSize, S, filters
from sandbox.filters import Condition
from sandbox.resource_types import words

_GROUP_SORTS = words("created id name updated")
_GROUP_INCLUDES = words("flow-triggers tags")
_NAMED = "name  string  contains ends-with equals starts-with"

_GROUP = """
    id       string    equals any
    name     strings   equals any
    created  datetime  greater-than
    updated  datetime  greater-than
    """

_MEMBER = """
    email            string    equals any
    phone_number     string    equals any
    push_token       string    equals any
    _kx              string    equals
    joined_group_at  datetime  range
    """


def _suppressions(conditions: Sequence[Condition]) -> str | None:
    """Klaviyo's three rules for filters on suppressions."""
    marketing = "subscriptions.email.marketing."
    used = {condition.field for condition in conditions}
    in_lists = {name for name in used if name.startswith(f"{marketing}list_suppressions.")}
    everywhere = {name for name in used if name.startswith(f"{marketing}suppression.")}
    dates = [name for name in used if _PROFILES[name].type == "datetime"]
    dated = sum(condition.field in dates for condition in conditions)
    if in_lists and everywhere:
        return "Filters on suppression and list_suppressions cannot be combined."
    if (in_lists or everywhere) and dated > 1:
        return "Only one date filter is allowed together with a suppression filter."
    if in_lists and f"{marketing}list_suppressions.list_id" not in used:
        return "A filter on list_suppressions requires list_suppressions.list_id."
    return None


_PROFILES = filters(
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
)

PEOPLE: Mapping[str, Endpoint] = {
    "/api/lists": Endpoint(
        "list",
        L,
        PageSize(10, 10),
        filters(_GROUP),
        sorts=_GROUP_SORTS,
        includes=_GROUP_INCLUDES,
    ),
    "/api/lists/{id}": Endpoint(
        "list",
        L,
        includes=_GROUP_INCLUDES,
        additional=words("profile_count"),
        slower={"profile_count": XS},
        single=True,
    ),
    "/api/lists/{id}/profiles": Endpoint(
        "profile",
        L,
        PageSize(20, 100),
        filters(_MEMBER),
        sorts=words("joined_group_at"),
        additional=words("subscriptions predictive_analytics"),
        always=words("joined_group_at"),
        slower={"predictive_analytics": M},
        scopes=frozenset({"lists:read"}),
        parent="list",
        via="profiles",
    ),
    "/api/profiles": Endpoint(
        "profile",
        L,
        PageSize(20, 100),
        _PROFILES,
        sorts=words("""id created updated email
            subscriptions.email.marketing.suppression.timestamp
            subscriptions.email.marketing.list_suppressions.timestamp"""),
        includes=words("conversations push-tokens"),
        additional=words("subscriptions predictive_analytics"),
        slower={"predictive_analytics": M},
        check=_suppressions,
    ),
    "/api/push-tokens": Endpoint(
        "push-token",
        M,
        PageSize(20, 100),
        filters(
            """
            id                 string  equals
            profile.id         string  equals
            enablement_status  string  equals
            platform           string  equals
            """
        ),
        includes=words("profile"),
        scopes=frozenset({"profiles:read"}),
    ),
    "/api/segments": Endpoint(
        "segment",
        L,
        PageSize(10, 10),
        filters(
            f"""{_GROUP}
            is_active   boolean  any equals
            is_starred  boolean  equals
            """
        ),
        sorts=_GROUP_SORTS,
        includes=_GROUP_INCLUDES,
    ),
    "/api/segments/{id}": Endpoint(
        "segment",
        L,
        includes=_GROUP_INCLUDES,
        additional=words("profile_count"),
        slower={"profile_count": XS},
        single=True,
    ),
    "/api/segments/{id}/profiles": Endpoint(
        "profile",
        L,
        PageSize(20, 100),
        filters(f"profile_id  string  equals any {_MEMBER}"),
        sorts=words("joined_group_at"),
        additional=words("subscriptions predictive_analytics"),
        always=words("joined_group_at"),
        slower={"predictive_analytics": M},
        scopes=frozenset({"segments:read"}),
        parent="segment",
        via="profiles",
    ),
    "/api/tag-groups": Endpoint(
        "tag-group",
        S,
        PageSize(25, 25),
        filters(
            f"""{_NAMED}
            exclusive  boolean  equals
            default    boolean  equals
            """
        ),
        sorts=words("id name"),
    ),
    "/api/tags": Endpoint(
        "tag",
        S,
        PageSize(50, 50),
        filters(_NAMED),
        sorts=words("id name"),
        includes=words("tag-group"),
    ),
}
