"""Profiles, suppressions and push tokens."""

from __future__ import annotations

from tap_klaviyo.streams.builders import id_of, listed
from tap_klaviyo.streams.model import PARENT, Cut, Parent, Source, Stream

_SUPPRESSION = "subscriptions.email.marketing.suppression"


_EXCLUSION = "subscriptions.email.marketing.list_suppressions"


_ANY_TIME = "1970-01-01T00:00:00Z"


PEOPLE = (
    listed(
        "profiles",
        "person",
        "Profiles, again whenever they change.",
        "L",
        100,
        "profiles:read",
        type="profile",
        sort="updated",
        cut=Cut("updated", lower="greater-than"),
        replication_key="updated",
        additional=("subscriptions", "predictive_analytics"),
        slow={"predictive_analytics": "M"},
        fields_not_by_default=("predictive_analytics",),
    ),
    Stream(
        name="global_exclusions",
        schema="global_exclusion",
        description="Profiles suppressed from email, each with all of its suppressions.",
        path="/api/profiles",
        type="profile",
        keys=("email",),
        scopes=("profiles:read",),
        page_size=100,
        sort=f"{_SUPPRESSION}.timestamp",
        variants=(f"greater-or-equal({_SUPPRESSION}.timestamp,{_ANY_TIME})",),
        sources={
            "suppressions": Source(_SUPPRESSION),
            "reason": Source(_SUPPRESSION, latest="reason"),
            "timestamp": Source(_SUPPRESSION, latest="timestamp"),
        },
        additional=("subscriptions", "predictive_analytics"),
        slow={"predictive_analytics": "M"},
        fields_not_by_default=("predictive_analytics",),
    ),
    listed(
        "list_exclusions",
        "list_exclusion",
        "Whom a list may not write to: a record for each exclusion of a profile.",
        "L",
        100,
        "profiles:read",
        path="/api/profiles",
        type="profile",
        keys=("list_id", "profile_id", "reason", "timestamp"),
        sort=f"{_EXCLUSION}.timestamp",
        variants=(
            f"equals({_EXCLUSION}.list_id,{PARENT}),"
            f"greater-or-equal({_EXCLUSION}.timestamp,{_ANY_TIME})",
        ),
        scopes=("profiles:read", "lists:read"),
        parent=Parent("lists", "list_id"),
        rows=_EXCLUSION,
        id_property="profile_id",
        sources={name: Source(f"{_EXCLUSION}.{name}") for name in ("reason", "timestamp")},
        additional=("subscriptions",),
    ),
    listed(
        "push_tokens",
        "push_token",
        "Devices that take push messages.",
        "M",
        100,
        "push-tokens:read",
        scopes=("push-tokens:read", "profiles:read"),
        includes=(id_of("profile_id", "profile", id_asked=True),),
    ),
)
