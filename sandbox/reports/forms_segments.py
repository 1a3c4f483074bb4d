"""Statistics of forms and segments."""

from collections.abc import Mapping

from sandbox.account_data import AccountData
from sandbox.reports.statistics import (
    Observation,
    ObservationGroup,
    Statistic,
    count,
    difference,
    rate,
    unique,
)
from sandbox.resources import Resource

_ADDED, _REMOVED = count("added"), count("removed")

SEGMENT_STATISTICS: Mapping[str, Statistic] = {
    "members_added": _ADDED,
    "members_removed": _REMOVED,
    "net_members_changed": difference(_ADDED, _REMOVED),
    "total_members": lambda totals: (
        totals.count_before_end("added") - totals.count_before_end("removed")
    ),
}

# All forms have a single step, so that statistics of forms and of form steps are equal.
FORM_STATISTICS: Mapping[str, Statistic] = {
    "closed_form": count("close"),
    "closed_form_uniques": unique("close"),
    "qualified_form": count("qualify"),
    "qualified_form_uniques": unique("qualify"),
    "submit_rate": rate(count("submit"), count("view")),
    "submits": count("submit"),
    "submitted_form_step": count("submit"),
    "submitted_form_step_uniques": unique("submit"),
    "viewed_form": count("view"),
    "viewed_form_step": count("view"),
    "viewed_form_step_uniques": unique("view"),
    "viewed_form_uniques": unique("view"),
}


def observe_segments(account: AccountData, _: Resource | None) -> list[ObservationGroup]:
    """Profiles that joined and left each segment."""
    return [
        ObservationGroup(
            {"segment_id": segment.id},
            sorted(
                Observation(change.timestamp, "added" if change.delta > 0 else "removed", None)
                for change in account.memberships.changes(segment)
            ),
        )
        for segment in account.collections["segment"]
    ]


def observe_forms(account: AccountData, _: Resource | None) -> list[ObservationGroup]:
    """Visitors' actions on each form version."""
    return [
        ObservationGroup(
            {"form_id": form.id, "form_version_id": version.id},
            sorted(
                Observation(visit.timestamp, visit.action, visit.profile_id)
                for visit in version.hidden["visits"]
            ),
        )
        for form in account.collections["form"]
        for version in form.related("form-versions")
    ]
