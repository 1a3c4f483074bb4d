"""Endpoints of profiles and push tokens."""

from collections.abc import Mapping, Sequence

from sandbox.endpoints.model import Endpoint, L, M, PageSize, filters
from sandbox.filters import Condition
from sandbox.resource_types import words


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

PROFILES: Mapping[str, Endpoint] = {
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
}
