"""Endpoints of profiles and push tokens."""

from collections.abc import Mapping, Sequence

from sandbox.endpoints.model import Endpoint, L, M, PageSize, parse_filter_fields
from sandbox.filters import Condition
from sandbox.resource_types import name_set


def _check_suppressions(conditions: Sequence[Condition]) -> str | None:
    """The error detail if filters on suppressions break one of Klaviyo's three rules."""
    marketing = "subscriptions.email.marketing."
    used = {condition.field for condition in conditions}
    per_list = {name for name in used if name.startswith(f"{marketing}list_suppressions.")}
    global_ = {name for name in used if name.startswith(f"{marketing}suppression.")}
    date_fields = [name for name in used if _PROFILES[name].type == "datetime"]
    date_conditions = sum(condition.field in date_fields for condition in conditions)
    if per_list and global_:
        return "Filters on suppression and list_suppressions cannot be combined."
    if (per_list or global_) and date_conditions > 1:
        return "Only one date filter is allowed together with a suppression filter."
    if per_list and f"{marketing}list_suppressions.list_id" not in used:
        return "A filter on list_suppressions requires list_suppressions.list_id."
    return None


_PROFILES = parse_filter_fields(
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
        sorts=name_set("""id created updated email
            subscriptions.email.marketing.suppression.timestamp
            subscriptions.email.marketing.list_suppressions.timestamp"""),
        includes=name_set("conversations push-tokens"),
        additional=name_set("subscriptions predictive_analytics"),
        additional_tiers={"predictive_analytics": M},
        check_filter=_check_suppressions,
    ),
    "/api/push-tokens": Endpoint(
        "push-token",
        M,
        PageSize(20, 100),
        parse_filter_fields(
            """
            id                 string  equals
            profile.id         string  equals
            enablement_status  string  equals
            platform           string  equals
            """
        ),
        includes=name_set("profile"),
        scopes=frozenset({"profiles:read"}),
    ),
}
