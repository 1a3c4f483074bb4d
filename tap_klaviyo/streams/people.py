"""Rows of the registry: profiles, suppressions and push tokens."""

from __future__ import annotations

from tap_klaviyo.streams.builders import id_of, listed
from tap_klaviyo.streams.model import PARENT, FieldPath, Parent, Relationship, Stream, TimeFilter

_SUPPRESSION = "subscriptions.email.marketing.suppression"

_EXCLUSION = "subscriptions.email.marketing.list_suppressions"

_ANY_TIME = "1970-01-01T00:00:00Z"

PEOPLE = (
    listed(
        "profiles",
        "person",
        "Profiles. A profile is extracted again whenever it is updated.",
        "L",
        100,
        "profiles:read",
        type="profile",
        sort="updated",
        time_filter=TimeFilter("updated", lower="greater-than"),
        replication_key="updated",
        full_table_on_request=True,
        additional_fields=("subscriptions", "predictive_analytics"),
        slow_fields={"predictive_analytics": "M"},
        relationships=(
            Relationship("conversations", "conversations", "conversation", "conversations:read"),
        ),
        fields_not_by_default=("predictive_analytics", "conversations"),
    ),
    Stream(
        name="global_exclusions",
        schema="global_exclusion",
        description="Profiles suppressed from marketing email, with all of their suppressions.",
        path="/api/profiles",
        type="profile",
        keys=("email",),
        scopes=("profiles:read",),
        page_size=100,
        sort=f"{_SUPPRESSION}.timestamp",
        time_filter=TimeFilter(f"{_SUPPRESSION}.timestamp", upper=""),
        field_paths={
            "suppressions": FieldPath(_SUPPRESSION),
            "reason": FieldPath(_SUPPRESSION, latest="reason"),
            "timestamp": FieldPath(_SUPPRESSION, latest="timestamp"),
        },
        additional_fields=("subscriptions", "predictive_analytics"),
        slow_fields={"predictive_analytics": "M"},
        fields_not_by_default=("predictive_analytics",),
    ),
    listed(
        "list_exclusions",
        "list_exclusion",
        "Profiles suppressed on a list, one record per suppression.",
        "L",
        100,
        "profiles:read",
        path="/api/profiles",
        type="profile",
        keys=("list_id", "profile_id", "reason", "timestamp"),
        sort=f"{_EXCLUSION}.timestamp",
        filters=(
            f"equals({_EXCLUSION}.list_id,{PARENT}),"
            f"greater-or-equal({_EXCLUSION}.timestamp,{_ANY_TIME})",
        ),
        scopes=("profiles:read", "lists:read"),
        parent=Parent("lists", "list_id"),
        rows=_EXCLUSION,
        id_property="profile_id",
        field_paths={name: FieldPath(f"{_EXCLUSION}.{name}") for name in ("reason", "timestamp")},
        additional_fields=("subscriptions",),
    ),
    listed(
        "push_tokens",
        "push_token",
        "Push tokens: devices that can receive push notifications.",
        "M",
        100,
        "push-tokens:read",
        scopes=("push-tokens:read", "profiles:read"),
        relationships=(id_of("profile_id", "profile", id_needs_include=True),),
    ),
)
